// Wipe: a freed block is zeroed at once, and verified to be still zero when it is handed out again.
//
// Stops: reads of stale data (after free, or in a new block that was not initialised); notices a write after free to
// any byte of the block, at reuse. calloc of such a block needs no clearing.
// Does not stop: a write after free to a block that is never handed out again; a write of zeroes.
// Costs: about a store and a load a 16 bytes, up to the profile's limit (blocks above it are left alone), on lines
// that the program has just used or is about to use.
#ifndef SEC_WIPE_H
#define SEC_WIPE_H

#include "entry.h"

typedef uint64_t wipe_word_t __attribute__((vector_size(16), aligned(16)));

// size is a multiple of 16, p aligned to 16.
mim_inline void wipe_bytes(void* p, size_t size) {
  wipe_word_t* word = (wipe_word_t*)p;
  wipe_word_t* end = (wipe_word_t*)((uint8_t*)p + size);
  do {
    *word++ = (wipe_word_t){0, 0};
    __asm__("" : "+r"(word));  // keeps the compiler from turning the loop into a call of memset
  } while (word < end);
}

mim_inline bool wipe_holds(const void* p, size_t size) {
  const wipe_word_t* word = (const wipe_word_t*)p;
  const wipe_word_t* end = (const wipe_word_t*)((const uint8_t*)p + size);
  wipe_word_t seen = {0, 0};
  while ((const uint8_t*)end - (const uint8_t*)word >= 64) {
    seen |= (word[0] | word[1]) | (word[2] | word[3]);
    word += 4;
  }
  while (word < end) seen |= *word++;
  return (seen[0] | seen[1]) == 0;
}

#endif
