/**
 * @file mimalloc.h
 * The allocator's interface: that of mimalloc 2.4, and the names of version 3 that fit it.
 *
 * Rules that hold for every function, unless its own comment says otherwise:
 * - Sizes are in bytes. Blocks are aligned to 16 bytes at least. A size above PTRDIFF_MAX cannot be met.
 * - A function that fails to allocate returns NULL and sets errno: ENOMEM when there is no memory or the
 *   size cannot be met (also when count * size overflows), EINVAL when an alignment is not acceptable.
 *   What it was to reallocate is then left as it was. Success does not touch errno.
 * - A request of 0 bytes gives a block with an address of its own, to be freed like any other. Its bytes must
 *   not be accessed; in the secure build access faults.
 * - A block may be freed or reallocated by any thread, not only by the one that allocated it.
 * - "Is freed by mi_free()" holds for the blocks of all functions here, the `mi_new` family included;
 *   passing any other pointer to it is a misuse, which the secure build detects (see mimalloc-secure.h).
 * - Nothing here may be called from a signal handler, but mi_version(), mi_option_get() and reads like them.
 * - Functions without `noexcept` throw `std::bad_alloc`; callbacks must neither throw nor `longjmp`.
 */
#ifndef MIMALLOC_H
#define MIMALLOC_H

#include "mimalloc/attr.h"
#include "mimalloc/options.h"

#include <stdbool.h>
#include <stddef.h>

/** @defgroup version Version
 *  The version is that of this library, not that of the mimalloc release whose interface it has.
 *  @{ */
#define MI_VERSION_MAJOR 1 ///< Changes when programs must be compiled anew.
#define MI_VERSION_MINOR 0 ///< Grows with additions; 0..9.
#define MI_VERSION_PATCH 0 ///< Grows with corrections; 0..9.
/** One number: major * 100 + minor * 10 + patch. Compare it with mi_version(). */
#define MI_MALLOC_VERSION (MI_VERSION_MAJOR * 100 + MI_VERSION_MINOR * 10 + MI_VERSION_PATCH)
/** @} */

/** The largest request, in words, of the `_small` functions. */
#define MI_SMALL_WSIZE_MAX 128
/** The largest request, in bytes, of the `_small` functions. */
#define MI_SMALL_SIZE_MAX (MI_SMALL_WSIZE_MAX * sizeof(void*))

