/* simple.c - runs of equal blocks, one thread: glibc-simple.
 *
 * Follows the description of bench-malloc-simple in glibc's benchtests: for a size, a number of blocks is
 * allocated one after the other and then freed in the same order, over and over, with 25, 100, 400 and
 * 1,600 blocks, so that caches of a few free blocks help less and less. Sizes from 16 to 4,096 bytes.
 * Nothing but malloc and free, and one block behind each first run that stays, as something always does in
 * a program: without it this would be a test of giving the end of the heap back to the system.
 */
#include "common.h"

int main(int argc, char** argv) {
  static const size_t sizes[] = { 16, 32, 64, 128, 256, 512, 1024, 2048, 4096 };
  static const size_t counts[] = { 25, 100, 400, 1600 };
  static unsigned char* blocks[1600];
  bench_t bench = bench_arguments(argc, argv);
  size_t pairs = bench_scaled(&bench, 2e6);
  uint64_t sum = 0;
  for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
    for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
      for (size_t i = 0; i < counts[c]; i++) blocks[i] = bench_checked(malloc(sizes[s]));
      void* behind = bench_checked(malloc(sizes[s]));
      for (size_t i = 0; i < counts[c]; i++) free(blocks[i]);
      for (size_t done = 0; done < pairs; done += counts[c]) {
        for (size_t i = 0; i < counts[c]; i++) blocks[i] = bench_checked(malloc(sizes[s]));
        blocks[done % counts[c]][0] = (unsigned char)s;
        sum += blocks[done % counts[c]][0];
        for (size_t i = 0; i < counts[c]; i++) free(blocks[i]);
      }
      free(behind);
    }
  }
  return bench_end(sum);
}
