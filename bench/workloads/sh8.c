/* sh8.c - blocks that migrate from thread to thread before they are freed.
 *
 * In the way of MicroQuill's sh8bench as allocator papers describe it: sh6's batches, but every thread
 * leaves what it keeps of a round in an exchange, takes what another thread left there, and frees that,
 * in reverse order, in order or scattered. So about half of all frees are of blocks of other threads.
 */
#include "common.h"
#include <stdatomic.h>

enum { BATCH = 2048, PLACES = 16 };

typedef struct batch_s {
  uint64_t sum;                    // what the first bytes add up to
  unsigned char* blocks[BATCH];
} batch_t;

typedef struct work_s {
  bench_random_t random;
  size_t rounds;
  uint64_t sum;
} work_t;

static _Atomic(batch_t*) exchange[PLACES];

static batch_t* fill(work_t* w) {
  batch_t* batch = bench_checked(malloc(sizeof(*batch)));
  batch->sum = 0;
  for (size_t i = 0; i < BATCH; i++) {
    size_t size = 16 + bench_below(&w->random, i % 8 == 0 ? 1000 : 240);
    unsigned char* p = bench_checked(malloc(size));
    p[0] = (unsigned char)size;
    batch->sum += p[0];
    batch->blocks[i] = p;
  }
  w->sum += batch->sum;
  return batch;
}

/* Sixty-four apart covers all of the batch, out of order; so do the two runs. */
static void empty(batch_t* batch, size_t order) {
  uint64_t sum = 0;
  for (size_t n = 0; n < BATCH; n++) {
    size_t i = order == 0 ? BATCH - 1 - n : order == 1 ? n : (n * 65) % BATCH;
    sum += batch->blocks[i][0];
    free(batch->blocks[i]);
  }
  if (sum != batch->sum) bench_fail("contents of a block changed");
  free(batch);
}

static void* run(void* argument) {
  work_t* w = argument;
  for (size_t round = 0; round < w->rounds; round++) {
    batch_t* own = fill(w);
    batch_t* kept = fill(w);
    size_t place = bench_below(&w->random, PLACES);
    batch_t* other = atomic_exchange(&exchange[place], kept);
    empty(own, round % 3);
    if (other != NULL) empty(other, (round + 1) % 3);
  }
  return NULL;
}

int main(int argc, char** argv) {
  bench_t bench = bench_arguments(argc, argv);
  work_t* work = bench_checked(calloc(bench.threads, sizeof(*work)));
  for (unsigned t = 0; t < bench.threads; t++) {
    work[t].random = bench_seed(t + 21);
    work[t].rounds = bench_scaled(&bench, 2500);
  }
  bench_threads(bench.threads, run, work, sizeof(*work));
  uint64_t sum = 0;
  for (unsigned t = 0; t < bench.threads; t++) sum = bench_mix(sum, work[t].sum);
  for (size_t i = 0; i < PLACES; i++) {
    batch_t* left = atomic_load(&exchange[i]);
    if (left != NULL) empty(left, 1);
  }
  free(work);
  return bench_end(sum);
}
