// Isolation: address ranges are not used again for another bin, while the region has others.
//
// Each slice remembers the bin of the page it was last part of, also while it is free and after its memory went back to
// the OS. A page is made of free slices of its own bin if there are any; else of slices that were never used, of a new
// segment if need be; only when the region is used up of whatever is free, which is counted. Large blocks are one bin,
// those aligned at an offset another. The memory of free slices goes back to the OS as always: what is held on to is
// addresses, of which there are 16 TiB.
//
// Stops: a stale pointer into a page that became empty from meeting blocks of another size: type confusion across sizes.
// Does not stop: reuse within the bin; reuse after the region was used up once.
// Costs: a byte for each slice; a look at them where a page is made. Programs whose sizes change over time use more
// address space, and page tables for it.
//
// Thread rule: under mim_region_lock.
#include "secure.h"

_Static_assert(sizeof(((hook_segment_t*)0)->bin) == SEGMENT_SLICES, "a byte for each slice");

// Rounds of the search.
enum { OF_THE_BIN, OR_NEW, WHATEVER, ROUNDS };

static _Atomic(size_t) given_up;

static bool isolates(void) {
  return (mim_process.hook.mechanisms & SEC_ISOLATE) != 0;
}

unsigned sec_isolate_choices(void) {
  return isolates() ? ROUNDS : 1;
}

bool sec_isolate_adds(unsigned choice) {
  return !isolates() || choice == OR_NEW;
}

const uint64_t* sec_isolate_choose(const hook_segment_t* segment, const uint64_t* free, size_t bin, unsigned choice,
                                   uint64_t* chosen) {
  if (!isolates() || choice == WHATEVER) return free;
  for (size_t word = 0; word < SEGMENT_WORDS; word++) {
    chosen[word] = 0;
    for (uint64_t left = free[word]; left != 0; left &= left - 1) {
      unsigned bit = (unsigned)__builtin_ctzll(left);
      uint8_t last = segment->bin[word * 64 + bit];
      if (last == bin || (last == 0 && choice == OR_NEW)) chosen[word] |= (uint64_t)1 << bit;
    }
  }
  return chosen;
}

void sec_isolate_bind(hook_segment_t* segment, size_t first, size_t slices, size_t bin) {
  if (!isolates()) return;
  bool other = false;
  for (size_t i = first; i < first + slices; i++) {
    if (segment->bin[i] != 0 && segment->bin[i] != bin) other = true;
    segment->bin[i] = (uint8_t)bin;
  }
  if (other) atomic_fetch_add_explicit(&given_up, 1, memory_order_relaxed);
}

size_t sec_isolate_given_up(void) {
  return atomic_load_explicit(&given_up, memory_order_relaxed);
}
