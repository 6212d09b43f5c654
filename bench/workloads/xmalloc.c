/* xmalloc.c - producers that only allocate, consumers that only free.
 *
 * Follows "malloc() Performance in a Multithreaded Linux Environment" (Lever and Boreham, USENIX 2000),
 * the program xmalloc-test in its asymmetric form: half of the threads allocate batches of small blocks
 * and put them into a bounded queue, the other half take them out and free them. No block is ever freed
 * by its thread: an allocator that keeps freed blocks with the thread that freed them grows without end
 * or passes them back under a lock.
 */
#include "common.h"

enum { BATCH = 100, QUEUE = 64 };

typedef struct batch_s {
  unsigned char* blocks[BATCH];
} batch_t;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_full = PTHREAD_COND_INITIALIZER, not_empty = PTHREAD_COND_INITIALIZER;
static batch_t* queue[QUEUE];
static size_t head, filled, producers;

typedef struct work_s {
  size_t id, batches;
  uint64_t sum;
} work_t;

static void put(batch_t* batch) {
  pthread_mutex_lock(&lock);
  while (filled == QUEUE) pthread_cond_wait(&not_full, &lock);
  queue[(head + filled++) % QUEUE] = batch;
  pthread_cond_signal(&not_empty);
  pthread_mutex_unlock(&lock);
}

/* NULL when there is nothing left and no producer is at work. */
static batch_t* take(void) {
  batch_t* batch = NULL;
  pthread_mutex_lock(&lock);
  while (filled == 0 && producers > 0) pthread_cond_wait(&not_empty, &lock);
  if (filled > 0) {
    batch = queue[head];
    head = (head + 1) % QUEUE;
    filled--;
    pthread_cond_signal(&not_full);
  }
  pthread_mutex_unlock(&lock);
  return batch;
}

static void* produce(void* argument) {
  static const size_t sizes[] = { 24, 40, 64, 104 };
  work_t* w = argument;
  bench_random_t random = bench_seed(w->id + 31);
  for (size_t n = 0; n < w->batches; n++) {
    batch_t* batch = bench_checked(malloc(sizeof(*batch)));
    for (size_t i = 0; i < BATCH; i++) {
      batch->blocks[i] = bench_checked(malloc(sizes[bench_random(&random) % 4]));
      batch->blocks[i][0] = (unsigned char)i;
    }
    put(batch);
  }
  pthread_mutex_lock(&lock);
  producers--;
  pthread_cond_broadcast(&not_empty);
  pthread_mutex_unlock(&lock);
  return NULL;
}

static void* consume(void* argument) {
  work_t* w = argument;
  batch_t* batch;
  while ((batch = take()) != NULL) {
    for (size_t i = 0; i < BATCH; i++) {
      w->sum += batch->blocks[i][0];
      free(batch->blocks[i]);
    }
    free(batch);
  }
  return NULL;
}

int main(int argc, char** argv) {
  bench_t bench = bench_arguments(argc, argv);
  size_t half = bench.threads < 2 ? 1 : bench.threads / 2;
  work_t* work = bench_checked(calloc(2 * half, sizeof(*work)));
  pthread_t threads[BENCH_MAX_THREADS];
  producers = half;
  for (size_t i = 0; i < 2 * half; i++) {
    work[i].id = i;
    work[i].batches = bench_scaled(&bench, 120000.0 / (double)half);
    bench_start(&threads[i], i < half ? produce : consume, &work[i]);
  }
  uint64_t sum = 0;
  for (size_t i = 0; i < 2 * half; i++) {
    pthread_join(threads[i], NULL);
    sum += work[i].sum;
  }
  free(work);
  return bench_end(sum);
}
