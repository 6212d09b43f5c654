// Reports in every way they can come about: each fault of the catalogue from the main thread, from another one, with a
// small stack, in a signal handler, on an alternate stack; with standard error closed; without any allocation or system
// call for memory; real faults in handlers, at the end of a stack and in two threads at once. What comes out must be
// whole, and each line for machines must be JSON to Python's own parser. And reports of what two threads have part in.
#include "reported.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>

#include "secure.h"

static size_t times_said(const char* text) {
  size_t count = 0;
  for (const char* at = child.text; (at = strstr(at, text)) != NULL; at++) count++;
  return count;
}

// ---- every fault, every way -----------------------------------------------------------------------------------------

// A report on each fault, with a block and everything else that can be known.
__attribute__((noinline)) static void report_all(void) {
  static char* block;
  if (block == NULL) block = take(100);
  page_t* page = mim_page_of(block);
  bool single = (page->kind & KIND_LARGE) != 0;  // a sampled one
  void* frames[] = {(void*)(uintptr_t)report_all, (void*)(uintptr_t)take};
  sec_stack_t stack = {.frames = frames, .count = 2, .thread = 7};
  for (int fault = 1; fault < MI_FAULT_COUNT; fault++) {
    sec_violation(&(sec_report_t){.fault = (mi_fault_t)fault,
                                  .address = block + 3,
                                  .page = page,
                                  .index = single ? 1 : page_place(page, block).index,
                                  .block = block,
                                  .block_size = 112,
                                  .request = 100,
                                  .offset = 3,
                                  .claimed = 2,
                                  .detail = "a \"note\" with \\ and \t in it",
                                  .operation = "test",
                                  .allocated = &stack,
                                  .freed = &stack},
                  SEC_REPORT);
  }
}

static void* report_in_thread(void* arg) {
  report_all();
  return arg;
}

static void report_in_signal(int signal) {
  (void)signal;
  report_all();
}

static char alternate[64 * 1024];

static void by_signal(int flags) {
  struct sigaction action;
  memset(&action, 0, sizeof(action));
  action.sa_handler = report_in_signal;
  action.sa_flags = flags;
  sigaction(SIGUSR1, &action, NULL);
  raise(SIGUSR1);
}

static void by_thread(size_t stack) {
  pthread_t thread;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  if (stack != 0 && pthread_attr_setstacksize(&attributes, stack) != 0) _exit(3);
  if (pthread_create(&thread, &attributes, report_in_thread, NULL) != 0) _exit(3);
  pthread_join(thread, NULL);
}

enum { WAYS = 5, REPORTS = WAYS * (MI_FAULT_COUNT - 1) };

static void all_ways(void) {
  report_all();
  by_thread(0);
  by_thread((size_t)sysconf(_SC_THREAD_STACK_MIN) + 16384);
  by_signal(0);
  stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate), .ss_flags = 0};
  sigaltstack(&stack, NULL);
  by_signal(SA_ONSTACK);
}

static void all_ways_closed(void) {
  close(2);
  all_ways();
}

// Reads lines of JSON (or text with such lines in it) and says how many; fails on one that is not whole.
static const char reader[] =
    "import json, sys\n"
    "count, head, body = 0, None, []\n"
    "for line in sys.stdin.buffer.read().decode().splitlines():\n"
    "    if line.startswith('mimalloc: violation: '):\n"
    "        assert head is None, 'two heads: ' + line\n"
    "        head, body = line.split(': ')[2], []\n"
    "    elif line.startswith('{'):\n"
    "        facts = json.loads(line)\n"
    "        for key in ('fault', 'address', 'text', 'severity', 'profile', 'process', 'thread', 'trace'):\n"
    "            assert key in facts, 'no ' + key + ' in ' + line\n"
    "        assert facts['mimalloc'] == 'violation' and len(facts['trace']) > 0, line\n"
    "        if sys.argv[1] == 'both':\n"
    "            assert head == facts['fault'], line\n"
    "            assert any(l.startswith('    profile:') for l in body), body\n"
    "            assert any(l.startswith('    trace:') for l in body), body\n"
    "            head = None\n"
    "        count += 1\n"
    "    else:\n"
    "        body.append(line)\n"
    "assert head is None, 'a report without its line'\n"
    "print(count, 'whole')\n";

