/* lifetimes: allocation before everything and after everything.

   Before: a linked library's constructor (early.c), .preinit_array, a constructor of priority 101. After: the
   destructors of pthread keys (several rounds, also of a thread that touches the allocator there for the first
   time), what libc frees when a thread is gone, atexit handlers, destructors of the executable and of the
   linked library, and threads that still run while the process exits. It all happens in a child process that
   counts each step in shared memory; the parent knows how many there must be. */
#include "support.h"

#include <sys/mman.h>
#include <sys/wait.h>

int early_check(void);
void early_keep(unsigned int* counter);

typedef struct steps_s {
  unsigned int preinit, constructor, key_rounds, late_first_use, libc_leftovers, at_exit, destructor, library;
} steps_t;

static steps_t* steps;
static steps_t before; /* what happened before `steps` was there */
static block_t preinit_block;
static block_t constructor_block;
static pthread_key_t key;
static pthread_key_t first_key;
static bool is_child;

static void before_constructors(void) {
  preinit_block.size = 1000;
  preinit_block.p = malloc(preinit_block.size);
  preinit_block.key = 42;
  fill(preinit_block.p, preinit_block.size, 42);
  free(calloc(3, 333));
  before.preinit++;
}

typedef void (*start_fn)(void);
__attribute__((section(".preinit_array"), used)) static const start_fn preinit_entry = before_constructors;

__attribute__((constructor(101))) static void first_constructor(void) {
  rng_t rng = rng_new(3);
  stress.name = "lifetimes (constructor)";
  work_alone(&rng, 100, 1000, 10 * KIB);
  constructor_block = block_new(&rng, 12345);
  before.constructor++;
}

__attribute__((destructor(101))) static void last_destructor(void) {
  if (!is_child) return;
  rng_t rng = rng_new(4);
  block_free(&constructor_block, "in a destructor");
  work_alone(&rng, 100, 1000, 10 * KIB);
  steps->destructor++;
}

/* ---- threads ---- */

typedef struct round_s {
  unsigned int left;
  block_t block;
} round_t;

static round_t* round_new(rng_t* rng, unsigned int left) {
  round_t* round = (round_t*)malloc(sizeof(round_t));
  REQUIRE(round != NULL, "malloc returned NULL");
  round->left = left;
  round->block = block_new(rng, 100 + rng_below(rng, 3000));
  return round;
}

static void key_destructor(void* arg) {
  round_t* round = (round_t*)arg;
  rng_t rng = rng_new(round->left);
  work_alone(&rng, 50, 200, 4 * KIB);
  block_free(&round->block, "in a key's destructor");
  if (round->left > 0) pthread_setspecific(key, round_new(&rng, round->left - 1)); /* asks for another round */
  free(round);
  __atomic_add_fetch(&steps->key_rounds, 1, __ATOMIC_RELAXED);
}

static void first_use_destructor(void* arg) {
  (void)arg;
  rng_t rng = rng_new(8);
  work_alone(&rng, 50, 200, 4 * KIB);
  __atomic_add_fetch(&steps->late_first_use, 1, __ATOMIC_RELAXED);
}

static void* thread_with_keys(void* arg) {
  rng_t rng = rng_new((uint64_t)(uintptr_t)arg);
  pthread_setspecific(key, round_new(&rng, 2)); /* three rounds: PTHREAD_DESTRUCTOR_ITERATIONS is 4 */
  return NULL;
}

static void* thread_without_use(void* arg) {
  (void)arg;
  static int dummy;
  pthread_setspecific(first_key, &dummy);
  return NULL;
}

/* strerror and dlerror keep buffers of the thread, which libc frees after every destructor has run. */
static void* thread_with_leftovers(void* arg) {
  const int number = 100000 + (int)(uintptr_t)arg;
  if (strstr(strerror(number), "100") == NULL) FAIL("strerror does not know number %d", number);
  if (dlopen("/nonexistent/library.so", RTLD_NOW) == NULL && dlerror() != NULL) {
    __atomic_add_fetch(&steps->libc_leftovers, 1, __ATOMIC_RELAXED);
  }
  return NULL;
}

static void* thread_without_end(void* arg) {
  rng_t rng = rng_new((uint64_t)(uintptr_t)arg);
  for (;;) work_alone(&rng, 64, 100, 4 * KIB);
  return NULL;
}

/* ---- the end of the process ---- */

static void exit_handler(void) {
  rng_t rng = rng_new(6);
  work_alone(&rng, 100, 500, 20 * KIB);
  verify(preinit_block.p, preinit_block.size, preinit_block.key, "made before constructors");
  free(preinit_block.p);
  REQUIRE(early_check(), "blocks of the linked library have changed");
  early_keep(&steps->library);
  steps->at_exit++;
}

__attribute__((noreturn)) static void child_main(bool threads_at_exit) {
  is_child = true;
  stress_watchdog(60);
  REQUIRE(atexit(exit_handler) == 0, "atexit failed");
  REQUIRE(pthread_key_create(&key, key_destructor) == 0, "pthread_key_create failed");
  REQUIRE(pthread_key_create(&first_key, first_use_destructor) == 0, "pthread_key_create failed");
  for (size_t i = 0; i < 50; i++) {
    const pthread_t a = thread_start(thread_with_keys, (void*)(uintptr_t)i, 128 * KIB);
    const pthread_t b = thread_start(thread_without_use, NULL, 128 * KIB);
    const pthread_t c = thread_start(thread_with_leftovers, (void*)(uintptr_t)i, 128 * KIB);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    pthread_join(c, NULL);
  }
  for (size_t i = 0; threads_at_exit && i < 3; i++) {
    pthread_detach(thread_start(thread_without_end, (void*)(uintptr_t)i, 0));
  }
  exit(0);
}

static void run_child(bool threads_at_exit) {
  memset(steps, 0, sizeof(*steps));
  const pid_t pid = fork();
  REQUIRE(pid >= 0, "fork: %s", strerror(errno));
  if (pid == 0) child_main(threads_at_exit);
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid, "waitpid: %s", strerror(errno));
  REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ended with wait status %#x", (unsigned int)status);
  REQUIRE(steps->key_rounds == 150, "%u rounds of key destructors instead of 150", steps->key_rounds);
  REQUIRE(steps->late_first_use == 50, "%u first uses in destructors instead of 50", steps->late_first_use);
  REQUIRE(steps->libc_leftovers == 50, "%u threads with leftovers instead of 50", steps->libc_leftovers);
  REQUIRE(steps->at_exit == 1, "the atexit handler ran %u times", steps->at_exit);
  REQUIRE(steps->destructor == 1, "the destructor ran %u times", steps->destructor);
  REQUIRE(steps->library == 1, "the destructor of the linked library was right %u times", steps->library);
}

int main(int argc, char** argv) {
  stress_begin(argc, argv);
  REQUIRE(before.preinit == 1, ".preinit_array ran %u times", before.preinit);
  REQUIRE(before.constructor == 1, "the constructor ran %u times", before.constructor);
  verify(preinit_block.p, preinit_block.size, preinit_block.key, "made before constructors");
  REQUIRE(early_check(), "blocks of the linked library have changed");
  steps = (steps_t*)mmap(NULL, sizeof(*steps), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(steps != MAP_FAILED, "mmap: %s", strerror(errno));
  for (size_t i = 0; i < scaled(4); i++) run_child(i % 2 == 1);
  return stress_end();
}
