// Wipe: a freed block is zeroed at once, and verified to be still zero when it is handed out again.
//
// Stops: reads of stale data (after free, or in a new block that was not initialised); notices a write after free to
// any byte of the block, at reuse. calloc of such a block needs no clearing.
// Does not stop: a write after free to a block that is never handed out again, also as its page was given up; a write of
// zeroes.
// Costs: about a store and a load a 16 bytes, up to the profile's limit (blocks above it are left alone), on lines
// that the program has just used or is about to use.
#ifndef SEC_WIPE_H
#define SEC_WIPE_H

#include "fence.h"

typedef uint64_t wipe_word_t __attribute__((vector_size(16), aligned(16)));

// Both take a size that is a multiple of 16, p aligned to 16, and what the last 16 bytes are to be: zero, but for a last
// byte that is fence (fence.h). Sizes come in no order that a branch could predict, and a wrong guess costs more than
// wiping: instead of a loop of the right length there are a few tiers, in which accesses counted from the start and
// from the end of the block overlap.
#define WIPE_TIER_1 ((size_t)2 * 16)
#define WIPE_TIER_2 ((size_t)5 * 16)
#define WIPE_TIER_3 ((size_t)11 * 16)

mim_inline void wipe_between(wipe_word_t* word, wipe_word_t* end, size_t size) {
  const wipe_word_t zero = {0, 0};
  if (size <= WIPE_TIER_1) return;
  word[1] = end[-3] = end[-2] = zero;
  if (size <= WIPE_TIER_2) return;
  word[2] = word[3] = word[4] = end[-6] = end[-5] = end[-4] = zero;
  for (; mim_unlikely(size > WIPE_TIER_3); size -= 64) {
    word += 4;
    word[1] = word[2] = word[3] = word[4] = zero;
    __asm__("" : "+r"(word));  // keeps the compiler from turning the loop into a call of memset
  }
}

mim_inline void wipe_bytes(void* p, size_t size, fence_bytes_t last) {
  wipe_word_t* word = (wipe_word_t*)p;
  wipe_word_t* end = (wipe_word_t*)((uint8_t*)p + size);
  word[0] = (wipe_word_t){0, 0};
  end[-1] = (wipe_word_t)last;
  wipe_between(word, end, size);
}

// For a thread that does not own the page: all but the last byte, which stays what it is, as the owner may be looking
// at it meanwhile. Of blocks of two words at least.
#define WIPE_BUT_LAST_MIN ((size_t)2 * 16)

mim_inline void wipe_but_last(void* p, size_t size) {
  wipe_word_t* word = (wipe_word_t*)p;
  uint8_t* end = (uint8_t*)p + size;
  const uint64_t zero = 0;
  word[0] = (wipe_word_t){0, 0};
  __builtin_memcpy(end - 16, &zero, sizeof(zero));
  __builtin_memcpy(end - 1 - sizeof(zero), &zero, sizeof(zero));
  wipe_between(word, (wipe_word_t*)end, size);
}

mim_inline bool wipe_holds(const void* p, size_t size, fence_bytes_t last) {
  const wipe_word_t* word = (const wipe_word_t*)p;
  const wipe_word_t* end = (const wipe_word_t*)((const uint8_t*)p + size);
  wipe_word_t seen = end[-1] ^ (wipe_word_t)last;
  if (size <= WIPE_TIER_1) {
    if (size == WIPE_TIER_1) seen |= word[0];
  } else {
    seen |= (word[0] | word[1]) | (end[-3] | end[-2]);
    if (size > WIPE_TIER_2) {
      seen |= (word[2] | word[3]) | (word[4] | end[-6]) | (end[-5] | end[-4]);
      end -= WIPE_TIER_3 / sizeof(*end);
      while (mim_unlikely(word < end)) {
        word += 4;
        seen |= (word[1] | word[2]) | (word[3] | word[4]);
      }
    }
  }
  return fence_zero((fence_bytes_t)seen);
}

#endif