typedef struct read_s {
  const char* mode;
  const char* file;
} read_t;

static void run_reader(void* arg) {
  const read_t* how = arg;
  int fd = open(how->file, O_RDONLY);
  if (fd < 0) _exit(3);
  dup2(fd, 0);
  unsetenv("LD_PRELOAD");
  execlp("python3", "python3", "-c", reader, how->mode, (char*)NULL);
  _exit(97);
}

// What Python makes of the file; -1 when there is no Python.
static int whole_reports(const char* mode, const char* file) {
  static child_t python;
  read_t how = {mode, file};
  child_run(&python, run_reader, &how);
  if (child_exited(&python, 97)) return -1;
  if (!child_exited(&python, 0)) fail_msg("%s", python.text);
  return atoi(python.text);
}

static char folder[64], path[96], option[128];

static int make_folder(void** state) {
  (void)state;
  strcpy(folder, "/tmp/report_ways.XXXXXX");
  if (mkdtemp(folder) == NULL) return -1;
  snprintf(path, sizeof(path), "%s/out", folder);
  snprintf(option, sizeof(option), "MIMALLOC_REPORT=%s", path);
  return 0;
}

static int remove_folder(void** state) {
  (void)state;
  unlink(path);
  return rmdir(folder);
}

#define GOES_ON "MIMALLOC_ON_VIOLATION=report", "MIMALLOC_MAX_ERRORS=0"

static void assert_whole_text(int expected) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, child.text, child.length), child.length);
  close(fd);
  int whole = whole_reports("both", path);
  if (whole >= 0) assert_int_equal(whole, expected);
  unlink(path);
}

static void test_every_way(void** state) {
  (void)state;
  child_again(&child, (again_t){.role = "all_ways", .env = {GOES_ON, "MIMALLOC_REPORT=json"}});
  assert_true(child_exited(&child, 42));
  assert_int_equal(times_said("mimalloc: violation: "), REPORTS);
  assert_int_equal(times_said("\n{\"mimalloc\":\"violation\""), REPORTS);
  assert_int_equal(times_said("\n    allocated by thread 7:\n"), REPORTS);
  assert_whole_text(REPORTS);
}

static void test_closed_output(void** state) {
  (void)state;
  child_again(&child, (again_t){.role = "all_ways_closed", .env = {GOES_ON, option}});
  assert_true(child_exited(&child, 42));
  assert_string_equal(child.text, "");
  int whole = whole_reports("file", path);
  if (whole >= 0) assert_int_equal(whole, REPORTS);
  unlink(path);
}

// ---- no allocation --------------------------------------------------------------------------------------------------

// Changes with every block that is handed out or taken back.
static uint64_t heap_print(void) {
  uint64_t print = 0;
  for (size_t i = 0; i < mim_region_slices(); i++) {
    const page_t* page = &mim_process.slots[i];
    if (page->reciprocal == 0) continue;
    print = print * 1000003 + page->free;
    print = print * 1000003 + page->used;
    print = print * 1000003 + page->local_free;
  }
  return print;
}

static void quiet_handler(const mi_violation_t* violation, void* arg) {
  if (violation->fault != MI_FAULT_NONE) ++*(int*)arg;
}

static void quietly(void) {
  static const long for_memory[] = {SYS_mmap, SYS_munmap, SYS_mremap, SYS_mprotect, SYS_madvise, SYS_brk};
  int calls = 0;
  mi_register_violation(quiet_handler, &calls);
  give(take(100));
  take(100);
  for (size_t i = 0; i < sizeof(for_memory) / sizeof(for_memory[0]); i++) {
    if (!deny_call(for_memory[i], ENOMEM, -1)) _exit(99);
  }
  report_all();  // makes its block, if memory can still be handed out without asking for any
  uint64_t before = heap_print();
  report_all();
  if (heap_print() != before) say("allocated\n");
  if (calls != 2 * (MI_FAULT_COUNT - 1)) say("the handler was not called for each\n");
  take(100);
  if (heap_print() == before) say("would not notice\n");
}

