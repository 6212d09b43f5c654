// The index of the secure layer: every function shared between files of secure/, under the file that defines it.
#ifndef SEC_SECURE_H
#define SEC_SECURE_H

#include "../src/internal.h"
#include "mimalloc-secure.h"
#include "trace.h"

// For peaks in statistics: makes *number at least `least`.
mim_inline void sec_raise(_Atomic(size_t)* number, size_t least) {
  size_t seen = atomic_load_explicit(number, memory_order_relaxed);
  while (seen < least && !atomic_compare_exchange_weak_explicit(number, &seen, least, memory_order_relaxed,
                                                                memory_order_relaxed)) {
  }
}

// ---- policy.c: profiles and options -> mim_process.hook -------------------------------------------------------------
void sec_policy_init(void);
const char* sec_severity_name(sec_severity_t severity);

// ---- entropy.c: the root seed; the only file that knows libsodium ---------------------------------------------------
// Fills `key` with 32 bytes. Fails closed: without any source the process ends with a report. Returns false when the
// kernel's pool is not ready yet (early boot): the key then rests on AT_RANDOM alone, and sec_keys asks again later.
bool sec_entropy_root(uint8_t key[32]);
// Fresh bytes for a forked child, never blocking; false when there are none (a sandbox).
bool sec_entropy_fresh(uint8_t key[32]);
// ChaCha20 keystream (RFC 8439 block function, 64-bit nonce): out = size bytes under key and nonce.
void sec_chacha20(uint8_t* out, size_t size, uint64_t nonce, const uint8_t key[32]);
// The same in portable C (chacha20.c).
void sec_chacha20_portable(uint8_t* out, size_t size, uint64_t nonce, const uint8_t key[32]);
void sec_memzero(void* p, size_t size);

// ---- keys.c: everything random that is not the root seed ------------------------------------------------------------
// Before the first thread exists; under the process's start lock.
void sec_keys_seed(void);
// A new thread's pool. sec_random64 draws 8 bytes from it, refilling by ChaCha20; notices a fork.
void sec_keys_thread(hook_thread_t* thread);
uint64_t sec_random64(hook_thread_t* thread);
// For the process as a whole (placement of the reservations), from a pool of its own under a lock.
uint64_t sec_random_process(void);
void sec_keys_fork_child(void);
extern lock_t sec_keys_lock;

// ---- report.c -------------------------------------------------------------------------------------------------------
// What is known of a violation. Everything may be zero but the fault and the address.
typedef struct sec_report_s {
  mi_fault_t fault;
  const void* address;       // what was freed or touched
  page_t* page;              // NULL: outside
  uintptr_t index;           // of the block in the page; 0: unknown
  const void* block;         // its start
  size_t block_size;
  size_t request;
  ptrdiff_t offset;          // of the first bad byte, from the end of the request (overflow) or from the block
  size_t claimed;            // size, alignment or family (family_t) a free claimed
  const char* detail;        // a constant text
  const char* operation;     // who noticed: "free", "memcpy" ...; a constant text
  size_t access_size;        // bytes of the access, if the operation has a length
  const sec_stack_t* allocated;        // guarded blocks: who allocated and who freed it; NULL: not known
  const sec_stack_t* freed;
  const sec_registers_t* registers;    // where the trace starts; NULL: at the caller
} sec_report_t;
// Reports, then ends the process, or returns when the policy for this fault says to go on.
void sec_violation(const sec_report_t* report, sec_severity_t severity);
// Corrupt metadata or an impossible state: always ends the process.
void sec_fatal(mi_fault_t fault, const void* address, const char* detail) __attribute__((noreturn, cold));
size_t sec_violation_count(void);
void sec_report_fork_child(void);

// ---- fault.c --------------------------------------------------------------------------------------------------------
// Installs the handlers, if the policy wants fault reports.
void sec_fault_init(void);
void sec_fault_thread(hook_thread_t* thread);
void sec_fault_thread_done(hook_thread_t* thread);
void sec_fault_fork_child(void);
// Fills in fault and block for `report->address`, where an access faulted. False: it is not ours to report.
bool sec_fault_describe(sec_report_t* report);

