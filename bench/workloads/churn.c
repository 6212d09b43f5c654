/* churn.c - thousands of short threads.
 *
 * After the thread-per-request servers that the Hoard and Larson papers have in mind: in every lane one
 * thread follows another; each allocates a few hundred blocks of mixed sizes, frees those that its
 * predecessor left, frees half of its own and leaves the rest. What an allocator prepares for a thread
 * and cleans up behind it is paid for each time; memory of finished threads must be found again.
 */
#include "common.h"

enum { BLOCKS = 200 };

typedef struct lane_s {
  bench_random_t random;
  unsigned char* left[BLOCKS];
  size_t left_count;
  size_t generations;
  uint64_t sum;
} lane_t;

static void release(lane_t* lane, unsigned char* p) {
  lane->sum += p[0];
  free(p);
}

static void* request(void* argument) {
  lane_t* lane = argument;
  unsigned char* own[BLOCKS];
  for (size_t i = 0; i < BLOCKS; i++) {
    size_t size = 16 + bench_below(&lane->random, i % 20 == 0 ? 16000 : 500);
    own[i] = bench_checked(malloc(size));
    own[i][0] = own[i][size - 1] = (unsigned char)size;
  }
  for (size_t i = 0; i < lane->left_count; i++) release(lane, lane->left[i]);
  lane->left_count = 0;
  for (size_t i = 0; i < BLOCKS; i++) {
    if (i % 2 == 0) release(lane, own[i]);
    else lane->left[lane->left_count++] = own[i];
  }
  return NULL;
}

static void* run_lane(void* argument) {
  lane_t* lane = argument;
  for (size_t g = 0; g < lane->generations; g++) {
    pthread_t thread;
    bench_start(&thread, request, lane);
    pthread_join(thread, NULL);
  }
  return NULL;
}

int main(int argc, char** argv) {
  bench_t bench = bench_arguments(argc, argv);
  lane_t* lanes = bench_checked(calloc(bench.threads, sizeof(*lanes)));
  for (unsigned t = 0; t < bench.threads; t++) {
    lanes[t].random = bench_seed(t + 61);
    lanes[t].generations = bench_scaled(&bench, 12000);
  }
  bench_threads(bench.threads, run_lane, lanes, sizeof(*lanes));
  uint64_t sum = 0;
  for (unsigned t = 0; t < bench.threads; t++) {
    for (size_t i = 0; i < lanes[t].left_count; i++) release(&lanes[t], lanes[t].left[i]);
    sum = bench_mix(sum, lanes[t].sum);
  }
  free(lanes);
  return bench_end(sum);
}