#ifdef __cplusplus
extern "C" {
#endif

/** A heap: a set of pages that one thread allocates from. Opaque. */
typedef struct mi_heap_s mi_heap_t;
/** The name version 3 has for the part of a heap that belongs to a thread: here every heap does. */
typedef mi_heap_t mi_theap_t;
/** An arena: a range of memory reserved for or handed to the library. Negative: none in particular. */
typedef int mi_arena_id_t;
/** A subprocess: a set of threads whose abandoned pages are shared only among them. */
typedef void* mi_subproc_id_t;

/** @defgroup standard Standard allocation
 *  As their namesakes in C11 7.22.3 and POSIX.1-2017, with the rules at the top of mimalloc.h.
 *  @{ */

/**
 * A block of @p size bytes with undefined contents. malloc(3). (The secure build wipes freed blocks up to
 * mi_option_zero_free: up to that size a block reads as zero. Do not count on it.)
 */
MI_NODISCARD MI_EXPORT void* mi_malloc(size_t size) MI_NOEXCEPT MI_ATTR_MALLOC MI_ATTR_ALLOC_SIZE(1);

/** A block of @p count * @p size bytes, all zero; NULL with ENOMEM when the product overflows. calloc(3). */
MI_NODISCARD MI_EXPORT void* mi_calloc(size_t count, size_t size) MI_NOEXCEPT MI_ATTR_MALLOC
    MI_ATTR_ALLOC_SIZE2(1, 2);

/**
 * Make the block @p p hold @p newsize bytes, in place or by moving it; the contents are kept up to the
 * smaller size. `mi_realloc(NULL, n)` allocates. `mi_realloc(p, 0)` frees @p p and returns a block of 0
 * bytes, not NULL. On failure NULL with ENOMEM, and @p p is still allocated. A block that moves is one of
 * mi_malloc() afterwards, also when it came from mi_new(). realloc(3).
 */
MI_NODISCARD MI_EXPORT void* mi_realloc(void* p, size_t newsize) MI_NOEXCEPT MI_ATTR_ALLOC_SIZE(2);

/**
 * Make the block @p p hold @p newsize bytes without moving it. Returns @p p, or NULL, and nothing has
 * changed, when the block does not have that many bytes or @p p is NULL; the secure build also says NULL
 * where most of a block would be given up, since it could not check what is behind. errno is not set;
 * mi__expand() sets it.
 */
MI_NODISCARD MI_EXPORT void* mi_expand(void* p, size_t newsize) MI_NOEXCEPT MI_ATTR_ALLOC_SIZE(2);

/** Free a block, of whatever function of this library. NULL is ignored. Keeps errno. free(3). */
MI_EXPORT void mi_free(void* p) MI_NOEXCEPT;

/** A copy of the string @p s; NULL when @p s is NULL. strdup(3). */
MI_NODISCARD MI_EXPORT char* mi_strdup(const char* s) MI_NOEXCEPT MI_ATTR_MALLOC;

/** A copy of at most @p n characters of @p s, and a 0; NULL when @p s is NULL. strndup(3). */
MI_NODISCARD MI_EXPORT char* mi_strndup(const char* s, size_t n) MI_NOEXCEPT MI_ATTR_MALLOC;

/**
 * The absolute path of @p fname without links and dots. It is stored in @p resolved_name (PATH_MAX
 * bytes) or, when that is NULL, in a block of its own. NULL with errno of realpath(3) when there is no such
 * path.
 */
MI_NODISCARD MI_EXPORT char* mi_realpath(const char* fname, char* resolved_name) MI_NOEXCEPT;

/** @} */

/** @defgroup extended Extended allocation
 *  @{ */

/** As mi_malloc() for @p size up to MI_SMALL_SIZE_MAX; a larger one is met as well, but gains nothing. */
MI_NODISCARD MI_EXPORT void* mi_malloc_small(size_t size) MI_NOEXCEPT MI_ATTR_MALLOC MI_ATTR_ALLOC_SIZE(1);

/** As mi_malloc_small(), and the block is all zero. */
MI_NODISCARD MI_EXPORT void* mi_zalloc_small(size_t size) MI_NOEXCEPT MI_ATTR_MALLOC MI_ATTR_ALLOC_SIZE(1);

/** As mi_malloc(), and the block is all zero. */
MI_NODISCARD MI_EXPORT void* mi_zalloc(size_t size) MI_NOEXCEPT MI_ATTR_MALLOC MI_ATTR_ALLOC_SIZE(1);

/** A block of @p count * @p size bytes, contents undefined; NULL with ENOMEM when the product overflows. */
MI_NODISCARD MI_EXPORT void* mi_mallocn(size_t count, size_t size) MI_NOEXCEPT MI_ATTR_MALLOC
    MI_ATTR_ALLOC_SIZE2(1, 2);

/** As mi_realloc() to @p count * @p size bytes; NULL with ENOMEM, and @p p is kept, on overflow. */
MI_NODISCARD MI_EXPORT void* mi_reallocn(void* p, size_t count, size_t size) MI_NOEXCEPT
    MI_ATTR_ALLOC_SIZE2(2, 3);

/** As mi_realloc(), but @p p is freed when that fails. reallocf(3) of the BSDs. */
MI_NODISCARD MI_EXPORT void* mi_reallocf(void* p, size_t newsize) MI_NOEXCEPT MI_ATTR_ALLOC_SIZE(2);

/**
 * The bytes of the block @p p that may be used: at least what was asked for, in the secure build exactly
 * that. 0 for NULL. All of them may be written, and they are kept by mi_realloc().
 */
MI_NODISCARD MI_EXPORT size_t mi_usable_size(const void* p) MI_NOEXCEPT;

/** What a request of @p size bytes would be rounded up to; @p size itself when it cannot be met. */
MI_NODISCARD MI_EXPORT size_t mi_good_size(size_t size) MI_NOEXCEPT;

/** As mi_free(), for a block whose request was at most MI_SMALL_SIZE_MAX; others are freed as well. */
MI_EXPORT void mi_free_small(void* p) MI_NOEXCEPT;

/** @} */

/** @defgroup aligned Aligned allocation
 *  Mind the order: the size comes first, unlike in aligned_alloc(). An alignment must be a power of two,
 *  and is met up to 1 GiB at least; any other is EINVAL. The `_at` forms align `p + offset` instead of `p`;
 *  the offset, in bytes, may be any number below the size. Blocks stay aligned only under the `_aligned`
 *  reallocations, with the same alignment and offset. They are freed by mi_free() or mi_free_aligned().
 *  @{ */

/** A block of @p size bytes, aligned to @p alignment. */
MI_NODISCARD MI_EXPORT void* mi_malloc_aligned(size_t size, size_t alignment) MI_NOEXCEPT MI_ATTR_MALLOC
    MI_ATTR_ALLOC_SIZE(1) MI_ATTR_ALLOC_ALIGN(2);

/** A block of @p size bytes whose byte number @p offset is aligned to @p alignment. */
MI_NODISCARD MI_EXPORT void* mi_malloc_aligned_at(size_t size, size_t alignment, size_t offset) MI_NOEXCEPT
    MI_ATTR_MALLOC MI_ATTR_ALLOC_SIZE(1);

/** As mi_malloc_aligned(), and the block is all zero. */
MI_NODISCARD MI_EXPORT void* mi_zalloc_aligned(size_t size, size_t alignment) MI_NOEXCEPT MI_ATTR_MALLOC
    MI_ATTR_ALLOC_SIZE(1) MI_ATTR_ALLOC_ALIGN(2);

/** As mi_malloc_aligned_at(), and the block is all zero. */
MI_NODISCARD MI_EXPORT void* mi_zalloc_aligned_at(size_t size, size_t alignment, size_t offset) MI_NOEXCEPT
    MI_ATTR_MALLOC MI_ATTR_ALLOC_SIZE(1);

/** As mi_calloc(), aligned to @p alignment. */
MI_NODISCARD MI_EXPORT void* mi_calloc_aligned(size_t count, size_t size, size_t alignment) MI_NOEXCEPT
    MI_ATTR_MALLOC MI_ATTR_ALLOC_SIZE2(1, 2) MI_ATTR_ALLOC_ALIGN(3);

/** As mi_calloc(), with byte number @p offset aligned to @p alignment. */
MI_NODISCARD MI_EXPORT void* mi_calloc_aligned_at(size_t count, size_t size, size_t alignment, size_t offset)
    MI_NOEXCEPT MI_ATTR_MALLOC MI_ATTR_ALLOC_SIZE2(1, 2);

/** As mi_realloc(), and the result is aligned to @p alignment. */
MI_NODISCARD MI_EXPORT void* mi_realloc_aligned(void* p, size_t newsize, size_t alignment) MI_NOEXCEPT
    MI_ATTR_ALLOC_SIZE(2) MI_ATTR_ALLOC_ALIGN(3);

/** As mi_realloc(), and byte number @p offset of the result is aligned to @p alignment. */
MI_NODISCARD MI_EXPORT void* mi_realloc_aligned_at(void* p, size_t newsize, size_t alignment, size_t offset)
    MI_NOEXCEPT MI_ATTR_ALLOC_SIZE(2);

/** @} */

/** @defgroup zeroing Reallocation that zeroes
 *  As the reallocations without the `z` or `c`, and the bytes a block grows by are zero, provided that it
 *  was zero-initialised when it was allocated (mi_zalloc(), mi_calloc() ...) and has only been reallocated
 *  by these functions since: a block may have a few more bytes than asked for, and only then are those zero
 *  as well.
 *  @{ */

/** Grow or shrink @p p to @p newsize bytes. */
MI_NODISCARD MI_EXPORT void* mi_rezalloc(void* p, size_t newsize) MI_NOEXCEPT MI_ATTR_ALLOC_SIZE(2);

/** Grow or shrink @p p to @p newcount * @p size bytes; NULL with ENOMEM, and @p p is kept, on overflow. */
MI_NODISCARD MI_EXPORT void* mi_recalloc(void* p, size_t newcount, size_t size) MI_NOEXCEPT
    MI_ATTR_ALLOC_SIZE2(2, 3);

/** As mi_rezalloc(), aligned to @p alignment. */
MI_NODISCARD MI_EXPORT void* mi_rezalloc_aligned(void* p, size_t newsize, size_t alignment) MI_NOEXCEPT
    MI_ATTR_ALLOC_SIZE(2) MI_ATTR_ALLOC_ALIGN(3);

/** As mi_rezalloc(), with byte number @p offset aligned to @p alignment. */
MI_NODISCARD MI_EXPORT void* mi_rezalloc_aligned_at(void* p, size_t newsize, size_t alignment, size_t offset)
    MI_NOEXCEPT MI_ATTR_ALLOC_SIZE(2);

/** As mi_recalloc(), aligned to @p alignment. */
MI_NODISCARD MI_EXPORT void* mi_recalloc_aligned(void* p, size_t newcount, size_t size, size_t alignment)
    MI_NOEXCEPT MI_ATTR_ALLOC_SIZE2(2, 3) MI_ATTR_ALLOC_ALIGN(4);

/** As mi_recalloc(), with byte number @p offset aligned to @p alignment. */
MI_NODISCARD MI_EXPORT void* mi_recalloc_aligned_at(void* p, size_t newcount, size_t size, size_t alignment,
    size_t offset) MI_NOEXCEPT MI_ATTR_ALLOC_SIZE2(2, 3);

/** @} */

/** @defgroup sized Allocation that tells the block size
 *  As the functions without the `u`; the usable size of the block (see mi_usable_size()) is stored where the
 *  last parameter points, unless that is NULL. After a failure 0 is stored.
 *  @{ */

/** As mi_malloc(). */
MI_NODISCARD MI_EXPORT void* mi_umalloc(size_t size, size_t* block_size) MI_NOEXCEPT MI_ATTR_MALLOC
    MI_ATTR_ALLOC_SIZE(1);

/** As mi_calloc(). */
MI_NODISCARD MI_EXPORT void* mi_ucalloc(size_t count, size_t size, size_t* block_size) MI_NOEXCEPT
    MI_ATTR_MALLOC MI_ATTR_ALLOC_SIZE2(1, 2);

/** As mi_realloc(); @p block_size_pre gets the usable size of @p p, @p block_size_post that of the result. */
MI_NODISCARD MI_EXPORT void* mi_urealloc(void* p, size_t newsize, size_t* block_size_pre,
    size_t* block_size_post) MI_NOEXCEPT MI_ATTR_ALLOC_SIZE(2);

/** As mi_free(); @p block_size gets the usable size the block had, 0 for NULL. */
MI_EXPORT void mi_ufree(void* p, size_t* block_size) MI_NOEXCEPT;

/** As mi_malloc_aligned(). */
MI_NODISCARD MI_EXPORT void* mi_umalloc_aligned(size_t size, size_t alignment, size_t* block_size) MI_NOEXCEPT
    MI_ATTR_MALLOC MI_ATTR_ALLOC_SIZE(1) MI_ATTR_ALLOC_ALIGN(2);

/** As mi_zalloc_aligned(). */
MI_NODISCARD MI_EXPORT void* mi_uzalloc_aligned(size_t size, size_t alignment, size_t* block_size) MI_NOEXCEPT
    MI_ATTR_MALLOC MI_ATTR_ALLOC_SIZE(1) MI_ATTR_ALLOC_ALIGN(2);

/** As mi_malloc_small(). */
MI_NODISCARD MI_EXPORT void* mi_umalloc_small(size_t size, size_t* block_size) MI_NOEXCEPT MI_ATTR_MALLOC
    MI_ATTR_ALLOC_SIZE(1);

/** As mi_zalloc_small(). */
MI_NODISCARD MI_EXPORT void* mi_uzalloc_small(size_t size, size_t* block_size) MI_NOEXCEPT MI_ATTR_MALLOC
    MI_ATTR_ALLOC_SIZE(1);

/** @} */

#ifdef __cplusplus
}
#endif

