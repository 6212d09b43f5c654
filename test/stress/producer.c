/* producer: blocks made by some threads and freed by others, in unequal numbers.

   Producers fill messages (a few blocks each) and put them into a bounded queue; consumers verify and free
   them. All memory flows one way, so an allocator that gives freed blocks to the thread that freed them, or
   lets them wait without limit for the one that made them, grows without end: the samples of resident
   memory must level off. A relay shape passes every block through a chain of threads. */
#include "support.h"

#define BATCH 32
#define CAPACITY 128 /* batches in a queue */
#define KEPT 192     /* blocks that a consumer keeps */

typedef struct batch_s {
  block_t blocks[BATCH];
} batch_t;

typedef struct queue_s {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  batch_t batches[CAPACITY];
  size_t head;
  size_t count;
  size_t writers; /* threads that may still put; readers end when it is 0 and the queue empty */
} queue_t;

typedef struct worker_s {
  queue_t* in;
  queue_t* out;
  size_t batches; /* to produce */
  uint64_t stream;
  bool even; /* sizes up to 9 KiB, all as likely */
} worker_t;

static void queue_init(queue_t* queue, size_t writers) {
  memset(queue, 0, sizeof(*queue));
  pthread_mutex_init(&queue->lock, NULL);
  pthread_cond_init(&queue->changed, NULL);
  queue->writers = writers;
}

static void queue_put(queue_t* queue, const batch_t* batch) {
  pthread_mutex_lock(&queue->lock);
  while (queue->count == CAPACITY) pthread_cond_wait(&queue->changed, &queue->lock);
  queue->batches[(queue->head + queue->count) % CAPACITY] = *batch;
  queue->count++;
  pthread_cond_broadcast(&queue->changed);
  pthread_mutex_unlock(&queue->lock);
}

static bool queue_get(queue_t* queue, batch_t* batch) {
  pthread_mutex_lock(&queue->lock);
  while (queue->count == 0 && queue->writers > 0) pthread_cond_wait(&queue->changed, &queue->lock);
  const bool any = queue->count > 0;
  if (any) {
    *batch = queue->batches[queue->head];
    queue->head = (queue->head + 1) % CAPACITY;
    queue->count--;
    pthread_cond_broadcast(&queue->changed);
  }
  pthread_mutex_unlock(&queue->lock);
  return any;
}

static void queue_leave(queue_t* queue) {
  pthread_mutex_lock(&queue->lock);
  queue->writers--;
  pthread_cond_broadcast(&queue->changed);
  pthread_mutex_unlock(&queue->lock);
}

static void* produce(void* arg) {
  const worker_t* me = (const worker_t*)arg;
  rng_t rng = rng_new(me->stream);
  batch_t batch;
  for (size_t n = 0; n < me->batches; n++) {
    for (size_t i = 0; i < BATCH; i++) {
      const size_t max = rng_below(&rng, 200) == 0 ? 64 * KIB : 1 * KIB;
      batch.blocks[i] = block_new(&rng, me->even ? rng_below(&rng, 9 * KIB) : rng_size(&rng, max));
    }
    queue_put(me->out, &batch);
  }
  queue_leave(me->out);
  return NULL;
}

static void* consume(void* arg) {
  const worker_t* me = (const worker_t*)arg;
  batch_t batch;
  while (queue_get(me->in, &batch)) {
    for (size_t i = 0; i < BATCH; i++) block_free(&batch.blocks[i], "consuming");
  }
  return NULL;
}

/* Keeps a few blocks for long and allocates none: each one it gets takes the place of any of those, which is freed. So
   every page that was filled by a producer soon has room, and some block in it for a long time. */
static void* keep(void* arg) {
  const worker_t* me = (const worker_t*)arg;
  rng_t rng = rng_new(me->stream);
  static __thread block_t kept[KEPT];
  batch_t batch;
  memset(kept, 0, sizeof(kept));
  while (queue_get(me->in, &batch)) {
    for (size_t i = 0; i < BATCH; i++) {
      block_t* place = &kept[rng_below(&rng, KEPT)];
      if (place->p != NULL) block_free(place, "replacing");
      *place = batch.blocks[i];
    }
  }
  for (size_t i = 0; i < KEPT; i++) {
    if (kept[i].p != NULL) block_free(&kept[i], "ending");
  }
  return NULL;
}

/* Frees half of what it gets and replaces it by blocks of its own before it passes the batch on. */
static void* relay(void* arg) {
  const worker_t* me = (const worker_t*)arg;
  rng_t rng = rng_new(me->stream);
  batch_t batch;
  while (queue_get(me->in, &batch)) {
    for (size_t i = 0; i < BATCH; i += 2) {
      block_free(&batch.blocks[i], "relaying");
      batch.blocks[i] = block_new(&rng, rng_size(&rng, 512));
    }
    queue_put(me->out, &batch);
  }
  queue_leave(me->out);
  return NULL;
}

typedef struct shape_s {
  const char* name;
  size_t producers;
  size_t relays;
  size_t consumers;
  void* (*consumer)(void*);
  size_t limit; /* KiB */
} shape_t;

static void run_shape(const shape_t* shape, size_t batches, uint64_t stream) {
  static queue_t first;
  static queue_t second;
  static watch_t watch;
  pthread_t threads[16];
  worker_t workers[16];
  size_t count = 0;
  queue_t* last = shape->relays > 0 ? &second : &first;
  queue_init(&first, shape->producers);
  queue_init(&second, shape->relays);
  watch.count = 0;
  for (size_t i = 0; i < shape->producers + shape->relays + shape->consumers; i++) {
    const bool is_producer = i < shape->producers;
    const bool is_relay = !is_producer && i < shape->producers + shape->relays;
    worker_t* worker = &workers[count];
    worker->in = is_relay ? &first : last;
    worker->out = is_producer ? &first : &second;
    worker->batches = batches / shape->producers;
    worker->stream = stream * 100 + i;
    worker->even = shape->consumer == keep;
    threads[count++] = thread_start(is_producer ? produce : is_relay ? relay : shape->consumer, worker, 0);
  }
  for (;;) {
    pthread_mutex_lock(&last->lock);
    const bool done = last->writers == 0;
    pthread_mutex_unlock(&last->lock);
    if (done) break;
    watch_sample(&watch);
    usleep(2000);
  }
  for (size_t i = 0; i < count; i++) pthread_join(threads[i], NULL);
  watch_plateau(&watch, 32 * KIB, shape->name);
  watch_limit(&watch, shape->limit, shape->name);
}

int main(int argc, char** argv) {
  static const shape_t shapes[] = {
    { "1 producer, 8 consumers that keep some", 1, 0, 8, keep, 72 * KIB },
    /* At most about 30 MiB are ever live. */
    { "1 producer, 1 consumer", 1, 0, 1, consume, 512 * KIB },
    { "1 producer, 3 consumers", 1, 0, 3, consume, 512 * KIB },
    { "3 producers, 1 consumer", 3, 0, 1, consume, 512 * KIB },
    { "1 producer, 2 relays, 1 consumer", 1, 2, 1, consume, 512 * KIB },
  };
  stress_begin(argc, argv);
  for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) run_shape(&shapes[i], scaled(25000), i);
  return stress_end();
}
