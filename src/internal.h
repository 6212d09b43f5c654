// The index of the core: every function shared between files of src/, under the name of the file that defines it.
// Including this gives the types, the hooks and the base.
#ifndef MIM_INTERNAL_H
#define MIM_INTERNAL_H

#include "base.h"
#include "hooks.h"
#include "lock.h"
#include "options.h"
#include "prim.h"

// ---- init.c: life of the process ------------------------------------------------------------------------------------

extern process_t mim_process;  // final after start, then read-only

// Makes the allocator ready; cheap when it is. Called by the first slow path of each thread.
// False: out of memory or address space, to be tried again.
bool mim_process_init(void);
bool mim_process_is_ready(void);

// ---- thread.c -------------------------------------------------------------------------------------------------------

// The heap that malloc uses and what identifies the calling thread. Before a thread's first allocation and after its
// end they are mim_heap_empty and mim_tld_empty, whose pages are always full and which own nothing.
typedef struct tls_s {
  heap_t* heap;
  tld_t* tld;
  int endings;   // times the thread has ended: after the last, each call borrows a heap
} tls_t;
extern __thread tls_t mim_tls __attribute__((tls_model("initial-exec")));
extern heap_t mim_heap_empty;
extern tld_t mim_tld_empty;
extern tld_t mim_tld_nobody;  // "owns" the slots of pages that were given back
extern page_t mim_page_empty_slot;

// The heap of the calling thread, made when it has none yet. NULL when out of memory.
heap_t* mim_thread_heap(void);
// For a thread that has already ended: like mim_thread_heap, to be followed by mim_thread_return.
void mim_thread_return(heap_t* heap);
bool mim_thread_init_process(void);
extern lock_t mim_thread_lock;
void mim_thread_done(void);
void mim_thread_fork_child(void);
// Threads that have allocated: now, at most, ever.
void mim_thread_totals(stat_t* totals);
// Calls `visit` for each thread's state under the lock of the list.
void mim_thread_visit(void (*visit)(tld_t* tld, void* arg), void* arg);

// ---- meta.c: the second reservation ---------------------------------------------------------------------------------

bool mim_meta_reserve(size_t region_size);
// Makes the slots of a segment accessible.
bool mim_meta_open_slots(size_t segment);
// Zeroed, cache-line aligned memory for the allocator itself; NULL when out of memory. `size` must be the same again
// when it is given back.
void* mim_meta_alloc(size_t size);
void mim_meta_free(void* p, size_t size);
size_t mim_meta_committed(void);
extern lock_t mim_meta_lock;

// ---- region.c: segments, slices, purging ----------------------------------------------------------------------------

bool mim_region_reserve(void);
// Reserves address space where the layer wants it, if it wants it anywhere. NULL: there is no room.
uint8_t* mim_region_place(size_t size, size_t align);

typedef struct span_s {
  uint8_t* start;   // NULL: out of memory
  size_t slice;     // number of the first, and of its slot
  size_t slices;
  bool zero;        // reads as zero throughout
  bool fresh;       // not touched since the OS gave it
} span_t;

// `slices` consecutive slices whose start is a multiple of `align` (power of two; SLICE_SIZE at least). The first
// `used` bytes will be used. Only from `arena`, unless that is 0.
span_t mim_region_alloc(size_t slices, size_t align, size_t used, int arena, bool cold, size_t bin);
// The arena that a slice is in; 0: none.
int mim_region_arena(size_t slice);
// Of a span of which the first `used` bytes are in use, `more` are from now on. False: the guards there stay. *zero:
// what comes with them was under guards, and reads as zero.
bool mim_region_uncover(size_t slice, size_t slices, size_t used, size_t more, bool* zero);
// `zero`: the whole span reads as zero.
void mim_region_free(size_t slice, size_t slices, bool zero, span_kind_t kind);
// Takes whole segments into use for an arena, opened at once or on demand. Its `start` is NULL when out of memory.
span_t mim_region_reserve_arena(size_t size, int arena, bool exclusive, bool open);
// Memory of the program's, outside of the region, is used as well. Returns how much of it, from the start.
size_t mim_region_hand_in(uint8_t* start, size_t size, bool zero, bool pinned, int arena, bool exclusive);
// The page of an address in such memory; NULL when it is in none.
page_t* mim_page_of_extra(const void* p);
uint8_t* mim_region_extra_start(size_t slice);
// Makes a large block's span inaccessible, and gives its memory back, before the span itself is given back. False: not,
// or not all of it.
bool mim_region_seal(size_t slice, size_t slices);
// Gives free memory back to the OS: what has been free for the purge delay, or all with `force`. True when any was.
bool mim_region_purge(bool force);
// How long free memory stays, at least, in ms; 0: not at all, negative: for ever.
long mim_purge_delay(void);
extern lock_t mim_region_lock;

