/**
 * @file mimalloc-override.h
 * Turns the allocation functions of a source file into those of this library, by macros.
 *
 * For programs that can be compiled anew but neither preloaded nor linked in front of the C library:
 * include it (or `-include` it) in every source, after nothing or anything. It includes the system headers
 * that declare these functions, so that their declarations are not rewritten. What libraries allocate and
 * hand over (getline, asprintf, open_memstream ...) still comes from the C library and must not be freed by
 * a rewritten free(). In C++ `std::malloc(n)` and member functions of these names become compile errors,
 * not silent mixtures; `new` and `delete` are replaced by including mimalloc-new-delete.h in one source.
 * Only calls are rewritten: a function whose address is taken (`&free`) stays the C library's.
 */
#ifndef MIMALLOC_OVERRIDE_H
#define MIMALLOC_OVERRIDE_H

#include "mimalloc.h"

#if defined(__cplusplus)
#include <cstdlib>
#include <cstring>
#include <cwchar>
#endif
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#if defined(__linux__)
#include <malloc.h>
#endif

/** @cond */

// C11, C23
#define malloc(n) mi_malloc(n)
#define calloc(n, c) mi_calloc(n, c)
#define realloc(p, n) mi_realloc(p, n)
#define free(p) mi_free(p)
#define aligned_alloc(a, n) mi_aligned_alloc(a, n)
#define free_sized(p, n) mi_free_size(p, n)
#define free_aligned_sized(p, a, n) mi_free_size_aligned(p, n, a)

// POSIX
#define strdup(s) mi_strdup(s)
#define strndup(s, n) mi_strndup(s, n)
#define realpath(f, n) mi_realpath(f, n)
#define posix_memalign(p, a, n) mi_posix_memalign(p, a, n)
#define wcsdup(s) mi_wcsdup(s)

// BSD, glibc, macOS
#define reallocf(p, n) mi_reallocf(p, n)
#define reallocarray(p, n, c) mi_reallocarray(p, n, c)
#define reallocarr(p, n, c) mi_reallocarr(p, n, c)
#define cfree(p) mi_cfree(p)
#define memalign(a, n) mi_memalign(a, n)
#define valloc(n) mi_valloc(n)
#define pvalloc(n) mi_pvalloc(n)
#define malloc_usable_size(p) mi_malloc_usable_size(p)
#define malloc_size(p) mi_malloc_size(p)
#define malloc_good_size(n) mi_malloc_good_size(n)

// Windows
#define _expand(p, n) mi__expand(p, n)
#define _msize(p) mi_usable_size(p)
#define _recalloc(p, n, c) mi_recalloc(p, n, c)
#define _strdup(s) mi_strdup(s)
#define _wcsdup(s) mi_wcsdup(s)
#define _mbsdup(s) mi_mbsdup(s)
#define _dupenv_s(b, n, v) mi_dupenv_s(b, n, v)
#define _wdupenv_s(b, n, v) mi_wdupenv_s(b, n, v)
#define _aligned_malloc(n, a) mi_malloc_aligned(n, a)
#define _aligned_realloc(p, n, a) mi_realloc_aligned(p, n, a)
#define _aligned_recalloc(p, n, c, a) mi_aligned_recalloc(p, n, c, a)
#define _aligned_msize(p, a, o) mi_usable_size(p)
#define _aligned_free(p) mi_free(p)
#define _aligned_offset_malloc(n, a, o) mi_malloc_aligned_at(n, a, o)
#define _aligned_offset_realloc(p, n, a, o) mi_realloc_aligned_at(p, n, a, o)
#define _aligned_offset_recalloc(p, n, c, a, o) mi_aligned_offset_recalloc(p, n, c, a, o)

/** @endcond */

#endif  // MIMALLOC_OVERRIDE_H
