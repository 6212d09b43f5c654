// Reads and writes through a pointer to a block that was freed. A write may be noticed at once (the memory is gone),
// or when the block is handed out again; a read can only be made worthless, or impossible.
#define _GNU_SOURCE
#include "misuse.h"

#include <malloc.h>
#include <stdio.h>

// Allocates until the block comes back: does its new owner find what was written into it?
static verdict_t comes_back(const void* p, size_t size, size_t offset, int byte) {
  size_t count = ((size_t)24 << 20) / (size + 16);
  at(REUSE);
  for (size_t i = 0; i < (count < 8192 ? count : 8192); i++) {
    void* q = hide(malloc(size));
    if (q == p) return peek(q, (ptrdiff_t)offset) == byte ? MISSED : PREVENTED;
  }
  return IGNORED;
}

static verdict_t write_at(size_t size, size_t offset, size_t count, int byte) {
  char* p = crowd(size);
  memset(p, 'o', size);
  free(hide(p));
  at(MISUSE);
  poke_run(p, (ptrdiff_t)offset, count, byte);
  return comes_back(p, size, offset, byte);
}

static verdict_t write_first(size_t size) { return write_at(size, 0, 1, 'W'); }
static verdict_t write_word_0(size_t size) { return write_at(size, 0, 8, 'W'); }
static verdict_t write_word_1(size_t size) { return write_at(size, 8, 8, 'W'); }
static verdict_t write_quarter(size_t size) { return write_at(size, size / 4, 1, 'W'); }
static verdict_t write_middle(size_t size) { return write_at(size, size / 2, 1, 'W'); }
static verdict_t write_three_quarters(size_t size) { return write_at(size, size / 4 * 3, 1, 'W'); }
static verdict_t write_last(size_t size) { return write_at(size, size - 1, 1, 'W'); }
static verdict_t write_one_bits(size_t size) { return write_at(size, size / 3, 1, 1); }
static verdict_t write_whole(size_t size) { return write_at(size, 0, size, 'W'); }

// Zeros change nothing when the freed block is all zero already.
static verdict_t write_zeros(size_t size) {
  char* p = crowd(size);
  fill(p, size);
  free(hide(p));
  at(MISUSE);
  bool clean = true;
  for (size_t i = 0; i < size; i++) clean = clean && peek(p, (ptrdiff_t)i) == 0;
  poke_run(p, 0, size, 0);
  verdict_t verdict = comes_back(p, size, 0, 0);
  return clean ? PREVENTED : verdict;
}

typedef struct offset_s { char* p; size_t size, offset; } offset_t;

static void write_offset_step(void* argument) {
  offset_t* o = argument;
  free(o->p);
  poke(o->p, (ptrdiff_t)o->offset, 'W');
  comes_back(o->p, o->size, o->offset, 'W');
}

// One process for each offset: all of them up to 128 bytes, then 48 of them, spread over the block.
static verdict_t write_every_offset(size_t size) {
  char* p = crowd(size);
  size_t steps = size <= 128 ? size : 48;
  memset(p, 'o', size);
  at(MISUSE);
  for (size_t i = 0; i < steps; i++) {
    offset_t o = {p, size, size <= 128 ? i : i == steps - 1 ? size - 1 : size / steps * i + i % 16};
    if (!stopped_in_child(write_offset_step, &o)) return MISSED;
  }
  return STOPPED;
}

// The write comes after many other frees of the size.
static verdict_t write_late(size_t size) {
  char* p = crowd(size);
  free(p);
  crowd_free();
  at(MISUSE);
  poke(p, (ptrdiff_t)size / 2, 'W');
  return comes_back(p, size, size / 2, 'W');
}

static verdict_t write_by_memset(size_t size) {
  char* p = crowd(size);
  free(p);
  at(MISUSE);
  memset(hide(p), 'W', size);
  return comes_back(p, size, size - 1, 'W');
}

// The program had its own check: it frees the block again only when a field says so, and clears that field.
static verdict_t write_after_calloc_free(size_t size) {
  char* p = hide(calloc(1, size));
  about(p, size);
  free(p);
  at(MISUSE);
  poke(p, (ptrdiff_t)size - 1, 'W');
  at(REUSE);
  for (int i = 0; i < 8192 && i * size < 24 << 20; i++) {
    char* q = hide(calloc(1, size));
    if (q == p) return peek(q, (ptrdiff_t)size - 1) == 0 ? PREVENTED : MISSED;
  }
  return IGNORED;
}

static verdict_t read_now(size_t size) {
  char* p = crowd(size);
  fill(p, size);
  free(p);
  at(MISUSE);
  return leaked(p, size);
}

static verdict_t read_late(size_t size) {
  char* p = crowd(size);
  fill(p, size);
  free(p);
  crowd_free();
  at(MISUSE);
  return leaked(p, size);
}

