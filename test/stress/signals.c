/* signals: a storm of signals into threads that allocate.

   A timer of 200 us and another thread interrupt the main thread and two more all the time. Handlers do what
   handlers may (they do not allocate): use a lot of stack, change errno and put it back, yield the processor so
   that other threads run while this one is stopped in the middle of the allocator. System calls the allocator
   makes get interrupted, too. Part of the time the handlers run on an alternate stack. */
#include "support.h"

#include <sched.h>

#define WORKERS 2

static unsigned long handled;
static bool stop;
static pthread_t targets[WORKERS + 1];

static void on_signal(int number, siginfo_t* info, void* context) {
  (void)info;
  (void)context;
  const int error = errno;
  volatile unsigned char use[6000];
  memset((void*)(uintptr_t)use, number, sizeof(use));
  errno = use[17] + 1000;
  const unsigned long n = __atomic_add_fetch(&handled, 1, __ATOMIC_RELAXED);
  if (n % 3 == 0) sched_yield();
  if (n % 1000 == 0) {
    const struct timespec pause = { 0, 500000 };
    nanosleep(&pause, NULL);
  }
  errno = error;
}

static void handle(int number, int flags) {
  struct sigaction action;
  memset(&action, 0, sizeof(action));
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | flags;
  sigemptyset(&action.sa_mask);
  REQUIRE(sigaction(number, &action, NULL) == 0, "sigaction: %s", strerror(errno));
}

static bool stopping(void) { return __atomic_load_n(&stop, __ATOMIC_RELAXED); }

static void* bombard(void* arg) {
  (void)arg;
  const struct timespec pause = { 0, 20000 };
  for (size_t i = 0; !stopping(); i++) {
    pthread_kill(targets[i % (WORKERS + 1)], i % 2 == 0 ? SIGUSR1 : SIGUSR2);
    if (i % 4 == 0) nanosleep(&pause, NULL);
  }
  return NULL;
}

static void* work(void* arg) {
  rng_t rng = rng_new((uint64_t)(uintptr_t)arg);
  while (!stopping()) work_alone(&rng, 128, 500, rng_below(&rng, 20) == 0 ? 2 * MIB : 4 * KIB);
  return NULL;
}

int main(int argc, char** argv) {
  stress_begin(argc, argv);
  stack_t stack;
  memset(&stack, 0, sizeof(stack));
  stack.ss_size = 128 * KIB;
  stack.ss_sp = malloc(stack.ss_size);
  REQUIRE(stack.ss_sp != NULL && sigaltstack(&stack, NULL) == 0, "no alternate stack: %s", strerror(errno));
  handle(SIGUSR1, SA_ONSTACK);
  handle(SIGUSR2, SA_RESTART);
  handle(SIGVTALRM, 0);

  targets[0] = pthread_self();
  for (size_t i = 0; i < WORKERS; i++) targets[i + 1] = thread_start(work, (void*)(uintptr_t)i, 0);
  const pthread_t bomber = thread_start(bombard, NULL, 0);
  timer_t timer;
  struct sigevent event;
  memset(&event, 0, sizeof(event));
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGVTALRM;
  REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0, "timer_create: %s", strerror(errno));
  const struct itimerspec often = { { 0, 200000 }, { 0, 200000 } };
  REQUIRE(timer_settime(timer, 0, &often, NULL) == 0, "timer_settime: %s", strerror(errno));

  rng_t rng = rng_new(50);
  const double until = now() + 0.02 * (double)scaled(100);
  while (now() < until) work_alone(&rng, 128, 1000, rng_below(&rng, 20) == 0 ? 8 * MIB : 4 * KIB);

  timer_delete(timer);
  __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
  pthread_join(bomber, NULL);
  for (size_t i = 0; i < WORKERS; i++) pthread_join(targets[i + 1], NULL);
  REQUIRE(handled > 100, "only %lu signals were handled: the test tests nothing", handled);
  stack.ss_flags = SS_DISABLE;
  sigaltstack(&stack, NULL);
  free(stack.ss_sp);
  return stress_end();
}
