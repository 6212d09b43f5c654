// fuzz_threads: legal sequences of up to four threads that hand blocks to each other through the slots. The two highest
// bits of an operation's slot say which thread runs it.
//
// One thread at a time runs one operation, in the order of the input, so a crash replays. With FUZZ_PARALLEL=1 the
// threads run their operations freely: for ThreadSanitizer, and for luck. Threads live as long as the process unless an
// operation ends them; at the end of a run each gives its pages up.
//
// Where the system is simulated (os.h) so are the threads: as one at a time runs, one thread of the system plays all of
// them, and exchanges what the library keeps of the thread that runs. That spares two switches an operation.
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include "model.h"
#include "os.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
bool fuzz_has_threads(void);

bool fuzz_has_threads(void) {
  return !os_simulated;
}

typedef enum command_e { BEGIN, REPLACED, RUN_ONE, RUN_ALL, DRAIN, END, LAST, EXIT } command_t;

typedef struct runner_s {
  worker_t worker;
  probe_thread_t played;
  pthread_t thread;
  sem_t go, done;
  command_t command;
  op_t op;
  const uint8_t* data;
  size_t size;
} runner_t;

static runner_t runners[WORKERS];

static void run_all(runner_t* runner) {
  for (size_t i = 0; i < ops_count(runner->size); i++) {
    op_t op = op_at(runner->data, i);
    if (op.slot >> 6 == runner->worker.number) op_run(&op);
  }
}

static void act(runner_t* runner) {
  int number = (int)(runner - runners);
  switch (runner->command) {
    case BEGIN:
      mi_thread_init();
      worker_begin(&runner->worker, number);
      if (!model.parallel) probe_reseed(model_random());
      break;
    case REPLACED:
      heaps_begin();
      if (!model.parallel) probe_reseed(model_random());
      break;
    case RUN_ONE:
      op_run(&runner->op);
      break;
    case RUN_ALL:
      run_all(runner);
      break;
    case DRAIN:
      worker_end(&runner->worker);
      mi_collect(false);
      break;
    case END:
      mi_thread_done();
      break;
    case EXIT:
      if (os_simulated) probe_thread_end();
      break;
    case LAST:
      notice_none();
      mi_thread_init();
      break;
    default:
      break;
  }
}

static void* thread_main(void* arg) {
  runner_t* runner = arg;
  me = &runner->worker;
  for (;;) {
    while (sem_wait(&runner->go) != 0) {
    }
    bool last = runner->command == EXIT;
    if (!last) act(runner);
    sem_post(&runner->done);
    if (last) return NULL;
  }
}

static void thread_start(runner_t* runner) {
  must(pthread_create(&runner->thread, NULL, thread_main, runner) == 0, "no thread");
}

// ---- played threads -------------------------------------------------------------------------------------------------

static runner_t* on_stage = &runners[0];

static void enter(runner_t* runner) {
  if (runner == on_stage || !os_simulated) return;
  probe_thread_out(&on_stage->played);
  probe_thread_in(&runner->played);
  me = &runner->worker;
  os_thread((uint32_t)runner->worker.number);
  on_stage = runner;
}

// ---- either ---------------------------------------------------------------------------------------------------------

static void order(runner_t* runner, command_t command) {
  runner->command = command;
  if (os_simulated || runner == &runners[0]) {
    enter(runner);
    act(runner);
  } else {
    sem_post(&runner->go);
  }
}

static void await(runner_t* runner) {
  if (os_simulated || runner == &runners[0]) return;
  while (sem_wait(&runner->done) != 0) {
  }
}

static void order_each(command_t command) {
  for (int i = 0; i < WORKERS; i++) {
    order(&runners[i], command);
    await(&runners[i]);
  }
}

// The thread ends for good, with its blocks and piles alive; another goes on in its place.
static void thread_replace(runner_t* runner) {
  order(runner, EXIT);
  await(runner);
  if (!os_simulated) pthread_join(runner->thread, NULL);
  for (size_t i = 0; i < PILES; i++) runner->worker.piles[i].heap = NULL;
  runner->worker.exits = false;
  if (os_simulated) {
    probe_thread_t fresh;
    probe_thread_new(&fresh);
    probe_thread_in(&fresh);
  } else {
    thread_start(runner);
  }
}

static void start(void) {
  interp_start(FOR_THREADS);
  model.parallel = getenv("FUZZ_PARALLEL") != NULL;
  runners[0].worker.number = 0;
  for (int i = 1; i < WORKERS; i++) {
    runners[i].worker.number = i;
    probe_thread_new(&runners[i].played);
    if (os_simulated) continue;
    sem_init(&runners[i].go, 0, 0);
    sem_init(&runners[i].done, 0, 0);
    thread_start(&runners[i]);
  }
}

static void run_in_order(const uint8_t* data, size_t size) {
  for (size_t i = 0; i < ops_count(size); i++) {
    op_t op = op_at(data, i);
    runner_t* runner = &runners[op.slot >> 6];
    runner->op = op;
    model.op_number = i;
    order(runner, RUN_ONE);
    await(runner);
    if (runner->worker.exits && runner != &runners[0]) {
      thread_replace(runner);
      order(runner, REPLACED);
      await(runner);
    }
  }
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static bool started;
  if (!started) start();
  started = true;
  if (size < SEED_BYTES) return 0;
  run_begin(data);
  order_each(BEGIN);
  if (model.parallel) {
    for (int i = WORKERS - 1; i >= 0; i--) {
      runners[i].data = data;
      runners[i].size = size;
      order(&runners[i], RUN_ALL);
    }
    for (int i = 0; i < WORKERS; i++) await(&runners[i]);
  } else {
    run_in_order(data, size);
  }
  enter(&runners[0]);
  run_end();
  order_each(DRAIN);
  order_each(END);
  order(&runners[0], LAST);
  int64_t left = stats_blocks(NULL);
  must(MIM_DEBUG == 0 || left == model.blocks_before, "%lld blocks are left over",
       (long long)(left - model.blocks_before));
  if (os_simulated) {
    enter(&runners[0]);
    for (int i = 1; i < WORKERS; i++) probe_thread_new(&runners[i].played);
  }
  run_over();
  return 0;
}
