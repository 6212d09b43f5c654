// Bodies of the plain build's hooks that are too large to be inline. Links are kept in the free blocks: nothing is
// faster, and nothing is checked. Not part of the secure build.
#include "mimalloc-secure.h"
#include "watch.h"

void mim_plain_extend(page_t* page, uint32_t first, uint32_t count) {
  uint8_t* block = (uint8_t*)(page->origin + (uintptr_t)first * page->stride);
  page->free = (uintptr_t)block;
  for (uint32_t i = 1; i < count; i++) {
    *(link_t*)block = (uintptr_t)(block + page->stride);
    block += page->stride;
  }
  *(link_t*)block = 0;
}

static size_t plain_mark(const page_t* page, uintptr_t list, uint64_t* free_map) {
  size_t count = 0;
  for (uintptr_t block = list; block != 0; block = *(link_t*)block) {
    size_t index = (block - page->origin) / page->stride;
    if (index == 0 || index > page->capacity) return SIZE_MAX / 2;
    free_map[index / 64] |= (uint64_t)1 << (index % 64);
    count++;
  }
  return count;
}

bool mim_plain_block_states(page_t* page, uint64_t* free_map) {
  size_t count = plain_mark(page, page->free, free_map) + plain_mark(page, page->local_free, free_map);
  return count + page->used == page->capacity;
}

void mim_plain_foreign(const void* p, const char* what) {
  mim_error(EINVAL, "%s: %p is not a block of this allocator", what, p);
}

// ---- what mimalloc-secure.h asks of either product ------------------------------------------------------------------

bool mi_is_secure(void) {
  return false;
}

mi_profile_t mi_profile(void) {
  return MI_PROFILE_NONE;
}

const char* mi_profile_name(void) {
  return "none";
}

const char* mi_fault_name(mi_fault_t fault) {
#define FAULT(enumerator, name, text) [MI_FAULT_##enumerator] = name,
  static const char* const names[] = {
#include "faults.def"
  };
#undef FAULT
  return (unsigned)fault < MI_FAULT_COUNT ? names[fault] : "unknown";
}

void mi_register_violation(mi_violation_fun* fun, void* arg) {
  (void)fun;
  (void)arg;
}

// To the end of the block that `p` lies in, freed or not: that is not known here.
size_t mi_malloc_object_size(const void* p) {
  const page_t* page = mim_page_seek(p);
  if (page == NULL) return SIZE_MAX;
  if (!mim_page_look(page)) return 0;
  bool large = (page->kind & KIND_LARGE) != 0;
  uintptr_t start = page->origin;
  if (large) {
    start += (uintptr_t)1 << LARGE_STRIDE_SHIFT;
  } else {
    uintptr_t index = ((uintptr_t)p - start) / page->stride;
    if (index == 0 || index > page->capacity) return 0;
    start += index * page->stride;
  }
  uintptr_t end = start + (large ? page->large_size : page->block_size);
  return (uintptr_t)p < start || (uintptr_t)p >= end ? 0 : end - (uintptr_t)p;
}

void mim_plain_invalid_heap(const heap_t* heap, const char* what) {
  mim_error(EINVAL, "%s: %p is not a heap of this thread\n", what, (const void*)heap);
}

// ---- what tools that look from outside find of a layer ---------------------------------------------------------------

const watch_table_t* const mim_watch_layer[] = {NULL};
