// The narrow waist between the core and the secure layer. The core knows the layer only through the functions and
// types named `hook_...` here; this is the only file of src/ that asks which product is being built.
//
// Each hook stands below with its contract and its plain body. In the secure build the same names come from
// secure/hooks_secure.h. A `ref` is how a page's free blocks are named: by address in the plain build, where links are
// kept in the free blocks themselves; by index in the page in the secure build, where there are none. 0: none.
#ifndef MIM_HOOKS_H
#define MIM_HOOKS_H

#include "base.h"

#if MIM_SECURE
#include "../secure/secure_types.h"
#else
typedef struct hook_page_s {
  uint64_t unused[2];
} hook_page_t;
typedef struct hook_segment_s {
  uint64_t unused;
} hook_segment_t;
typedef struct hook_thread_s {
  uint64_t unused;
} hook_thread_t;
typedef struct hook_process_s {
  uint64_t unused;
} hook_process_t;
#endif

#include "types.h"

#include "track.h"

struct mi_stats_s;

// What the program claims about a block when it frees it. Claims the program did not make are SIZE_UNKNOWN / 0.
#define SIZE_UNKNOWN SIZE_MAX

#if MIM_SECURE
#include "../secure/hooks_secure.h"
#else

// ---- layout ---------------------------------------------------------------------------------------------------------

// A bin is found by rounding the request up to granules of MIN_ALIGN; this many bytes are set aside for the layer
// first, so that a request of a nominal size (2^k, say) does not fall into the next bin.
#define HOOK_BIN_PAD ((size_t)0)

// Bytes of each block that the layer needs behind the request, at least.
#define HOOK_MIN_SLACK ((size_t)0)

// Offset of the set of bins used for aligned requests: BIN_ALIGNED when blocks of normal bins are not aligned.
#define HOOK_ALIGNED_SET ((size_t)0)

// The blocks of a bin of this nominal size. `aligned`: of the aligned set.
mim_inline bin_t hook_bin(size_t nominal, bool aligned) {
  (void)aligned;
  return (bin_t){.block_size = (uint32_t)nominal, .stride = (uint32_t)nominal, .room = (uint32_t)nominal};
}

// Slices at the end of each segment that are never used.
#define HOOK_SEPARATOR_SLICES ((size_t)0)

// True when a request of zero bytes gets an inaccessible address of its own.
#define HOOK_ZERO_BIN 0

// True when each function that is given a heap looks whose it is; otherwise those do that find no block at once.
#define HOOK_CHECKS_HEAPS 0

// Bytes a page is extended by, at least; and the least number of blocks of this stride.
#define HOOK_EXTEND_BYTES ((size_t)4 * KIB)
#define HOOK_EXTEND_BLOCKS(stride) ((void)(stride), (size_t)1)

// Index of the direct table for a request, or false when it is not small.
mim_inline bool hook_direct_index(size_t size, size_t* index) {
  *index = (size + MIN_ALIGN - 1) / MIN_ALIGN;
  return size <= SMALL_MAX;
}

// Bytes at the end of a page that hold no blocks.
mim_inline size_t hook_page_tail(void) {
  return 0;
}

// Bytes of side array (metadata) that a page of so many bytes with this stride needs.
mim_inline size_t hook_side_bytes(size_t page_bytes, size_t stride) {
  (void)page_bytes;
  (void)stride;
  return 0;
}

// ---- fast paths -----------------------------------------------------------------------------------------------------

// A link in a free block. Blocks that are aligned at an odd offset hold it at an odd address.
typedef uintptr_t __attribute__((may_alias, aligned(1))) link_t;

// Takes the next block off the list of a page whose `free` is not 0. Returns its ref.
mim_inline uintptr_t hook_pop(page_t* page) {
  uintptr_t ref = page->free;
  page->free = *(link_t*)ref;
  return ref;
}

// Puts a block that was taken back among the free ones of its page; it waits there until hook_collect.
mim_inline void hook_push(page_t* page, uintptr_t ref) {
  *(link_t*)ref = page->local_free;
  page->local_free = ref;
}

