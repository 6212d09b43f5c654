/* cache_thrash.c - active false sharing.
 *
 * Follows cache-thrash of "Hoard: A Scalable Memory Allocator for Multithreaded Applications" (Berger,
 * McKinley, Blumofe and Wilson, ASPLOS 2000): threads allocate a small object, write it many times and
 * free it, nothing else. An allocator that hands neighbouring pieces of one cache line to different
 * threads makes them wait for the line. Without sharing the time is that of the writes.
 */
#include "common.h"

enum { SIZE = 8, WRITES = 1000 };

typedef struct work_s {
  size_t rounds;
  uint64_t sum;
} work_t;

static void* run(void* argument) {
  work_t* w = argument;
  uint64_t sum = 0;
  for (size_t n = 0; n < w->rounds; n++) {
    volatile unsigned char* p = bench_checked(malloc(SIZE));
    for (size_t k = 0; k < SIZE; k++) p[k] = (unsigned char)n;
    for (size_t i = 0; i < WRITES; i++) p[i % SIZE] = (unsigned char)(p[i % SIZE] + 1);
    sum += p[n % SIZE];
    free((void*)p);
  }
  w->sum = sum;
  return NULL;
}

int main(int argc, char** argv) {
  bench_t bench = bench_arguments(argc, argv);
  work_t* work = bench_checked(calloc(bench.threads, sizeof(*work)));
  for (unsigned t = 0; t < bench.threads; t++) work[t].rounds = bench_scaled(&bench, 1200e3);
  bench_threads(bench.threads, run, work, sizeof(*work));
  uint64_t sum = 0;
  for (unsigned t = 0; t < bench.threads; t++) sum = bench_mix(sum, work[t].sum);
  free(work);
  return bench_end(sum);
}
