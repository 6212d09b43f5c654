/* large.c - blocks of megabytes.
 *
 * In the way of the test malloc-large of the mimalloc report's suite: twenty blocks of 5 to 25 MiB are
 * alive; one at random is freed and replaced, all the time. The first word of every 4 KiB is written, as
 * a program does that reads a picture or a table into such a block. An allocator that gives large blocks
 * back to the system at once pays with page faults, one that keeps them pays with memory.
 */
#include "common.h"

enum { LIVE = 20, LOW = 5 << 20, HIGH = 25 << 20, STRIDE = 4096 / sizeof(uint64_t) };

int main(int argc, char** argv) {
  bench_t bench = bench_arguments(argc, argv);
  bench_random_t random = bench_seed(51);
  uint64_t* blocks[LIVE] = { NULL };
  size_t words[LIVE] = { 0 };
  uint64_t sum = 0;
  size_t operations = bench_scaled(&bench, 400);
  for (size_t n = 0; n < operations; n++) {
    size_t i = bench_below(&random, LIVE);
    for (size_t k = 0; k < words[i]; k += STRIDE) sum += blocks[i][k];
    free(blocks[i]);
    words[i] = (LOW + bench_below(&random, HIGH - LOW)) / sizeof(uint64_t);
    blocks[i] = bench_checked(malloc(words[i] * sizeof(uint64_t)));
    for (size_t k = 0; k < words[i]; k += STRIDE) blocks[i][k] = n + k;
  }
  for (size_t i = 0; i < LIVE; i++) free(blocks[i]);
  return bench_end(sum);
}