// Turns a block just taken from `page->free` into one that the program owns, for a request of `size` bytes; with
// `zero`, all its usable bytes read as zero. NULL when something is wrong or takes long: hook_hand_out_slow then does
// it, and reports. (Two functions, so that the fast paths make no call but their last.)
mim_inline void* hook_hand_out(page_t* page, uintptr_t ref, size_t size, family_t family, bool zero) {
  (void)size;
  (void)family;
  if (zero) {
    if (page->flags & PAGE_ZERO) {
      *(link_t*)ref = 0;
    } else {
      memset((void*)ref, 0, page->block_size);
    }
  }
  return (void*)ref;
}
mim_inline void* hook_hand_out_slow(page_t* page, uintptr_t ref, size_t size, family_t family, bool zero) {
  return hook_hand_out(page, ref, size, family, zero);
}

// The owner takes a block back from the program: checks that it may be freed, and wipes it, before any link is written.
// Returns its ref; 0 when something is wrong or takes long: hook_take_back_slow then does it, and returns 0 only when
// the block must be left alone (a violation that was reported and outlived).
mim_inline uintptr_t hook_take_back(page_t* page, void* p, family_t family) {
  (void)page;
  (void)family;
  if (p == NULL) __builtin_unreachable();  // it lies in the region
  return (uintptr_t)p;
}
mim_inline uintptr_t hook_take_back_slow(page_t* page, void* p, family_t family) {
  return hook_take_back(page, p, family);
}

// Freed blocks of this page are kept out of use for a while: the owner takes one back by hook_keep. False: something is
// wrong or takes long, and nothing was done.
mim_inline bool hook_keeps(const page_t* page) {
  (void)page;
  return false;
}
mim_inline bool hook_keep(page_t* page, void* p, family_t family) {
  (void)page;
  (void)p;
  (void)family;
  return false;
}

// The same from a thread that does not own the page. False: leave the block alone.
mim_inline bool hook_take_back_remote(page_t* page, void* p, family_t family) {
  (void)page;
  (void)p;
  (void)family;
  return true;
}

// The same where it takes few steps: of small blocks. False: not that, and nothing was done.
mim_inline bool hook_take_back_remote_quick(page_t* page, void* p, family_t family) {
  (void)p;
  (void)family;
  return page->block_size - 1 < LETTER_SMALL;  // not of large ones, which have 0
}

// The owner receives a block that another thread took back.
mim_inline uintptr_t hook_deliver(page_t* page, void* p) {
  (void)page;
  return (uintptr_t)p;
}

// Compares what a sized or aligned free claims with what was asked for. False: leave the block alone.
mim_inline bool hook_check_claim(page_t* page, void* p, size_t size, size_t align) {
  (void)page;
  (void)p;
  (void)size;
  (void)align;
  return true;
}

// ---- pages ----------------------------------------------------------------------------------------------------------

// A page is about to hold blocks: its fields are set, PAGE_ZERO among its flags says whether its memory reads as zero;
// `fresh`: it was never touched since the OS gave it. `side` is of hook_side_bytes, its contents undefined.
mim_inline void hook_page_init(page_t* page, tld_t* tld, uint16_t* side, bool fresh) {
  (void)page;
  (void)tld;
  (void)side;
  (void)fresh;
}

// Makes blocks first .. first + count - 1, never handed out before, free; `page->free` is empty, and so not after.
void mim_plain_extend(page_t* page, uint32_t first, uint32_t count);
mim_inline void hook_extend(page_t* page, tld_t* tld, uint32_t first, uint32_t count) {
  (void)tld;
  mim_plain_extend(page, first, count);
}

// Makes free blocks of the page available on `page->free`, which is empty. False: there are none.
mim_inline bool hook_collect(page_t* page, tld_t* tld) {
  (void)tld;
  if (page->local_free == 0) return false;
  page->free = page->local_free;
  page->local_free = 0;
  page->flags &= (uint8_t)~PAGE_ZERO;
  return true;
}

// True when a page should rather be extended than hand out the few freed blocks it has.
mim_inline bool hook_prefers_extension(const page_t* page) {
  (void)page;
  return false;
}

// The page gives its memory up: every block is free, or is dropped with its heap (`discard`). Returns the side array
// that is to be given back, NULL when there is none. True in *zero: its memory reads as zero.
mim_inline uint16_t* hook_page_done(page_t* page, bool discard, bool* zero) {
  (void)page;
  (void)discard;
  *zero = false;
  return NULL;
}

