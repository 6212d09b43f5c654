// Sets of slices: bits of words, of any number.
#ifndef MIM_BITS_H
#define MIM_BITS_H

#include "base.h"

mim_inline bool bit_get(const uint64_t* words, size_t i) {
  return (words[i / 64] >> (i % 64)) & 1;
}

mim_inline void bits_change(uint64_t* words, size_t first, size_t count, bool set) {
  while (count > 0) {
    size_t shift = first % 64;
    size_t here = min_size(64 - shift, count);
    uint64_t mask = (here == 64 ? ~(uint64_t)0 : (((uint64_t)1 << here) - 1)) << shift;
    if (set) {
      words[first / 64] |= mask;
    } else {
      words[first / 64] &= ~mask;
    }
    first += here;
    count -= here;
  }
}

// The first bit in [from, end) that is `set`; `end` when there is none.
mim_inline size_t bits_find(const uint64_t* words, size_t from, size_t end, bool set) {
  for (size_t at = from; at < end; at = align_down(at, 64) + 64) {
    uint64_t bits = (set ? words[at / 64] : ~words[at / 64]) & (~(uint64_t)0 << (at % 64));
    if (bits != 0) return min_size(align_down(at, 64) + (size_t)__builtin_ctzll(bits), end);
  }
  return end;
}

mim_inline bool bits_any(const uint64_t* words, size_t first, size_t count) {
  return bits_find(words, first, first + count, true) < first + count;
}

mim_inline bool bits_all(const uint64_t* words, size_t first, size_t count) {
  return bits_find(words, first, first + count, false) == first + count;
}

#endif