typedef struct region_info_s {
  size_t reserved, committed, committed_peak, purged_total, purge_calls, open_calls, segments, opened;
} region_info_t;
void mim_region_info(region_info_t* info);

// A segment in use, as it is now. Sets have a bit for each slice: free; may hold memory; the last OS page is a guard;
// a guard from end to end.
typedef struct segment_info_s {
  uint8_t* start;
  uint32_t open;  // slices opened, from the start
  int arena;
  uint64_t free[SEGMENT_WORDS], resident[SEGMENT_WORDS], tails[SEGMENT_WORDS], guards[SEGMENT_WORDS];
} segment_info_t;
void mim_region_segment(size_t index, segment_info_t* info);
// For walks: one past the last slice in use, and the slice after one; the first is the one after SIZE_MAX.
size_t mim_region_slices(void);
size_t mim_region_slice_next(size_t slice);

// ---- sizeclass.c ----------------------------------------------------------------------------------------------------

extern bin_t mim_bins[BIN_COUNT];

void mim_bins_init(void);
// The bin of a request, size <= MEDIUM_MAX.
size_t mim_bin_of(size_t size);
// The bin of a request whose blocks are aligned to `align` (a power of two, MIN_ALIGN < align <= BIN_ALIGN_MAX);
// 0 when there is none.
size_t mim_bin_of_aligned(size_t size, size_t align);

// ---- page.c ---------------------------------------------------------------------------------------------------------

mim_inline page_t* mim_page_of(const void* p);

// A page of a bin for a heap, with blocks on its list; NULL when out of memory.
page_t* mim_page_fresh(heap_t* heap, size_t bin);
// The same with a block size and a start of its own, for BIN_ODD.
page_t* mim_page_fresh_odd(heap_t* heap, size_t size, size_t align, size_t offset);
// A page for one block of `size` bytes at a multiple of `align`, less `offset`, that can grow by `room` bytes.
// Returned handed out, with its memory zeroed when `zero`.
// `flush`: at the end of what is used of its span, against the guard, rather than at the start.
void* mim_page_fresh_large(heap_t* heap, size_t size, size_t align, size_t offset, size_t room, family_t family,
                           bool zero, bool flush);
// Makes the usable part of a large block at least `size` bytes, in place. False: that cannot be.
bool mim_page_grow_large(page_t* page, const void* p, size_t size);
// Makes blocks available on `page->free` if it can; false: the page is full. Owner only.
bool mim_page_refill(page_t* page);
// The last block of a page was freed. Owner only.
void mim_page_empty(page_t* page);
// The same for a page of nobody's that a heap's thread has come by: one that hook_hold kept, or a spare one.
void mim_page_give_up(heap_t* heap, page_t* page);
// Gives the page's memory back. Not in any queue, no owner but the caller.
void mim_page_release(page_t* page, bool discard);
bool mim_page_is_valid(const page_t* page);

// ---- heap.c ---------------------------------------------------------------------------------------------------------

