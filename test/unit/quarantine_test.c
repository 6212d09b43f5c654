// The quarantine: a freed block stays out of use, for a number of frees that cannot be predicted; what it holds is
// bounded; a block inside is neither live nor free; it is emptied at the right times. Each case is the program started
// anew with a profile that has it, without sampled blocks, which do not come here.
#include "child.h"

#include <pthread.h>

#include "secure.h"
#include "mimalloc-stats.h"

static child_t child;

static size_t kept(void) {
  mi_stats_t_decl(stats);
  mi_stats_get(&stats);
  return (size_t)stats.quarantine.current;
}

#define EXPECT(condition)                                                            \
  do {                                                                               \
    if (!(condition)) {                                                              \
      printf("line %d: %s; kept %zu\n", __LINE__, #condition, kept());               \
      fflush(stdout);                                                                \
      _exit(1);                                                                      \
    }                                                                                \
  } while (0)

// How many frees of the same size pass until a freed block is handed out again.
static size_t frees_until_back(size_t size) {
  void* first = mi_malloc(size);
  mi_free(first);
  for (size_t count = 1; count < 100000; count++) {
    void* p = mi_malloc(size);
    mi_free(p);
    if (p == first) return count;
  }
  return 0;
}

// A block leaves its random place at each free with probability 1/256, and then goes through the queue, which holds
// about 1,024 of this size. So it is never back sooner than that; and that 64 rounds all lie within 64 of each other has
// a probability below (1 - e^(-1/4))^63 < 2^-136.
static int role_delay(void) {
  for (size_t i = 0; i < 20000; i++) mi_free(mi_malloc(100));  // fills it
  size_t least = SIZE_MAX, most = 0;
  for (size_t round = 0; round < 64; round++) {
    size_t count = frees_until_back(100);
    EXPECT(count != 0);
    if (count < least) least = count;
    if (count > most) most = count;
  }
  printf("least %zu, most %zu\n", least, most);
  EXPECT(least > 500);       // the queue alone holds this many
  EXPECT(most > least + 64);
  return 0;
}

static int role_bound(void) {
  static const size_t sizes[] = {16, 100, 1000, 5000, 4096, 40000, 65536};
  for (size_t i = 0; i < 30000; i++) {
    mi_free(mi_malloc(sizes[i * 7919 % (sizeof(sizes) / sizeof(sizes[0]))]));
    EXPECT(kept() <= mim_process.hook.quarantine);
  }
  EXPECT(kept() > mim_process.hook.quarantine / 4);
  return 0;
}

static int role_empty(void) {
  for (size_t i = 0; i < 300; i++) mi_free(mi_malloc(100));
  EXPECT(kept() > 0);
  mi_collect(true);
  EXPECT(kept() == 0);
  mi_heap_t* heap = mi_heap_new();
  for (size_t i = 0; i < 300; i++) mi_free(mi_heap_malloc(heap, 100));
  EXPECT(kept() > 0);
  mi_heap_destroy(heap);
  EXPECT(kept() == 0);
  void* again[300];
  for (size_t i = 0; i < 300; i++) again[i] = mi_malloc(100);
  for (size_t i = 0; i < 300; i++) mi_free(again[i]);
  EXPECT(kept() > 0);
  return 0;
}

static bool count_block(const mi_heap_t* heap, const mi_heap_area_t* area, void* block, size_t size, void* arg) {
  (void)heap, (void)area, (void)size;
  if (block != NULL) ++*(size_t*)arg;
  return true;
}

// A block inside is no block of the program's.
static int role_not_live(void) {
  mi_heap_t* heap = mi_heap_new();
  EXPECT(mi_heap_malloc(heap, 100) != NULL);
  mi_free(mi_heap_malloc(heap, 100));
  EXPECT(kept() > 0);
  size_t blocks = 0;
  EXPECT(mi_heap_visit_blocks(heap, true, count_block, &blocks));
  EXPECT(blocks == 1);
  return 0;
}

static void* thread_frees(void* arg) {
  void** blocks = arg;
  for (size_t i = 0; i < 100; i++) mi_free(blocks[i]);
  for (size_t i = 0; i < 300; i++) mi_free(mi_malloc(100));
  EXPECT(kept() > 0);
  return NULL;
}

static int role_thread(void) {
  void* blocks[100];
  for (size_t i = 0; i < 100; i++) blocks[i] = mi_malloc(100);
  size_t before = kept();
  pthread_t thread;
  EXPECT(pthread_create(&thread, NULL, thread_frees, blocks) == 0);
  pthread_join(thread, NULL);
  mi_collect(true);  // the mail it left for us comes in, and out again
  EXPECT(before == 0 || kept() <= before);
  EXPECT(kept() == 0);
  return 0;
}

static int role_fork(void) {
  for (size_t i = 0; i < 5000; i++) mi_free(mi_malloc(100));
  pid_t process = fork();
  if (process == 0) {
    for (size_t i = 0; i < 5000; i++) mi_free(mi_malloc(100));
    mi_collect(true);
    EXPECT(kept() == 0);
    _exit(0);
  }
  int status;
  EXPECT(waitpid(process, &status, 0) == process && status == 0);
  return 0;
}

// Misuse of a block inside: by argument.
static int role_twice(void) {
  char* p = mi_malloc(100);
  mi_free(p);
  mi_free(p);
  return 0;
}

static int role_write(void) {
  char* p = mi_malloc(100);
  mi_free(p);
  *(volatile char*)(p + 50) = 'w';
  mi_collect(true);
  return 0;
}

static int role_write_exit(void) {
  char* p = mi_malloc(100);
  mi_free(p);
  *(volatile char*)(p + 50) = 'w';
  return 0;  // noticed at exit
}

static const struct {
  const char* name;
  int (*run)(void);
} roles[] = {{"delay", role_delay}, {"bound", role_bound},     {"empty", role_empty}, {"not-live", role_not_live},
             {"thread", role_thread}, {"fork", role_fork},     {"twice", role_twice}, {"write", role_write},
             {"write-exit", role_write_exit}};

static void run(const char* role, const char* setting) {
  again_t again = {.role = role, .env = {"MIMALLOC_PROFILE=strict", "MIMALLOC_PURGE_DELAY=10", setting}};
  child_again(&child, again);
}

static void holds(const char* role) {
  run(role, NULL);
  if (!child_exited(&child, 0)) fail_msg("%s: %s", role, child.text);
}

static void test_delay(void** state) {
  (void)state;
  holds("delay");
}

static void test_bound(void** state) {
  (void)state;
  holds("bound");
  run("bound", "MIMALLOC_QUARANTINE=4096");
  assert_true(child_exited(&child, 0));
}

static void test_empty(void** state) {
  (void)state;
  holds("empty");
  holds("not-live");
  holds("thread");
  holds("fork");
}

static void reports(const char* role, const char* fault) {
  run(role, NULL);
  assert_true(child_killed(&child, SIGABRT));
  if (strstr(child.text, fault) == NULL) fail_msg("%s: %s", role, child.text);
}

static void test_misuse(void** state) {
  (void)state;
  reports("twice", "violation: double-free");
  reports("write", "violation: write-after-free");
  reports("write-exit", "violation: write-after-free");
}

int main(int argc, char** argv) {
  mi_heap_guarded_set_sample_rate(mi_heap_get_default(), 0, 0);
  for (size_t i = 0; argc > 1 && i < sizeof(roles) / sizeof(roles[0]); i++) {
    if (strcmp(argv[1], roles[i].name) == 0) return roles[i].run();
  }
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_delay), cmocka_unit_test(test_bound),
                                     cmocka_unit_test(test_empty), cmocka_unit_test(test_misuse)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
