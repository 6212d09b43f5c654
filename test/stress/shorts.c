/* shorts: a thousand threads at the same time, then thousands of very short ones.

   All threads of the first part wait until every one has allocated, then free the blocks of their neighbour. The
   memory that so many heaps take is limited; afterwards the process must be able to go on with it. The
   threads of the second part allocate one block and end. */
#include "support.h"

#define THREADS 1000
#define BLOCKS 20

static block_t blocks[THREADS][BLOCKS];
static pthread_barrier_t barrier;
static size_t thread_count;

static void* wait_and_free(void* arg) {
  const size_t me = (size_t)(uintptr_t)arg;
  rng_t rng = rng_new(me);
  for (size_t i = 0; i < BLOCKS; i++) blocks[me][i] = block_new(&rng, rng_size(&rng, 2 * KIB));
  pthread_barrier_wait(&barrier);
  const size_t neighbour = (me + 1) % thread_count;
  for (size_t i = 0; i < BLOCKS; i++) block_free(&blocks[neighbour][i], "the neighbour's");
  pthread_barrier_wait(&barrier);
  return NULL;
}

static void* one_block(void* arg) {
  const size_t size = (size_t)(uintptr_t)arg;
  block_t* block = (block_t*)malloc(sizeof(block_t));
  REQUIRE(block != NULL, "malloc returned NULL");
  block->size = size;
  block->p = malloc(size);
  REQUIRE(block->p != NULL, "malloc(%zu) returned NULL", size);
  block->key = key_of(block->p, size);
  fill(block->p, size, block->key);
  return block;
}

static void all_at_once(watch_t* watch) {
  pthread_t* threads = (pthread_t*)calloc(thread_count, sizeof(pthread_t));
  REQUIRE(threads != NULL, "calloc returned NULL");
  REQUIRE(pthread_barrier_init(&barrier, NULL, (unsigned int)thread_count + 1) == 0, "pthread_barrier_init failed");
  for (size_t i = 0; i < thread_count; i++) threads[i] = thread_start(wait_and_free, (void*)(uintptr_t)i, 64 * KIB);
  pthread_barrier_wait(&barrier);
  watch_sample(watch);
  pthread_barrier_wait(&barrier);
  for (size_t i = 0; i < thread_count; i++) pthread_join(threads[i], NULL);
  watch_sample(watch);
  free(threads);
}

int main(int argc, char** argv) {
  static watch_t watch;
  stress_begin(argc, argv);
  thread_count = STRESS_SANITIZED ? THREADS / 4 : THREADS;
  const size_t rounds = scaled(8);
  for (size_t i = 0; i < rounds; i++) all_at_once(&watch);
  watch_plateau(&watch, 32 * KIB, "a thousand threads");
  watch_limit(&watch, 400 * KIB, "a thousand threads"); /* 0.4 MiB a thread, of which 6 KiB are asked for */
  const size_t count = scaled(5000);
  for (size_t i = 0; i < count; i++) {
    void* result = NULL;
    pthread_join(thread_start(one_block, (void*)(uintptr_t)(i % 3000 + 1), 64 * KIB), &result);
    block_free((block_t*)result, "of an ended thread");
    free(result);
    if (i % 100 == 0) watch_sample(&watch);
  }
  watch_limit(&watch, 400 * KIB, "short threads");
  return stress_end();
}
