/* calloc.c - blocks that must be zero.
 *
 * Object systems and the kernels of numeric libraries allocate zeroed memory for nearly everything. Slots
 * are replaced at random by calloc, sizes from 16 bytes to a megabyte, mostly small; a block is checked
 * to be zero, all of it when small, a word in each KiB when large, and written before it is freed, so
 * that memory that comes back is dirty. An allocator that knows which memory is zero already saves the
 * second writing; one that is wrong about it is found here.
 */
#include "common.h"

enum { SLOTS = 4096, SMALL_WORDS = 64 };

typedef struct slot_s {
  uint64_t* words;
  size_t count;
} slot_t;

static size_t draw_words(bench_random_t* random) {
  size_t kind = bench_below(random, 1000);
  if (kind < 900) return 2 + bench_below(random, 62);
  if (kind < 985) return 64 + bench_below(random, 960);
  if (kind < 999) return 1024 + bench_below(random, 15 * 1024);
  return 16 * 1024 + bench_below(random, 112 * 1024);
}

static size_t stride_of(size_t count) { return count <= SMALL_WORDS ? 1 : 128; }

int main(int argc, char** argv) {
  bench_t bench = bench_arguments(argc, argv);
  bench_random_t random = bench_seed(71);
  slot_t* slots = bench_checked(calloc(SLOTS, sizeof(slot_t)));
  uint64_t sum = 0;
  size_t operations = bench_scaled(&bench, 4e6);
  for (size_t n = 0; n < operations; n++) {
    slot_t* slot = &slots[bench_below(&random, SLOTS)];
    for (size_t i = 0; i < slot->count; i += stride_of(slot->count)) sum += slot->words[i];
    free(slot->words);
    slot->count = draw_words(&random);
    slot->words = bench_checked(calloc(slot->count, sizeof(uint64_t)));
    uint64_t any = slot->words[slot->count - 1];
    for (size_t i = 0; i < slot->count; i += stride_of(slot->count)) {
      any |= slot->words[i];
      slot->words[i] = n + i;
    }
    slot->words[slot->count - 1] = n;
    if (any != 0) bench_fail("calloc returned memory that is not zero");
  }
  for (size_t i = 0; i < SLOTS; i++) free(slots[i].words);
  free(slots);
  return bench_end(sum);
}