// The slot of a large block that was just given up has been cleared: the layer may leave there what it was. It stays
// until the slot is used again.
mim_inline void hook_large_gone(page_t* slot, uintptr_t block, size_t request) {
  (void)slot;
  (void)block;
  (void)request;
}

// ---- blocks, off the fast path ---------------------------------------------------------------------------------------

// The usable size of a live block: what the program may write. In the secure build, what it asked for. 0 for an
// address that is not a live block (reported by the secure build).
mim_inline size_t hook_usable(page_t* page, const void* p) {
  (void)p;
  return (page->kind & KIND_LARGE) ? page->large_size : page->block_size;
}

// Checks a live block without freeing it (realloc, usable_size). False: leave it alone.
mim_inline bool hook_check_live(page_t* page, const void* p, family_t family) {
  (void)page;
  (void)p;
  (void)family;
  return true;
}

// Changes the request of a live block in place, from `old_size` usable bytes; the block is large enough. With `zero`
// the bytes gained read as zero. False when the layer would rather have a new block.
mim_inline bool hook_resize(page_t* page, void* p, size_t old_size, size_t new_size, bool zero) {
  (void)new_size;  // other blocks have no more room than they had
  // Of a large block that grew, all of what it has room for now: to the next call those are bytes it had before.
  if (zero && (page->kind & KIND_LARGE) && page->large_size > old_size) {
    memset((char*)p + old_size, 0, page->large_size - old_size);
  }
  return true;
}

// Sets a bit of `free_map` for each of blocks 1..capacity that is not the program's; of a page the caller owns. Plain:
// found by walking the lists. False: what was found does not agree with `used`.
bool mim_plain_block_states(page_t* page, uint64_t* free_map);
mim_inline bool hook_block_states(page_t* page, uint64_t* free_map) {
  return mim_plain_block_states(page, free_map);
}

// A large block becomes the program's.
mim_inline void hook_large_out(page_t* page, tld_t* tld, size_t size, family_t family) {
  (void)page;
  (void)tld;
  (void)size;
  (void)family;
}

// Where a large block lies in its span: flush against the end, or at the start.
#define HOOK_LARGE_FLUSH 0

// Bytes a large block needs besides what was asked for.
mim_inline size_t hook_large_extra(void) {
  return 0;
}

// May a large block take more of its span?
mim_inline bool hook_may_grow(const page_t* page) {
  (void)page;
  return true;
}

// Decides whether this allocation is a sampled guarded block, and makes it; NULL: it is not.
mim_inline void* hook_sample(heap_t* heap, size_t size, size_t align, family_t family, bool zero) {
  (void)heap;
  (void)size;
  (void)align;
  (void)family;
  (void)zero;
  return NULL;
}

// A large block was freed: the layer may keep its page for a while, made inaccessible, and return older ones, which it
// sealed then, to be given up instead, linked by `next`; NULL: none.
mim_inline page_t* hook_hold(page_t* page) {
  return page;
}

// A freed large block of so many slices that the layer kept, to be used again: its memory reads as zero, its page is the
// caller's. `*used`: bytes from the start that will be used; more may come back. NULL: there is none.
mim_inline page_t* hook_large_take(size_t slices, size_t* used) {
  (void)slices;
  (void)used;
  return NULL;
}

// Called now and then: what the layer kept for too long (or all of it) goes. False: there is no more; otherwise
// `*given_up` is NULL, or a page that is to be given up.
mim_inline bool hook_age(bool all, page_t** given_up) {
  (void)all;
  (void)given_up;
  return false;
}

// Memory ran out: a page of which the layer keeps nothing but the addresses, to be given up. NULL: there is none.
mim_inline page_t* hook_last_resort(void) {
  return NULL;
}

// A heap that is gone, or another thread's, was used. Reported; the plain build warns.
void mim_plain_invalid_heap(const heap_t* heap, const char* what);
mim_inline void hook_invalid_heap(const heap_t* heap, const char* what) {
  mim_plain_invalid_heap(heap, what);
}

// An address that no page owns was freed or asked about. The secure build decides what happens (report, abort, pass
// on); the plain build ignores it with a warning.
void mim_plain_foreign(const void* p, const char* what);
mim_inline void hook_foreign(const void* p, const char* what) {
  mim_plain_foreign(p, what);
}

// ---- memory of the region --------------------------------------------------------------------------------------------

