/* thread.c - random replacement in every thread: glibc-thread.
 *
 * Follows the description of bench-malloc-thread in glibc's benchtests: each thread keeps 1,024 blocks and
 * replaces one at random all the time; sizes run from 4 to 32,768 bytes with a probability that falls with
 * the square of the size, so that most blocks are small and a few are large. Threads share nothing.
 */
#include "common.h"

enum { BLOCKS = 1024, LOW = 4, HIGH = 32768, SIZES = 65536 };

typedef struct work_s {
  bench_random_t random;
  size_t operations;
  uint64_t sum;
} work_t;

static uint16_t sizes[SIZES];

/* Inverse transform of the density 1/x^2 between LOW and HIGH. */
static void prepare(void) {
  for (size_t i = 0; i < SIZES; i++) {
    double u = ((double)i + 0.5) / SIZES;
    sizes[i] = (uint16_t)(1.0 / (1.0 / LOW - u * (1.0 / LOW - 1.0 / HIGH)));
  }
}

static void* run(void* argument) {
  work_t* w = argument;
  unsigned char** blocks = bench_checked(calloc(BLOCKS, sizeof(unsigned char*)));
  for (size_t n = 0; n < w->operations; n++) {
    uint32_t r = bench_random(&w->random);
    size_t i = r % BLOCKS;
    if (blocks[i] != NULL) w->sum += blocks[i][0];
    free(blocks[i]);
    blocks[i] = bench_checked(malloc(sizes[r >> 16]));
    blocks[i][0] = (unsigned char)n;
  }
  for (size_t i = 0; i < BLOCKS; i++) free(blocks[i]);
  free(blocks);
  return NULL;
}

int main(int argc, char** argv) {
  bench_t bench = bench_arguments(argc, argv);
  work_t* work = bench_checked(calloc(bench.threads, sizeof(*work)));
  prepare();
  for (unsigned t = 0; t < bench.threads; t++) {
    work[t].random = bench_seed(t + 81);
    work[t].operations = bench_scaled(&bench, 20e6);
  }
  bench_threads(bench.threads, run, work, sizeof(*work));
  uint64_t sum = 0;
  for (unsigned t = 0; t < bench.threads; t++) sum = bench_mix(sum, work[t].sum);
  free(work);
  return bench_end(sum);
}
