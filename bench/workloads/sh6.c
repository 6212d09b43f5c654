/* sh6.c - batches of small blocks, freed in reverse, in order and out of order.
 *
 * In the way of MicroQuill's sh6bench ("SmartHeap benchmark", 1996) as allocator papers describe it: each
 * round allocates a batch for every size from small to large, the smaller the more of them, and frees
 * part of what is alive: the newest third in reverse order, the oldest in the order of allocation, or
 * every second one; what is left over stays for the following rounds. The classic stress for caches of
 * free blocks that expect reverse order only. Each thread works by itself.
 */
#include "common.h"

enum { LOW = 16, HIGH = 1000, STEP = 24, KEEP = 30000 };

typedef struct work_s {
  unsigned char* live[KEEP * 2];
  size_t count;
  size_t rounds;
  uint64_t sum;
} work_t;

static void release(work_t* w, size_t i) {
  w->sum += w->live[i][0];
  free(w->live[i]);
  w->live[i] = NULL;
}

static void pack(work_t* w) {
  size_t kept = 0;
  for (size_t i = 0; i < w->count; i++) {
    if (w->live[i] != NULL) w->live[kept++] = w->live[i];
  }
  w->count = kept;
}

static void release_some(work_t* w, size_t round) {
  size_t third = w->count / 3;
  switch (round % 4) {
    case 0:
    case 1:
      for (size_t i = w->count; i-- > w->count - third;) release(w, i);
      break;
    case 2:
      for (size_t i = 0; i < third; i++) release(w, i);
      break;
    default:
      for (size_t i = 0; i < w->count; i += 2) release(w, i);
      break;
  }
  pack(w);
}

static void* run(void* argument) {
  work_t* w = argument;
  for (size_t round = 0; round < w->rounds; round++) {
    for (size_t size = LOW; size <= HIGH; size += STEP) {
      size_t batch = 1 + 12000 / size;
      for (size_t i = 0; i < batch && w->count < 2 * KEEP; i++) {
        unsigned char* p = bench_checked(malloc(size));
        p[0] = (unsigned char)(size + i);
        w->live[w->count++] = p;
      }
    }
    release_some(w, round);
    while (w->count > KEEP) release_some(w, round + w->count);
  }
  for (size_t i = 0; i < w->count; i++) release(w, i);
  return NULL;
}

int main(int argc, char** argv) {
  bench_t bench = bench_arguments(argc, argv);
  work_t* work = bench_checked(calloc(bench.threads, sizeof(*work)));
  for (unsigned t = 0; t < bench.threads; t++) work[t].rounds = bench_scaled(&bench, 12000);
  bench_threads(bench.threads, run, work, sizeof(*work));
  uint64_t sum = 0;
  for (unsigned t = 0; t < bench.threads; t++) sum = bench_mix(sum, work[t].sum);
  free(work);
  return bench_end(sum);
}
