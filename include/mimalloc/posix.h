/**
 * @file mimalloc/posix.h
 * The allocation functions of POSIX, BSD, glibc, Windows and C++ under `mi_` names, with their own
 * conventions.
 *
 * Included by mimalloc.h, whose rules hold here; do not include it on its own. Thread rule: may be called
 * by any thread. Mind the orders of parameters and the ways of reporting errors: they are those of the
 * original functions, so that a program can be renamed mechanically (mimalloc-override.h does that).
 */
#ifndef MIMALLOC_POSIX_H
#define MIMALLOC_POSIX_H

#ifndef MIMALLOC_H
#error "include <mimalloc.h> instead"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup posix POSIX, BSD and glibc
 *  @{ */

/** As mi_free(), but a pointer to memory of others is left alone, in the secure build too. */
MI_EXPORT void mi_cfree(void* p) MI_NOEXCEPT;

/** mi_usable_size(), as macOS calls it. */
MI_NODISCARD MI_EXPORT size_t mi_malloc_size(const void* p) MI_NOEXCEPT;

/** mi_good_size(), as macOS calls it. */
MI_NODISCARD MI_EXPORT size_t mi_malloc_good_size(size_t size) MI_NOEXCEPT;

/** mi_usable_size(), as glibc calls it. malloc_usable_size(3). */
MI_NODISCARD MI_EXPORT size_t mi_malloc_usable_size(const void* p) MI_NOEXCEPT;

/**
 * Store in *@p p a block of @p size bytes aligned to @p alignment. 0; EINVAL when @p p is NULL or the
 * alignment is not a power of two that is a multiple of sizeof(void*); ENOMEM. After an error *@p p is
 * unchanged; errno is never. posix_memalign(3), POSIX.1-2017.
 */
MI_EXPORT int mi_posix_memalign(void** p, size_t alignment, size_t size) MI_NOEXCEPT;

/**
 * A block of @p size bytes aligned to @p alignment; NULL with EINVAL when that is not a power of two.
 * memalign(3).
 */
MI_NODISCARD MI_EXPORT void* mi_memalign(size_t alignment, size_t size) MI_NOEXCEPT MI_ATTR_MALLOC
    MI_ATTR_ALLOC_SIZE(2) MI_ATTR_ALLOC_ALIGN(1);

/** As mi_memalign(); the size need not be a multiple of the alignment. aligned_alloc(3), C17 7.22.3.1. */
MI_NODISCARD MI_EXPORT void* mi_aligned_alloc(size_t alignment, size_t size) MI_NOEXCEPT MI_ATTR_MALLOC
    MI_ATTR_ALLOC_SIZE(2) MI_ATTR_ALLOC_ALIGN(1);

/** A block of @p size bytes aligned to the size of an OS page. valloc(3). */
MI_NODISCARD MI_EXPORT void* mi_valloc(size_t size) MI_NOEXCEPT MI_ATTR_MALLOC MI_ATTR_ALLOC_SIZE(1);

/** As mi_valloc(), with @p size rounded up to a multiple of the size of an OS page. pvalloc(3). */
MI_NODISCARD MI_EXPORT void* mi_pvalloc(size_t size) MI_NOEXCEPT MI_ATTR_MALLOC MI_ATTR_ALLOC_SIZE(1);

/** mi_reallocn(), as glibc and OpenBSD call it. reallocarray(3). */
MI_NODISCARD MI_EXPORT void* mi_reallocarray(void* p, size_t count, size_t size) MI_NOEXCEPT
    MI_ATTR_ALLOC_SIZE2(2, 3);

/**
 * Reallocate the block that the pointer at @p ptrp (a `T**`) points to, and change that pointer. 0; EINVAL
 * when @p ptrp is NULL; ENOMEM, also when count * size overflows. After an error nothing has changed.
 * reallocarr(3) of NetBSD, which says EOVERFLOW then.
 */
MI_EXPORT int mi_reallocarr(void* ptrp, size_t count, size_t size) MI_NOEXCEPT;

/**
 * As mi_free(), with the size that was asked for; the secure build checks it. free_sized() of C23 7.24.3.4.
 */
MI_EXPORT void mi_free_size(void* p, size_t size) MI_NOEXCEPT;

/**
 * As mi_free_size(), with the alignment as well. C23 has them the other way round in free_aligned_sized().
 */
MI_EXPORT void mi_free_size_aligned(void* p, size_t size, size_t alignment) MI_NOEXCEPT;

/** As mi_free(), with the alignment that was asked for; the secure build checks that the block has it. */
MI_EXPORT void mi_free_aligned(void* p, size_t alignment) MI_NOEXCEPT;

/** @} */

/** @defgroup windows Windows
 *  @{ */

/** As mi_expand(), and errno is ENOMEM after a failure. `_expand`. */
MI_NODISCARD MI_EXPORT void* mi__expand(void* p, size_t newsize) MI_NOEXCEPT MI_ATTR_ALLOC_SIZE(2);

/** mi_recalloc_aligned(). `_aligned_recalloc`. */
MI_NODISCARD MI_EXPORT void* mi_aligned_recalloc(void* p, size_t newcount, size_t size, size_t alignment)
    MI_NOEXCEPT MI_ATTR_ALLOC_SIZE2(2, 3) MI_ATTR_ALLOC_ALIGN(4);

/** mi_recalloc_aligned_at(). `_aligned_offset_recalloc`. */
MI_NODISCARD MI_EXPORT void* mi_aligned_offset_recalloc(void* p, size_t newcount, size_t size,
    size_t alignment, size_t offset) MI_NOEXCEPT MI_ATTR_ALLOC_SIZE2(2, 3);

/**
 * Store in *@p buf a copy of the environment variable @p name, and its length without the final 0 (Windows
 * counts that) in *@p size unless NULL; NULL and 0 when it is not set. 0; EINVAL when @p buf or @p name is
 * NULL; ENOMEM. `_dupenv_s`.
 */
MI_EXPORT int mi_dupenv_s(char** buf, size_t* size, const char* name) MI_NOEXCEPT;

/** There is no wide environment on POSIX systems: EINVAL, with *@p buf NULL and *@p size 0. `_wdupenv_s`. */
MI_EXPORT int mi_wdupenv_s(wchar_t** buf, size_t* size, const wchar_t* name) MI_NOEXCEPT;

/** A copy of the wide string @p s; NULL when @p s is NULL. `_wcsdup`, wcsdup(3). */
MI_NODISCARD MI_EXPORT wchar_t* mi_wcsdup(const wchar_t* s) MI_NOEXCEPT MI_ATTR_MALLOC;

/** A copy of the multibyte string @p s; NULL when @p s is NULL. `_mbsdup`. */
MI_NODISCARD MI_EXPORT unsigned char* mi_mbsdup(const unsigned char* s) MI_NOEXCEPT MI_ATTR_MALLOC;

/** @} */

/** @defgroup cxx C++
 *  What `operator new` does ([new.delete] of the C++ standard), callable from C too. When memory runs out
 *  the new-handler is called and the request tried again, until there is no handler; then the forms that
 *  throw throw `std::bad_alloc`, or end the process when it has no C++ run-time; the `_nothrow` forms
 *  return NULL. A size that overflows, or an alignment that is not a power of two, fails without asking the
 *  handler. The blocks are freed by mi_free(), or by mi_delete() of mimalloc-secure.h.
 *  @{ */

/** A block of @p size bytes. `operator new(size)`. */
MI_NODISCARD MI_EXPORT void* mi_new(size_t size) MI_ATTR_MALLOC MI_ATTR_ALLOC_SIZE(1) MI_ATTR_RETURNS_NONNULL;

/** A block of @p size bytes aligned to @p alignment. `operator new(size, std::align_val_t)`. */
MI_NODISCARD MI_EXPORT void* mi_new_aligned(size_t size, size_t alignment) MI_ATTR_MALLOC
    MI_ATTR_ALLOC_SIZE(1) MI_ATTR_ALLOC_ALIGN(2) MI_ATTR_RETURNS_NONNULL;

/** As mi_new(), or NULL. `operator new(size, std::nothrow)`. */
MI_NODISCARD MI_EXPORT void* mi_new_nothrow(size_t size) MI_NOEXCEPT MI_ATTR_MALLOC MI_ATTR_ALLOC_SIZE(1);

/** As mi_new_aligned(), or NULL. `operator new(size, std::align_val_t, std::nothrow)`. */
MI_NODISCARD MI_EXPORT void* mi_new_aligned_nothrow(size_t size, size_t alignment) MI_NOEXCEPT MI_ATTR_MALLOC
    MI_ATTR_ALLOC_SIZE(1) MI_ATTR_ALLOC_ALIGN(2);

/** As mi_new(), of @p count * @p size bytes; a product that overflows fails. */
MI_NODISCARD MI_EXPORT void* mi_new_n(size_t count, size_t size) MI_ATTR_MALLOC MI_ATTR_ALLOC_SIZE2(1, 2)
    MI_ATTR_RETURNS_NONNULL;

/**
 * As mi_realloc(), for NULL or a block of mi_new() and its like, and the result is one too; a failure is
 * treated as in mi_new().
 */
MI_NODISCARD MI_EXPORT void* mi_new_realloc(void* p, size_t newsize) MI_ATTR_ALLOC_SIZE(2)
    MI_ATTR_RETURNS_NONNULL;

/** As mi_new_realloc(), to @p newcount * @p size bytes; a product that overflows fails. */
MI_NODISCARD MI_EXPORT void* mi_new_reallocn(void* p, size_t newcount, size_t size) MI_ATTR_ALLOC_SIZE2(2, 3)
    MI_ATTR_RETURNS_NONNULL;

/** @} */

#ifdef __cplusplus
}
#endif

#endif  // MIMALLOC_POSIX_H
