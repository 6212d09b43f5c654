/* common.h - what all workloads share: arguments, random numbers, threads, the checksum.
 *
 * Every workload is called as  NAME [SCALE [THREADS]]  and does a fixed amount of work: SCALE 1 is 0.5 to
 * 3 s with glibc on a machine of 2020, and everything but the time is the same in each run. It ends with
 * one line, "checksum HEX", made of what it computed and of the contents of its blocks: an allocator
 * that hands out a block twice, loses contents or does not zero is found by a different one.
 * All random numbers come from generators with fixed seeds, one a thread, so that the checksum does not
 * depend on how threads were interleaved.
 */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct bench_s {
  double scale;
  unsigned threads;
} bench_t;

enum { BENCH_MAX_THREADS = 256 };

static inline void bench_fail(const char* what) {
  fprintf(stderr, "failed: %s\n", what);
  exit(3);
}

static inline bench_t bench_arguments(int argc, char** argv) {
  bench_t bench = { 1.0, 2 };
  char* end;
  if (argc > 1) {
    bench.scale = strtod(argv[1], &end);
    int good = *end == 0 && bench.scale > 0 && bench.scale <= 1000;
    if (!good) bench_fail("SCALE is a number above 0, at most 1000");
  }
  if (argc > 2) {
    unsigned long threads = strtoul(argv[2], &end, 10);
    int good = *end == 0 && threads >= 1 && threads <= BENCH_MAX_THREADS;
    if (!good) bench_fail("THREADS is a number from 1 to 256");
    bench.threads = (unsigned)threads;
  }
  return bench;
}

static inline size_t bench_scaled(const bench_t* bench, double count) {
  double n = count * bench->scale;
  return n < 1 ? 1 : (size_t)n;
}

static inline void* bench_checked(void* p) {
  if (__builtin_expect(p == NULL, 0)) bench_fail("out of memory");
  return p;
}

/* Random numbers: xorshift64*, one state a thread. */
typedef struct bench_random_s {
  uint64_t state;
} bench_random_t;

static inline bench_random_t bench_seed(uint64_t seed) {
  bench_random_t r = { (seed + 1) * 0x9E3779B97F4A7C15u };
  return r;
}

static inline uint32_t bench_random(bench_random_t* r) {
  r->state ^= r->state >> 12;
  r->state ^= r->state << 25;
  r->state ^= r->state >> 27;
  return (uint32_t)((r->state * 0x2545F4914F6CDD1Du) >> 32);
}

/* Below `limit`, which is at most 2^32. */
static inline size_t bench_below(bench_random_t* r, size_t limit) {
  return (size_t)(((uint64_t)bench_random(r) * limit) >> 32);
}

static inline uint64_t bench_mix(uint64_t sum, uint64_t value) {
  return (sum ^ value) * 0x100000001B3u + (sum >> 47);
}

static inline void bench_start(pthread_t* thread, void* (*run)(void*), void* argument) {
  if (pthread_create(thread, NULL, run, argument) != 0) bench_fail("no more threads");
}

/* Runs `run` in `count` threads over an array of arguments of `size` bytes each. */
static inline void bench_threads(unsigned count, void* (*run)(void*), void* arguments, size_t size) {
  pthread_t threads[BENCH_MAX_THREADS];
  for (unsigned i = 0; i < count; i++) bench_start(&threads[i], run, (char*)arguments + i * size);
  for (unsigned i = 0; i < count; i++) pthread_join(threads[i], NULL);
}

static inline int bench_end(uint64_t checksum) {
  printf("checksum %016llx\n", (unsigned long long)checksum);
  return 0;
}

#endif
