// Blocks that one thread allocates and another frees, in batches handed over and back in turn: for counting the
// instructions of remote frees (remote.sh). The patterns:
//   pair    each block is freed by the thread that made it
//   one     one producer, one consumer
//   asym    one producer, three consumers that take turns
//   many    four owners, each of whose batches goes to the next one
//   larson  as many, but a fixed set of blocks each, replaced at random: some frees are local
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 100
#define THREADS 4

static void* slots[THREADS][BATCH];
static sem_t turn[THREADS];
static long rounds;
static const char* pattern;

static size_t size_at(long i) {
  return (size_t)16 + 16 * (size_t)(i & 7);
}

static void make(void** batch, long seed) {
  for (long i = 0; i < BATCH; i++) *(char*)(batch[i] = malloc(size_at(i + seed))) = 1;
}

static void drop(void** batch) {
  for (long i = 0; i < BATCH; i++) free(batch[i * 37 % BATCH]);
}

// Each thread's part of a round, in the order of their numbers; a round passes BATCH blocks for each batch made.
static void act(int me, long round) {
  if (strcmp(pattern, "pair") == 0) {
    if (me == 0) make(slots[0], round), drop(slots[0]);
  } else if (strcmp(pattern, "one") == 0) {
    if (me == 0) make(slots[0], round);
    if (me == 1) drop(slots[0]);
  } else if (strcmp(pattern, "asym") == 0) {
    if (me == 0) make(slots[0], round);
    if (me == 1 + round % 3) drop(slots[0]);
  } else if (strcmp(pattern, "many") == 0) {
    drop(slots[me]);  // made by the one before; nothing in the first round
    make(slots[(me + 1) % THREADS], round);
  } else {
    static uint64_t random = 1;
    for (int i = 0; i < BATCH; i++) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      void** slot = &slots[(random >> 40) % THREADS][(random >> 50) % BATCH];
      free(*slot);
      *(char*)(*slot = malloc(size_at((long)(random >> 60)))) = 1;
    }
  }
}

static void* run(void* arg) {
  int me = (int)(intptr_t)arg;
  for (long round = 0; round < rounds; round++) {
    sem_wait(&turn[me]);
    act(me, round);
    sem_post(&turn[(me + 1) % THREADS]);
  }
  return NULL;
}

int main(int argc, char** argv) {
  if (argc != 3 || (rounds = atol(argv[2])) <= 0) {
    fprintf(stderr, "usage: remote pair|one|asym|many|larson ROUNDS\n");
    return 2;
  }
  pattern = argv[1];
  for (int i = 0; i < THREADS; i++) sem_init(&turn[i], 0, i == 0);
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, run, (void*)(intptr_t)i);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  long batches = strcmp(pattern, "many") == 0 || strcmp(pattern, "larson") == 0 ? THREADS : 1;
  printf("%ld\n", batches * BATCH * rounds);
  return 0;
}
