// Writes past the end of a block, byte by byte; copy.c has those by library functions. The block and its neighbours
// are freed afterwards, and memory is used again: the last chance to notice.
#define _GNU_SOURCE
#include "misuse.h"


static verdict_t write_at(size_t size, size_t skip, size_t count, int byte) {
  char* p = crowd(size);
  fill(p, size);
  at(MISUSE);
  poke_run(p, (ptrdiff_t)(size + skip), count, byte);
  return settle(p, size);
}

static verdict_t one_byte_a(size_t size) { return write_at(size, 0, 1, 'A'); }
static verdict_t one_byte_zero(size_t size) { return write_at(size, 0, 1, 0); }
static verdict_t one_byte_ff(size_t size) { return write_at(size, 0, 1, 0xFF); }
static verdict_t one_byte_fill(size_t size) { return write_at(size, 0, 1, SECRET); }
static verdict_t one_byte_guess(size_t size) { return write_at(size, 0, 1, 0xA5); }
static verdict_t two_zeros(size_t size) { return write_at(size, 0, 2, 0); }
static verdict_t eight(size_t size) { return write_at(size, 0, 8, 'A'); }
static verdict_t eight_zeros(size_t size) { return write_at(size, 0, 8, 0); }
static verdict_t sixteen(size_t size) { return write_at(size, 0, 16, 'A'); }
static verdict_t whole_size(size_t size) { return write_at(size, 0, size, 'A'); }
static verdict_t page(size_t size) { return write_at(size, 0, 4096, 'A'); }
static verdict_t kib_64(size_t size) { return write_at(size, 0, 65536, 'A'); }
static verdict_t jump_1(size_t size) { return write_at(size, 1, 1, 'A'); }
static verdict_t jump_8(size_t size) { return write_at(size, 8, 8, 'A'); }
static verdict_t jump_16(size_t size) { return write_at(size, 16, 1, 'A'); }
static verdict_t jump_32(size_t size) { return write_at(size, 32, 8, 'A'); }
static verdict_t jump_64k(size_t size) { return write_at(size, 65536, 1, 'A'); }

// One bit of the first byte behind the block: the smallest possible overflow.
static verdict_t one_bit(size_t size) {
  char* p = crowd(size);
  at(MISUSE);
  poke(p, (ptrdiff_t)size, peek(p, (ptrdiff_t)size) ^ 0x10);
  return settle(p, size);
}

// What stands behind the block is read first, and written back after the block was overrun: no byte changes.
static verdict_t echoed(size_t size) {
  char* p = crowd(size);
  at(MISUSE);
  for (ptrdiff_t i = 0; i < 16; i++) poke(p, (ptrdiff_t)size + i, peek(p, (ptrdiff_t)size + i));
  return settle(p, size);
}

// What stands behind another block is copied behind this one, to get past checks that know no difference.
static verdict_t copied_from_other(size_t size) {
  char* p = crowd(size);
  char* other = crowd_take();
  at(MISUSE);
  for (ptrdiff_t i = 0; i < 8; i++) poke(p, (ptrdiff_t)size + i, peek(other, (ptrdiff_t)size + i));
  free(other);
  return settle(p, size);
}

static verdict_t write_one(void* p, size_t size) {
  at(MISUSE);
  poke(p, (ptrdiff_t)size, 0);
  return settle(p, size);
}

static verdict_t of_calloc(size_t size) {
  return write_one(crowd_with(get_zeroed, size), size);
}

static verdict_t of_aligned(size_t size) {
  return write_one(crowd_with(get_aligned, size), size);
}

static verdict_t of_page_aligned(size_t size) {
  return write_one(crowd_with(get_page_aligned, size), size);
}

static void* get_shrunk(size_t size) {
  return realloc(malloc(size * 2 + 8), size);
}

static void* get_grown(size_t size) {
  return realloc(malloc(size / 2 + 1), size);
}

static verdict_t of_shrunk(size_t size) {
  return write_one(crowd_with(get_shrunk, size), size);
}

static verdict_t of_grown(size_t size) {
  return write_one(crowd_with(get_grown, size), size);
}

// The block is not freed after the overflow but given to realloc.
static verdict_t then_realloc(size_t size) {
  char* p = crowd(size);
  at(MISUSE);
  poke(p, (ptrdiff_t)size, 'A');
  at(FREE);
  p = hide(realloc(p, size * 3 + 50));
  return settle(p, size);
}

static verdict_t then_shrinking_realloc(size_t size) {
  char* p = crowd(size);
  at(MISUSE);
  poke(p, (ptrdiff_t)size, 'A');
  at(FREE);
  p = hide(realloc(p, size / 2 + 1));
  return settle(p, size);
}

