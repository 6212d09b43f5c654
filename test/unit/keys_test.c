// Keys: that the pools are the ChaCha20 stream they claim to be and erase what they hand out; that threads, and parents
// and children of every kind of fork, draw different bytes, also in a sandbox without getrandom and on kernels that do
// not wipe pages in children.
#include "child.h"

#include <sched.h>
#include <sys/mman.h>

#include "secure.h"

// ---- one pool -------------------------------------------------------------------------------------------------------

#define FIRST 32  // of a pool: the bytes below are the next key

static void test_pool_is_the_stream(void** state) {
  (void)state;
  hook_thread_t thread;
  memset(&thread, 0, sizeof(thread));
  sec_keys_thread(&thread);
  assert_int_equal(thread.pool_used, FIRST);
  for (int round = 0; round < 5; round++) {
    while (thread.pool_used + 8 <= SEC_POOL_SIZE) sec_random64(&thread);
    uint8_t expected[SEC_POOL_SIZE];
    sec_chacha20(expected, sizeof(expected), thread.counter, thread.key);
    for (size_t at = FIRST; at < SEC_POOL_SIZE; at += 8) {
      uint64_t drawn = sec_random64(&thread);
      assert_memory_equal(&drawn, expected + at, 8);
    }
    assert_memory_equal(thread.key, expected, 32);
  }
}

static void test_erased(void** state) {
  (void)state;
  hook_thread_t thread;
  uint8_t zero[SEC_POOL_SIZE] = {0};
  memset(&thread, 0, sizeof(thread));
  sec_keys_thread(&thread);
  for (int i = 0; i < 1000; i++) {
    uint64_t drawn = sec_random64(&thread);
    assert_memory_equal(thread.pool, zero, thread.pool_used);
    assert_null(memmem(&thread, sizeof(thread), &drawn, sizeof(drawn)));
  }
}

// A pool of zeroes, which nobody set up, gets a key all the same.
static void test_unprepared_pool(void** state) {
  (void)state;
  hook_thread_t one, two;
  memset(&one, 0, sizeof(one));
  memset(&two, 0, sizeof(two));
  assert_true(sec_random64(&one) != sec_random64(&two));
}

static int by_value(const void* a, const void* b) {
  uint64_t x = *(const uint64_t*)a, y = *(const uint64_t*)b;
  return x < y ? -1 : x > y;
}

static void test_no_two_alike(void** state) {
  (void)state;
  enum { THREADS = 64, DRAWS = 1000, PROCESS = 1000 };
  static hook_thread_t threads[THREADS];
  static uint64_t drawn[THREADS * DRAWS + PROCESS];
  size_t count = 0;
  for (size_t t = 0; t < THREADS; t++) {
    sec_keys_thread(&threads[t]);
    for (size_t i = 0; i < DRAWS; i++) drawn[count++] = sec_random64(&threads[t]);
  }
  for (size_t i = 0; i < PROCESS; i++) drawn[count++] = sec_random_process();
  size_t ones = 0;
  for (size_t i = 0; i < count; i++) ones += (size_t)__builtin_popcountll(drawn[i]);
  // Fair bits: the deviation is below six times its standard deviation (2 in 10^9 runs would fail).
  double deviation = (double)ones - (double)count * 32;
  assert_true(deviation * deviation < 36.0 * (double)count * 16);
  qsort(drawn, count, sizeof(drawn[0]), by_value);
  for (size_t i = 1; i < count; i++) assert_true(drawn[i] != drawn[i - 1]);
}

// ---- forks ----------------------------------------------------------------------------------------------------------

enum { DRAWN = 40 };  // more than a pool holds

// What each process drew, in memory that they share; and a place for the next.
typedef struct shared_s {
  _Atomic(size_t) count;
  uint64_t drawn[64][DRAWN];
} shared_t;

static shared_t* shared;
static hook_thread_t mine;

static void draw_all(void) {
  uint64_t* row = shared->drawn[atomic_fetch_add(&shared->count, 1)];
  for (size_t i = 0; i < DRAWN; i++) row[i] = i % 4 == 3 ? sec_random_process() : sec_random64(&mine);
}

static pid_t by_fork(void) { return fork(); }
static pid_t by_bare_fork(void) {
  extern pid_t _Fork(void) __attribute__((weak));
  return _Fork != NULL ? _Fork() : fork();
}
static pid_t by_clone(void) { return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL); }

typedef pid_t(fork_t)(void);
static fork_t* const forks[] = {by_fork, by_bare_fork, by_clone};
#define FORK_COUNT (sizeof(forks) / sizeof(forks[0]))

static void wait_for(pid_t process) {
  int status;
  if (waitpid(process, &status, 0) != process || status != 0) _exit(90);
}

// Siblings, and children of children, each drawing before it forks and after.
static void family(fork_t* make, int depth) {
  for (int sibling = 0; sibling < 2; sibling++) {
    pid_t process = make();
    if (process < 0) _exit(91);
    if (process == 0) {
      draw_all();
      if (depth > 1) family(make, depth - 1);
      _exit(0);
    }
    wait_for(process);
  }
  draw_all();
}