static verdict_t read_by_memcpy(size_t size) {
  char* p = crowd(size);
  fill(p, size);
  free(p);
  at(MISUSE);
  memcpy(elsewhere, hide(p), size);
  return leaked(elsewhere, size);
}

static verdict_t read_aligned(size_t size) {
  char* p = hide(memalign(256, size));
  about(p, size);
  fill(p, size);
  free(p);
  at(MISUSE);
  return leaked(p, size);
}

// realloc moved the block; the old one is read, and written.
static verdict_t read_after_realloc(size_t size) {
  char* p = crowd(size);
  fill(p, size);
  char* moved = hide(realloc(p, size * 4 + 256));
  at(MISUSE);
  return moved == p ? PREVENTED : leaked(p, size);
}

static verdict_t write_after_realloc(size_t size) {
  char* p = crowd(size);
  fill(p, size);
  char* moved = hide(realloc(p, size * 4 + 256));
  if (moved == p) return PREVENTED;
  at(MISUSE);
  poke(p, (ptrdiff_t)size / 2, 'W');
  return comes_back(p, size, size / 2, 'W');
}

// realloc made it smaller; the part that was given up is read, or written.
static verdict_t read_given_up_tail(size_t size) {
  char* p = crowd(size);
  fill(p, size);
  char* shrunk = hide(realloc(p, size / 2));
  at(MISUSE);
  return shrunk == p ? leaked(p + size / 2, size - size / 2) : leaked(p, size);
}

static verdict_t write_given_up_tail(size_t size) {
  char* p = crowd(size);
  char* shrunk = hide(realloc(p, size / 2));
  at(MISUSE);
  poke(p, (ptrdiff_t)size - 1, 'W');
  if (shrunk == NULL) return MISSED;
  return settle(shrunk, size / 2);
}

// An object with a pointer to a function; the attacker gets the next block, and the program calls through the old one.
static verdict_t called_after_one(size_t size) {
  uintptr_t* object = crowd(size);
  object[0] = (uintptr_t)&called_after_one;
  free(hide(object));
  uintptr_t* other = hide(malloc(size));
  memset(other, 0x41, size);
  at(MISUSE);
  return *(uintptr_t volatile*)object == 0x4141414141414141u ? MISSED : PREVENTED;
}

static verdict_t called_after_spray(size_t size) {
  uintptr_t* object = crowd(size);
  free(hide(object));
  for (int i = 0; i < 1000 && i * size < 24 << 20; i++) memset(get(size), 0x41, size);
  at(MISUSE);
  return *(uintptr_t volatile*)object == 0x4141414141414141u ? MISSED : PREVENTED;
}

static const kind_t kinds[] = {
  {"write-first", write_first, "the first byte is written after free", 1},
  {"write-word-0", write_word_0, "the first 8 bytes, where links of free lists are often kept", 8},
  {"write-word-1", write_word_1, "the second 8 bytes", 16},
  {"write-quarter", write_quarter, "one byte at a quarter of the block", 1},
  {"write-middle", write_middle, "one byte in the middle", 1},
  {"write-three-quarters", write_three_quarters, "one byte at three quarters", 1},
  {"write-last", write_last, "the last byte", 1},
  {"write-one-bits", write_one_bits, "one byte becomes 1, at a third of the block", 1},
  {"write-whole", write_whole, "the whole block", 1},
  {"write-zeros", write_zeros, "the whole block, with zeros", 1},
  {"write-every-offset", write_every_offset, "each offset in a process of its own", 1},
  {"write-late", write_late, "one byte, after all neighbours were freed", 1},
  {"write-by-memset", write_by_memset, "memset of the freed block", 1},
  {"write-in-calloc-block", write_after_calloc_free, "the last byte of a freed block from calloc", 1},
  {"read-now", read_now, "the block is read right after free", 1},
  {"read-late", read_late, "the block is read after all neighbours were freed", 1},
  {"read-by-memcpy", read_by_memcpy, "memcpy out of the freed block", 1},
  {"read-aligned", read_aligned, "a freed block aligned to 256 bytes is read", 1},
  {"read-after-realloc", read_after_realloc, "the old block is read after realloc moved it", 1},
  {"write-after-realloc", write_after_realloc, "the old block is written after realloc moved it", 1},
  {"read-given-up-tail", read_given_up_tail, "the part that realloc gave up is read", 2},
  {"write-given-up-tail", write_given_up_tail, "the part that realloc gave up is written", 2},
  {"called-after-one", called_after_one, "a freed function pointer is used after one allocation by an attacker", 8},
  {"called-after-spray", called_after_spray, "the same after up to a thousand allocations", 8},
};
const group_t use_after_free_group = {"use-after-free", KINDS(kinds)};
