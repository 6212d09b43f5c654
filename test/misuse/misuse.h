// What the misuse cases share. A case is one way of abusing the heap, at one size, run in a process of its own.
//
// A case announces what it is about to do with at(), so that whoever watches knows when it was stopped: at the misuse
// itself, when the affected block is freed, when memory is used again, or at exit. When nothing stops it, it looks
// whether the misuse had an effect, and returns what it saw.
//
// Everything is written so that a compiler can neither see nor remove the misuse: addresses pass through hide(), bytes
// are read and written by peek() and poke(), all in another translation unit.
#ifndef TEST_MISUSE_H
#define TEST_MISUSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum verdict_e {
  MISSED = 'M',       // it went through, and it matters: an effect was seen, or bytes that are not ours were touched
  PREVENTED = 'P',    // it went through and gained nothing: the effect that was looked for is not there
  IGNORED = 'I',      // no word was said, and no effect was seen; a bug of the program stays hidden
  STOPPED = 'S',      // stopped in each process the case started itself
  NOT_HERE = 'N',     // this allocator does not have what the case is about
  SET_UP_FAILED = 'U' // the case did not get as far as the misuse
} verdict_t;

typedef enum phase_e {
  SET_UP = 's',
  MISUSE = 'm',       // about to do what must not be done
  FREE = 'f',         // about to free the affected block, and its neighbours
  REUSE = 'r',        // about to allocate again
  EXIT = 'x'          // about to leave main
} phase_t;

typedef struct kind_s {
  const char* name;   // unique in its group
  verdict_t (*run)(size_t size);
  const char* what;   // one line for people
  size_t least;       // smallest size it makes sense for
} kind_t;

typedef struct group_s {
  const char* name;
  const kind_t* kinds;
  size_t count;
} group_t;

#define KINDS(array) (array), sizeof(array) / sizeof((array)[0])

// Announces the next phase.
void at(phase_t phase);
// Names the block the misuse is about: a report must give an address in it or right beside it. NULL: nobody can tell.
void about(const void* block, size_t size);

// The same address, of which the compiler knows nothing.
void* hide(const void* p);
uintptr_t hide_number(uintptr_t n);
void poke(void* p, ptrdiff_t offset, int byte);
int peek(const void* p, ptrdiff_t offset);
// Reads or writes a run of bytes, one by one in ascending order.
void poke_run(void* p, ptrdiff_t offset, size_t count, int byte);
void peek_run(const void* p, ptrdiff_t offset, size_t count);

// malloc that ends the case as SET_UP_FAILED when there is no memory.
void* get(size_t size);
// calloc, and memalign of 128 bytes and of an OS page, for crowd_with; NULL when there is no memory.
void* get_zeroed(size_t size);
void* get_aligned(size_t size);
void* get_page_aligned(size_t size);
// What a block is filled with to be recognised again; no byte of it is zero.
enum { SECRET = 0x5A };
void fill(void* p, size_t size);

// A crowd: a block with live blocks of its size on all sides, as far as possible. The crowd belongs to the case, and
// lives outside the heap. crowd() returns one of its blocks, which is not part of the crowd any more: if possible one
// that follows another directly.
void* crowd(size_t size);
void* crowd_with(void* (*allocate)(size_t), size_t size);
// Any other block of the crowd, which leaves it; NULL when there is none.
void* crowd_take(void);
// This one leaves it.
void crowd_remove(const void* p);
void crowd_free(void);
// Is this the start of a block of the crowd?
bool crowd_has(const void* p);
// A block of the crowd at `offset` from which no other block of the crowd starts, in exchange for `p`, if possible.
void* crowd_choose(void* p, ptrdiff_t offset);
// A live block of the crowd that follows `p` directly; NULL when none does.
void* crowd_neighbour(const void* p);

// The program goes on after a write outside of a block: it frees the block and its neighbours, allocates, and ends.
verdict_t settle(void* p, size_t size);
// It allocates a good deal more of this size, uses it, and frees it.
void churn(size_t size);
// After a wrong free: allocates many blocks of `size`. MISSED when two of them overlap, or one overlaps the crowd or
// the `length` bytes at `area`, which belong to someone else; IGNORED when none does.
verdict_t handed_out(size_t size, const void* area, size_t length);
// After a block that was given back was read: MISSED when something can be learned from what it holds.
verdict_t leaked(const void* p, size_t size);

// Runs it in a thread of its own, and waits for the end of the thread.
void in_thread(void* (*run)(void*), void* argument);
void* free_thread(void* p);

// The function of this name, in whatever is loaded; NULL when there is none.
typedef void (*any_function_t)(void);
any_function_t find_function(const char* name);

// Runs `step` in a forked child; true when a signal ended it.
bool stopped_in_child(void (*step)(void* argument), void* argument);
// Runs this program anew with `subcommand` and `size`, and keeps what it writes.
bool run_again(const char* subcommand, size_t size, char* output, size_t room);

// Memory that is none of the heap's, large enough for each size, aligned to 64 bytes; all zero.
enum { ELSEWHERE_SIZE = 8 << 20 };
extern char elsewhere[ELSEWHERE_SIZE];

extern const group_t double_free_group, invalid_free_group, overflow_group, copy_group, overread_group,
  underflow_group, use_after_free_group, uninitialised_group, realloc_group, sized_group, family_group,
  zero_size_group, large_group, thread_group, reuse_group, forged_link_group, header_group, libc_group,
  impossible_group, heap_group;

// `misuse-cases layout SIZE` and `misuse-cases distance SIZE`, of reuse.c: see run_again().
int print_layout(size_t size);
int print_distance(size_t size);

#ifdef __cplusplus
}
#endif

#endif
