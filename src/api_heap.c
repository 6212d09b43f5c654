// The public functions that allocate from a heap the program names: thin wrappers, in the order of mimalloc/heap.h.
// Making, deleting and visiting heaps is in heap.c and visit.c.
#include "api.h"

void* mi_heap_malloc(mi_heap_t* heap, size_t size) {
  return mim_heap_alloc(api_heap(heap), size, FAMILY_C, false);
}

void* mi_heap_zalloc(mi_heap_t* heap, size_t size) {
  return mim_heap_alloc(api_heap(heap), size, FAMILY_C, true);
}

void* mi_heap_calloc(mi_heap_t* heap, size_t count, size_t size) {
  return api_alloc_n(api_heap(heap), count, size, true);
}

void* mi_heap_mallocn(mi_heap_t* heap, size_t count, size_t size) {
  return api_alloc_n(api_heap(heap), count, size, false);
}

void* mi_heap_malloc_small(mi_heap_t* heap, size_t size) {
  return mim_heap_alloc(api_heap(heap), size, FAMILY_C, false);
}

void* mi_heap_zalloc_small(mi_heap_t* heap, size_t size) {
  return mim_heap_alloc(api_heap(heap), size, FAMILY_C, true);
}

void* mi_heap_realloc(mi_heap_t* heap, void* p, size_t newsize) {
  return mim_realloc(api_heap(heap), p, newsize, FAMILY_ANY, false);
}

void* mi_heap_reallocn(mi_heap_t* heap, void* p, size_t count, size_t size) {
  return api_realloc_n(api_heap(heap), p, count, size, false);
}

void* mi_heap_reallocf(mi_heap_t* heap, void* p, size_t newsize) {
  return api_reallocf(api_heap(heap), p, newsize);
}

char* mi_heap_strdup(mi_heap_t* heap, const char* s) {
  return api_strdup(api_heap(heap), s);
}

char* mi_heap_strndup(mi_heap_t* heap, const char* s, size_t n) {
  return api_strndup(api_heap(heap), s, n);
}

char* mi_heap_realpath(mi_heap_t* heap, const char* fname, char* resolved_name) {
  return mim_api_realpath(api_heap(heap), fname, resolved_name);
}

void* mi_heap_malloc_aligned(mi_heap_t* heap, size_t size, size_t alignment) {
  return mim_malloc_aligned(api_heap(heap), size, alignment, 0, FAMILY_C, false);
}

void* mi_heap_malloc_aligned_at(mi_heap_t* heap, size_t size, size_t alignment, size_t offset) {
  return mim_malloc_aligned(api_heap(heap), size, alignment, offset, FAMILY_C, false);
}

void* mi_heap_zalloc_aligned(mi_heap_t* heap, size_t size, size_t alignment) {
  return mim_malloc_aligned(api_heap(heap), size, alignment, 0, FAMILY_C, true);
}

void* mi_heap_zalloc_aligned_at(mi_heap_t* heap, size_t size, size_t alignment, size_t offset) {
  return mim_malloc_aligned(api_heap(heap), size, alignment, offset, FAMILY_C, true);
}

void* mi_heap_calloc_aligned(mi_heap_t* heap, size_t count, size_t size, size_t alignment) {
  return api_calloc_aligned(api_heap(heap), count, size, alignment, 0);
}

void* mi_heap_calloc_aligned_at(mi_heap_t* heap, size_t count, size_t size, size_t alignment, size_t offset) {
  return api_calloc_aligned(api_heap(heap), count, size, alignment, offset);
}

void* mi_heap_realloc_aligned(mi_heap_t* heap, void* p, size_t newsize, size_t alignment) {
  return mim_realloc_aligned(api_heap(heap), p, newsize, alignment, 0, false);
}

void* mi_heap_realloc_aligned_at(mi_heap_t* heap, void* p, size_t newsize, size_t alignment, size_t offset) {
  return mim_realloc_aligned(api_heap(heap), p, newsize, alignment, offset, false);
}

void* mi_heap_rezalloc(mi_heap_t* heap, void* p, size_t newsize) {
  return mim_realloc(api_heap(heap), p, newsize, FAMILY_ANY, true);
}

void* mi_heap_recalloc(mi_heap_t* heap, void* p, size_t newcount, size_t size) {
  return api_realloc_n(api_heap(heap), p, newcount, size, true);
}

void* mi_heap_rezalloc_aligned(mi_heap_t* heap, void* p, size_t newsize, size_t alignment) {
  return mim_realloc_aligned(api_heap(heap), p, newsize, alignment, 0, true);
}

void* mi_heap_rezalloc_aligned_at(mi_heap_t* heap, void* p, size_t newsize, size_t alignment, size_t offset) {
  return mim_realloc_aligned(api_heap(heap), p, newsize, alignment, offset, true);
}

void* mi_heap_recalloc_aligned(mi_heap_t* heap, void* p, size_t newcount, size_t size, size_t alignment) {
  return api_recalloc_aligned(api_heap(heap), p, newcount, size, alignment, 0);
}

void* mi_heap_recalloc_aligned_at(mi_heap_t* heap, void* p, size_t newcount, size_t size, size_t alignment,
                                  size_t offset) {
  return api_recalloc_aligned(api_heap(heap), p, newcount, size, alignment, offset);
}

mi_heap_t* mi_heap_main(void) {
  return mi_heap_get_backing();
}
