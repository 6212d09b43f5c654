/* alloc.h: which allocator a stress program talks to.

   Usually none in particular: the programs call malloc, free and their kin by their libc names and so test
   whatever library is preloaded, or libc itself. Compiled with -DSTRESS_MI the same names mean mi_malloc,
   mi_free and so on, for linking against a static library (the only way under ThreadSanitizer, which wants
   libc's names for itself). Include it last, after every system header. */
#ifndef STRESS_ALLOC_H
#define STRESS_ALLOC_H

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#ifdef STRESS_MI
#include <mimalloc.h>
#define malloc(n) mi_malloc(n)
#define calloc(n, m) mi_calloc(n, m)
#define realloc(p, n) mi_realloc(p, n)
#define reallocarray(p, n, m) mi_reallocarray(p, n, m)
#define free(p) mi_free(p)
#define posix_memalign(pp, a, n) mi_posix_memalign(pp, a, n)
#define aligned_alloc(a, n) mi_aligned_alloc(a, n)
#define memalign(a, n) mi_memalign(a, n)
#define malloc_usable_size(p) mi_usable_size(p)
#define strdup(s) mi_strdup(s)
#define malloc_trim(pad) mi_collect((pad) == 0)
#endif

#endif
