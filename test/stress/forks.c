/* forks: fork at any time, from any thread, while other threads allocate.

   Three threads allocate without pause; the main thread and another fork. Children verify and free blocks that
   threads of the parent made (they hold the lock of the table while they fork, so the table is sound),
   allocate, start threads of their own, fork again, or run another program; every child must end by itself.
   ISO C and POSIX promise malloc in such a child nothing; real programs rely on it and libc keeps it.
   vfork, posix_spawn and system are used in between, as servers do. */
#include "support.h"

#include <spawn.h>
#include <sys/wait.h>

#define GIFTS 512
#define ALLOCATORS 3

static block_t gifts[GIFTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool stop;
static char* self;

static bool stopping(void) { return __atomic_load_n(&stop, __ATOMIC_RELAXED); }

static void* allocate(void* arg) {
  rng_t rng = rng_new((uint64_t)(uintptr_t)arg);
  while (!stopping()) {
    work_alone(&rng, 64, 300, rng_below(&rng, 10) == 0 ? 300 * KIB : 2 * KIB);
    for (size_t i = 0; i < 20; i++) {
      block_t block = block_new(&rng, rng_size(&rng, 4 * KIB));
      const size_t place = rng_below(&rng, GIFTS);
      pthread_mutex_lock(&lock);
      block_t old = gifts[place];
      gifts[place] = block;
      pthread_mutex_unlock(&lock);
      block_free(&old, "a gift");
    }
  }
  return NULL;
}

static void* child_thread(void* arg) {
  rng_t rng = rng_new((uint64_t)(uintptr_t)arg);
  work_alone(&rng, 100, 1000, 4 * KIB);
  return NULL;
}

static void expect_good_end(pid_t pid, const char* what) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) REQUIRE(errno == EINTR, "waitpid: %s", strerror(errno));
  if (WIFSIGNALED(status)) FAIL("%s: the child was ended by signal %d", what, WTERMSIG(status));
  REQUIRE(WEXITSTATUS(status) == 0, "%s: the child ended with status %d", what, WEXITSTATUS(status));
}

static const char* const child_kinds[] = { "frees all", "works", "starts threads", "forks again", "runs a program",
                                           "returns through exit" };
#define CHILD_KINDS (sizeof(child_kinds) / sizeof(child_kinds[0]))

__attribute__((noreturn)) static void child_main(size_t kind, uint64_t stream, unsigned int depth) {
  stress_watchdog(30);
  rng_t rng = rng_new(stream);
  for (size_t i = 0; i < GIFTS; i++) {
    if (kind == 0 || rng_below(&rng, 2) == 0) block_free(&gifts[i], "inherited");
  }
  work_alone(&rng, 200, 2000, 8 * KIB);
  if (kind == 2 && !STRESS_SANITIZED) { /* ThreadSanitizer allows no threads in such a child */
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++) threads[i] = thread_start(child_thread, (void*)(uintptr_t)(stream + i), 0);
    work_alone(&rng, 100, 1000, 4 * KIB);
    for (size_t i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  } else if (kind == 3 && depth < 3) {
    const pid_t pid = fork();
    REQUIRE(pid >= 0, "fork in a child: %s", strerror(errno));
    if (pid == 0) child_main(depth == 2 ? 1 : 3, stream + 7, depth + 1);
    work_alone(&rng, 100, 500, 4 * KIB);
    expect_good_end(pid, "grandchild");
  } else if (kind == 4) {
    execl(self, self, "--run", (char*)NULL);
    FAIL("execl '%s': %s", self, strerror(errno));
  } else if (kind == 5) {
    exit(0);
  }
  _exit(0);
}

static void fork_once(size_t i, uint64_t stream) {
  const size_t kind = i % CHILD_KINDS;
  pthread_mutex_lock(&lock);
  const pid_t pid = fork();
  if (pid == 0) child_main(kind, stream, 0);
  pthread_mutex_unlock(&lock);
  REQUIRE(pid > 0, "fork: %s", strerror(errno));
  expect_good_end(pid, child_kinds[kind]);
}

extern char** environ;

static void spawn_once(size_t i) {
  char* const arguments[] = { self, (char*)"--run", NULL };
  pid_t pid = -1;
  if (i % 3 == 0) {
    const int error = posix_spawn(&pid, self, NULL, NULL, arguments, environ);
    REQUIRE(error == 0, "posix_spawn: %s", strerror(error));
  } else if (i % 3 == 1) {
    pid = vfork();
    if (pid == 0) {
      execv(self, arguments);
      _exit(126);
    }
    REQUIRE(pid > 0, "vfork: %s", strerror(errno));
  } else {
    const int status = system("exec true");
    REQUIRE(status == 0, "system returned %d", status);
    return;
  }
  expect_good_end(pid, "spawned");
}

static void* fork_often(void* arg) {
  const size_t count = (size_t)(uintptr_t)arg;
  rng_t rng = rng_new(count);
  for (size_t i = 0; i < count; i++) {
    fork_once(i, rng_next(&rng) >> 8);
    if (i % 10 == 3) spawn_once(i / 10);
    work_alone(&rng, 32, 50, 1 * KIB); /* the forking thread has a heap in use, too */
  }
  return NULL;
}

/* Forks before the process has any other thread, and from a child of such a fork. */
static void fork_single_threaded(void) {
  rng_t rng = rng_new(99);
  for (size_t i = 0; i < GIFTS; i++) gifts[i] = block_new(&rng, rng_size(&rng, 4 * KIB));
  for (size_t i = 0; i < 2 * CHILD_KINDS; i++) fork_once(i, 1000 + i);
}

int main(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "--run") == 0) { /* what the children run */
    stress.name = "forks --run";
    stress_watchdog(30);
    rng_t rng = rng_new(5);
    work_alone(&rng, 100, 1000, 8 * KIB);
    return 0;
  }
  stress_begin(argc, argv);
  self = realpath("/proc/self/exe", NULL);
  REQUIRE(self != NULL, "cannot find this program's own file");
  fork_single_threaded();
  pthread_t threads[ALLOCATORS];
  for (size_t i = 0; i < ALLOCATORS; i++) threads[i] = thread_start(allocate, (void*)(uintptr_t)i, 0);
  const size_t count = scaled(120);
  const pthread_t forker = thread_start(fork_often, (void*)(uintptr_t)count, 0);
  fork_often((void*)(uintptr_t)(count + 1));
  pthread_join(forker, NULL);
  __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
  for (size_t i = 0; i < ALLOCATORS; i++) pthread_join(threads[i], NULL);
  for (size_t i = 0; i < GIFTS; i++) block_free(&gifts[i], "at the end");
  (free)(self);
  return stress_end();
}