heap_t* mim_heap_make(tld_t* tld, bool keeps_full);
void mim_heap_unmake(heap_t* heap);  // it has no pages
void mim_heap_queue_push(heap_t* heap, page_t* page, bool front);
void mim_heap_queue_remove(heap_t* heap, page_t* page);
// A page that turned out full: dropped (nobody owns it), or kept in the heap's list of full pages.
void mim_heap_page_full(heap_t* heap, page_t* page);
// A page of the caller that was in the list of full pages has a free block again.
void mim_heap_page_unfull(page_t* page);
void mim_heap_retire_tick(heap_t* heap, bool force);
// Takes ownership of a page nobody owns, if nobody is faster; it is then in a queue of the thread's heap.
bool mim_heap_adopt(heap_t* heap, page_t* page);
// A page of the bin that an ended thread left, in the queue of the heap; or NULL.
page_t* mim_heap_reclaim(heap_t* heap, size_t bin);
// Lets go of every page: empty ones are kept as spares or released, others are left to be adopted.
void mim_heap_abandon(heap_t* heap);
// Lets go of what the layer kept for too long, and of spare pages, or of all of both.
void mim_heap_age(heap_t* heap, bool all);
void mim_heap_collect(heap_t* heap, bool force);
// Gives back everything that is not in use, addresses too.
void mim_heap_out_of_memory(heap_t* heap);
bool mim_heap_is_valid(const heap_t* heap);
extern lock_t mim_abandoned_lock;
size_t mim_abandoned_count(void);
mi_subproc_id_t mim_heap_subproc(const page_t* page);

// ---- spare.c ---------------------------------------------------------------------------------------------------------

// Keeps an empty page of the caller's, which is in no queue. False: there is no room, or it is not one to be kept.
bool mim_spare_put(page_t* page);
// The caller owns the page that is returned, and is to say of which heap it is. NULL: none of the bin.
page_t* mim_spare_take(size_t bin);
// The page that waited longest, if for too long, or if all are to go; NULL: none.
page_t* mim_spare_old(bool all);

// ---- arena.c --------------------------------------------------------------------------------------------------------

// Reserves what the options say, before the first block is handed out.
void mim_arena_start(void);
size_t mim_arena_count(void);
extern lock_t mim_arena_lock;

// ---- alloc.c --------------------------------------------------------------------------------------------------------

// Another thread's heap was named: reported; the thread's own serves instead.
heap_t* mim_heap_not_ours(const heap_t* heap);
// Everything the fast path does not do. size may be anything. (The parameters stand in registers as the fast path has
// them, here and in mim_free_slow.)
void* mim_malloc_generic(size_t size, heap_t* heap, family_t family, bool zero);
// The same for a block that has been growing: if it is a large one, it will be able to go on in place.
void* mim_malloc_growing(heap_t* heap, size_t size, family_t family);
void* mim_hand_out_slow(page_t* page, uintptr_t ref, size_t size, family_t family, bool zero);
// align is a power of two; offset < size or 0. NULL with ENOMEM/EINVAL/EOVERFLOW.
void* mim_malloc_aligned(heap_t* heap, size_t size, size_t align, size_t offset, family_t family, bool zero);
// FAMILY_ANY: whatever the block's family is; one that is new is of FAMILY_C.
void* mim_realloc(heap_t* heap, void* p, size_t size, family_t family, bool zero);
void* mim_realloc_aligned(heap_t* heap, void* p, size_t size, size_t align, size_t offset, bool zero);
// Changes the size of a block in place; NULL, and nothing has changed, when that cannot be.
void* mim_expand(void* p, size_t size);
// Runs the program's deferred free function, if there is one. Not while it runs.
void mim_deferred_free(heap_t* heap, bool force);
// Fails a request: sets errno, calls the error handler, returns NULL.
void* mim_fail(int error, size_t size);

// ---- free.c, mail.c -------------------------------------------------------------------------------------------------

