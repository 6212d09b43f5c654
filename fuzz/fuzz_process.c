// fuzz_process: each input is a process of its own, from its start to its end. Operations set up its environment and
// say which system calls fail (ops_process.c), before the library starts or at any time later; then it runs as in
// fuzz_api, with wrong frees among the rest in the secure build, forks, starts threads, and ends: well, by a report that
// aborts, or by an access that no handler recovers from. Any other end is a crash: a request that cannot be met gives
// NULL with ENOMEM, and nothing else comes of a system call that fails.
//
// The process that calls LLVMFuzzerTestOneInput never starts the library itself.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults.h"
#include "model.h"
#include "process.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
void fuzz_own_options(void);
#if FUZZ_COVERAGE
void __gcov_dump(void);
#else
static void __gcov_dump(void) {
}
#endif

enum { SECONDS_MOST = 300, FORKS_DEEP = 3, FORKS_MOST = 6 };

// What a process says of its end, for the one that waits for it.
typedef struct outcome_s {
  bool failed, aborts, faults;
} outcome_t;

static outcome_t* outcome;  // shared with the children
static outcome_t* outcomes;
static unsigned depth, forks;  // children that this is in, and those begun before it: they double what is run

static const uint8_t* data;
static size_t cursor, limit;  // operations: the next, and the first that is not run
static bool lost;             // threads were left behind, with blocks

void fuzz_own_options(void) {  // keeps the interpreter from setting its own (interp.c)
}

// ---- ends -----------------------------------------------------------------------------------------------------------

void process_may_end(ending_t how) {
  outcome->aborts = how == ENDS_BY_ABORT;
  outcome->faults = how == ENDS_BY_FAULT;
}

static void end_now(void) __attribute__((noreturn));
static void end_now(void) {
  __gcov_dump();
  _exit(0);
}

// Waits for a child, whose end has to be one that it announced.
static void await(pid_t child, const outcome_t* its) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0) must(errno == EINTR, "there is no child to wait for");
  bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  bool announced =
      (signal == SIGABRT && (its->aborts || its->faults)) || ((signal == SIGSEGV || signal == SIGBUS) && its->faults);
  if (well || (announced && !its->failed)) return;
  if (signal == SIGALRM) model_fail("it does not end");
  if (signal != 0) model_fail("it ended by signal %d", signal);
  model_fail("it ended with status %d", WEXITSTATUS(status));
}

static sem_t release;
static pthread_t stayed;
static bool stays;

static void thread_release(void) {
  sem_post(&release);
  pthread_join(stayed, NULL);
  stays = false;
}

static void finish(void) __attribute__((noreturn));
static void finish(void) {
  if (!probe_ready()) end_now();  // it never started
  if (data[0] % 4 == 3) {         // as most programs do, with blocks still in use
    probe_done();
    end_now();
  }
  run_end();
  worker_end(me);
  notice_none();
  mi_collect(true);
  if (stays) thread_release();  // it has letters with blocks of its own
  mi_collect(true);
  int64_t left = stats_blocks(NULL);
  bool may_be_lost = lost || (model.no_metadata && left > model.blocks_before);
  must(MIM_DEBUG == 0 || may_be_lost || left == model.blocks_before, "%lld blocks are left over",
       (long long)(left - model.blocks_before));
  probe_done();
  end_now();
}

// ---- out of memory, as C++ says it ----------------------------------------------------------------------------------

static process_handler* new_handler;
static jmp_buf caught;
static bool catching;

process_handler* process_get_new_handler(void) __asm__("_ZSt15get_new_handlerv");
void process_throw(void) __asm__("_ZSt17__throw_bad_allocv");

process_handler* process_get_new_handler(void) {
  return new_handler;
}

void process_throw(void) {
  must(catching, "std::bad_alloc is thrown though there is memory");
  longjmp(caught, 1);
}

void process_new_handler(process_handler* handler) {
  new_handler = handler;
}

bool process_catch(void (*run)(void* arg), void* arg) {
  if (setjmp(caught) != 0) {
    catching = false;
    return false;
  }
  catching = true;
  run(arg);
  catching = false;
  return true;
}

// ---- running --------------------------------------------------------------------------------------------------------

static bool is_setup(const op_t* op) {
  return op_is(op, op_environment) || op_is(op, op_deny);
}

static void run_until(size_t end) {
  while (cursor < end) {
    op_t op = op_at(data, cursor);
    model.op_number = cursor++;
    op_run(&op);
  }
}

