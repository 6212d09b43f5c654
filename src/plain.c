// Bodies of the plain build's hooks that are too large to be inline. Links are kept in the free blocks: nothing is
// faster, and nothing is checked. Not part of the secure build.
#include "internal.h"

void mim_plain_extend(page_t* page, uint32_t first, uint32_t count) {
  uint8_t* block = (uint8_t*)(page->origin + (uintptr_t)first * page->stride);
  page->free = (uintptr_t)block;
  for (uint32_t i = 1; i < count; i++) {
    *(uintptr_t*)block = (uintptr_t)(block + page->stride);
    block += page->stride;
  }
  *(uintptr_t*)block = 0;
}

static size_t plain_mark(const page_t* page, uintptr_t list, uint64_t* free_map) {
  size_t count = 0;
  for (uintptr_t block = list; block != 0; block = *(uintptr_t*)block) {
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
