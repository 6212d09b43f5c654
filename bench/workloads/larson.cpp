/* larson.cpp - a server that outlives its threads.
 *
 * Follows "Memory Allocation for Long-Running Server Applications" (Larson and Krishnan, ISMM 1998): each
 * lane of the server keeps a fixed number of objects, frees one at random and allocates another of random
 * size in its place; after a while its thread ends and hands all objects to a new thread, so that most
 * objects are freed by a thread that did not allocate them ("bleeding"). Sizes are uniform from 8 to
 * 1,000 bytes. The amount of work is fixed, where the original counts operations in a fixed time.
 */
#include "common.h"

namespace {

constexpr size_t LOW = 8, HIGH = 1000, OBJECTS = 5000;

struct lane {
  char* objects[OBJECTS];
  uint16_t sizes[OBJECTS];
  bench_random_t random;
  size_t operations;      // before the thread hands over
  size_t generations;
  uint64_t sum;
};

void replace(lane* l, size_t i, bool first) {
  if (!first) {
    char* old = l->objects[i];
    l->sum += static_cast<unsigned char>(old[0]) + static_cast<unsigned char>(old[l->sizes[i] - 1]);
    delete[] old;
  }
  size_t size = LOW + bench_below(&l->random, HIGH - LOW + 1);
  char* object = new char[size];
  object[0] = static_cast<char>(i);
  object[size - 1] = static_cast<char>(size);
  l->objects[i] = object;
  l->sizes[i] = static_cast<uint16_t>(size);
}

void* serve(void* argument) {
  lane* l = static_cast<lane*>(argument);
  for (size_t n = 0; n < l->operations; n++) replace(l, bench_below(&l->random, OBJECTS), false);
  return nullptr;
}

/* One lane of the server: a thread after the other over the same objects. */
void* run_lane(void* argument) {
  lane* l = static_cast<lane*>(argument);
  for (size_t g = 0; g < l->generations; g++) {
    pthread_t thread;
    bench_start(&thread, serve, l);
    pthread_join(thread, nullptr);
  }
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  bench_t bench = bench_arguments(argc, argv);
  lane* lanes = new lane[bench.threads];
  for (unsigned t = 0; t < bench.threads; t++) {
    lanes[t].random = bench_seed(t + 1);
    lanes[t].operations = 50000;
    lanes[t].generations = bench_scaled(&bench, 500);
    lanes[t].sum = 0;
    for (size_t i = 0; i < OBJECTS; i++) replace(&lanes[t], i, true);
  }
  bench_threads(bench.threads, run_lane, lanes, sizeof(lane));
  uint64_t sum = 0;
  for (unsigned t = 0; t < bench.threads; t++) {
    for (size_t i = 0; i < OBJECTS; i++) delete[] lanes[t].objects[i];
    sum = bench_mix(sum, lanes[t].sum);
  }
  delete[] lanes;
  return bench_end(sum);
}