// ---- entry.c: states and the magazine -------------------------------------------------------------------------------
void sec_page_init(page_t* page, tld_t* tld, uint16_t* side, bool fresh);
uint16_t* sec_page_done(page_t* page, bool discard, bool* zero);
void sec_extend(page_t* page, tld_t* tld, uint32_t first, uint32_t count);
bool sec_refill(page_t* page, tld_t* tld);
void sec_entry_fork_child(void);
// What the last 16 bytes of a free block of a wiped page are.
fence_bytes_t sec_tail_of(const page_t* page, uintptr_t index);
bool sec_block_states(page_t* page, uint64_t* free_map);

// ---- invalid.c: what to do with a free that is not right ------------------------------------------------------------
// Called when hook_take_back declines: classifies, reports, or does what takes long.
uintptr_t sec_take_back_slow(page_t* page, void* p, family_t family);
// Checks the fence of a block that comes back, and wipes it.
void sec_take_apart(page_t* page, uintptr_t index, uint8_t* p, uint16_t state);
bool sec_take_back_remote(page_t* page, void* p, family_t family);
uintptr_t sec_deliver(page_t* page, void* p);
bool sec_check_claim(page_t* page, void* p, size_t size, size_t align);
bool sec_check_live(page_t* page, const void* p, family_t family);
size_t sec_usable(page_t* page, const void* p);
bool sec_resize(page_t* page, void* p, size_t old_size, size_t new_size, bool zero);
void sec_foreign(const void* p, const char* what) mim_cold;
void sec_large_out(page_t* page, tld_t* tld, size_t size, family_t family);
void sec_large_fill(page_t* page);
void sec_large_back(page_t* page);
// Was there a large block at `p` that has been freed? Where it began, and how many bytes were asked for. For reports:
// it is forgotten when its memory is used again.
bool sec_large_freed(const void* p, uintptr_t* block, size_t* request);

// ---- fence.c --------------------------------------------------------------------------------------------------------
void sec_fence_broken(page_t* page, uintptr_t index, size_t block_size, size_t slack) mim_cold;
void sec_fence_before_broken(page_t* page, uintptr_t index) mim_cold;

// ---- wipe.c ---------------------------------------------------------------------------------------------------------
void sec_wipe_broken(page_t* page, uintptr_t index) mim_cold;

// ---- sample.c; more in sample.h -------------------------------------------------------------------------------------
void* sec_sample(heap_t* heap, size_t size, size_t align, family_t family, bool zero);
void sec_sample_thread(tld_t* tld);
void sec_sample_fork_child(void);

// ---- hold.c ---------------------------------------------------------------------------------------------------------
// What hook_hold, hook_large_take, hook_age and hook_last_resort say of these.
page_t* sec_hold(page_t* page);
page_t* sec_hold_take(size_t slices, size_t* used);
bool sec_hold_age(bool all, page_t** given_up);
page_t* sec_hold_out(void);
void sec_hold_fork_child(void);
extern lock_t sec_hold_lock;

// ---- tables for tools that look from outside, each in the file of its name -------------------------------------------
struct watch_table_s;
extern const struct watch_table_s sec_watch_guard, sec_watch_policy, sec_watch_report, sec_watch_sample;

// ---- isolate.c ------------------------------------------------------------------------------------------------------
// Spans that were used again for another bin, since the region has no others.
size_t sec_isolate_given_up(void);

// ---- guard.c --------------------------------------------------------------------------------------------------------
void sec_guard_init(void);
void sec_guard_blocks(page_t* page, uint32_t first, uint32_t count);

typedef struct sec_guard_info_s {
  size_t installed, removed, refused, mappings_used, mappings_budget;
  size_t present, peak;  // at a time
} sec_guard_info_t;
void sec_guard_info(sec_guard_info_t* info);

// ---- seal.c ---------------------------------------------------------------------------------------------------------
void sec_seal(void);
int sec_seal_state(void);

#endif