static void test_no_allocation(void** state) {
  (void)state;
  if (BY_ASAN || BY_TSAN) skip();  // they map memory of their own
  child_again(&child, (again_t){.role = "quietly", .env = {GOES_ON, "MIMALLOC_REPORT=json"}});
  assert_true(child_exited(&child, 42));
  assert_int_equal(times_said("allocated\n"), 0);
  assert_int_equal(times_said("the handler was not called"), 0);
  assert_int_equal(times_said("would not notice"), 0);
  assert_whole_text(2 * (MI_FAULT_COUNT - 1));
}

// ---- real faults ----------------------------------------------------------------------------------------------------

static char* guard_address;

static void touch_in_signal(int signal) {
  (void)signal;
  touch(guard_address);
}

static void fault_in_signal(void) {
  guard_address = take(300000) + 300000;
  signal(SIGUSR1, touch_in_signal);
  raise(SIGUSR1);
}

static void fault_closed(void) {
  guard_address = take(300000) + 300000;
  close(2);
  touch(guard_address);
}

// With less than a page of stack left.
static void* touch_deep(void* lowest) {
  give(take(10));  // the thread's start: its signal stack
  char here;
  size_t room = (size_t)(&here - (char*)lowest) - 1024;
  char* volatile down = __builtin_alloca(room);
  down[0] = 1;
  touch(guard_address);
  return NULL;
}

static void fault_deep(void) {
  guard_address = take(300000) + 300000;
  size_t size = 1 << 17;
  char* stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  pthread_attr_t attributes;
  pthread_t thread;
  pthread_attr_init(&attributes);
  pthread_attr_setstack(&attributes, stack, size);
  mprotect(stack, 4096, PROT_NONE);
  if (pthread_create(&thread, &attributes, touch_deep, stack + 4096) != 0) _exit(3);
  pthread_join(thread, NULL);
}

static pthread_barrier_t together;

static void* touch_together(void* arg) {
  give(take(10));  // the thread's start: its signal stack
  pthread_barrier_wait(&together);
  touch(arg);
  return NULL;
}

static void* free_together(void* arg) {
  pthread_barrier_wait(&together);
  give(arg);
  return NULL;
}

enum { TOGETHER = 4 };

static void run_together(void* function(void*), bool freed) {
  pthread_t threads[TOGETHER];
  pthread_barrier_init(&together, NULL, TOGETHER);
  for (size_t i = 0; i < TOGETHER; i++) {
    char* p = take(300000);
    if (freed) give(p);
    pthread_create(&threads[i], NULL, function, freed ? p : p + 300000);
  }
  for (size_t i = 0; i < TOGETHER; i++) pthread_join(threads[i], NULL);
}

static void faults_together(void) {
  run_together(touch_together, false);
}
static void frees_together(void) {
  run_together(free_together, true);
}

// One whole report, and the end.
static void assert_one_report(const char* fault) {
  assert_true(child_killed(&child, SIGABRT));
  assert_int_equal(times_said("mimalloc: violation: "), 1);
  assert_says(fault);
  assert_whole_text(1);
}

#define WITH_FAULTS "MIMALLOC_FAULT_REPORT=1", "MIMALLOC_REPORT=json"

