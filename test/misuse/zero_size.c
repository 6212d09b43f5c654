// Blocks of no bytes at all. Programs get them from lengths that became zero, and then use them.
// The size of the case says how far into the block the program reaches: to byte n - 1, but at most 4095.
#define _GNU_SOURCE
#include "misuse.h"

#include <malloc.h>

static ptrdiff_t reach(size_t size) {
  return size > 4096 ? 4095 : (ptrdiff_t)size - 1;
}

static void* get_nothing(size_t size) {
  (void)size;
  return malloc(0);
}

static verdict_t touch(void* p, size_t size, bool write) {
  if (p == NULL) return PREVENTED;
  about(p, 0);
  at(MISUSE);
  if (write) poke(p, reach(size), 'Z');
  else peek(p, reach(size));
  if (!write) return MISSED;
  at(FREE);
  free(p);
  at(REUSE);
  for (int i = 0; i < 64; i++) hide(malloc(0));
  churn(16);
  return MISSED;
}

// Every value of the pointer is used only after hide(): the compiler knows what malloc(0) gives.
static verdict_t malloc_read(size_t size) { return touch(crowd_with(get_nothing, 0), size, false); }
static verdict_t malloc_write(size_t size) { return touch(crowd_with(get_nothing, 0), size, true); }
static verdict_t calloc_read(size_t size) { return touch(hide(calloc(0, size)), size, false); }
static verdict_t calloc_write(size_t size) { return touch(hide(calloc(size, hide_number(0))), size, true); }
static verdict_t aligned_write(size_t size) { return touch(hide(memalign(64, hide_number(0))), size, true); }

// 65,536 objects of n bytes, counted in 16 bits; or a product that wrapped round.
static verdict_t wrapped_product(size_t size) {
  uint16_t count = (uint16_t)hide_number(65536);
  return touch(hide(malloc(count * size)), size, true);
}

// What realloc(p, 0) returns, where it returns something, is a block of no bytes.
static verdict_t realloc_zero_write(size_t size) {
  void* p = crowd(size);
  return touch(hide(realloc(p, hide_number(0))), size, true);
}

static verdict_t before(size_t size) {
  char* p = crowd_with(get_nothing, 0);
  at(MISUSE);
  poke(p, -(ptrdiff_t)(size < 4096 ? size : 4096), 'Z');
  at(FREE);
  free(p);
  crowd_free();
  at(REUSE);
  churn(16);
  return MISSED;
}

// memset over as many bytes as the program believes to have.
static verdict_t fill_it(size_t size) {
  char* p = crowd_with(get_nothing, 0);
  at(MISUSE);
  memset(p, 'Z', size);
  at(FREE);
  free(p);
  crowd_free();
  at(REUSE);
  churn(size);
  return MISSED;
}

static verdict_t freed_twice(size_t size) {
  void* p = crowd_with(get_nothing, 0);
  free(p);
  at(MISUSE);
  free(p);
  return handed_out(0, NULL, 0) == MISSED || handed_out(size < 24 ? size : 24, NULL, 0) == MISSED ? MISSED : IGNORED;
}

static verdict_t not_unique(size_t size) {
  void* p = hide(malloc(0));
  void* other = hide(malloc(0));
  at(MISUSE);
  (void)size;
  return p == other ? MISSED : PREVENTED;
}

static const kind_t kinds[] = {
  {"malloc-read", malloc_read, "a byte of malloc(0) is read", 1},
  {"malloc-write", malloc_write, "a byte of malloc(0) is written", 1},
  {"calloc-read", calloc_read, "a byte of calloc(0, n) is read", 1},
  {"calloc-write", calloc_write, "a byte of calloc(n, 0) is written", 1},
  {"aligned-write", aligned_write, "a byte of memalign(64, 0) is written", 1},
  {"wrapped-product", wrapped_product, "a product of sizes that wrapped round to 0", 1},
  {"realloc-zero-write", realloc_zero_write, "a byte of what realloc(p, 0) returned is written", 1},
  {"before", before, "a byte before malloc(0) is written", 1},
  {"fill", fill_it, "n bytes of malloc(0) are written", 1},
  {"freed-twice", freed_twice, "free(malloc(0)), twice", 0},
  {"not-unique", not_unique, "two calls of malloc(0) give the same address", 0},
};
const group_t zero_size_group = {"zero-size", KINDS(kinds)};
