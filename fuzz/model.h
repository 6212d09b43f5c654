// The shadow model: what the interpreter knows of every block, kept in memory that the allocator under test does not
// have. Each fact about a block that the allocator states is compared with it, and contents are patterns that follow
// from the block's `fill`, so that overlap, loss and stray writes show up as wrong bytes.
//
// Slots hold single blocks; piles hold many of one size. In the targets with one thread, and in fuzz_threads with its
// scheduler, one operation runs at a time. In its free-running mode a slot is locked while an operation works on it
// (slot_take), piles and heaps belong to one thread each, and overlap is noticed by contents alone.
#ifndef FUZZ_MODEL_H
#define FUZZ_MODEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mimalloc-secure.h"
#include "ops.h"

enum {
  SLOTS = 64,
  GRAVES = 64,
  HEAPS = 4,     // of a thread; heap 0 is the backing heap
  PILES = 4,     // of a thread
  PILE_MAX = 4096,
  WORKERS = 4,
};

#define LIVE_BYTES_MAX ((size_t)48 << 20)

typedef struct block_s {
  uint8_t* p;      // NULL: none
  size_t size;     // what was asked for
  size_t align;    // 0: nothing was asked for
  size_t offset;
  mi_heap_t* heap; // in which it was allocated; NULL: not known
  uint32_t fill;
  uint8_t family;  // mi_family_t
  bool zeroed;     // mi_rezalloc and its like promise zeroes
} block_t;

typedef struct slot_s {
  _Atomic(bool) taken;
  block_t block;
} slot_t;

typedef struct pile_s {
  size_t size, count;
  mi_heap_t* heap;
  uint8_t* blocks[PILE_MAX];
} pile_t;

// What one thread of the interpreted program has.
typedef struct worker_s {
  int number;
  mi_heap_t* heaps[HEAPS];
  bool destroyable[HEAPS];
  bool bound[HEAPS];        // to an arena, which may run out of memory
  int default_heap;
  uint32_t fills;
  bool exits;               // the thread is to end after this operation
  pile_t piles[PILES];
  const struct worker_s* waits;  // the thread that waits for this one (fuzz_process); NULL: none
} worker_t;

// Violations, as the handler was told of them.
typedef struct notice_s {
  size_t count;
  mi_fault_t fault;         // of the last one
  mi_fault_t first;         // and of the first since the count was reset
  const void* address;
  const void* block;
} notice_t;

typedef struct model_s {
  unsigned target;          // FOR_...
  bool slow;                // walk whole structures after each operation, check whole blocks
  bool parallel;            // threads run freely
  bool keeps;               // freed blocks are kept in quarantine, and count as used until they leave it
  bool lax;                 // system calls fail, or options differ: memory may run out, guards may be missing
  bool no_metadata;         // there was none to be had: blocks that other threads free are lost
  bool trace;               // print each operation, and all reports
  bool misuses;             // what is run now is wrong, and may be reported
  bool* failed;             // set before a failure ends the process, if anybody wants to know
  int standard_error;
  slot_t slots[SLOTS];
  block_t graves[GRAVES];   // freed blocks, for stale pointers
  size_t grave_next;
  _Atomic(size_t) live_bytes;
  _Atomic(size_t) heavy_bytes;  // of large requests so far
  _Atomic(size_t) piled;        // blocks that went on piles so far
  _Atomic(size_t) texts;        // of statistics, so far
  size_t op_number;
  const char* op_name;
  int64_t blocks_before, heaps_before;  // what the statistics showed when the model was empty
  uint64_t random;          // for choices that the bytes leave open
  notice_t notice;
  bool fresh;               // the run began among blocks of the interpreter's own (keep_states), which lie
  uintptr_t low, high;      // between these
} model_t;

extern model_t model;
extern __thread worker_t* me;

// Ends the run as a crash: prints the operation and the message.
void model_fail(const char* format, ...) __attribute__((noreturn, cold, format(printf, 1, 2)));
#define must(condition, ...) ((condition) ? (void)0 : model_fail(__VA_ARGS__))

void model_say(const char* format, ...) __attribute__((format(printf, 1, 2)));
void model_start(void);  // once in a process
uint64_t model_random(void);

// ---- contents -------------------------------------------------------------------------------------------------------
void block_fill(block_t* block);
// Verifies the first `size` bytes of a block at `p` that was filled when it was as `was` says.
void contents_check(const uint8_t* p, const block_t* was, size_t size);
void zero_check(const uint8_t* p, size_t size, const char* what);

