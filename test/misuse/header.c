// Writes into what stands right before or behind a block, as if an allocator kept its notes there: sizes and flags
// that make it merge, split or unmap the wrong memory (the "houses" of heap exploitation).
#define _GNU_SOURCE
#include "misuse.h"

// After the free of a block whose notes were forged: does memory of live blocks come out?
static verdict_t free_and_look(void* p, size_t wanted) {
  at(FREE);
  free(p);
  return handed_out(wanted, NULL, 0);
}

// A rounded size, as it stands before a block under some allocators.
static size_t chunk(size_t size) {
  size_t rounded = (size + 8 + 15) & ~(size_t)15;
  return rounded < 32 ? 32 : rounded;
}

static verdict_t size_before(size_t size, size_t forged, size_t wanted) {
  size_t* p = crowd(size);
  at(MISUSE);
  *(size_t volatile*)&p[-1] = forged;
  return free_and_look(p, wanted);
}

// The block claims to be as large as two: when it is freed, and allocated as such, it covers its neighbour.
static verdict_t size_doubled(size_t size) {
  return size_before(size, (chunk(size) * 2) | 1, chunk(size) * 2 - 8);
}

static verdict_t size_smaller(size_t size) {
  return size_before(size, 0x20 | 1, 16);
}

static verdict_t size_huge(size_t size) {
  return size_before(size, ~(size_t)15, size);
}

static verdict_t size_zero(size_t size) {
  return size_before(size, 0, size);
}

// The flag of a block that is a mapping of its own: free would unmap somebody's memory.
static verdict_t flag_mapped(size_t size) {
  return size_before(size, chunk(size) | 2, size);
}

// The flag of a block of another thread's arena: free would look for the arena at an address of choice.
static verdict_t flag_arena(size_t size) {
  return size_before(size, chunk(size) | 4 | 1, size);
}

// Clears the lowest flag, and claims that the block before is free and much larger.
static verdict_t previous_free(size_t size) {
  size_t* p = crowd(size);
  at(MISUSE);
  *(size_t volatile*)&p[-2] = chunk(size);
  *(size_t volatile*)&p[-1] = chunk(size) & ~(size_t)1;
  return free_and_look(p, size);
}

// A byte of zero on the low end of the size of the next block ("poisoned null byte").
static verdict_t next_low_byte_zero(size_t size) {
  char* p = crowd(size);
  char* next = crowd_neighbour(p);
  crowd_remove(next);
  at(MISUSE);
  poke(p, (ptrdiff_t)chunk(size) - 8, 0);
  at(FREE);
  if (next != NULL) free(next);
  return free_and_look(p, size);
}

// The size of whatever comes behind becomes all ones ("house of force").
static verdict_t last_size_all_ones(size_t size) {
  char* p = crowd(size);
  for (char* q; (q = crowd_take()) != NULL;) {
    if (q > p) p = q;
  }
  about(p, size);
  at(MISUSE);
  *(size_t volatile*)(p + chunk(size) - 8) = SIZE_MAX;
  return free_and_look(p, size);
}

// A free block is forged inside a live one, and the notes of the next one say so: freeing that one merges both, and
// takes the forged block off a list that leads to addresses of choice ("unsafe unlink").
static verdict_t unlink_forged(size_t size) {
  uintptr_t* p = crowd(size);
  uintptr_t* next = crowd_neighbour(p);
  crowd_remove(next);
  size_t forged = chunk(size) - 16;
  memset(elsewhere, 0, 4096);
  uintptr_t* lists = (uintptr_t*)(elsewhere + 1024);
  lists[0] = (uintptr_t)p;
  if (size >= 32) {
    p[0] = 0;
    p[1] = forged;
    p[2] = (uintptr_t)(lists - 3);
    p[3] = (uintptr_t)(lists - 2);
  }
  at(MISUSE);
  *(size_t volatile*)((char*)p + chunk(size) - 16) = forged;
  *(size_t volatile*)((char*)p + chunk(size) - 8) = chunk(size);
  at(FREE);
  if (next != NULL) free(next);
  if (*(uintptr_t volatile*)lists != (uintptr_t)p) return MISSED;
  return settle(p, size);
}

// The same bytes once more, but the block is given to realloc before it is freed.
static verdict_t size_doubled_realloc(size_t size) {
  size_t* p = crowd(size);
  at(MISUSE);
  *(size_t volatile*)&p[-1] = (chunk(size) * 2) | 1;
  at(FREE);
  void* q = hide(realloc(p, size + 1));
  return q == NULL ? MISSED : free_and_look(q, size);
}

// The start of the 64 KiB, or of the 4 MiB, that the block lies in: where some allocators keep their notes.
static verdict_t overwrite_start(size_t size, uintptr_t unit) {
  char* p = crowd(size);
  uintptr_t start = (uintptr_t)p & ~(unit - 1);
  if (start == (uintptr_t)p) start -= unit;
  at(MISUSE);
  for (size_t i = 0; i < 64; i++) poke((void*)start, (ptrdiff_t)i, 'H');
  return settle(p, size);
}

static verdict_t start_of_4k(size_t size) { return overwrite_start(size, 4096); }
static verdict_t start_of_64k(size_t size) { return overwrite_start(size, 65536); }
static verdict_t start_of_4m(size_t size) { return overwrite_start(size, 4 << 20); }
static verdict_t start_of_32m(size_t size) { return overwrite_start(size, 32 << 20); }

static const kind_t kinds[] = {
  {"size-doubled", size_doubled, "the word before the block says twice its size", 1},
  {"size-smaller", size_smaller, "the word before the block says 32 bytes", 1},
  {"size-huge", size_huge, "the word before the block is huge", 1},
  {"size-zero", size_zero, "the word before the block is zero", 1},
  {"flag-mapped", flag_mapped, "the word before the block says it is a mapping", 1},
  {"flag-arena", flag_arena, "the word before the block says it is another arena's", 1},
  {"previous-free", previous_free, "the words before the block say that the one before is free", 1},
  {"next-low-byte-zero", next_low_byte_zero, "a zero byte where the next block's size may be", 1},
  {"last-size-all-ones", last_size_all_ones, "all ones behind the last block", 1},
  {"unlink-forged", unlink_forged, "a forged free block in a live one, and a next block that believes it", 1},
  {"size-doubled-realloc", size_doubled_realloc, "the word before says twice the size, then realloc", 1},
  {"start-of-4k", start_of_4k, "64 bytes at the start of the OS page", 1},
  {"start-of-64k", start_of_64k, "64 bytes at the start of the 64 KiB", 1},
  {"start-of-4m", start_of_4m, "64 bytes at the start of the 4 MiB", 1},
  {"start-of-32m", start_of_32m, "64 bytes at the start of the 32 MiB", 1},
};
const group_t header_group = {"header", KINDS(kinds)};