// Frees what the fast path does not: NULL, foreign pointers, blocks of pages that the thread does not own.
void mim_free_slow(void* p, page_t* page, family_t family);
// The owner frees a block that hook_take_back or hook_deliver has checked.
mim_inline void mim_free_checked(page_t* page, uintptr_t ref);
// Routes a block that was in the mail: frees it if the page is the thread's or nobody's, or sends it on.
void mim_free_delivered(tld_t* me, void* p);
// A letter to nobody.
extern const letter_t mim_letter_none;
// Where the letter to an owner is collected; another one may be there.
mim_inline letter_t** mim_mail_place(tld_t* me, const tld_t* owner) {
  size_t offset = ((uintptr_t)owner / (CACHE_LINE / sizeof(letter_t*))) & ((OUTBOX_COUNT - 1) * sizeof(letter_t*));
  return (letter_t**)((uint8_t*)me->outbox + offset);
}
// All places of a thread that begins are empty.
void mim_mail_init(tld_t* tld);
// The letter there, to which a block was just added, is full.
void mim_mail_full(tld_t* me, letter_t** place);
// Sends a block to the owner of its page: with others, or `at_once`.
void mim_mail_send(tld_t* me, tld_t* owner, void* p, size_t bytes, bool at_once);
// Frees the blocks that others sent to the calling thread.
void mim_mail_deliver(tld_t* me);
// Hands over what the calling thread has not sent yet.
void mim_mail_flush(tld_t* me);
// Nobody will look into the inbox any more: takes what is in it.
void mim_mail_close(tld_t* tld);
extern lock_t mim_letter_lock;

// ---- stats.c --------------------------------------------------------------------------------------------------------

// Only the owner of a number changes it; others read it at any time.
mim_inline void mim_count(int64_t* number, int64_t amount) {
  __atomic_store_n(number, *number + amount, __ATOMIC_RELAXED);
}

mim_inline void mim_stat_add(stat_t* stat, int64_t amount) {
  mim_count(&stat->current, amount);
  if (amount > 0) {
    mim_count(&stat->total, amount);
    if (stat->current > stat->peak) __atomic_store_n(&stat->peak, stat->current, __ATOMIC_RELAXED);
  }
}

// Blocks of a page were handed out (for a request of so many bytes) or came back.
mim_inline void mim_stat_blocks(const page_t* page, int64_t count, size_t request) {
#if MIM_DEBUG > 0
  stats_t* stats = &page->heap->tld->stats;
  mim_stat_add(&stats->bins[page->bin], count);
  if (count > 0) mim_stat_add(&stats->requested, (int64_t)request);
#else
  (void)page;
  (void)count;
  (void)request;
#endif
}

// Adds a thread's numbers to the process's and clears them.
void mim_stats_merge(stats_t* stats);
void mim_stats_exit(void);
// Time is counted from here.
void mim_stats_start(void);

// What the pages hold at this moment, found by looking at all of them: slow, for mallinfo and its like.
typedef struct usage_bin_s {
  size_t pages, page_bytes;
  size_t used, used_bytes;   // blocks handed out
  size_t free;               // blocks that were handed out or put on a list once, and are free
} usage_bin_t;
typedef struct usage_s {
  usage_bin_t bins[BIN_LARGE + 1];
  size_t empty_bytes;        // of pages without a block in use
} usage_t;
void mim_stats_usage(usage_t* usage);

// ---- map.c ----------------------------------------------------------------------------------------------------------

// Writes the heap map where MIMALLOC_HEAP_MAP asks for one; once.
void mim_map_exit(void);

// ---- output.c -------------------------------------------------------------------------------------------------------

// Formats like a small printf: %s %c %d %i %u %x %p %% with l, ll and z, width (a number or *), '-', '0' and, for %s, a
// precision. Returns the length of the whole text, of which at most size - 1 bytes are stored. Never allocates.
int mim_format(char* buf, size_t size, const char* format, ...) __attribute__((format(printf, 3, 4)));
// To the registered output or standard error. `mim_print` writes the text as it is; the others put `mimalloc: ` and
// what it is before it, and end the line. `mim_warn` obeys show_errors and max_warnings, `mim_error` show_errors and
// max_errors, and calls the registered error function too; `mim_verbose` obeys verbose.
void mim_print(const char* format, ...) __attribute__((format(printf, 1, 2)));
void mim_verbose(const char* format, ...) __attribute__((format(printf, 1, 2)));
void mim_warn(const char* format, ...) __attribute__((format(printf, 1, 2)));
void mim_error(int error, const char* format, ...) __attribute__((format(printf, 2, 3)));
// A warning about what the user set (environment, options): printed whether or not show_errors is on.
void mim_notice(const char* format, ...) __attribute__((format(printf, 1, 2)));
// To `out`; NULL is the registered output.
void mim_print_to(mi_output_fun* out, void* arg, const char* format, ...) __attribute__((format(printf, 3, 4)));
// Calls the registered error function, and prints nothing.
void mim_error_notify(int error);

