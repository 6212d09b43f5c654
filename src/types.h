// The picture of memory: constants, and the structures every part of the core shares.
//
//   region (one reservation, up to 16 TiB)                     metadata (a second reservation, elsewhere)
//   +-----------+-----------+-----------+----                  +-------+----------+------------------------+
//   | segment 0 | segment 1 | segment 2 | ...  not opened      | slots | segments | heap: side arrays,     |
//   +-----------+-----------+-----------+----                  |       |          | heaps, threads, mail   |
//   /            \                                             +-------+----------+------------------------+
//   slice 0 | slice 1 | ... | slice 511           slot i = page metadata of slice i of the region
//
// A segment is 32 MiB, opened (made accessible) a few slices at a time. A slice is 64 KiB. A page is one or more slices
// that hold blocks of one size, or one large block. All of the allocator's state is in the second reservation, out of
// reach of any overflow out of a block; in the region there is nothing but blocks (the plain build keeps the links of
// its free lists in free blocks).
//
// Included by hooks.h, which defines the hook_..._t parts first; include internal.h instead of this.
#ifndef MIM_TYPES_H
#define MIM_TYPES_H

#include "base.h"
#include "lock.h"
#include "mimalloc.h"

// ---- sizes ----------------------------------------------------------------------------------------------------------

#define SLICE_SHIFT 16
#define SLICE_SIZE ((size_t)1 << SLICE_SHIFT)
#define SEGMENT_SHIFT 25
#define SEGMENT_SIZE ((size_t)1 << SEGMENT_SHIFT)
#define SEGMENT_SLICES (SEGMENT_SIZE / SLICE_SIZE)
#define SEGMENT_WORDS (SEGMENT_SLICES / 64)

#define REGION_MAX (16 * TIB)
#define REGION_MIN (64 * MIB)

// Requests up to this find their page through the direct table of the heap; the bound is inclusive.
#define SMALL_MAX ((size_t)1024)
#define DIRECT_COUNT (SMALL_MAX / MIN_ALIGN + 2)

// Blocks up to SMALL_PAGE_BLOCK_MAX bytes live in pages of one slice, up to MEDIUM_MAX in pages of MEDIUM_SLICES.
// Anything larger is a page of its own.
#define SMALL_PAGE_BLOCK_MAX ((size_t)2560)
#define MEDIUM_MAX ((size_t)64 * KIB)
#define MEDIUM_SLICES ((size_t)8)

// A large block is index 1 of a page whose stride is as large as the region can be: every other address in the page
// has index 0 or a remainder.
#define LARGE_STRIDE_SHIFT 44
#define LARGE_RECIPROCAL ((uint64_t)1 << (64 - LARGE_STRIDE_SHIFT))

// Alignments up to this are met by bins whose blocks are naturally aligned; larger ones by pages of their own.
#define BIN_ALIGN_MAX ((size_t)4 * KIB)

// ---- pages ----------------------------------------------------------------------------------------------------------

typedef struct page_s page_t;
typedef struct tld_s tld_t;
typedef struct mi_heap_s heap_t;

// Which function a block came from. The secure build compares it when the block is freed; the plain build ignores it.
typedef enum family_e {
  FAMILY_C = 0,          // malloc and friends, and every mi_ function that is freed by mi_free
  FAMILY_NEW = 1,        // operator new
  FAMILY_NEW_ARRAY = 2,  // operator new[]
  FAMILY_ANY = 3,        // only for frees: mi_free accepts each family
} family_t;

// What a page is: final while it has blocks, so that other threads may read it.
enum {
  KIND_LARGE = 1,      // one block, recorded in large_request/large_size
};                     // 4 and above are the secure layer's

// How a page is: the owner's alone.
enum {
  PAGE_LISTED = 2,     // in the list of abandoned pages (under its lock)
  PAGE_ZERO = 4,       // every block on `free` reads as zero (but, in the plain build, its link)
  PAGE_IN_FULL = 8,    // in its heap's list of full pages; its owner is then tagged OWNER_FULL
  PAGE_RETIRED = 16,   // empty, kept for a while: the last of its bin, or dear to make again
  PAGE_QUEUED = 32,    // in the queue of its bin
  PAGE_SEALED = 64,    // a freed large block that is kept, inaccessible
};

// Tag in page->owner: owned, but in the list of full pages, so that frees take the slow path and move it back.
#define OWNER_FULL ((uintptr_t)1)