#include "mimalloc/process.h"
#include "mimalloc/heap.h"
#include "mimalloc/arena.h"
#include "mimalloc/posix.h"

#ifdef __cplusplus
#include "mimalloc/allocator.hpp"
#endif

/** @defgroup typed Typed allocation
 *  A type instead of a size, and a pointer of that type as the result. In the heap forms the heap comes
 *  first, as in mimalloc 1 and 2 (version 3 has it second).
 *  @{ */
#define mi_malloc_tp(tp) ((tp*)mi_malloc(sizeof(tp))) ///< mi_malloc() of a type.
#define mi_zalloc_tp(tp) ((tp*)mi_zalloc(sizeof(tp))) ///< mi_zalloc() of a type.
#define mi_calloc_tp(tp, n) ((tp*)mi_calloc(n, sizeof(tp))) ///< mi_calloc() of a type.
#define mi_mallocn_tp(tp, n) ((tp*)mi_mallocn(n, sizeof(tp))) ///< mi_mallocn() of a type.
#define mi_reallocn_tp(p, tp, n) ((tp*)mi_reallocn(p, n, sizeof(tp))) ///< mi_reallocn() of a type.
#define mi_recalloc_tp(p, tp, n) ((tp*)mi_recalloc(p, n, sizeof(tp))) ///< mi_recalloc() of a type.
#define mi_heap_malloc_tp(hp, tp) ((tp*)mi_heap_malloc(hp, sizeof(tp))) ///< mi_heap_malloc() of a type.
#define mi_heap_zalloc_tp(hp, tp) ((tp*)mi_heap_zalloc(hp, sizeof(tp))) ///< mi_heap_zalloc() of a type.
#define mi_heap_calloc_tp(hp, tp, n) ((tp*)mi_heap_calloc(hp, n, sizeof(tp))) ///< mi_heap_calloc() of a type.
/** mi_heap_mallocn() of a type. */
#define mi_heap_mallocn_tp(hp, tp, n) ((tp*)mi_heap_mallocn(hp, n, sizeof(tp)))
/** mi_heap_reallocn() of a type. */
#define mi_heap_reallocn_tp(hp, p, tp, n) ((tp*)mi_heap_reallocn(hp, p, n, sizeof(tp)))
/** mi_heap_recalloc() of a type. */
#define mi_heap_recalloc_tp(hp, p, tp, n) ((tp*)mi_heap_recalloc(hp, p, n, sizeof(tp)))
/** @} */

#endif  // MIMALLOC_H
