// Fence: the bytes right behind the requested size hold a keyed pattern, checked when the block is freed or resized.
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
// A free also looks at the byte before the block, which is the last one of the block before. That byte is fence from the
// moment the page is extended to the block, whether the block is fresh, live or free, so nothing else has to be known
// of the block before. The first block of a page begins right behind a guard.
//
// Stops: linear overflows, byte-precise, at free; linear underflows, byte-precise, at free.
// Does not stop: a write that jumps over the fence; a byte guessed right (1 in 64 each), copied from the fence of another
// block of the page (1 in 64, or 32), or read beforehand; reads; an overflow of a block that is never freed.
// Costs: at least a byte a block; with wipe.h, whose fast path it shares, some 80 instructions of a pair of malloc and
// free of a small block (docs/performance.md), on the user's last line.
#ifndef SEC_FENCE_H
#define SEC_FENCE_H

#include "entry.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define FENCE_SIZE ((size_t)16)

typedef uint8_t fence_bytes_t __attribute__((vector_size(16)));

// Blocks up to this are the fast paths' (KIND_QUICK).
#define QUICK_MAX 1040  // of requests of 1,024 bytes

// Loading 16 bytes at offset n gives a mask of the last n bytes; of all of them for a larger n, up to QUICK_MAX.
typedef struct fence_window_s {
  uint8_t skip[16];
  uint8_t take[QUICK_MAX];
} fence_window_t;
extern const fence_window_t sec_fence_window;
// A bit for each of 16 bytes, the last the highest: a number with the bits of the last n set is as large as this, or larger.
extern const uint32_t sec_fence_same[FENCE_SIZE + 1];

mim_inline fence_bytes_t fence_load(const void* p) {
  fence_bytes_t bytes;
  __builtin_memcpy(&bytes, p, sizeof(bytes));
  return bytes;
}

typedef uint64_t fence_pair_t __attribute__((vector_size(16)));

mim_inline bool fence_zero(fence_bytes_t bytes) {
#if defined(__SSE2__)
  return _mm_movemask_epi8((__m128i)(bytes == (fence_bytes_t){0})) == 0xFFFF;
#else
  return (((fence_pair_t)bytes)[0] | ((fence_pair_t)bytes)[1]) == 0;
#endif
}

#define FENCE_LOW 0x3F3F3F3F3F3F3F3Fu   // bits of the pattern that come from the key
#define FENCE_HIGH 0x8080808080808080u  // bits that are always set

// What the pattern of a block is made from: linear in the index, so that the one of the block before is one step away.
mim_inline uint64_t fence_mix(const page_t* page, uintptr_t index) {
  return page->hook.fence * (2 * index + 1);
}

mim_inline uint64_t fence_mix_before(const page_t* page, uint64_t mixed) {
  return mixed - 2 * page->hook.fence;
}

mim_inline uint64_t fence_mix_next(const page_t* page, uint64_t mixed) {
  return mixed + 2 * page->hook.fence;
}

mim_inline fence_bytes_t fence_pattern_of(uint64_t mixed) {
  const fence_pair_t low = {FENCE_LOW, FENCE_LOW}, high = {FENCE_HIGH, FENCE_HIGH};
  fence_pair_t both = {mixed, mixed};
#if defined(__SSE2__)
  __asm__("" : "+x"(both));  // two operations with constants in memory, rather than four with constants to be loaded
#endif
  return (fence_bytes_t)((both & low) | high);
}

mim_inline fence_bytes_t fence_pattern(const page_t* page, uintptr_t index) {
  return fence_pattern_of(fence_mix(page, index));
}

// What the last 16 bytes of a free block are: nothing but the last byte of the pattern.
mim_inline fence_bytes_t fence_tail(fence_bytes_t pattern) {
  const fence_pair_t last = {0, (uint64_t)0xFF << 56};
  return pattern & (fence_bytes_t)last;
}

// The last byte of the pattern, and so of a block.
mim_inline uint8_t fence_last_of(uint64_t mixed) {
  return (uint8_t)(((mixed >> 56) & 0x3F) | 0x80);
}

mim_inline uint8_t fence_last(const page_t* page, uintptr_t index) {
  return fence_last_of(fence_mix(page, index));
}

// The last 16 bytes of a block, at `last`, which may be anything (not yet the program's): those that are slack become
// fence, those that are the request's zero.
mim_inline void fence_put(fence_bytes_t pattern, uint8_t* last, size_t slack) {
  fence_bytes_t bytes = pattern & fence_load((const uint8_t*)&sec_fence_window + slack);
  __builtin_memcpy(last, &bytes, sizeof(bytes));
}

// Are those of them that are slack (at most 16) fence?
mim_inline bool fence_is(fence_bytes_t pattern, const uint8_t* last, size_t slack) {
#if defined(__SSE2__)
  unsigned same = (unsigned)_mm_movemask_epi8((__m128i)(fence_load(last) == pattern));
  return same >= sec_fence_same[slack];
#else
  fence_bytes_t difference = (fence_load(last) ^ pattern) & fence_load((const uint8_t*)&sec_fence_window + slack);
  return fence_zero(difference);
#endif
}

// For any slack but 0; `end` is the end of the block. A longer slack has a fence right behind the request, and one at
// the end of the block.
mim_inline void fence_set(fence_bytes_t pattern, uint8_t* end, size_t slack) {
  fence_put(pattern, end - FENCE_SIZE, slack > FENCE_SIZE ? FENCE_SIZE : slack);
  if (slack > FENCE_SIZE) fence_put(pattern, end - slack, FENCE_SIZE);
}

mim_inline bool fence_holds(const page_t* page, uintptr_t index, const uint8_t* end, size_t slack) {
  fence_bytes_t pattern = fence_pattern(page, index);
  if (slack <= FENCE_SIZE) return fence_is(pattern, end - FENCE_SIZE, slack);
  return fence_is(pattern, end - slack, FENCE_SIZE) && end[-1] == pattern[FENCE_SIZE - 1];
}

// Sets the fence of a block that the program already uses: leaves the request's bytes as they are, and does not write the
// last byte where it is fence already, as the owner of the page may be looking at it meanwhile.
mim_inline void fence_reset(const page_t* page, uintptr_t index, uint8_t* end, size_t slack) {
  fence_bytes_t pattern = fence_pattern(page, index);
  uint8_t* at = end - FENCE_SIZE;
  fence_bytes_t mask = fence_load((const uint8_t*)&sec_fence_window + (slack > FENCE_SIZE ? FENCE_SIZE : slack));
  fence_bytes_t bytes = (fence_load(at) & ~mask) | (pattern & mask);
  uint64_t low = ((fence_pair_t)bytes)[0], high = ((fence_pair_t)bytes)[1];
  uint64_t middle = low >> 56 | high << 8;  // bytes 7 to 14
  __builtin_memcpy(at, &low, sizeof(low));
  __builtin_memcpy(at + 7, &middle, sizeof(middle));
  if (end[-1] != bytes[FENCE_SIZE - 1]) end[-1] = bytes[FENCE_SIZE - 1];
  if (slack > FENCE_SIZE) fence_put(pattern, end - slack, FENCE_SIZE);
}

#endif
