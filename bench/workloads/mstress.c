/* mstress.c - a server-like mix with migrating objects and threads that come and go.
 *
 * Follows the description of mstress in "Mimalloc: Free List Sharding in Action" (Leijen, Zorn and de
 * Moura, MSR-TR-2019-18): threads allocate objects of exponentially distributed sizes, keep some for
 * long, free others soon, and swap some with other threads through a shared array, so that objects are
 * freed by threads that did not allocate them, often after their own thread has ended; all threads end
 * and start anew many times. Every word of an object carries a value that is checked when it is freed.
 */
#include "common.h"
#include <stdatomic.h>

enum { TRANSFERS = 1000, RETAINED = 4000, SWAP_EVERY = 16 };

typedef struct object_s {
  size_t words;
  uint64_t values[];
} object_t;

typedef struct work_s {
  size_t id;
  size_t operations;
  uint64_t sum;
} work_t;

static _Atomic(object_t*) transfers[TRANSFERS];

static object_t* object_new(bench_random_t* random, uint64_t* sum) {
  size_t words = 1 + bench_below(random, 16);
  while (bench_below(random, 4) == 0 && words < 16000) words *= 2 + bench_below(random, 2);
  object_t* object = bench_checked(malloc(sizeof(object_t) + words * sizeof(uint64_t)));
  object->words = words;
  for (size_t i = 0; i < words; i++) object->values[i] = words ^ i;
  *sum += words;
  return object;
}

static void object_free(object_t* object) {
  if (object == NULL) return;
  for (size_t i = 0; i < object->words; i++) {
    if (object->values[i] != (object->words ^ i)) bench_fail("contents of a block changed");
  }
  free(object);
}

static void* run(void* argument) {
  work_t* w = argument;
  bench_random_t random = bench_seed(w->id + 41);
  object_t** retained = bench_checked(calloc(RETAINED, sizeof(object_t*)));
  for (size_t n = 0; n < w->operations; n++) {
    size_t i = bench_below(&random, RETAINED);
    if (bench_below(&random, 4) == 0) {
      object_t* old = retained[i];
      retained[i] = object_new(&random, &w->sum);
      object_free(old);
    } else {
      object_free(object_new(&random, &w->sum));
    }
    if (n % SWAP_EVERY == 0) {
      size_t place = bench_below(&random, TRANSFERS);
      retained[i] = atomic_exchange(&transfers[place], retained[i]);
    }
  }
  for (size_t i = 0; i < RETAINED; i++) {
    if (i % 8 == 0) retained[i] = atomic_exchange(&transfers[i % TRANSFERS], retained[i]);
    object_free(retained[i]);
  }
  free(retained);
  return NULL;
}

int main(int argc, char** argv) {
  bench_t bench = bench_arguments(argc, argv);
  uint64_t sum = 0;
  size_t generations = bench_scaled(&bench, 200);
  work_t* work = bench_checked(calloc(bench.threads, sizeof(*work)));
  for (size_t g = 0; g < generations; g++) {
    for (unsigned t = 0; t < bench.threads; t++) {
      work[t] = (work_t){ .id = g * bench.threads + t, .operations = 40000, .sum = 0 };
    }
    bench_threads(bench.threads, run, work, sizeof(*work));
    for (unsigned t = 0; t < bench.threads; t++) sum = bench_mix(sum, work[t].sum);
  }
  for (size_t i = 0; i < TRANSFERS; i++) object_free(atomic_load(&transfers[i]));
  free(work);
  return bench_end(sum);
}
