/**
 * @file mimalloc/heap.h
 * First-class heaps: allocate in groups, free a group at once, look at what a group holds.
 *
 * Included by mimalloc.h, whose rules hold here; do not include it on its own. Thread rule: only the thread
 * that made a heap may allocate from it, collect, visit, delete or destroy it. Its blocks may be freed and
 * reallocated by any thread. (Version 3 of mimalloc lets every thread use a heap; programs that rely on
 * that do not run here.) A heap outlives its thread only as blocks: at the end of a thread its heaps are
 * deleted as by mi_heap_delete(). Heap parameters of the allocating functions must not be NULL. The others
 * take NULL and do nothing. A heap that is gone, or another thread's, is a misuse: the functions that
 * allocate, delete and destroy tell the error function EINVAL and the secure build reports `invalid-heap`,
 * except that an allocation which finds a block at once does not look.
 */
#ifndef MIMALLOC_HEAP_H
#define MIMALLOC_HEAP_H

#ifndef MIMALLOC_H
#error "include <mimalloc.h> instead"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup heaps Heaps
 *  @{ */

/** A new heap of the calling thread; NULL with ENOMEM when out of memory. */
MI_NODISCARD MI_EXPORT mi_heap_t* mi_heap_new(void) MI_NOEXCEPT;

/**
 * A new heap whose pages are marked with @p heap_tag (0..255; see mi_heap_area_t), which with @p
 * allow_destroy may be destroyed, and which takes its memory from arena @p arena_id only, or from anywhere
 * when that is 0 or negative. NULL with EINVAL when the tag is out of range or there is no such arena, with
 * ENOMEM when out of memory.
 */
MI_NODISCARD MI_EXPORT mi_heap_t* mi_heap_new_ex(int heap_tag, bool allow_destroy, mi_arena_id_t arena_id)
    MI_NOEXCEPT;

/** A new heap that takes its memory from arena @p arena_id only; results as those of mi_heap_new_ex(). */
MI_NODISCARD MI_EXPORT mi_heap_t* mi_heap_new_in_arena(mi_arena_id_t arena_id) MI_NOEXCEPT;

/**
 * Delete @p heap. Its blocks stay valid and become part of the thread's backing heap. If it was the default
 * heap, the backing heap becomes that. The backing heap itself cannot be deleted: ignored.
 */
MI_EXPORT void mi_heap_delete(mi_heap_t* heap) MI_NOEXCEPT;

/**
 * Destroy @p heap and free all its blocks at once. Using or freeing one of them later is a misuse. If it was
 * the default heap, the backing heap becomes that. A heap that was made without `allow_destroy`
 * (mi_heap_new_ex()) is deleted instead; for the backing heap the call is ignored. The plain build does not
 * look at the blocks; the secure build checks and wipes those that are still in use.
 */
MI_EXPORT void mi_heap_destroy(mi_heap_t* heap) MI_NOEXCEPT;

/** As mi_collect(), for the pages of @p heap alone; ignored if it is not the calling thread's. */
MI_EXPORT void mi_heap_collect(mi_heap_t* heap, bool force) MI_NOEXCEPT;

/**
 * Make @p heap what the calling thread allocates from when no heap is named. Returns the one before; NULL,
 * and nothing has changed, when @p heap is NULL or not the calling thread's.
 */
MI_EXPORT mi_heap_t* mi_heap_set_default(mi_heap_t* heap) MI_NOEXCEPT;

/** The heap the calling thread allocates from when no heap is named. Never NULL unless out of memory. */
MI_NODISCARD MI_EXPORT mi_heap_t* mi_heap_get_default(void) MI_NOEXCEPT;

/** The heap every thread has from its start to its end. Never NULL unless out of memory. */
MI_NODISCARD MI_EXPORT mi_heap_t* mi_heap_get_backing(void) MI_NOEXCEPT;

/**
 * The heap that is always there, under the name of version 3: here the backing heap of the calling thread.
 */
MI_NODISCARD MI_EXPORT mi_heap_t* mi_heap_main(void) MI_NOEXCEPT;

/**
 * The heap of the page that @p p, any address, lies in; NULL when it lies in none. For blocks of another
 * thread, or of one that has ended, it is only good for comparing: it may be gone at any time.
 */
MI_NODISCARD MI_EXPORT mi_heap_t* mi_heap_of(const void* p) MI_NOEXCEPT;

/** @} */

/** @defgroup heapalloc Allocation in a heap
 *  Each as the function without `heap_`, with the block in the named heap.
 *  @{ */

/** mi_malloc() in @p heap. */
MI_NODISCARD MI_EXPORT void* mi_heap_malloc(mi_heap_t* heap, size_t size) MI_NOEXCEPT MI_ATTR_MALLOC
    MI_ATTR_ALLOC_SIZE(2) MI_ATTR_NONNULL(1);
/** mi_zalloc() in @p heap. */
MI_NODISCARD MI_EXPORT void* mi_heap_zalloc(mi_heap_t* heap, size_t size) MI_NOEXCEPT MI_ATTR_MALLOC
    MI_ATTR_ALLOC_SIZE(2) MI_ATTR_NONNULL(1);
/** mi_calloc() in @p heap. */
MI_NODISCARD MI_EXPORT void* mi_heap_calloc(mi_heap_t* heap, size_t count, size_t size) MI_NOEXCEPT
    MI_ATTR_MALLOC MI_ATTR_ALLOC_SIZE2(2, 3) MI_ATTR_NONNULL(1);
/** mi_mallocn() in @p heap. */
MI_NODISCARD MI_EXPORT void* mi_heap_mallocn(mi_heap_t* heap, size_t count, size_t size) MI_NOEXCEPT
    MI_ATTR_MALLOC MI_ATTR_ALLOC_SIZE2(2, 3) MI_ATTR_NONNULL(1);
/** mi_malloc_small() in @p heap. */
MI_NODISCARD MI_EXPORT void* mi_heap_malloc_small(mi_heap_t* heap, size_t size) MI_NOEXCEPT MI_ATTR_MALLOC
    MI_ATTR_ALLOC_SIZE(2) MI_ATTR_NONNULL(1);
/** mi_zalloc_small() in @p heap. */
MI_NODISCARD MI_EXPORT void* mi_heap_zalloc_small(mi_heap_t* heap, size_t size) MI_NOEXCEPT MI_ATTR_MALLOC
    MI_ATTR_ALLOC_SIZE(2) MI_ATTR_NONNULL(1);

/** mi_realloc(); a block that moves moves into @p heap. */
MI_NODISCARD MI_EXPORT void* mi_heap_realloc(mi_heap_t* heap, void* p, size_t newsize) MI_NOEXCEPT
    MI_ATTR_ALLOC_SIZE(3) MI_ATTR_NONNULL(1);
/** mi_reallocn(); a block that moves moves into @p heap. */
MI_NODISCARD MI_EXPORT void* mi_heap_reallocn(mi_heap_t* heap, void* p, size_t count, size_t size) MI_NOEXCEPT
    MI_ATTR_ALLOC_SIZE2(3, 4) MI_ATTR_NONNULL(1);
/** mi_reallocf(); a block that moves moves into @p heap. */
MI_NODISCARD MI_EXPORT void* mi_heap_reallocf(mi_heap_t* heap, void* p, size_t newsize) MI_NOEXCEPT
    MI_ATTR_ALLOC_SIZE(3) MI_ATTR_NONNULL(1);

/** mi_strdup() in @p heap. */
MI_NODISCARD MI_EXPORT char* mi_heap_strdup(mi_heap_t* heap, const char* s) MI_NOEXCEPT MI_ATTR_MALLOC
    MI_ATTR_NONNULL(1);
/** mi_strndup() in @p heap. */
MI_NODISCARD MI_EXPORT char* mi_heap_strndup(mi_heap_t* heap, const char* s, size_t n) MI_NOEXCEPT
    MI_ATTR_MALLOC MI_ATTR_NONNULL(1);
/** mi_realpath() in @p heap. */
MI_NODISCARD MI_EXPORT char* mi_heap_realpath(mi_heap_t* heap, const char* fname, char* resolved_name)
    MI_NOEXCEPT MI_ATTR_NONNULL(1);

/** mi_malloc_aligned() in @p heap. */
MI_NODISCARD MI_EXPORT void* mi_heap_malloc_aligned(mi_heap_t* heap, size_t size, size_t alignment)
    MI_NOEXCEPT MI_ATTR_MALLOC MI_ATTR_ALLOC_SIZE(2) MI_ATTR_ALLOC_ALIGN(3) MI_ATTR_NONNULL(1);
/** mi_malloc_aligned_at() in @p heap. */
MI_NODISCARD MI_EXPORT void* mi_heap_malloc_aligned_at(mi_heap_t* heap, size_t size, size_t alignment,
    size_t offset) MI_NOEXCEPT MI_ATTR_MALLOC MI_ATTR_ALLOC_SIZE(2) MI_ATTR_NONNULL(1);
/** mi_zalloc_aligned() in @p heap. */
MI_NODISCARD MI_EXPORT void* mi_heap_zalloc_aligned(mi_heap_t* heap, size_t size, size_t alignment)
    MI_NOEXCEPT MI_ATTR_MALLOC MI_ATTR_ALLOC_SIZE(2) MI_ATTR_ALLOC_ALIGN(3) MI_ATTR_NONNULL(1);
/** mi_zalloc_aligned_at() in @p heap. */
MI_NODISCARD MI_EXPORT void* mi_heap_zalloc_aligned_at(mi_heap_t* heap, size_t size, size_t alignment,
    size_t offset) MI_NOEXCEPT MI_ATTR_MALLOC MI_ATTR_ALLOC_SIZE(2) MI_ATTR_NONNULL(1);
/** mi_calloc_aligned() in @p heap. */
MI_NODISCARD MI_EXPORT void* mi_heap_calloc_aligned(mi_heap_t* heap, size_t count, size_t size,
    size_t alignment) MI_NOEXCEPT MI_ATTR_MALLOC MI_ATTR_ALLOC_SIZE2(2, 3) MI_ATTR_ALLOC_ALIGN(4)
    MI_ATTR_NONNULL(1);
/** mi_calloc_aligned_at() in @p heap. */
MI_NODISCARD MI_EXPORT void* mi_heap_calloc_aligned_at(mi_heap_t* heap, size_t count, size_t size,
    size_t alignment, size_t offset) MI_NOEXCEPT MI_ATTR_MALLOC MI_ATTR_ALLOC_SIZE2(2, 3) MI_ATTR_NONNULL(1);
/** mi_realloc_aligned(); a block that moves moves into @p heap. */
MI_NODISCARD MI_EXPORT void* mi_heap_realloc_aligned(mi_heap_t* heap, void* p, size_t newsize,
    size_t alignment) MI_NOEXCEPT MI_ATTR_ALLOC_SIZE(3) MI_ATTR_ALLOC_ALIGN(4) MI_ATTR_NONNULL(1);
/** mi_realloc_aligned_at(); a block that moves moves into @p heap. */
MI_NODISCARD MI_EXPORT void* mi_heap_realloc_aligned_at(mi_heap_t* heap, void* p, size_t newsize,
    size_t alignment, size_t offset) MI_NOEXCEPT MI_ATTR_ALLOC_SIZE(3) MI_ATTR_NONNULL(1);

/** mi_rezalloc(); a block that moves moves into @p heap. */
MI_NODISCARD MI_EXPORT void* mi_heap_rezalloc(mi_heap_t* heap, void* p, size_t newsize) MI_NOEXCEPT
    MI_ATTR_ALLOC_SIZE(3) MI_ATTR_NONNULL(1);
/** mi_recalloc(); a block that moves moves into @p heap. */
MI_NODISCARD MI_EXPORT void* mi_heap_recalloc(mi_heap_t* heap, void* p, size_t newcount, size_t size)
    MI_NOEXCEPT MI_ATTR_ALLOC_SIZE2(3, 4) MI_ATTR_NONNULL(1);
/** mi_rezalloc_aligned(); a block that moves moves into @p heap. */
MI_NODISCARD MI_EXPORT void* mi_heap_rezalloc_aligned(mi_heap_t* heap, void* p, size_t newsize,
    size_t alignment) MI_NOEXCEPT MI_ATTR_ALLOC_SIZE(3) MI_ATTR_ALLOC_ALIGN(4) MI_ATTR_NONNULL(1);
/** mi_rezalloc_aligned_at(); a block that moves moves into @p heap. */
MI_NODISCARD MI_EXPORT void* mi_heap_rezalloc_aligned_at(mi_heap_t* heap, void* p, size_t newsize,
    size_t alignment, size_t offset) MI_NOEXCEPT MI_ATTR_ALLOC_SIZE(3) MI_ATTR_NONNULL(1);
/** mi_recalloc_aligned(); a block that moves moves into @p heap. */
MI_NODISCARD MI_EXPORT void* mi_heap_recalloc_aligned(mi_heap_t* heap, void* p, size_t newcount, size_t size,
    size_t alignment) MI_NOEXCEPT MI_ATTR_ALLOC_SIZE2(3, 4) MI_ATTR_ALLOC_ALIGN(5) MI_ATTR_NONNULL(1);
/** mi_recalloc_aligned_at(); a block that moves moves into @p heap. */
MI_NODISCARD MI_EXPORT void* mi_heap_recalloc_aligned_at(mi_heap_t* heap, void* p, size_t newcount,
    size_t size, size_t alignment, size_t offset) MI_NOEXCEPT MI_ATTR_ALLOC_SIZE2(3, 4) MI_ATTR_NONNULL(1);

/** mi_new() in @p heap. */
MI_NODISCARD MI_EXPORT void* mi_heap_alloc_new(mi_heap_t* heap, size_t size) MI_ATTR_MALLOC
    MI_ATTR_ALLOC_SIZE(2) MI_ATTR_NONNULL(1);
/** mi_new_n() in @p heap. */
MI_NODISCARD MI_EXPORT void* mi_heap_alloc_new_n(mi_heap_t* heap, size_t count, size_t size) MI_ATTR_MALLOC
    MI_ATTR_ALLOC_SIZE2(2, 3) MI_ATTR_NONNULL(1);

/** @} */

/** @defgroup inspection Looking at heaps
 *  @{ */

/** An area: a page of a heap, as the visitor of mi_heap_visit_blocks() is shown it. Sizes in bytes. */
typedef struct mi_heap_area_s {
  void* blocks;           ///< Start of the first block.
  size_t reserved;        ///< Bytes the area may grow to.
  size_t committed;       ///< Bytes of it that are in use for blocks, free or not.
  size_t used;            ///< Number of blocks that are allocated.
  size_t block_size;      ///< Bytes of a block the program may use at most.
  size_t full_block_size; ///< Distance from one block to the next.
  int heap_tag;           ///< The tag of the heap; see mi_heap_new_ex().
} mi_heap_area_t;

/**
 * Called for an area (then @p block is NULL and @p block_size that of the area) and for each of its
 * allocated blocks. Must not allocate from or free into the heap that is visited. False ends the visit.
 */
typedef bool(mi_block_visit_fun)(const mi_heap_t* heap, const mi_heap_area_t* area, void* block,
    size_t block_size, void* arg);

/**
 * Call @p visitor, with @p arg, for each area of @p heap and, with @p visit_blocks, for each allocated
 * block in it. Blocks that other threads are freeing may be shown or not. False when the visitor ended it,
 * when @p heap or @p visitor is NULL, and when the heap is not the calling thread's.
 */
MI_EXPORT bool mi_heap_visit_blocks(const mi_heap_t* heap, bool visit_blocks, mi_block_visit_fun* visitor,
    void* arg);

/**
 * As mi_heap_visit_blocks(), for the pages of ended threads that have free blocks and that nobody has taken
 * over, of subprocess @p subproc_id; the visitor is told the calling thread's heap. Pages keep no tag when
 * their thread ends: with a @p heap_tag above 0 there are none, any other number means all. Needs
 * mi_option_visit_abandoned; false without it, and when @p subproc_id or @p visitor is NULL. May be called
 * by any thread.
 */
MI_EXPORT bool mi_abandoned_visit_blocks(mi_subproc_id_t subproc_id, int heap_tag, bool visit_blocks,
    mi_block_visit_fun* visitor, void* arg);

/** Is @p p the start of an allocated block of @p heap? */
MI_NODISCARD MI_EXPORT bool mi_heap_contains_block(mi_heap_t* heap, const void* p) MI_NOEXCEPT;

/** Does @p p, any address, lie in a block of @p heap, allocated or free? */
MI_NODISCARD MI_EXPORT bool mi_heap_check_owned(mi_heap_t* heap, const void* p) MI_NOEXCEPT;

/** mi_heap_check_owned() for the default heap of the calling thread. */
MI_NODISCARD MI_EXPORT bool mi_check_owned(const void* p) MI_NOEXCEPT;

/** mi_heap_contains_block() under the name of version 3. */
MI_NODISCARD MI_EXPORT bool mi_heap_contains(const mi_heap_t* heap, const void* p) MI_NOEXCEPT;

/**
 * Does @p p, any address, lie in memory this library handed out from? Never reads at @p p; may be called by
 * any thread.
 */
MI_NODISCARD MI_EXPORT bool mi_is_in_heap_region(const void* p) MI_NOEXCEPT;

/** mi_is_in_heap_region() under the name of version 3. */
MI_NODISCARD MI_EXPORT bool mi_any_heap_contains(const void* p) MI_NOEXCEPT;

/**
 * For programs that move objects to defragment: is the page of block @p p of @p heap filled to less than
 * @p perc_threshold percent, and not the one that new blocks of its size come from, so that moving the block
 * may free the page? False for blocks of other heaps, and for those with a page of their own.
 */
MI_NODISCARD MI_EXPORT bool mi_unsafe_heap_page_is_under_utilized(mi_heap_t* heap, void* p,
    size_t perc_threshold) MI_NOEXCEPT;

/**
 * Make one allocation of @p heap in @p sample_rate a guarded block (0: none). Which one is always random: @p
 * seed has no effect. Secure build only, no effect in the plain one.
 */
MI_EXPORT void mi_heap_guarded_set_sample_rate(mi_heap_t* heap, size_t sample_rate, size_t seed) MI_NOEXCEPT;

/**
 * Make only requests of @p min to @p max bytes of @p heap guarded blocks; a @p max below @p min counts as
 * @p min. Secure build only, no effect in the plain one.
 */
MI_EXPORT void mi_heap_guarded_set_size_bound(mi_heap_t* heap, size_t min, size_t max) MI_NOEXCEPT;

/** @} */

#ifdef __cplusplus
}
#endif

/** @defgroup theaps Names of version 3 for heaps of a thread
 *  So that sources written for version 3 compile. They are macros, each for the function with `heap` in place
 *  of `theap`, and mi_heap_theap() is the heap itself. Nothing of them is exported.
 *  @{ */
/** @cond */
#define mi_heap_theap(heap) (heap)
#define mi_theap_set_default mi_heap_set_default
#define mi_theap_get_default mi_heap_get_default
#define mi_theap_collect mi_heap_collect
#define mi_theap_malloc mi_heap_malloc
#define mi_theap_zalloc mi_heap_zalloc
#define mi_theap_calloc mi_heap_calloc
#define mi_theap_malloc_small mi_heap_malloc_small
#define mi_theap_zalloc_small mi_heap_zalloc_small
#define mi_theap_malloc_aligned mi_heap_malloc_aligned
#define mi_theap_realloc mi_heap_realloc
#define mi_theap_visit_blocks mi_heap_visit_blocks
#define mi_theap_guarded_set_sample_rate mi_heap_guarded_set_sample_rate
#define mi_theap_guarded_set_size_bound mi_heap_guarded_set_size_bound
/** @endcond */
/** @} */

#endif  // MIMALLOC_HEAP_H