static verdict_t then_sized_free(size_t size) {
  void (*free_sized)(void*, size_t) = (void (*)(void*, size_t))find_function("free_sized");
  if (free_sized == NULL) return NOT_HERE;
  char* p = crowd(size);
  at(MISUSE);
  poke(p, (ptrdiff_t)size, 'A');
  at(FREE);
  free_sized(p, size);
  crowd_free();
  return MISSED;
}

// The overrun block stays alive; only its neighbours are freed, and memory is used.
static verdict_t not_freed(size_t size) {
  char* p = crowd(size);
  at(MISUSE);
  poke_run(p, (ptrdiff_t)size, 8, 'A');
  at(FREE);
  crowd_free();
  at(REUSE);
  churn(size);
  return MISSED;
}

// Nothing at all is freed any more.
static verdict_t nothing_freed(size_t size) {
  char* p = crowd(size);
  at(MISUSE);
  poke_run(p, (ptrdiff_t)size, size + 64, 'A');
  at(REUSE);
  for (int i = 0; i < 4; i++) hide(malloc(size));
  return MISSED;
}

// Straight into the contents of the next live block, past everything between.
static verdict_t into_neighbour(size_t size) {
  char* p = crowd(size);
  char* next = crowd_neighbour(p);
  while (next == NULL && (p = crowd_take()) != NULL) next = crowd_neighbour(p);
  if (next == NULL) return PREVENTED;
  about(p, size);
  fill(next, size);
  at(MISUSE);
  poke(next, 0, 'A');
  return settle(p, size);
}

// Linear, from a block to the start of the next live one, to change what it holds.
static verdict_t through_to_neighbour(size_t size) {
  char* p = crowd(size);
  char* next = crowd_neighbour(p);
  while (next == NULL && (p = crowd_take()) != NULL) next = crowd_neighbour(p);
  if (next == NULL) return PREVENTED;
  about(p, size);
  at(MISUSE);
  poke_run(p, (ptrdiff_t)size, (size_t)(next - p) - size + 1, 'A');
  return settle(p, size);
}

static const kind_t kinds[] = {
  {"one-byte-a", one_byte_a, "p[n] = 'A'", 0},
  {"one-byte-zero", one_byte_zero, "p[n] = 0: the terminator of a string that just does not fit", 0},
  {"one-byte-ff", one_byte_ff, "p[n] = 0xFF", 0},
  {"one-byte-fill", one_byte_fill, "p[n] = the byte the block is full of", 0},
  {"one-byte-guess", one_byte_guess, "p[n] = 0xA5, which may be what stands there", 0},
  {"one-bit", one_bit, "one bit of p[n] is changed", 0},
  {"two-zeros", two_zeros, "p[n] = p[n + 1] = 0: a wide terminator", 0},
  {"eight", eight, "8 bytes past the end", 0},
  {"eight-zeros", eight_zeros, "8 zero bytes past the end", 0},
  {"sixteen", sixteen, "16 bytes past the end", 0},
  {"whole-size", whole_size, "as many bytes as the block has", 0},
  {"page", page, "4 KiB past the end", 0},
  {"kib-64", kib_64, "64 KiB past the end", 0},
  {"jump-1", jump_1, "p[n + 1] = 'A', not touching p[n]", 0},
  {"jump-8", jump_8, "8 bytes at p[n + 8]", 0},
  {"jump-16", jump_16, "p[n + 16] = 'A'", 0},
  {"jump-32", jump_32, "8 bytes at p[n + 32]", 0},
  {"jump-64k", jump_64k, "p[n + 65536] = 'A'", 0},
  {"echoed", echoed, "16 bytes past the end are read and written back unchanged", 0},
  {"copied-from-other", copied_from_other, "what stands behind another block is copied behind this one", 0},
  {"of-calloc", of_calloc, "p[n] = 0 in a block from calloc", 0},
  {"of-aligned", of_aligned, "p[n] = 0 in a block aligned to 128 bytes", 0},
  {"of-page-aligned", of_page_aligned, "p[n] = 0 in a block aligned to 4 KiB", 0},
  {"of-shrunk", of_shrunk, "p[n] = 0 in a block shrunk by realloc", 0},
  {"of-grown", of_grown, "p[n] = 0 in a block grown by realloc", 0},
  {"then-realloc", then_realloc, "p[n] = 'A', then realloc to more", 0},
  {"then-shrinking-realloc", then_shrinking_realloc, "p[n] = 'A', then realloc to less", 2},
  {"then-sized-free", then_sized_free, "p[n] = 'A', then free_sized", 0},
  {"not-freed", not_freed, "8 bytes past the end of a block that stays alive, while all others go", 0},
  {"nothing-freed", nothing_freed, "n + 64 bytes past the end, and nothing is ever freed", 0},
  {"into-neighbour", into_neighbour, "the first byte of the next live block, nothing between", 0},
  {"through-to-neighbour", through_to_neighbour, "everything up to the first byte of the next live block", 0},
};
const group_t overflow_group = {"overflow", KINDS(kinds)};
