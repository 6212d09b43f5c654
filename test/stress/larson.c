/* larson: a server whose sessions outlive its threads.

   Each chain owns a few hundred blocks. A thread replaces random ones for a while, then starts its successor,
   hands all blocks over and ends; so every block is freed by a thread that did not make it, and pages of ended
   threads must come into use again. Neighbouring chains also swap some blocks. Memory must level off. */
#include "support.h"

#define CHAINS 4
#define SLOTS 600
#define SHARED 64

typedef struct chain_s {
  block_t slots[SLOTS];
  size_t generation;
  rng_t rng;
} chain_t;

static chain_t chains[CHAINS];
static block_t shared[SHARED];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static size_t running = CHAINS;
static size_t generations;
static size_t rounds;

static void swap_with_shared(chain_t* chain) {
  block_t* slot = &chain->slots[rng_below(&chain->rng, SLOTS)];
  block_t* other = &shared[rng_below(&chain->rng, SHARED)];
  pthread_mutex_lock(&lock);
  const block_t given = *slot;
  *slot = *other;
  *other = given;
  pthread_mutex_unlock(&lock);
}

static void* serve(void* arg) {
  chain_t* chain = (chain_t*)arg;
  for (size_t i = 0; i < rounds; i++) {
    block_t* slot = &chain->slots[rng_below(&chain->rng, SLOTS)];
    block_free(slot, "replacing");
    const size_t max = rng_below(&chain->rng, 500) == 0 ? 100 * KIB : 1000;
    *slot = block_new(&chain->rng, 16 + rng_size(&chain->rng, max));
    if (i % 16 == 0) swap_with_shared(chain);
  }
  chain->generation++;
  if (chain->generation < generations) {
    pthread_detach(thread_start(serve, chain, 256 * KIB));
    return NULL;
  }
  pthread_mutex_lock(&lock);
  running--;
  pthread_cond_signal(&ended);
  pthread_mutex_unlock(&lock);
  return NULL;
}

int main(int argc, char** argv) {
  static watch_t watch;
  stress_begin(argc, argv);
  generations = scaled(500);
  rounds = 3000;
  for (size_t i = 0; i < CHAINS; i++) {
    chains[i].rng = rng_new(i);
    pthread_detach(thread_start(serve, &chains[i], 256 * KIB));
  }
  pthread_mutex_lock(&lock);
  while (running > 0) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 5000000;
    if (until.tv_nsec >= 1000000000) {
      until.tv_nsec -= 1000000000;
      until.tv_sec++;
    }
    pthread_cond_timedwait(&ended, &lock, &until);
    watch_sample(&watch);
  }
  pthread_mutex_unlock(&lock);
  watch_plateau(&watch, 32 * KIB, "sessions");
  watch_limit(&watch, 256 * KIB, "sessions"); /* about 2 MiB are live */
  for (size_t i = 0; i < CHAINS; i++) {
    for (size_t j = 0; j < SLOTS; j++) block_free(&chains[i].slots[j], "at the end");
  }
  for (size_t i = 0; i < SHARED; i++) block_free(&shared[i], "at the end");
  return stress_end();
}