// What the region keeps of a segment, the layer's part included, in bytes: a power of two.
#define HOOK_SEGMENT_BYTES ((size_t)512)

// Free slices are looked for in as many rounds: in each, the layer says which of them may hold a page of the bin, and
// whether new segments may be taken into use for it. hook_choose returns `free`, or `chosen` filled in.
mim_inline unsigned hook_choices(void) {
  return 1;
}
mim_inline bool hook_choice_adds(unsigned choice) {
  (void)choice;
  return true;
}
mim_inline const uint64_t* hook_choose(const hook_segment_t* segment, const uint64_t* free, size_t bin, unsigned choice,
                                       uint64_t* chosen) {
  (void)segment;
  (void)bin;
  (void)choice;
  (void)chosen;
  return free;
}

// A segment has been taken into use: slices may be opened.
mim_inline void hook_segment_init(hook_segment_t* guards, uint8_t* start) {
  (void)guards;
  (void)start;
}

// Slices [first, first + slices) of the segment at `base` will hold a page of the bin: remove guards left inside, set the
// guard behind `used` bytes. Called for each segment's part of a span. False: guards cannot be removed, as the kernel has
// no mapping to spare.
mim_inline bool hook_span_out(hook_segment_t* guards, uint8_t* base, size_t first, size_t slices, size_t used,
                              size_t bin) {
  (void)bin;
  (void)guards;
  (void)base;
  (void)first;
  (void)slices;
  (void)used;
  return true;
}

// Of a span, or its part in this segment, that begins at slice `first` and has `used` bytes in use, `more` are from now
// on. False: guards cannot be removed. Clears *zero unless what comes with them was under guards, and reads as zero.
mim_inline bool hook_span_grow(hook_segment_t* guards, uint8_t* base, size_t first, size_t used, size_t more,
                               bool* zero) {
  (void)guards;
  (void)base;
  (void)first;
  (void)used;
  (void)more;
  *zero = false;
  return true;
}

// Slices of a span come back. Returns true when its contents are gone (made inaccessible): it reads as zero later.
mim_inline bool hook_span_back(hook_segment_t* guards, uint8_t* base, size_t first, size_t slices, span_kind_t kind) {
  (void)guards;
  (void)base;
  (void)first;
  (void)slices;
  (void)kind;
  return false;
}

// Which slices of a segment have a guard at their end, and which are guards throughout.
mim_inline void hook_segment_guards(const hook_segment_t* guards, uint64_t* tails, uint64_t* all) {
  (void)guards;
  memset(tails, 0, SEGMENT_WORDS * sizeof(*tails));
  memset(all, 0, SEGMENT_WORDS * sizeof(*all));
}

// Where the region, and the metadata, should rather be placed; NULL: leave it to the OS.
mim_inline void* hook_region_hint(size_t size) {
  (void)size;
  return NULL;
}

// ---- life of the process ---------------------------------------------------------------------------------------------

// First call of all, before any memory is reserved: seeds. Options are not yet there.
mim_inline void hook_process_seed(void) {
}
// The options are read, the region and the metadata are reserved.
mim_inline void hook_process_init(void) {
}
// Everything in mim_process is final: seal it.
mim_inline void hook_process_ready(void) {
}
// Round a fork, with all locks of the core held.
mim_inline void hook_fork_prepare(void) {
}
mim_inline void hook_fork_parent(void) {
}
mim_inline void hook_fork_child(void) {
}
mim_inline void hook_thread_init(tld_t* tld) {
  (void)tld;
}
// Freed blocks that the layer keeps out of use go back to their pages; with `ends` it keeps none for this thread any
// more.
mim_inline void hook_let_go(tld_t* tld, bool ends) {
  (void)tld;
  (void)ends;
}
mim_inline void hook_thread_done(tld_t* tld) {
  (void)tld;
}
// Fills in what the layer counts, of the statistics of mimalloc-stats.h.
mim_inline void hook_stats(struct mi_stats_s* stats) {
  (void)stats;
}
// For statistics and mi_is_secure().
mim_inline void hook_print(void (*line)(const char* text, void* arg), void* arg) {
  (void)line;
  (void)arg;
}

#endif  // plain

#if MIM_TRACK_VALGRIND || MIM_TRACK_ASAN
#include "track_hooks.h"
#endif

#endif
