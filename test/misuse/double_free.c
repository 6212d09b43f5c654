// Double frees: a block goes back twice, with all kinds of things in between. The danger: the block is handed out
// twice, and two owners write into each other's data.
#define _GNU_SOURCE
#include "misuse.h"

#include <malloc.h>

// The second free, and a look at whether the block is handed out to two owners now.
static verdict_t free_again(void* p, size_t size) {
  at(MISUSE);
  free(p);
  return handed_out(size, NULL, 0);
}

static verdict_t plain(size_t size) {
  void* p = crowd(size);
  free(p);
  return free_again(p, size);
}

static verdict_t alternating(size_t size) {
  void* p = crowd(size);
  void* other = crowd_take();
  free(p);
  free(other);
  return free_again(p, size);
}

// Other blocks go first, so that a small cache of freed blocks is full and cannot notice.
static verdict_t interleaved(size_t size) {
  void* p = crowd(size);
  for (int i = 0; i < 10; i++) free(crowd_take());
  void* other = hide(malloc(size));
  free(p);
  free(other);
  return free_again(p, size);
}

static verdict_t delayed(size_t size) {
  void* p = crowd(size);
  free(p);
  for (int i = 0; i < 100; i++) free(crowd_take());
  return free_again(p, size);
}

static verdict_t other_sizes_between(size_t size) {
  void* p = crowd(size);
  free(p);
  for (size_t i = 1; i < 200; i++) free(hide(malloc(i * 24)));
  return free_again(p, size);
}

static verdict_t scribbled_with(size_t size, int byte, size_t bytes) {
  void* p = crowd(size);
  free(p);
  at(MISUSE);
  poke_run(p, 0, size < bytes ? size : bytes, byte);
  free(p);
  return handed_out(size, NULL, 0);
}

static verdict_t scribbled_ff(size_t size) {
  return scribbled_with(size, 0xFF, SIZE_MAX);
}

static verdict_t scribbled_zero(size_t size) {
  return scribbled_with(size, 0, SIZE_MAX);
}

static verdict_t scribbled_16(size_t size) {
  return scribbled_with(size, 'x', 16);
}

static void* get_aligned_64(size_t size) {
  return memalign(64, size);
}

static void* get_aligned_256k(size_t size) {
  return memalign(262144, size);
}

static verdict_t twice_from(void* (*allocate)(size_t), size_t size) {
  void* p = crowd_with(allocate, size);
  free(p);
  return free_again(p, size);
}

static verdict_t of_calloc(size_t size) {
  return twice_from(get_zeroed, size);
}

static verdict_t of_aligned(size_t size) {
  return twice_from(get_aligned_64, size);
}

static verdict_t of_page_aligned(size_t size) {
  return twice_from(get_page_aligned, size);
}

static verdict_t of_much_aligned(size_t size) {
  return twice_from(get_aligned_256k, size);
}

// realloc moved the block, and the program frees the old address.
static verdict_t after_realloc_moved(size_t size) {
  void* p = crowd(size);
  void* moved = hide(realloc(p, size * 4 + 100));
  if (moved == p) {
    free(moved);
  }
  return free_again(p, size);
}

// realloc(p, 0) gave the block back, and the program frees it once more.
static verdict_t after_realloc_zero(size_t size) {
  void* p = crowd(size);
  void* rest = hide(realloc(p, 0));
  if (rest != NULL) free(rest);
  return free_again(p, size);
}

// All blocks of the page are free by now, so that the page itself may be gone.
static verdict_t page_empty(size_t size) {
  void* p = crowd(size);
  free(p);
  crowd_free();
  return free_again(p, size);
}

static verdict_t page_trimmed(size_t size) {
  void* p = crowd(size);
  free(p);
  crowd_free();
  any_function_t collect = find_function("mi_collect");
  if (collect != NULL) ((void (*)(bool))collect)(true);
  malloc_trim(0);
  return free_again(p, size);
}

