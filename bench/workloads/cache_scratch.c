/* cache_scratch.c - passive false sharing.
 *
 * Follows cache-scratch of "Hoard: A Scalable Memory Allocator for Multithreaded Applications" (Berger,
 * McKinley, Blumofe and Wilson, ASPLOS 2000): the first thread allocates one small object for each worker,
 * so that they may share a cache line. Each worker frees the object it was given and from then on
 * allocates, writes many times, and frees objects of its own. An allocator that gives the pieces of the
 * line back to the threads that freed them makes the workers write into one line all the time.
 */
#include "common.h"

enum { SIZE = 8, WRITES = 1000, SPARE = 8 };

typedef struct work_s {
  unsigned char* object;
  size_t rounds;
  uint64_t sum;
} work_t;

static void* run(void* argument) {
  work_t* w = argument;
  uint64_t sum = w->object[0];
  free(w->object);
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

/* Objects that share a line, as far as the allocator puts neighbours there at all. */
static void hand_out(work_t* work, unsigned threads) {
  unsigned char* objects[BENCH_MAX_THREADS + SPARE];
  unsigned best = 0, most = 0;
  for (unsigned i = 0; i < threads + SPARE; i++) objects[i] = bench_checked(malloc(SIZE));
  for (unsigned i = 0; i <= SPARE; i++) {
    unsigned together = 0;
    uintptr_t line = (uintptr_t)objects[i] / 64;
    for (unsigned t = 0; t < threads; t++) together += (uintptr_t)objects[i + t] / 64 == line;
    if (together > most) {
      most = together;
      best = i;
    }
  }
  for (unsigned i = 0; i < threads + SPARE; i++) {
    if (i < best || i >= best + threads) free(objects[i]);
    else work[i - best].object = objects[i];
  }
}

int main(int argc, char** argv) {
  bench_t bench = bench_arguments(argc, argv);
  work_t* work = bench_checked(calloc(bench.threads, sizeof(*work)));
  hand_out(work, bench.threads);
  for (unsigned t = 0; t < bench.threads; t++) {
    work[t].object[0] = (unsigned char)t;
    work[t].rounds = bench_scaled(&bench, 1200e3);
  }
  bench_threads(bench.threads, run, work, sizeof(*work));
  uint64_t sum = 0;
  for (unsigned t = 0; t < bench.threads; t++) sum = bench_mix(sum, work[t].sum);
  free(work);
  return bench_end(sum);
}
