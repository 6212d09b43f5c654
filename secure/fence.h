// Fence: the bytes right behind the requested size hold a keyed pattern, checked when the block is freed, resized or
// asked about.
//
//   block                                            block, slack below 16 bytes
//   +------------------+----------------+-----+      +---------------------------+---------+
//   | request          | fence, 16 bytes| ... |      | request                   | fence   |
//   +------------------+----------------+-----+      +---------------------------+---------+
//
// At least one byte (every bin leaves room for it), at most 16. The pattern is drawn from a key of the page and the
// index of the block, so that one that leaks forges no other. Each byte is 0x80..0xBF: never zero (the off-by-one
// terminator), never ASCII, never 0xFF, so those overwrites are noticed always.
//
// Stops: linear overflows, byte-precise, at free; underflows of a block into the one before, when that one is freed.
// Does not stop: a write that jumps over the fence; a byte guessed right (1 in 64 each); reads.
// Costs: one multiplication and a few vector operations on the user's last line, at malloc and at free.
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
extern const fence_window_t sec_window_mask;  // 0xFF
extern const fence_window_t sec_window_bits;  // 0x3F
extern const fence_window_t sec_window_high;  // 0x80

mim_inline fence_bytes_t fence_load(const void* p) {
  fence_bytes_t bytes;
  __builtin_memcpy(&bytes, p, sizeof(bytes));
  return bytes;
}

mim_inline fence_bytes_t fence_pattern(const page_t* page, uintptr_t index, size_t width) {
  unsigned __int128 product = (unsigned __int128)page->hook.fence * (uint64_t)(index + 0x9E3779B97F4A7C15u);
  uint64_t mixed = (uint64_t)product ^ (uint64_t)(product >> 64);
  typedef uint64_t pair_t __attribute__((vector_size(16)));
  fence_bytes_t bytes = (fence_bytes_t)(pair_t){mixed, mixed};
  return (bytes & fence_load((const uint8_t*)&sec_window_bits + width)) |
         fence_load((const uint8_t*)&sec_window_high + width);
}

// `end` is the end of the block. The block's other bytes may be anything (not yet the program's): with a slack below
// 16 the last bytes of the request are set to zero on the way.
mim_inline void fence_set(const page_t* page, uintptr_t index, uint8_t* end, size_t slack) {
  size_t width = slack;
  uint8_t* at = end - FENCE_SIZE;
  if (mim_unlikely(slack > FENCE_SIZE)) {
    width = FENCE_SIZE;
    at = end - slack;
  }
  fence_bytes_t bytes = fence_pattern(page, index, width);
  __builtin_memcpy(at, &bytes, sizeof(bytes));
}

// The same for a block that the program already uses: leaves the request's bytes alone.
mim_inline void fence_reset(const page_t* page, uintptr_t index, uint8_t* end, size_t slack) {
  size_t width = slack > FENCE_SIZE ? FENCE_SIZE : slack;
  uint8_t* at = end - (slack > FENCE_SIZE ? slack : FENCE_SIZE);
  fence_bytes_t old = fence_load(at) & ~fence_load((const uint8_t*)&sec_window_mask + width);
  fence_bytes_t bytes = fence_pattern(page, index, width) | old;
  __builtin_memcpy(at, &bytes, sizeof(bytes));
}

mim_inline bool fence_holds(const page_t* page, uintptr_t index, const uint8_t* end, size_t slack) {
  size_t width = slack;
  const uint8_t* at = end - FENCE_SIZE;
  if (mim_unlikely(slack > FENCE_SIZE)) {
    width = FENCE_SIZE;
    at = end - slack;
  }
  fence_bytes_t found = fence_load(at) & fence_load((const uint8_t*)&sec_window_mask + width);
  fence_bytes_t wanted = fence_pattern(page, index, width);
  typedef uint64_t pair_t __attribute__((vector_size(16)));
  pair_t difference = (pair_t)(found ^ wanted);
  return (difference[0] | difference[1]) == 0;
}

#endif