static size_t rows_alike(void) {
  size_t alike = 0, count = shared->count * DRAWN;
  uint64_t* all = &shared->drawn[0][0];
  qsort(all, count, sizeof(all[0]), by_value);
  for (size_t i = 1; i < count; i++) alike += all[i] == all[i - 1];
  return alike;
}

static int check_forks(void) {
  for (size_t k = 0; k < FORK_COUNT; k++) {
    memset(shared, 0, sizeof(*shared));
    sec_keys_thread(&mine);
    draw_all();
    family(forks[k], 3);
    printf("%zu rows, %zu alike\n", shared->count, rows_alike());
  }
  return 0;
}

// A vfork child shares its parent's memory: the stream goes on, in both.
static int check_vfork(void) {
  memset(shared, 0, sizeof(*shared));
  sec_keys_thread(&mine);
  draw_all();
  volatile uint32_t epoch = mine.epoch;
  pid_t process = vfork();
  if (process == 0) {
    draw_all();
    _exit(0);
  }
  wait_for(process);
  draw_all();
  printf("%zu rows, %zu alike, %s\n", shared->count, rows_alike(), epoch == mine.epoch ? "same" : "new");
  return 0;
}

static int role_forks(void) {
  shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return 92;
  return check_forks() || check_vfork();
}

#define EXPECTED_FORKS "22 rows, 0 alike\n22 rows, 0 alike\n22 rows, 0 alike\n"

static void check_role(again_t again, const char* expected) {
  static child_t child;
  again.role = "forks";
  child_again(&child, again);
  assert_true(child_exited(&child, 0));
  assert_string_equal(child.text, expected);
}

static void test_forks(void** state) {
  (void)state;
  if (BY_TSAN) skip();
  check_role((again_t){.denied = 0}, EXPECTED_FORKS "3 rows, 0 alike, same\n");
}

// No fresh bytes for children, from before the start on.
static void test_forks_without_getrandom(void** state) {
  (void)state;
  if (BY_TSAN) skip();
  check_role((again_t){.denied = SYS_getrandom, .error = ENOSYS}, EXPECTED_FORKS "3 rows, 0 alike, same\n");
  check_role((again_t){.denied = SYS_getrandom, .error = EAGAIN}, EXPECTED_FORKS "3 rows, 0 alike, same\n");
}

// A kernel that cannot wipe: process ids are compared. A vfork child then counts as one of its own, and its parent as
// another again, which is harmless.
static void test_forks_without_wiping(void** state) {
  (void)state;
  if (BY_TSAN) skip();
  enum { WIPE_ON_FORK = 18 };
  check_role((again_t){.denied = SYS_madvise, .error = EINVAL, .third = WIPE_ON_FORK},
             EXPECTED_FORKS "3 rows, 0 alike, new\n");
}

static void sandboxed_forks(void* arg) {
  if (!deny_call(SYS_getrandom, *(int*)arg, -1)) _exit(99);
  int result = role_forks();
  fflush(stdout);
  _exit(result);
}

// A sandbox that the program enters after the start.
static void test_forks_in_a_sandbox(void** state) {
  (void)state;
  if (BY_TSAN) skip();
  int errors[] = {EPERM, ENOSYS, EAGAIN};
  for (size_t i = 0; i < 3; i++) {
    static child_t child;
    child_run(&child, sandboxed_forks, &errors[i]);
    assert_true(child_exited(&child, 0));
    assert_string_equal(child.text, EXPECTED_FORKS "3 rows, 0 alike, same\n");
  }
}

// The kernel's pool becomes ready: every pool takes a new key.
static int role_provisional(void) {
  sec_keys_thread(&mine);
  uint32_t before = mine.epoch;
  sec_random64(&mine);
  hook_thread_t other;
  memset(&other, 0, sizeof(other));
  sec_keys_thread(&other);  // asks again, is refused again: no new generation
  sec_random64(&mine);
  printf("%s\n", mine.epoch == before && other.epoch == before ? "still provisional" : "changed");
  return 0;
}

static void test_provisional(void** state) {
  (void)state;
  static child_t child;
  child_again(&child, (again_t){.role = "provisional", .denied = SYS_getrandom, .error = EAGAIN});
  assert_true(child_exited(&child, 0));
  assert_string_equal(child.text, "still provisional\n");
}

int main(int argc, char** argv) {
  if (argc > 1) {
    if (strcmp(argv[1], "forks") == 0) return role_forks();
    if (strcmp(argv[1], "provisional") == 0) return role_provisional();
    return 2;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_pool_is_the_stream),     cmocka_unit_test(test_erased),
      cmocka_unit_test(test_unprepared_pool),        cmocka_unit_test(test_no_two_alike),
      cmocka_unit_test(test_forks),                  cmocka_unit_test(test_forks_without_getrandom),
      cmocka_unit_test(test_forks_without_wiping),   cmocka_unit_test(test_forks_in_a_sandbox),
      cmocka_unit_test(test_provisional),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