// Metadata of a page, in the slot of its first slice. A slot is two cache lines, split by who writes:
//   line 0  read by every thread that frees into the page; written when the page is made, adopted or dropped
//   line 1  read and written by the owning thread alone (or under the CAS that takes ownership); of a large page, the
//           sizes are for whoever uses the block
// The slots of the other slices of a page hold only `back`. In a slot of no page the rest is zero, and reciprocal 0 makes
// every address in it invalid; the owner is one whom no thread can replace, unless the slot was never used.
//
// Threads that have a block of the page read these fields freely: whoever gave them the block did so after they were
// written. Walks over all slots have no block: they begin with mim_page_look, and take a page over before they read more.
struct page_s {
  size_t back;               // bytes from this slot back to the slot of the page; 0 in the first
  _Atomic(tld_t*) owner;     // the thread that may touch line 1; NULL: nobody, whoever frees into it may take it
  uintptr_t origin;          // address of index 0, which is never handed out: one stride below the first block
  uint64_t reciprocal;       // ceil(2^64 / stride): index = high half of (p - origin) * reciprocal
  uint32_t stride;           // bytes from block to block (KIND_LARGE: 0)
  uint32_t block_size;       // bytes of a block that may be used (stride less the guard of guarded blocks)
  hook_page_t hook;          // the secure layer's part (16 bytes)
  uint16_t hook_key;         // and its key of the states
  uint16_t own_entry[2];     // KIND_LARGE: its side array
  uint8_t kind;              // KIND_...
  bool urgent;               // blocks freed by others are not to wait in the mail: of a heap that may be destroyed

  union {
    uintptr_t free;          // blocks to hand out. Plain: address of the first; secure: its index. 0: none
    size_t large_request;    // KIND_LARGE: bytes asked for
  };
  uintptr_t local_free;      // blocks freed by the owner, not yet back on `free`
  union {
    struct {
      uint32_t capacity;     // blocks 1..capacity have been put on a list at least once
      uint32_t reserved;     // blocks that fit
    };
    size_t large_size;       // KIND_LARGE: usable bytes
  };
  page_t* next;              // in the queue of its bin, the full list, or the list of abandoned pages
  page_t* prev;
  uint32_t used;             // blocks handed out (those in the mail included)
  uint32_t slices;           // slices of the page
  uint8_t bin;
  uint8_t retire_age;        // PAGE_RETIRED: ticks left before it is given back; PAGE_LISTED: subprocess of the list;
                             // KIND_LARGE: it was used again
  uint8_t flags;             // PAGE_...
  heap_t* heap;              // the heap it belongs to; stays when the page has no owner
};

_Static_assert(sizeof(page_t) == 2 * CACHE_LINE, "a slot is two cache lines; page lookup shifts by 7");
_Static_assert(offsetof(page_t, free) == CACHE_LINE, "line 1 is the owner's");
#define SLOT_SHIFT 7

// What a span held: blocks, one large block, or blocks with a guard each.
typedef enum span_kind_e {
  SPAN_BLOCKS,
  SPAN_LARGE,
  SPAN_GUARDED,
  SPAN_SEALED,  // one large block, inaccessible already
} span_kind_t;

// ---- bins -----------------------------------------------------------------------------------------------------------

typedef struct page_queue_s {
  page_t* first;
  page_t* last;
} page_queue_t;

// Bins 1..BIN_NORMAL are size classes, eight to a doubling; the secure build has a second set, naturally aligned, for
// aligned requests (in the plain build the two are the same blocks, and the second set stays unused). BIN_ODD holds pages
// whose blocks are aligned at an offset, each of its own size. BIN_ZERO: blocks of zero bytes.
#define BIN_NORMAL 81
#define BIN_ALIGNED BIN_NORMAL  // bin b of the aligned set is BIN_ALIGNED + b
#define BIN_ODD (2 * BIN_NORMAL + 1)
#define BIN_ZERO (2 * BIN_NORMAL + 2)
#define BIN_COUNT (2 * BIN_NORMAL + 3)
_Static_assert(BIN_COUNT < 256, "a page keeps its bin in a byte");
#define BIN_LARGE BIN_COUNT  // pages with one block: not a queue, only a name in statistics

typedef struct bin_s {
  uint32_t block_size;
  uint32_t stride;
  uint32_t room;        // the largest request that fits
  uint16_t slices;      // of a page
} bin_t;

// ---- statistics -----------------------------------------------------------------------------------------------------

typedef struct stat_s {
  int64_t current, peak, total;
} stat_t;

// Kept by each thread for itself and added to the process's when it ends or when they are asked for. Block counts per
// bin are kept only in debug builds (MIM_DEBUG > 0); release builds count pages.
//
// The only list of it: BINS(member, name), an array of one stat_t for each bin; COUNT, a stat_t; COUNTER, a number that
// only grows. The names are those of MI_STAT_TABLE (mimalloc-stats.h), which says what they mean.
#define THREAD_STATS(BINS, COUNT, COUNTER) \
  BINS(bins, malloc_bins) \
  BINS(page_bins, page_bins) \
  COUNT(requested, malloc_requested) \
  COUNT(large, malloc_large) \
  COUNT(heaps, heaps) \
  COUNT(pages, pages) \
  COUNT(abandoned, pages_abandoned) \
  COUNT(kept, quarantine) \
  COUNT(held, held) \
  COUNTER(extended, pages_extended) \
  COUNTER(retired, pages_retired) \
  COUNTER(searched, page_searches) \
  COUNTER(generic, generic_calls) \
  COUNTER(mailed, mailed) \
  COUNTER(delivered, delivered) \
  COUNTER(adopted, pages_adopted) \
  COUNTER(reclaimed, pages_reclaimed)