// The memory holds blocks of other sizes by now; the old address is free, or lies inside of one of them.
static verdict_t page_reused(size_t size) {
  void* p = crowd(size);
  free(p);
  crowd_free();
  for (size_t i = 0; i < 300; i++) {
    char* other = get(size * 2 + 40);
    if (other == p) return free(other), free_again(p, size);
  }
  return free_again(p, size);
}

// The block has a new owner, unless the allocator keeps it back: then nobody can tell that the second free is wrong.
static verdict_t new_owner(size_t size) {
  void* p = crowd(size);
  free(p);
  void* next = hide(malloc(size));
  at(MISUSE);
  free(p);
  if (next == p) return MISSED;
  return handed_out(size, NULL, 0);
}

static verdict_t new_owner_of_ten(size_t size) {
  void* p = crowd(size);
  bool owned = false;
  free(p);
  for (int i = 0; i < 10; i++) owned = owned || hide(malloc(size)) == p;
  at(MISUSE);
  free(p);
  return owned ? MISSED : handed_out(size, NULL, 0);
}

static void free_step(void* p) {
  free(p);
}

// The parent freed it before the fork, the child frees it again.
static verdict_t in_forked_child(size_t size) {
  void* p = crowd(size);
  free(p);
  at(MISUSE);
  return stopped_in_child(free_step, p) ? STOPPED : MISSED;
}

static void free_twice_step(void* p) {
  free(p);
  free(p);
}

// A block of the parent, freed twice in the child.
static verdict_t twice_in_forked_child(size_t size) {
  void* p = crowd(size);
  at(MISUSE);
  return stopped_in_child(free_twice_step, p) ? STOPPED : MISSED;
}

static void* leaving_block;

static void free_at_exit(void) {
  free(leaving_block);
}

static verdict_t at_exit(size_t size) {
  leaving_block = crowd(size);
  if (atexit(free_at_exit) != 0) return SET_UP_FAILED;
  free(leaving_block);
  at(MISUSE);
  return MISSED;
}

static const kind_t kinds[] = {
  {"plain", plain, "free(p); free(p)", 0},
  {"alternating", alternating, "free(a); free(b); free(a)", 0},
  {"interleaved", interleaved, "as alternating, after ten other frees filled every cache", 0},
  {"delayed", delayed, "a hundred other frees of the same size in between", 0},
  {"other-sizes-between", other_sizes_between, "blocks of other sizes come and go in between", 0},
  {"scribbled-ff", scribbled_ff, "the freed block is filled with 0xFF before its second free", 0},
  {"scribbled-zero", scribbled_zero, "the freed block is filled with zeros before its second free", 0},
  {"scribbled-16", scribbled_16, "the first 16 bytes are overwritten before the second free", 0},
  {"of-calloc", of_calloc, "a block from calloc", 0},
  {"of-aligned", of_aligned, "a block aligned to 64 bytes", 0},
  {"of-page-aligned", of_page_aligned, "a block aligned to 4 KiB", 0},
  {"of-much-aligned", of_much_aligned, "a block aligned to 256 KiB", 0},
  {"after-realloc-moved", after_realloc_moved, "the old address is freed after realloc moved the block", 0},
  {"after-realloc-zero", after_realloc_zero, "free(p) after realloc(p, 0)", 0},
  {"page-empty", page_empty, "after every other block of the size was freed", 0},
  {"page-trimmed", page_trimmed, "after free memory was given back to the system", 0},
  {"page-reused", page_reused, "after the memory went to blocks of another size", 0},
  {"new-owner", new_owner, "after one more allocation of the size, which may own the block now", 0},
  {"new-owner-of-ten", new_owner_of_ten, "after ten more allocations of the size", 0},
  {"in-forked-child", in_forked_child, "freed before fork, and again in the child", 0},
  {"twice-in-forked-child", twice_in_forked_child, "a block of the parent freed twice in the child", 0},
  {"at-exit", at_exit, "the second free comes from an exit handler", 0},
};
const group_t double_free_group = {"double-free", KINDS(kinds)};