// ---- page lookup ----------------------------------------------------------------------------------------------------

// The page an address lies in; NULL when it is not in the region. For an address in no page, the slot of its slice, in
// which every address is invalid. Reads only metadata, and only what is final while the address is in use.
mim_inline page_t* mim_page_of(const void* p) {
  size_t offset = (uintptr_t)p - mim_process.region;
  if (mim_unlikely(offset >= mim_process.region_size)) return NULL;
  uint8_t* slot = (uint8_t*)mim_process.slots + ((offset >> (SLICE_SHIFT - SLOT_SHIFT)) & ~(((size_t)1 << SLOT_SHIFT) - 1));
  page_t* page = (page_t*)(slot - ((page_t*)slot)->back);
  if (page == NULL) __builtin_unreachable();
  return page;
}

// The same for any address that may be a block, also in memory that the program handed in.
mim_inline page_t* mim_page_find(const void* p) {
  page_t* page = mim_page_of(p);
  return mim_likely(page != NULL) ? page : mim_page_of_extra(p);
}

// The thread that owns a page; NULL: nobody.
mim_inline tld_t* mim_page_owner(const page_t* page) {
  uintptr_t owner = (uintptr_t)atomic_load_explicit(&((page_t*)page)->owner, memory_order_acquire);
  return (tld_t*)(owner & ~OWNER_FULL);
}

// What walks over all slots read of pages that are others' is written and read by these.
mim_inline void mim_slot_set_back(page_t* slot, size_t back) {
  __atomic_store_n(&slot->back, back, __ATOMIC_RELAXED);
}

// Makes addresses in the page valid, or invalid (0). The owner is set before.
mim_inline void mim_page_set_reciprocal(page_t* page, uint64_t reciprocal) {
  __atomic_store_n(&page->reciprocal, reciprocal, __ATOMIC_RELEASE);
}

// Is the slot that of a page, and not of one of its other slices, or of none? The answer may be out of date at once, but
// whoever then replaces the owner NULL by himself has a page.
mim_inline bool mim_page_look(const page_t* slot) {
  return __atomic_load_n(&slot->reciprocal, __ATOMIC_ACQUIRE) != 0 && __atomic_load_n(&slot->back, __ATOMIC_RELAXED) == 0;
}

// The slot of the page that any address lies in now, also one that the caller has no block at; NULL when it is outside.
mim_inline page_t* mim_page_seek(const void* p) {
  size_t offset = (uintptr_t)p - mim_process.region;
  if (offset >= mim_process.region_size) return mim_page_of_extra(p);
  page_t* slot = &mim_process.slots[offset >> SLICE_SHIFT];
  return (page_t*)((uint8_t*)slot - __atomic_load_n(&slot->back, __ATOMIC_RELAXED));
}

// The heap of a page is the owner's to change, and anyone's to look at.
mim_inline void mim_page_set_heap(page_t* page, heap_t* heap) {
  __atomic_store_n(&page->heap, heap, __ATOMIC_RELAXED);
  __atomic_store_n(&page->urgent, heap != NULL && heap->keeps_full, __ATOMIC_RELAXED);
}

mim_inline heap_t* mim_page_heap(const page_t* page) {
  return __atomic_load_n(&page->heap, __ATOMIC_RELAXED);
}

mim_inline void mim_free_checked(page_t* page, uintptr_t ref) {
  assert_int(page->used > 0);
  hook_push(page, ref);
  mim_stat_blocks(page, -1, 0);
  if (mim_unlikely(--page->used == 0)) mim_page_empty(page);
}

mim_inline uint8_t* mim_page_start(const page_t* page) {  // of the slices
  size_t slice = (size_t)(page - mim_process.slots);
  if (mim_unlikely(slice >= mim_process.region_size >> SLICE_SHIFT)) return mim_region_extra_start(slice);
  return (uint8_t*)(mim_process.region + (slice << SLICE_SHIFT));
}

mim_inline uint8_t* mim_page_large_block(const page_t* page) {
  return (uint8_t*)(page->origin + ((uintptr_t)1 << LARGE_STRIDE_SHIFT));
}

#endif
