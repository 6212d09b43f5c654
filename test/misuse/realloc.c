// realloc, reallocarray and malloc_usable_size with addresses that are no live block.
#define _GNU_SOURCE
#include "misuse.h"

#include <malloc.h>
#include <sys/mman.h>

// The result, when there is one, may lie over somebody else's memory.
static verdict_t realloc_at(size_t size, void* p, size_t wanted, const void* area, size_t length) {
  about(p, 1);
  at(MISUSE);
  void* q = hide(realloc(hide(p), wanted));
  if (length > 0 && (char*)q + wanted > (const char*)area && (char*)q < (const char*)area + length) return MISSED;
  return handed_out(size, area, length);
}

static verdict_t freed_grow(size_t size) {
  void* p = crowd(size);
  free(p);
  return realloc_at(size, p, size * 2 + 100, NULL, 0);
}

static verdict_t freed_shrink(size_t size) {
  void* p = crowd(size);
  free(p);
  return realloc_at(size, p, size / 2 + 1, NULL, 0);
}

static verdict_t freed_same(size_t size) {
  void* p = crowd(size);
  free(p);
  return realloc_at(size, p, size, NULL, 0);
}

static verdict_t freed_zero(size_t size) {
  void* p = crowd(size);
  free(p);
  return realloc_at(size, p, 0, NULL, 0);
}

static verdict_t freed_by_array(size_t size) {
  void* p = crowd(size);
  free(p);
  at(MISUSE);
  hide(reallocarray(hide(p), size, 2));
  return handed_out(size, NULL, 0);
}

// A pointer kept over two calls of realloc: the second one gets the address from before the first.
static verdict_t stale(size_t size) {
  void* p = crowd(size);
  void* moved = hide(realloc(p, size * 4 + 128));
  if (moved == p) free(moved);
  return realloc_at(size, p, size * 8 + 256, NULL, 0);
}

static verdict_t interior_1(size_t size) {
  char* p = crowd(size);
  memset(p, 0, size);
  return realloc_at(size, p + 1, size * 2, p, size);
}

static verdict_t interior_16(size_t size) {
  char* p = crowd(size);
  memset(p, 0, size);
  return realloc_at(size, p + 16, size * 2, p, size);
}

static verdict_t one_past_end(size_t size) {
  char* p = crowd(size);
  return realloc_at(size, p + size, size * 2, p, size);
}

static verdict_t stack(size_t size) {
  char area[256] = {0};
  free(get(size));
  return realloc_at(size, area + 64, 64, hide(area), sizeof(area));
}

static verdict_t global(size_t size) {
  free(get(size));
  return realloc_at(size, elsewhere + 4096, size + 64, elsewhere, ELSEWHERE_SIZE);
}

static verdict_t mapping(size_t size) {
  char* area = mmap(NULL, size + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (area == MAP_FAILED) return SET_UP_FAILED;
  free(get(size));
  return realloc_at(size, area + 64, size * 2 + 64, area, size + 4096);
}

static verdict_t letters(size_t size) {
  crowd(size);
  return realloc_at(size, (void*)hide_number(0x4141414141414141u), size, NULL, 0);
}

static verdict_t usable_of(const void* p) {
  about(p, 1);
  at(MISUSE);
  return malloc_usable_size(hide(p)) == 0 ? PREVENTED : MISSED;
}

static verdict_t usable_freed(size_t size) {
  void* p = crowd(size);
  free(p);
  return usable_of(p);
}

static verdict_t usable_interior(size_t size) {
  char* p = crowd(size);
  memset(p, 0x31, size);
  return usable_of(p + 16);
}

static verdict_t usable_stack(size_t size) {
  size_t area[16];
  crowd(size);
  memset(area, 0x31, sizeof(area));
  return usable_of(hide(area + 4));
}

static verdict_t usable_letters(size_t size) {
  crowd(size);
  return usable_of((void*)hide_number(0x4141414141414141u));
}

static const kind_t kinds[] = {
  {"freed-grow", freed_grow, "realloc of a freed block, to more", 0},
  {"freed-shrink", freed_shrink, "realloc of a freed block, to less", 0},
  {"freed-same", freed_same, "realloc of a freed block, to its size", 1},
  {"freed-zero", freed_zero, "realloc(p, 0) of a freed block", 0},
  {"freed-by-array", freed_by_array, "reallocarray of a freed block", 1},
  {"stale", stale, "realloc of the address from before the last realloc", 0},
  {"interior-1", interior_1, "realloc(p + 1, ...)", 2},
  {"interior-16", interior_16, "realloc(p + 16, ...)", 17},
  {"one-past-end", one_past_end, "realloc(p + n, ...)", 1},
  {"stack", stack, "realloc of an array on the stack", 0},
  {"global", global, "realloc of a global array", 0},
  {"mapping", mapping, "realloc of memory from mmap", 0},
  {"letters", letters, "realloc of 0x4141414141414141", 0},
  {"usable-freed", usable_freed, "malloc_usable_size of a freed block", 0},
  {"usable-interior", usable_interior, "malloc_usable_size(p + 16)", 17},
  {"usable-stack", usable_stack, "malloc_usable_size of an array on the stack", 0},
  {"usable-letters", usable_letters, "malloc_usable_size of 0x4141414141414141", 0},
};
const group_t realloc_group = {"realloc", KINDS(kinds)};