static void test_real_faults(void** state) {
  (void)state;
  if (BY_ASAN || BY_TSAN) skip();
  static const char* const roles[] = {"fault_in_signal", "fault_deep"};
  for (size_t i = 0; i < 2; i++) {
    child_again(&child, (again_t){.role = roles[i], .env = {WITH_FAULTS}});
    assert_one_report("mimalloc: violation: access-outside: 0x");
    assert_says("    access:    1 byte past the end of a 300000-byte block\n");
  }
  child_again(&child, (again_t){.role = "fault_closed", .env = {"MIMALLOC_FAULT_REPORT=1", option}});
  assert_true(child_killed(&child, SIGABRT));
  assert_string_equal(child.text, "");
  int whole = whole_reports("file", path);
  if (whole >= 0) assert_int_equal(whole, 1);
  unlink(path);
}

static void test_together(void** state) {
  (void)state;
  for (int round = 0; round < 5; round++) {
    child_again(&child, (again_t){.role = "frees_together", .env = {"MIMALLOC_REPORT=json"}});
    assert_one_report("mimalloc: violation: double-free: 0x");
    child_again(&child, (again_t){.role = "frees_together", .env = {GOES_ON, "MIMALLOC_REPORT=json"}});
    assert_true(child_exited(&child, 42));
    assert_whole_text(TOGETHER);
    if (BY_ASAN || BY_TSAN) continue;
    child_again(&child, (again_t){.role = "faults_together", .env = {WITH_FAULTS}});
    assert_one_report("mimalloc: violation: access-outside: 0x");
  }
}

// ---- handlers that fail, handlers that were there before ------------------------------------------------------------

__attribute__((noinline)) static int endless(volatile char* above) {
  volatile char here[1000];
  here[0] = above[0];
  if (here[0] == 0) return 0;  // never
  return endless(here) + here[0];
}

static void overflowing_handler(const mi_violation_t* violation, void* arg) {
  (void)violation;
  (void)arg;
  char start = 1;
  endless(&start);
}

static void overflow_in_handler(void) {
  mi_register_violation(overflowing_handler, NULL);
  char* p = take(40);
  give(p);
  give(p);
}

static void overflowing_signal(int signal) {
  (void)signal;
  char start = 1;
  endless(&start);
}

static void overflow_in_signal(void) {
  stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate), .ss_flags = 0};
  sigaltstack(&stack, NULL);
  struct sigaction action;
  memset(&action, 0, sizeof(action));
  action.sa_handler = overflowing_signal;
  action.sa_flags = SA_ONSTACK;
  sigaction(SIGSEGV, &action, NULL);
  void* elsewhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  touch(elsewhere);
}

// The process ends, with the report written, whatever the handler does to the stack.
static void test_overflow_in_handlers(void** state) {
  (void)state;
  if (BY_ASAN || BY_TSAN) skip();
  static const char* const ways[] = {"MIMALLOC_FAULT_REPORT=1", "MIMALLOC_FAULT_REPORT=0"};
  for (size_t i = 0; i < 2; i++) {
    child_again(&child, (again_t){.role = "overflow_in_handler", .env = {ways[i], "MIMALLOC_REPORT=json"}});
    assert_true(child_killed(&child, SIGSEGV) || child_killed(&child, SIGABRT));
    assert_says("mimalloc: violation: double-free: 0x");
    assert_whole_text(1);
    child_again(&child, (again_t){.role = "overflow_in_signal", .env = {ways[i]}});
    assert_true(child_killed(&child, SIGSEGV));
    assert_string_equal(child.text, "");
  }
}

static void early_handler(int signal) {
  say(signal == SIGSEGV ? "early handler\n" : "early handler, other signal\n");
  _exit(40);
}

static bool was_early;

// Before the library starts, which it does at the first allocation.
static void install_early(int argc, char** argv, char** environment) {
  (void)argc;
  (void)argv;
  bool wanted = false;
  for (; *environment != NULL; environment++) wanted |= strcmp(*environment, "TEST_EARLY=1") == 0;
  if (!wanted || mim_process.region_size != 0) return;
  struct sigaction action;
  memset(&action, 0, sizeof(action));
  action.sa_handler = early_handler;
  was_early = sigaction(SIGSEGV, &action, NULL) == 0;
}
__attribute__((section(".preinit_array"), used)) static void (*const early)(int, char**, char**) = install_early;

