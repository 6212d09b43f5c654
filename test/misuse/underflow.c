// Writes before the start of a block. They land in the end of whatever is there: another block, or nothing.
#define _GNU_SOURCE
#include "misuse.h"


static verdict_t write_before(void* p, size_t size, size_t count, int byte) {
  at(MISUSE);
  for (size_t i = 1; i <= count; i++) poke(p, -(ptrdiff_t)i, byte);
  return settle(p, size);
}

static verdict_t one_byte_a(size_t size) { return write_before(crowd(size), size, 1, 'A'); }
static verdict_t one_byte_zero(size_t size) { return write_before(crowd(size), size, 1, 0); }
static verdict_t one_byte_ff(size_t size) { return write_before(crowd(size), size, 1, 0xFF); }
static verdict_t eight(size_t size) { return write_before(crowd(size), size, 8, 'A'); }
static verdict_t eight_zeros(size_t size) { return write_before(crowd(size), size, 8, 0); }
static verdict_t sixteen(size_t size) { return write_before(crowd(size), size, 16, 'A'); }
static verdict_t whole_size(size_t size) { return write_before(crowd(size), size, size, 'A'); }
static verdict_t page(size_t size) { return write_before(crowd(size), size, 4096, 'A'); }
static verdict_t kib_64(size_t size) { return write_before(crowd(size), size, 65536, 'A'); }

// The byte is another one than what is there, whatever that may be.
static verdict_t one_bit(size_t size) {
  char* p = crowd(size);
  at(MISUSE);
  poke(p, -1, peek(p, -1) ^ 1);
  return settle(p, size);
}

static verdict_t jump_8(size_t size) {
  char* p = crowd(size);
  at(MISUSE);
  poke_run(p, -16, 8, 'A');
  return settle(p, size);
}

static verdict_t of_calloc(size_t size) {
  return write_before(crowd_with(get_zeroed, size), size, 1, 'A');
}

static verdict_t of_aligned(size_t size) {
  return write_before(crowd_with(get_aligned, size), size, 1, 'A');
}

static verdict_t of_page_aligned(size_t size) {
  return write_before(crowd_with(get_page_aligned, size), size, 1, 'A');
}

static verdict_t by_memcpy(size_t size) {
  char* p = crowd(size);
  memset(elsewhere, 'u', size + 16);
  at(MISUSE);
  memcpy(hide(p - 16), elsewhere, size + 16);
  return settle(p, size);
}

// The block is not freed but reallocated after the write.
static verdict_t then_realloc(size_t size) {
  char* p = crowd(size);
  at(MISUSE);
  poke(p, -1, peek(p, -1) ^ 0x20);
  at(FREE);
  return settle(hide(realloc(p, size * 3 + 64)), size);
}

// Only the block itself is freed, and nothing else any more.
static verdict_t only_it_freed(size_t size) {
  char* p = crowd(size);
  at(MISUSE);
  poke(p, -1, peek(p, -1) ^ 0x20);
  at(FREE);
  free(p);
  at(REUSE);
  for (int i = 0; i < 4; i++) hide(malloc(size));
  return MISSED;
}

// The first block there ever was of this size: what stands before it is no block.
static verdict_t first_block(size_t size) {
  char* p = get(size);
  about(p, size);
  at(MISUSE);
  poke(p, -1, peek(p, -1) ^ 0x20);
  return settle(p, size);
}

static const kind_t kinds[] = {
  {"one-byte-a", one_byte_a, "p[-1] = 'A'", 0},
  {"one-byte-zero", one_byte_zero, "p[-1] = 0", 0},
  {"one-byte-ff", one_byte_ff, "p[-1] = 0xFF", 0},
  {"one-bit", one_bit, "one bit of p[-1] is changed", 0},
  {"eight", eight, "8 bytes before the block", 0},
  {"eight-zeros", eight_zeros, "8 zero bytes before the block", 0},
  {"sixteen", sixteen, "16 bytes before the block", 0},
  {"whole-size", whole_size, "n bytes before the block", 0},
  {"page", page, "4 KiB before the block, downwards", 0},
  {"kib-64", kib_64, "64 KiB before the block, downwards", 0},
  {"jump-8", jump_8, "p[-16] to p[-9], not touching the 8 bytes next to the block", 0},
  {"of-calloc", of_calloc, "p[-1] = 'A' of a block from calloc", 0},
  {"of-aligned", of_aligned, "p[-1] = 'A' of a block aligned to 128 bytes", 0},
  {"of-page-aligned", of_page_aligned, "p[-1] = 'A' of a block aligned to 4 KiB", 0},
  {"by-memcpy", by_memcpy, "memcpy that starts 16 bytes early", 0},
  {"then-realloc", then_realloc, "one bit of p[-1] is changed, then realloc", 0},
  {"only-it-freed", only_it_freed, "one bit of p[-1] is changed, then free(p) and nothing else", 0},
  {"first-block", first_block, "one bit of p[-1] of the first block of the size", 0},
};
const group_t underflow_group = {"underflow", KINDS(kinds)};