// ---- blocks ---------------------------------------------------------------------------------------------------------
// The slot, locked; NULL: an operation of another thread has it.
slot_t* slot_take(uint8_t number);
void slot_give(slot_t* slot);
bool model_room(size_t size);
// How many of `count` blocks of a pile a run may still have.
size_t model_pile_room(size_t count, size_t size);
// A new block, about which all promises hold, goes into a slot.
void block_born(slot_t* slot, block_t block, bool zero);
// Checks what is known of a block that has just been allocated or reallocated.
void block_check(const block_t* block);
// The block is about to be freed: verifies its contents.
void block_dies(slot_t* slot);
// It is gone, remembered as a grave.
void block_bury(slot_t* slot);
slot_t* block_at(const void* p);
const block_t* grave_pick(uint8_t number);
mi_heap_t* heap_now(void);

// ---- the violation handler ------------------------------------------------------------------------------------------
void notice_reset(void);
// No violation may have been reported since the last reset.
void notice_none(void);
bool is_free_fault(mi_fault_t fault);

// ---- pages, by the allocator's own structures (probe.c) --------------------------------------------------------------
typedef struct probe_thread_s {
  uintptr_t words[4];
} probe_thread_t;
void probe_start(void);                      // once in a process
void probe_thread_new(probe_thread_t* thread);      // of a thread that has not called the library yet
void probe_thread_out(probe_thread_t* thread);      // what the library keeps of the running thread
void probe_thread_in(const probe_thread_t* thread);
void probe_thread_end(void);                        // what the library does when the running thread ends
void probe_reseed(uint64_t seed);            // keys and counters as in a new thread
void probe_walk(void);                       // debug invariants of all heaps of the thread
bool probe_ready(void);                      // the library and the thread have started
void probe_done(void);                       // as at the process's end
bool probe_in_region(const void* p, size_t size);
size_t probe_room(const void* p);            // bytes of the block, slack included
size_t probe_index(const void* p);           // number in its page; 0: large
bool probe_page_lives(const void* p);
bool probe_guarded(const void* p);           // a guard lies right behind the block
bool probe_page_wiped(const void* p);        // freed blocks of the page are zeroed and verified
bool probe_underflow_shows(const void* p);   // a changed byte before p must be noticed when p is freed
bool probe_access(const void* p);            // can the byte be read?
bool probe_store(void* p, const void* from, size_t size);  // writes if that is possible, without a fault
size_t probe_page_blocks(const void* p);     // blocks that its page has room for
size_t probe_page_used(const void* p);
uintptr_t probe_region(size_t* size);
size_t probe_region_used(void);              // bytes from its start that were ever in use

// ---- operations -----------------------------------------------------------------------------------------------------
typedef struct op_s {
  uint8_t code, slot, a, b, c, d;
} op_t;
typedef void(op_fun)(const op_t* op);
bool model_text_room(const op_t* op);  // whether it may have statistics written
#define OP_DECLARE(code, name, targets) op_fun op_##name;
OP_TABLE(OP_DECLARE)
#undef OP_DECLARE

// ops_alloc.c
void pile_check(const uint8_t* p, size_t size);
void pile_free_all(pile_t* pile);
// Frees the block of a locked slot, by the function that `how` chooses.
void free_by(slot_t* slot, uint8_t how, uint8_t more);

// Whether there may be no memory for a request in heap `index`: it is bound to an arena, or system calls fail.
bool may_fail(unsigned index);
void check_errno(void);                      // after a request that failed

// ops_heap.c
void heaps_begin(void);                      // the thread has its backing heap only
void heap_forget(const mi_heap_t* heap);
void heaps_forget(void);  // of all of the thread's
void heaps_end(void);
size_t model_blocks(const mi_heap_t* heap);  // live ones, of every heap for NULL
int64_t stats_blocks(int64_t* heaps);
void arenas_start(void);
void arenas_warm_up(void (*use)(mi_heap_t* heap));  // calls it with a heap of each

// ops_more.c
void subprocs_end(void);

// interp.c
void interp_start(unsigned target);          // once in a process
void worker_begin(worker_t* worker, int number);
void worker_end(worker_t* worker);           // frees what it has
void op_run(const op_t* op);
void run_begin(const uint8_t* data);
void run_end(void);                          // frees every slot
void run_over(void);                         // after the last check: as before the run
// A whole input on one thread; what targets with one thread do.
int run_single(unsigned target, const uint8_t* data, size_t size);
size_t ops_count(size_t size);
op_t op_at(const uint8_t* data, size_t index);
const char* op_name(uint8_t code);
bool op_is(const op_t* op, op_fun* run);

#endif
