/* churn: threads that start and end all the time and leave their blocks to others.

   Up to 16 threads are alive. Each makes some blocks, swaps most of them into random places of a common table
   (freeing what it finds there, mostly the work of threads long gone), keeps a few in thread-specific data
   whose destructor frees them after the thread's function has returned, and ends. A second part does the same
   with one thread after the other, where each inherits everything from its predecessor. Memory must level
   off: pages of ended threads are used again. In a third part sixteen threads that have each other's blocks in
   the mail end all at once, round after round, and may not wait for each other forever. */
#include "support.h"

#define PLACES 4096
#define ALIVE 16
#define KEPT 8
#define PER_THREAD (PLACES / ALIVE)

static block_t places[PLACES];
static pthread_mutex_t locks[16];
static pthread_key_t key;

typedef struct kept_s {
  block_t blocks[KEPT];
} kept_t;

static void free_kept(void* arg) {
  kept_t* kept = (kept_t*)arg;
  for (size_t i = 0; i < KEPT; i++) block_free(&kept->blocks[i], "in a destructor");
  free(kept);
}

static void* live_shortly(void* arg) {
  rng_t rng = rng_new((uint64_t)(uintptr_t)arg);
  kept_t* kept = (kept_t*)calloc(1, sizeof(kept_t));
  REQUIRE(kept != NULL, "calloc returned NULL");
  REQUIRE(pthread_setspecific(key, kept) == 0, "pthread_setspecific failed");
  const size_t count = 40 + rng_below(&rng, 160);
  for (size_t i = 0; i < count; i++) {
    block_t block = block_new(&rng, rng_size(&rng, rng_below(&rng, 300) == 0 ? 200 * KIB : 2 * KIB));
    const size_t place = rng_below(&rng, PLACES);
    pthread_mutex_lock(&locks[place % 16]);
    block_t old = places[place];
    places[place] = block;
    pthread_mutex_unlock(&locks[place % 16]);
    if (rng_below(&rng, 10) == 0) {
      block_t* keep = &kept->blocks[rng_below(&rng, KEPT)];
      const block_t swapped = *keep;
      *keep = old;
      old = swapped;
    }
    block_free(&old, "left by another thread");
  }
  return NULL;
}

static void many_at_once(size_t count, watch_t* watch) {
  pthread_t alive[ALIVE];
  for (size_t i = 0; i < count + ALIVE; i++) {
    if (i >= ALIVE) pthread_join(alive[i % ALIVE], NULL);
    if (i < count) alive[i % ALIVE] = thread_start(live_shortly, (void*)(uintptr_t)i, 128 * KIB);
    if (i % 20 == 0) watch_sample(watch);
  }
}

static void one_after_the_other(size_t count, watch_t* watch) {
  for (size_t i = 0; i < count; i++) {
    pthread_join(thread_start(live_shortly, (void*)(uintptr_t)(i + 1000000), 128 * KIB), NULL);
    if (i % 20 == 0) watch_sample(watch);
  }
}

static pthread_barrier_t together;

static void* end_together(void* arg) {
  rng_t rng = rng_new((uint64_t)(uintptr_t)arg);
  block_t* mine = places + (uintptr_t)arg % ALIVE * PER_THREAD;
  for (size_t i = 0; i < PER_THREAD; i++) {
    block_free(&mine[i], "of the round before");
    mine[i] = block_new(&rng, rng_size(&rng, 64));
  }
  pthread_barrier_wait(&together);
  for (size_t i = rng_below(&rng, 2); i < PER_THREAD; i += 2) {
    size_t place = (i * ALIVE + (uintptr_t)arg % ALIVE) % PLACES;  // each thread's own share, of everybody's blocks
    block_free(&places[place], "of a thread that is ending too");
  }
  return NULL;
}

static void all_at_once(size_t rounds) {
  REQUIRE(pthread_barrier_init(&together, NULL, ALIVE) == 0, "pthread_barrier_init failed");
  for (size_t round = 0; round < rounds; round++) {
    pthread_t alive[ALIVE];
    for (size_t i = 0; i < ALIVE; i++) alive[i] = thread_start(end_together, (void*)(round * ALIVE + i), 128 * KIB);
    for (size_t i = 0; i < ALIVE; i++) pthread_join(alive[i], NULL);
  }
  pthread_barrier_destroy(&together);
}

int main(int argc, char** argv) {
  static watch_t watch;
  stress_begin(argc, argv);
  for (size_t i = 0; i < 16; i++) pthread_mutex_init(&locks[i], NULL);
  REQUIRE(pthread_key_create(&key, free_kept) == 0, "pthread_key_create failed");
  many_at_once(scaled(6000), &watch);
  watch_plateau(&watch, 48 * KIB, "many at once");
  watch_limit(&watch, 320 * KIB, "many at once"); /* about 10 MiB are live */
  watch.count = 0;
  one_after_the_other(scaled(3000), &watch);
  watch_plateau(&watch, 48 * KIB, "one after the other");
  all_at_once(scaled(400));
  for (size_t i = 0; i < PLACES; i++) block_free(&places[i], "at the end");
  return stress_end();
}