static void handled_early(void) {
  if (!was_early) _exit(43);
  give(take(10));
  struct sigaction now;
  sigaction(SIGSEGV, NULL, &now);
  say(now.sa_handler == early_handler ? "still known\n" : "forgotten\n");
  touch(mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void early_and_ours(void) {
  if (!was_early) _exit(43);
  touch(take(300000) + 300000);
}

static void test_earlier_handler(void** state) {
  (void)state;
  if (BY_ASAN || BY_TSAN) skip();
  child_again(&child, (again_t){.role = "handled_early", .env = {"TEST_EARLY=1", WITH_FAULTS}});
  assert_true(child_exited(&child, 40));
  assert_string_equal(child.text, "still known\nearly handler\n");
  child_again(&child, (again_t){.role = "early_and_ours", .env = {"TEST_EARLY=1", WITH_FAULTS}});
  assert_one_report("mimalloc: violation: access-outside: 0x");
}

// ---- other threads: their heaps, and what they free -----------------------------------------------------------------

static const size_t foreign_sizes[] = {40, 1000, 2000, 100000};
enum {
  FOREIGN_SIZES = sizeof(foreign_sizes) / sizeof(*foreign_sizes),
  FOREIGN_WAYS = 21
};  // fewer in all than reports are printed

// Each function that is given a heap and a size.
static void* in_heap(mi_heap_t* heap, size_t size, size_t way) {
  void* p = way >= 15 ? mi_malloc(8) : NULL;
  switch (way) {
    case 0:
      return mi_heap_malloc(heap, size);
    case 1:
      return mi_heap_zalloc(heap, size);
    case 2:
      return mi_heap_calloc(heap, 1, size);
    case 3:
      return mi_heap_mallocn(heap, 1, size);
    case 4:
      return mi_heap_malloc_small(heap, size);
    case 5:
      return mi_heap_zalloc_small(heap, size);
    case 6:
      return mi_heap_strdup(heap, "");
    case 7:
      return mi_heap_strndup(heap, "", 1);
    case 8:
      return mi_heap_realpath(heap, "/", NULL);
    case 9:
      return mi_heap_malloc_aligned(heap, size, 8);
    case 10:
      return mi_heap_malloc_aligned_at(heap, size, 64, 0);
    case 11:
      return mi_heap_zalloc_aligned(heap, size, 64);
    case 12:
      return mi_heap_calloc_aligned(heap, 1, size, 16);
    case 13:
      return mi_heap_alloc_new(heap, size);
    case 14:
      return mi_heap_alloc_new_n(heap, 1, size);
    case 15:
      return mi_heap_realloc(heap, p, size);
    case 16:
      return mi_heap_reallocn(heap, p, 1, size);
    case 17:
      return mi_heap_reallocf(heap, p, size);
    case 18:
      return mi_heap_rezalloc(heap, p, size);
    case 19:
      return mi_heap_recalloc(heap, p, 1, size);
    default:
      return mi_heap_realloc_aligned(heap, p, size, 64);
  }
}

static void* take_of_foreign(void* heap) {
  for (size_t i = 0; i < FOREIGN_SIZES + FOREIGN_WAYS; i++) {
    void* volatile p = in_heap(heap, foreign_sizes[i % FOREIGN_SIZES], i < FOREIGN_SIZES ? 0 : i - FOREIGN_SIZES);
    if (p == NULL || mi_heap_contains_block(heap, p)) _exit(3);  // it is of the thread's own heap
    mi_free(p);
  }
  return NULL;
}

static void heap_of_another(void) {
  mi_heap_t* heap = mi_heap_new();
  for (size_t i = 0; i < FOREIGN_SIZES; i++) {  // so that there are pages with free blocks
    if (mi_heap_malloc(heap, foreign_sizes[i]) == NULL) _exit(4);
  }
  pthread_t thread;
  if (pthread_create(&thread, NULL, take_of_foreign, heap) != 0 || pthread_join(thread, NULL) != 0) _exit(5);
}

static void test_heap_of_another(void** state) {
  (void)state;
  child_again(&child, (again_t){.role = "heap_of_another", .env = {"MIMALLOC_ON_VIOLATION=report"}});
  assert_true(child_exited(&child, 42));
  assert_int_equal(times_said("mimalloc: violation: invalid-heap: 0x"), FOREIGN_SIZES + FOREIGN_WAYS);
}

// The byte before a block, when its owner takes it from another thread's letter.
static void* give_there(void* p) {
  give(p);
  return NULL;
}

static void underflow_there(void) {
  char* p = take(100);
  while ((mim_page_of(p)->kind & KIND_LARGE) || page_place(mim_page_of(p), p).index < 2) p = take(100);
  p[-1] = (char)(p[-1] ^ 2);
  pthread_t thread;
  if (pthread_create(&thread, NULL, give_there, p) != 0 || pthread_join(thread, NULL) != 0) _exit(5);
  mi_collect(true);
}

static void test_underflow_there(void** state) {
  (void)state;
  child_again(&child, (again_t){.role = "underflow_there", .env = {"MIMALLOC_ON_VIOLATION=report"}});
  assert_true(child_exited(&child, 42));
  assert_int_equal(times_said("mimalloc: violation: underflow: 0x"), 1);
  assert_int_equal(times_said("mimalloc: violation: "), 1);
}

// A thread that ends after a free of a large block was refused lets go of the block: the free that is right does not wait
// for that thread, and one after it is told as what it is.
static void refused_there(void) {
  char* p = take(300000);
  char* given[] = {p + 16, p + 299999};
  for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, give_there, given[i]) != 0 || pthread_join(thread, NULL) != 0) _exit(5);
  }
  give(p);
  mi_collect(true);  // what goes to other threads is handed over
  give(p);
}

