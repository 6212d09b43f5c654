// Fence: the bytes right behind the requested size hold a keyed pattern, checked when the block is freed, resized or
// asked about.
//
//   block                                            block, slack below 16 bytes
//   +------------------+----------------+-----+      +---------------------------+---------+
//   | request          | fence, 16 bytes| ... |      | request                   | fence   |
//   +------------------+----------------+-----+      +---------------------------+---------+
//
// At least one byte (every bin leaves room for it), at most 16. The pattern is made from a key of the page and the
// index of the block, so that copying too much from one block into another does not go unnoticed. Each byte is
// 0x80..0xBF: never zero (the off-by-one terminator), never ASCII, never 0xFF, so those overwrites are noticed always.
//
// A free also looks at the byte before the block: the last one of the block before, which is fence if that is live, and
// zero if it is free (and freed blocks are wiped). The first block of a page begins right behind a guard.
//
// Stops: linear overflows, byte-precise, at free; linear underflows, byte-precise, at free.
// Does not stop: a write that jumps over the fence; a byte guessed right (1 in 64 each), or read beforehand; reads.
// Costs: about ten instructions on the user's last line at malloc, and fifteen at free.
#ifndef SEC_FENCE_H
#define SEC_FENCE_H

#include "entry.h"

#define FENCE_SIZE ((size_t)16)

typedef uint8_t fence_bytes_t __attribute__((vector_size(16)));

// 16 zero bytes and 16 of each mask: loading at offset n gives a mask of the last n bytes.
typedef struct fence_window_s {
  uint8_t skip[16];
  uint8_t take[16];
} fence_window_t;
extern const fence_window_t sec_fence_window;

mim_inline fence_bytes_t fence_load(const void* p) {
  fence_bytes_t bytes;
  __builtin_memcpy(&bytes, p, sizeof(bytes));
  return bytes;
}

typedef uint64_t fence_pair_t __attribute__((vector_size(16)));

// Eight bytes of a block's pattern; the other eight are the same.
mim_inline uint64_t fence_word(const page_t* page, uintptr_t index) {
  uint64_t mixed = page->hook.fence * (2 * index + 1);
  return (mixed & 0x3F3F3F3F3F3F3F3Fu) | 0x8080808080808080u;
}

mim_inline fence_bytes_t fence_pattern(const page_t* page, uintptr_t index) {
  uint64_t word = fence_word(page, index);
  return (fence_bytes_t)(fence_pair_t){word, word};
}

// The last byte of the pattern, and so of a live block.
mim_inline uint8_t fence_last(const page_t* page, uintptr_t index) {
  return (uint8_t)(fence_word(page, index) >> 56);
}

// The fence of a slack of 1..16 bytes: `last` is the address of the last 16 bytes of the block, which may be anything
// (not yet the program's): those that are the request's are set to zero on the way.
mim_inline void fence_set_short(const page_t* page, uintptr_t index, uint8_t* last, size_t slack) {
  fence_bytes_t bytes = fence_pattern(page, index) & fence_load((const uint8_t*)&sec_fence_window + slack);
  __builtin_memcpy(last, &bytes, sizeof(bytes));
}

mim_inline bool fence_holds_short(const page_t* page, uintptr_t index, const uint8_t* last, size_t slack) {
  fence_bytes_t difference = (fence_load(last) ^ fence_pattern(page, index)) &
                             fence_load((const uint8_t*)&sec_fence_window + slack);
  return (((fence_pair_t)difference)[0] | ((fence_pair_t)difference)[1]) == 0;
}

// For any slack but 0; `end` is the end of the block. A longer slack has a fence right behind the request, and one at
// the end of the block.
mim_inline void fence_set(const page_t* page, uintptr_t index, uint8_t* end, size_t slack) {
  size_t width = slack > FENCE_SIZE ? FENCE_SIZE : slack;
  if (slack > FENCE_SIZE) fence_set_short(page, index, end - slack, FENCE_SIZE);
  fence_set_short(page, index, end - FENCE_SIZE, width);
  if (slack > FENCE_SIZE && slack < 2 * FENCE_SIZE) fence_set_short(page, index, end - slack, FENCE_SIZE);
}

mim_inline bool fence_holds(const page_t* page, uintptr_t index, const uint8_t* end, size_t slack) {
  if (slack <= FENCE_SIZE) return fence_holds_short(page, index, end - FENCE_SIZE, slack);
  return fence_holds_short(page, index, end - slack, FENCE_SIZE) && end[-1] == fence_last(page, index);
}

// Is the byte before a block what the block before it should have there? The last byte of a live block is fence. That
// of a free one is zero if freed blocks are wiped: then whether it is live is nothing a branch could predict, so there
// is none. If they are not, it mostly still is fence, or was never used.
mim_inline bool fence_holds_before(const page_t* page, uintptr_t index, const void* p) {
  unsigned found = __atomic_load_n((const uint8_t*)p - 1, __ATOMIC_RELAXED);
  unsigned state = state_get(page, index - 1);
  if (mim_likely(page->kind & KIND_WIPE)) return found == (fence_last(page, index - 1) & (0u - (state >> 15)));
  return found == fence_last(page, index - 1) || !state_is_live((uint16_t)state);
}

// Sets the fence of a block that the program already uses: leaves the request's bytes alone. The owner may be looking at
// the last byte meanwhile (fence_holds_before).
mim_inline void fence_reset(const page_t* page, uintptr_t index, uint8_t* end, size_t slack) {
  uint8_t* at = end - FENCE_SIZE;
  fence_bytes_t mask = fence_load((const uint8_t*)&sec_fence_window + (slack < FENCE_SIZE ? slack : FENCE_SIZE));
  fence_bytes_t bytes = (fence_load(at) & ~mask) | (fence_pattern(page, index) & mask);
  __builtin_memcpy(at, &bytes, sizeof(bytes) - 1);
  __atomic_store_n(end - 1, bytes[FENCE_SIZE - 1], __ATOMIC_RELAXED);
  if (slack > FENCE_SIZE) fence_set_short(page, index, end - slack, FENCE_SIZE);
}

#endif
