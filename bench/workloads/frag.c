/* frag.c - what stays behind when a program changes its sizes.
 *
 * After the phase-changing synthetic programs of "Dynamic Storage Allocation: A Survey and Critical
 * Review" (Wilson, Johnstone, Neely and Boles, IWMM 1995) and the fragmentation test of Robson's bounds:
 * a program fills memory with blocks of one range of sizes, frees a random nine tenths of them, fills up
 * with blocks of the next range, and so on, and starts again. All blocks are written. The amount that is
 * alive never passes 64 MiB; the peak resident memory over that is fragmentation, the time is mostly
 * that of fresh pages and of their way back to the system.
 */
#include "common.h"

enum { BUDGET = 64 << 20, LOW = 16, MAX_BLOCKS = BUDGET / LOW };

/* A block begins with its size and is filled with the low byte of it. */
static unsigned char** blocks;
static size_t count, alive;
static uint64_t sum;

static void fill(bench_random_t* random, size_t low, size_t high) {
  for (;;) {
    uint32_t size = (uint32_t)(low + bench_below(random, high - low + 1));
    if (alive + size > BUDGET || count == MAX_BLOCKS) return;
    unsigned char* p = bench_checked(malloc(size));
    memset(p, (int)(size & 0xFF), size);
    memcpy(p, &size, sizeof(size));
    blocks[count++] = p;
    alive += size;
  }
}

static void thin(bench_random_t* random, size_t keep_one_of) {
  size_t kept = 0;
  for (size_t i = 0; i < count; i++) {
    unsigned char* p = blocks[i];
    if (keep_one_of != 0 && bench_below(random, keep_one_of) == 0) {
      blocks[kept++] = p;
      continue;
    }
    uint32_t size;
    memcpy(&size, p, sizeof(size));
    int intact = size >= LOW && size <= BUDGET && p[size - 1] == (size & 0xFF);
    if (!intact) bench_fail("contents of a block changed");
    sum += p[size / 2];
    alive -= size;
    free(p);
  }
  count = kept;
}

int main(int argc, char** argv) {
  static const size_t ranges[][2] = { { LOW, 64 }, { 100, 400 }, { 32, 1000 }, { 2000, 9000 }, { 16, 128 },
                                      { 20000, 200000 }, { 200, 3000 } };
  bench_t bench = bench_arguments(argc, argv);
  bench_random_t random = bench_seed(1995);
  size_t cycles = bench_scaled(&bench, 3);
  blocks = bench_checked(malloc(MAX_BLOCKS * sizeof(*blocks)));
  for (size_t cycle = 0; cycle < cycles; cycle++) {
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
      fill(&random, ranges[i][0], ranges[i][1]);
      thin(&random, 10);
    }
    thin(&random, 0);
  }
  free(blocks);
  return bench_end(sum);
}