// The library does not start: everything fails as it should, and starts later if it can.
static void run_without(void) {
  char* p = mi_malloc(100);
  must(p != NULL || errno == ENOMEM, "errno is %d", errno);
  mi_free(p);
  p = mi_calloc(10, 10);
  must(p != NULL || errno == ENOMEM, "errno is %d", errno);
  mi_free(p);
  p = mi_strdup("text");
  mi_free(p);
  must(mi_usable_size(NULL) == 0, "NULL has bytes");
  mi_collect(true);
  mi_stats_merge();
}

static bool start(void) {
  interp_start(FOR_PROCESS);
  for (int tries = 0; tries < 20 && !probe_ready(); tries++) {
    run_without();
    mi_thread_init();
  }
  return probe_ready();
}

static void run_process(size_t size) __attribute__((noreturn));
static void run_process(size_t size) {
  static worker_t worker;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  alarm(SECONDS_MOST);
  me = &worker;
  model.target = FOR_PROCESS;
  model.trace = getenv("FUZZ_TRACE") != NULL;
  model.op_name = "start";
  model.failed = &outcome->failed;
  limit = ops_count(size);
  while (cursor < limit) {
    op_t op = op_at(data, cursor);
    if (!is_setup(&op)) break;
    op_run(&op);
    cursor++;
  }
  // Without random numbers there is no start: the only end of this kind that no misuse comes before.
  process_may_end(ENDS_BY_ABORT);
  if (!start()) end_now();
  process_may_end(ENDS_WELL);
  worker_begin(&worker, 0);
  run_begin(data);
  run_until(limit);
  finish();
}

// ---- children -------------------------------------------------------------------------------------------------------

static pid_t fork_one(void) {
  outcome_t* own = outcome;
  outcome = &outcomes[++depth];
  *outcome = (outcome_t){0};
  pid_t child = fork();
  must(child >= 0 || model.lax, "no child: %d", errno);
  if (child == 0) {
    model.failed = &outcome->failed;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(SECONDS_MOST);
    if (stays) lost = model.keeps = true;
    stays = false;
    return 0;
  }
  const outcome_t* its = outcome;
  outcome = own;
  if (child > 0) await(child, its);
  depth--;
  return child;
}

void process_fork(size_t count, bool both) {
  if (depth >= FORKS_DEEP || forks >= FORKS_MOST) return;
  forks++;
  size_t end = cursor + count < limit ? cursor + count : limit;
  pid_t child = fork_one();
  if (child == 0) {
    if (both) limit = end;
    run_until(limit);
    finish();
  }
  if (child > 0 && !both) cursor = limit;
}

// ---- threads --------------------------------------------------------------------------------------------------------

typedef struct helper_s {
  worker_t worker;
  size_t end;
  bool stays;
  sem_t done;
} helper_t;

static void* helper_main(void* arg) {
  helper_t* helper = arg;
  me = &helper->worker;
  mi_thread_init();
  if (probe_ready()) {
    worker_begin(me, 1);
    probe_reseed(model_random());
    run_until(helper->end);
    for (size_t i = 0; i < PILES; i++) pile_free_all(&me->piles[i]);
    heaps_forget();
    heaps_end();
  }
  bool waits = helper->stays;
  sem_post(&helper->done);
  while (waits && sem_wait(&release) != 0) {
  }
  return NULL;
}

void process_thread(size_t count, bool staying) {
  if (stays) {
    if (staying) return;
    thread_release();
  }
  helper_t* helper = calloc(1, sizeof(*helper));  // never freed: the thread may be left behind
  pthread_t thread;
  if (helper == NULL) return;
  helper->stays = staying;
  helper->worker.waits = me;
  model.keeps = true;  // blocks that other threads freed count as used until their owner takes them
  helper->end = cursor + count < limit ? cursor + count : limit;
  sem_init(&helper->done, 0, 0);
  if (staying) sem_init(&release, 0, 0);
  if (pthread_create(&thread, NULL, helper_main, helper) != 0) return;
  while (sem_wait(&helper->done) != 0) {
  }
  if (staying) {
    stayed = thread;
    stays = true;
  } else {
    pthread_join(thread, NULL);
  }
  heap_forget(me->heaps[0]);
}

// ---- the target -----------------------------------------------------------------------------------------------------

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (outcomes == NULL) {
    void* shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(shared != MAP_FAILED, "no shared memory");
    outcome = outcomes = shared;
  }
  if (size < SEED_BYTES) return 0;
  *outcome = (outcome_t){0};
  fflush(NULL);
  pid_t child = fork();
  must(child >= 0, "no child");
  if (child == 0) {
    data = bytes;
    run_process(size);
  }
  model.op_name = "process";
  await(child, outcome);
  return 0;
}
