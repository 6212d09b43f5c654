// What the functions of the interface have in common, with the heap as a parameter: those of the thread's heap (api.c)
// and those of a named one (api_heap.c) are each one call of these.
//
// Products that overflow fail like sizes that are too large: ENOMEM. Alignments are checked by the core.
#ifndef MIM_API_H
#define MIM_API_H

#include <limits.h>
#include <stdlib.h>
#include <wchar.h>

#include "fastpath.h"

// A heap that the program names. The fast path asks no one whose it is.
mim_inline heap_t* api_heap(heap_t* heap) {
  if (HOOK_CHECKS_HEAPS && heap != NULL && mim_unlikely(heap->tld != mim_tls.tld)) return mim_heap_not_ours(heap);
  return heap;
}

mim_inline void* api_alloc_n(heap_t* heap, size_t count, size_t size, bool zero) {
  size_t total;
  if (mim_unlikely(mul_overflows(count, size, &total))) return mim_fail(EOVERFLOW, SIZE_MAX);
  return mim_heap_alloc(heap, total, FAMILY_C, zero);
}

mim_inline void* api_calloc_aligned(heap_t* heap, size_t count, size_t size, size_t align, size_t offset) {
  size_t total;
  if (mim_unlikely(mul_overflows(count, size, &total))) return mim_fail(EOVERFLOW, SIZE_MAX);
  return mim_malloc_aligned(heap, total, align, offset, FAMILY_C, true);
}

mim_inline void* api_realloc_n(heap_t* heap, void* p, size_t count, size_t size, bool zero) {
  size_t total;
  if (mim_unlikely(mul_overflows(count, size, &total))) return mim_fail(EOVERFLOW, SIZE_MAX);
  return mim_realloc(heap, p, total, FAMILY_ANY, zero);
}

mim_inline void* api_recalloc_aligned(heap_t* heap, void* p, size_t count, size_t size, size_t align, size_t offset) {
  size_t total;
  if (mim_unlikely(mul_overflows(count, size, &total))) return mim_fail(EOVERFLOW, SIZE_MAX);
  return mim_realloc_aligned(heap, p, total, align, offset, true);
}

mim_inline void* api_reallocf(heap_t* heap, void* p, size_t size) {
  void* q = mim_realloc(heap, p, size, FAMILY_ANY, false);
  if (mim_unlikely(q == NULL) && p != NULL) mim_release(p, FAMILY_ANY);
  return q;
}

// A copy of `length` bytes, and a 0.
mim_inline char* api_copy_text(heap_t* heap, const char* text, size_t length) {
  char* copy = mim_heap_alloc(heap, length + 1, FAMILY_C, false);
  if (mim_unlikely(copy == NULL)) return NULL;
  memcpy(copy, text, length);
  copy[length] = 0;
  return copy;
}

mim_inline char* api_strdup(heap_t* heap, const char* text) {
  return text == NULL ? NULL : api_copy_text(heap, text, strlen(text));
}

mim_inline char* api_strndup(heap_t* heap, const char* text, size_t most) {
  if (text == NULL) return NULL;
  const char* end = memchr(text, 0, most);
  return api_copy_text(heap, text, end == NULL ? most : (size_t)(end - text));
}

// libc is only given a buffer, so that the block is ours whoever's malloc the program uses.
char* mim_api_realpath(heap_t* heap, const char* path, char* resolved);

#endif