typedef struct stats_s {
#define STATS_BINS(member, name) stat_t member[BIN_LARGE + 1];
#define STATS_COUNT(member, name) stat_t member;
#define STATS_COUNTER(member, name) int64_t member;
  THREAD_STATS(STATS_BINS, STATS_COUNT, STATS_COUNTER)
#undef STATS_BINS
#undef STATS_COUNT
#undef STATS_COUNTER
} stats_t;

// ---- heaps and threads ----------------------------------------------------------------------------------------------

struct mi_heap_s {
  page_t* direct[DIRECT_COUNT];   // by size: the first page of the bin's queue, or the empty page
  page_queue_t bins[BIN_COUNT];
  page_queue_t full;              // full pages, for heaps that can be destroyed; other heaps drop them
  tld_t* tld;
  heap_t* next;                   // in tld->heaps
  size_t page_count;              // pages in queues and the full list
  uint16_t retired_min;           // bins that may hold a retired page: min..max, none when min > max
  uint16_t retired_max;
  uint32_t retired_slices;        // of retired pages
  int arena;                      // 0: anywhere but in exclusive arenas; otherwise only in this one
  int tag;
  size_t sample_rate;             // one allocation in so many is a sampled guarded block; SIZE_MAX: as the policy says
  size_t sample_min, sample_max;  // requests that may be
  uint64_t allocates[(BIN_COUNT + 63) / 64];  // bins whose blocks the program has asked this heap for
  bool keeps_full;                // a first-class heap: its pages never lose their owner while it lives
  bool no_destroy;
};

// Freed blocks on their way to the thread that owns their page. Written by the sender until it is handed over.
#define LETTER_BLOCKS 29
typedef struct letter_s {
  union {
    tld_t* to;             // while the sender collects
    struct letter_s* next; // of spare ones, and in an inbox
  };
  uint32_t count;
  uint32_t bytes;          // of blocks above LETTER_SMALL
  void* blocks[LETTER_BLOCKS];
} letter_t;

// Blocks up to this many bytes are not counted: LETTER_BLOCKS of them are no more than LETTER_BYTES.
#define LETTER_BYTES ((size_t)64 * KIB)
#define LETTER_SMALL (LETTER_BYTES / LETTER_BLOCKS)

// Letters being collected, each in the place of its owner's address. A place where there is none holds mim_letter_none,
// which is to nobody.
#define OUTBOX_COUNT 16

#define GUESTS_MAX 8

// What a thread knows. Taken from a pool that is never given back to the OS, so that a stale pointer to one always
// points at a tld_t: letters may be handed to a thread that has ended, and are then routed anew.
struct tld_s {
  _Atomic(letter_t*) inbox;       // pushed by any thread, emptied by the owner; INBOX_CLOSED when nobody will look
  char pad[CACHE_LINE - sizeof(void*)];

  heap_t* backing;                // the heap of the thread; mi_heap_new makes others
  heap_t* heaps;                  // all of them, backing included
  uint32_t thread_id;             // kernel thread id; 0: in the pool
  uint32_t generic_count;
  bool recursing;                 // inside a deferred free callback
  bool borrowed;                  // used for one call of a thread that has already ended
  bool lost;                      // in a forked child: of a thread that exists in the parent only
  uint64_t heartbeat;
  letter_t* outbox[OUTBOX_COUNT];
  uint32_t mail_count;            // blocks sent since all letters were handed over
  letter_t* letters;              // spare ones
  uint32_t letter_count;
  page_t* guests[GUESTS_MAX];     // pages that it adopted by freeing, and does not allocate from; in turn
  uint32_t guest_count;           // that came, ever
  tld_t* next;                    // in the list of all, or of the pool
  tld_t* prev;
  stats_t stats;
  uint8_t subproc;                // whose abandoned pages it takes over; an index, 0: the main subprocess
  hook_thread_t hook;
};

#define INBOX_CLOSED ((letter_t*)1)

// ---- process --------------------------------------------------------------------------------------------------------

// Written once at start, then sealed by the secure build: it has OS pages of its own.
typedef struct __attribute__((aligned(4096))) process_s {
  uintptr_t region;          // start of the region
  page_t* slots;             // slot of slice 0
  size_t region_size;
  void* meta;                // start and size of the second reservation
  size_t meta_size;
  hook_process_t hook;
} process_t;

#endif