static void test_refused_there(void** state) {
  (void)state;
  child_again(&child, (again_t){.role = "refused_there", .env = {"MIMALLOC_ON_VIOLATION=report"}});
  assert_true(child_exited(&child, 42));
  assert_int_equal(times_said("mimalloc: violation: interior-free: 0x"), 1);
  assert_int_equal(times_said("mimalloc: violation: unaligned-free: 0x"), 1);
  assert_int_equal(times_said("mimalloc: violation: double-free: 0x"), 1);
  assert_int_equal(times_said("mimalloc: violation: "), 3);
}

// ---- roles ----------------------------------------------------------------------------------------------------------

static const struct {
  const char* name;
  void (*function)(void);
} roles[] = {
    {"all_ways", all_ways},
    {"all_ways_closed", all_ways_closed},
    {"quietly", quietly},
    {"fault_in_signal", fault_in_signal},
    {"fault_closed", fault_closed},
    {"fault_deep", fault_deep},
    {"faults_together", faults_together},
    {"frees_together", frees_together},
    {"overflow_in_handler", overflow_in_handler},
    {"overflow_in_signal", overflow_in_signal},
    {"handled_early", handled_early},
    {"early_and_ours", early_and_ours},
    {"heap_of_another", heap_of_another},
    {"underflow_there", underflow_there},
    {"refused_there", refused_there},
};

int main(int argc, char** argv) {
  for (size_t i = 0; argc > 1 && i < sizeof(roles) / sizeof(roles[0]); i++) {
    if (strcmp(roles[i].name, argv[1]) != 0) continue;
    roles[i].function();
    return 42;
  }
  if (argc > 1) return 2;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_way),       cmocka_unit_test(test_closed_output),
      cmocka_unit_test(test_no_allocation),   cmocka_unit_test(test_real_faults),
      cmocka_unit_test(test_together),        cmocka_unit_test(test_overflow_in_handlers),
      cmocka_unit_test(test_earlier_handler), cmocka_unit_test(test_heap_of_another),
      cmocka_unit_test(test_underflow_there), cmocka_unit_test(test_refused_there),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
