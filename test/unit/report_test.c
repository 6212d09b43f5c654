// Reports: the first line of every fault verbatim, the details, the line of JSON, traces, the handler, going on in
// `report` mode, two threads at once, standard error closed or broken.
#include "reported.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "mimalloc-stats.h"
#include "secure.h"

static void assert_says_not(const char* text) {
  if (strstr(child.text, text) == NULL) return;
  fail_msg("unexpected \"%s\" in:\n%s", text, child.text);
}

static size_t times_said(const char* text) {
  size_t count = 0;
  for (const char* at = child.text; (at = strstr(at, text)) != NULL; at++) count++;
  return count;
}

// ---- the catalogue --------------------------------------------------------------------------------------------------

static const struct {
  mi_fault_t fault;
  const char* name;
  const char* line;
} catalogue[] = {
    {MI_FAULT_NONE, "none", "mimalloc: violation: none: 0xabc0 nothing is wrong\n"},
    {MI_FAULT_DOUBLE_FREE, "double-free", "mimalloc: violation: double-free: 0xabc0 the block is free already\n"},
    {MI_FAULT_INTERIOR_FREE, "interior-free",
     "mimalloc: violation: interior-free: 0xabc0 points into a block, not to its start\n"},
    {MI_FAULT_UNALIGNED_FREE, "unaligned-free",
     "mimalloc: violation: unaligned-free: 0xabc0 no block starts at an address like this\n"},
    {MI_FAULT_FOREIGN_FREE, "foreign-free",
     "mimalloc: violation: foreign-free: 0xabc0 not memory of this allocator\n"},
    {MI_FAULT_INVALID_FREE, "invalid-free", "mimalloc: violation: invalid-free: 0xabc0 no block is there\n"},
    {MI_FAULT_OVERFLOW, "overflow",
     "mimalloc: violation: overflow: 0xabc0 the bytes behind a block were overwritten\n"},
    {MI_FAULT_UNDERFLOW, "underflow",
     "mimalloc: violation: underflow: 0xabc0 the bytes before a block were overwritten\n"},
    {MI_FAULT_WRITE_AFTER_FREE, "write-after-free",
     "mimalloc: violation: write-after-free: 0xabc0 a block was written to after it was freed\n"},
    {MI_FAULT_SIZE_MISMATCH, "size-mismatch",
     "mimalloc: violation: size-mismatch: 0xabc0 freed with a size that is not the block's\n"},
    {MI_FAULT_ALIGNMENT_MISMATCH, "alignment-mismatch",
     "mimalloc: violation: alignment-mismatch: 0xabc0 freed with an alignment that is not the block's\n"},
    {MI_FAULT_FAMILY_MISMATCH, "family-mismatch",
     "mimalloc: violation: family-mismatch: 0xabc0 freed by a function that does not belong to the one that "
     "allocated it\n"},
    {MI_FAULT_CORRUPT_LINK, "corrupt-link",
     "mimalloc: violation: corrupt-link: 0xabc0 the allocator's own records are damaged\n"},
    {MI_FAULT_ACCESS_OUTSIDE, "access-outside",
     "mimalloc: violation: access-outside: 0xabc0 access to a guard outside of every block\n"},
    {MI_FAULT_USE_AFTER_FREE, "use-after-free",
     "mimalloc: violation: use-after-free: 0xabc0 access to memory that was freed\n"},
    {MI_FAULT_ACCESS_ZERO_SIZE, "access-zero-size",
     "mimalloc: violation: access-zero-size: 0xabc0 access to a block of 0 bytes\n"},
    {MI_FAULT_ACCESS_NULL, "access-null",
     "mimalloc: violation: access-null: 0xabc0 access near the null pointer\n"},
    {MI_FAULT_MEMORY_RANGE, "memory-range",
     "mimalloc: violation: memory-range: 0xabc0 a memory or string function would leave the block\n"},
    {MI_FAULT_INVALID_HEAP, "invalid-heap",
     "mimalloc: violation: invalid-heap: 0xabc0 the heap is gone, or belongs to another thread\n"},
    {MI_FAULT_NO_ENTROPY, "no-entropy",
     "mimalloc: violation: no-entropy: 0xabc0 there are no random numbers to make keys from\n"},
};

static void fatal_fault(void* arg) {
  sec_fatal(*(mi_fault_t*)arg, (void*)(uintptr_t)0xabc0, "a note");
}

static void test_catalogue(void** state) {
  (void)state;
  assert_int_equal(sizeof(catalogue) / sizeof(catalogue[0]), MI_FAULT_COUNT);
  for (size_t i = 0; i < MI_FAULT_COUNT; i++) {
    assert_int_equal(catalogue[i].fault, i);
    assert_string_equal(mi_fault_name(catalogue[i].fault), catalogue[i].name);
    mi_fault_t fault = catalogue[i].fault;
    child_run(&child, fatal_fault, &fault);
    assert_true(child_killed(&child, SIGABRT));
    assert_int_equal(strncmp(child.text, catalogue[i].line, strlen(catalogue[i].line)), 0);
    assert_says("    note:      a note\n");
  }
  assert_string_equal(mi_fault_name((mi_fault_t)99), "unknown");
  assert_string_equal(mi_fault_name((mi_fault_t)-1), "unknown");
}

// ---- details of real misuse -----------------------------------------------------------------------------------------

// Opaque to the compiler, which knows too much about malloc and free.
static size_t in_size;
static ptrdiff_t in_offset;

static void write_and_free(void* arg) {
  (void)arg;
  char* p = take(in_size);
  printf("%p\n", (void*)p);
  fflush(stdout);
  p[in_offset] = 0x42;
  give(p);
}

static void test_overflow(void** state) {
  (void)state;
  static const struct {
    size_t size;
    ptrdiff_t offset;
    const char* access;
  } cases[] = {
      {24, 24, "    access:    1 byte past the end of a 24-byte block\n"},
      {24, 26, "    access:    3 bytes past the end of a 24-byte block\n"},
      {1, 1, "    access:    1 byte past the end of a 1-byte block\n"},
      {1000, 1000, "    access:    1 byte past the end of a 1000-byte block\n"},
      {5000, 5001, "    access:    2 bytes past the end of a 5000-byte block\n"},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    in_size = cases[i].size;
    in_offset = cases[i].offset;
    child_run(&child, write_and_free, NULL);
    assert_true(child_killed(&child, SIGABRT));
    unsigned long long block;
    char line[200];
    assert_int_equal(sscanf(child.text, "0x%llx", &block), 1);
    snprintf(line, sizeof(line), "mimalloc: violation: overflow: 0x%llx the bytes behind a block were overwritten\n",
             block + (unsigned long long)in_offset);
    assert_says(line);
    assert_says(cases[i].access);
    snprintf(line, sizeof(line), "    block:     0x%llx, number ", block);
    assert_says(line);
    snprintf(line, sizeof(line), "    requested: %zu byte", in_size);
    assert_says(line);
    assert_says("    state:     live, from malloc\n");
    assert_says(" [42]");
    assert_says("    page:      0x");
    assert_says("    heap:      0x");
    assert_says("    profile:   default, then abort\n");
  }
}

static void test_underflow(void** state) {
  (void)state;
  in_size = 40;
  in_offset = -1;
  child_run(&child, write_and_free, NULL);
  assert_true(child_killed(&child, SIGABRT));
  assert_says("mimalloc: violation: underflow: 0x");
  assert_says("    access:    1 byte before the start of a 40-byte block\n");
  in_size = 300000;
  in_offset = -3;
  child_run(&child, write_and_free, NULL);
  assert_true(child_killed(&child, SIGABRT));
  assert_says("mimalloc: violation: underflow: 0x");
  assert_says("    access:    3 bytes before the start of a 300000-byte block\n");
}

enum { TWICE, INSIDE, ODD, FOREIGN, CLAIM, FAMILY, LARGE_TWICE, LARGE_INSIDE, GIVEN_BACK, GIVEN_BACK_INSIDE, NEVER };

// A freed large block, behind which so many others were freed that it is no longer kept out of use.
static char* give_many(void) {
  static char* blocks[1000];
  for (size_t i = 0; i < 1000; i++) blocks[i] = take(300000);
  for (size_t i = 0; i < 1000; i++) give(blocks[i]);
  return blocks[0];
}

static void misuse(void* arg) {
  char* p = take(40);
  switch (*(int*)arg) {
    case TWICE: give(p); give(p); break;
    case INSIDE: give(p + 16); break;
    case ODD: give(p + 3); break;
    case FOREIGN: give(arg); break;
    case CLAIM: mi_free_size(p, 48); break;
    case FAMILY: mi_delete_array(mi_new(40)); break;
    case LARGE_TWICE: p = take(300000); give(p); give(p); break;
    case LARGE_INSIDE: p = take(300000); give(p); give(p + 256 * 1024); break;
    case GIVEN_BACK: give(give_many()); break;
    case GIVEN_BACK_INSIDE: give(give_many() + 256 * 1024); break;
    case NEVER: p = take(40); give(p + 40 * 1024 * 1024); break;
    default: break;
  }
}

static void test_frees(void** state) {
  (void)state;
  static const struct {
    int how;
    const char* lines[3];
  } cases[] = {
      {TWICE, {"mimalloc: violation: double-free: 0x", "    state:     free\n", NULL}},
      {INSIDE, {"mimalloc: violation: interior-free: 0x", "    access:    16 bytes into a 40-byte block\n", NULL}},
      {ODD, {"mimalloc: violation: unaligned-free: 0x", "    access:    3 bytes into a 40-byte block\n", NULL}},
      {FOREIGN, {"mimalloc: violation: foreign-free: 0x", "    noticed:   by ", NULL}},
      {CLAIM, {"mimalloc: violation: size-mismatch: 0x", "    claimed:   a size of 48 bytes\n",
               "    requested: 40 bytes\n"}},
      {FAMILY, {"mimalloc: violation: family-mismatch: 0x", "    claimed:   a block from new[]\n",
                "    state:     live, from new\n"}},
      {LARGE_TWICE, {"mimalloc: violation: double-free: 0x", "    state:     freed, kept out of use\n", NULL}},
      {LARGE_INSIDE, {"mimalloc: violation: invalid-free: 0x", "    access:    262144 bytes into a 300000-byte block\n",
                      "    state:     freed, kept out of use\n"}},
      {GIVEN_BACK, {"mimalloc: violation: double-free: 0x", ", large, its memory has been given back\n", NULL}},
      {GIVEN_BACK_INSIDE, {"mimalloc: violation: invalid-free: 0x",
                           "    access:    262144 bytes into a 300000-byte block\n",
                           ", large, its memory has been given back\n"}},
      {NEVER, {"mimalloc: violation: invalid-free: 0x", "    noticed:   by free\n", NULL}},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    int how = cases[i].how;
    child_run(&child, misuse, &how);
    assert_true(child_killed(&child, SIGABRT));
    for (size_t k = 0; k < 3 && cases[i].lines[k] != NULL; k++) assert_says(cases[i].lines[k]);
  }
}

// ---- traces ---------------------------------------------------------------------------------------------------------

__attribute__((noinline)) static void culprit(void) {
  char* p = take(40);
  give(p);
  give(p);
  __asm__ __volatile__("");  // so that the call is no jump
}

__attribute__((noinline)) static void accomplice(void* arg) {
  printf("%p %p\n", (void*)(uintptr_t)culprit, (void*)(uintptr_t)accomplice);
  fflush(stdout);
  culprit();
  __asm__ __volatile__("" : : "r"(arg));
}

// Some frame lies behind the start of each function, close to it, in this order.
static void test_trace(void** state) {
  (void)state;
  child_run(&child, accomplice, NULL);
  assert_true(child_killed(&child, SIGABRT));
  unsigned long long first, second, frame;
  assert_int_equal(sscanf(child.text, "0x%llx 0x%llx", &first, &second), 2);
  const char* at = strstr(child.text, "    trace:\n");
  assert_non_null(at);
  int found = 0;
  while ((at = strstr(at, "      #")) != NULL) {
    char module[300];
    unsigned long long offset;
    assert_int_equal(sscanf(at, "      #%*d 0x%llx %299[^+]+0x%llx", &frame, module, &offset), 3);
    if (found == 0 && frame > first && frame - first < 200) found = 1;
    if (found == 1 && frame > second && frame - second < 200) found = 2;
    at++;
  }
  assert_int_equal(found, 2);
}

// ---- JSON -----------------------------------------------------------------------------------------------------------

static const char* json_value(const char* at);

static const char* json_string(const char* at) {
  if (*at++ != '"') return NULL;
  for (; *at != '"'; at++) {
    if ((unsigned char)*at < 0x20) return NULL;
    if (*at == '\\' && *++at == 'u') at += 4;
  }
  return at + 1;
}

static const char* json_list(const char* at, char end, bool named) {
  at++;
  if (*at == end) return at + 1;
  for (;;) {
    if (named && ((at = json_string(at)) == NULL || *at++ != ':')) return NULL;
    if ((at = json_value(at)) == NULL) return NULL;
    if (*at == end) return at + 1;
    if (*at++ != ',') return NULL;
  }
}

// Behind the value at `at`; NULL when there is no value.
static const char* json_value(const char* at) {
  if (*at == '{') return json_list(at, '}', true);
  if (*at == '[') return json_list(at, ']', false);
  if (*at == '"') return json_string(at);
  size_t length = strspn(at, "-0123456789");
  return length > 0 ? at + length : NULL;
}

static void assert_json(const char* line) {
  assert_non_null(line);
  const char* end = json_value(line);
  assert_non_null(end);
  assert_int_equal(*end, '\n');
}

static int role_misuse(void) {
  int how = TWICE;
  misuse(&how);
  return 0;
}

static void test_json(void** state) {
  (void)state;
  child_again(&child, (again_t){.role = "misuse", .env = {"MIMALLOC_REPORT=json"}});
  assert_true(child_killed(&child, SIGABRT));
  assert_says("mimalloc: violation: double-free: 0x");
  static const char start[] = "{\"mimalloc\":\"violation\",\"version\":1,\"fault\":\"double-free\",\"address\":\"0x";
  const char* line = strstr(child.text, start);
  assert_json(line);
  assert_says("\"severity\":\"abort\"");
  assert_says("\"profile\":\"default\"");
  assert_says("\"state\":\"free\"");
  assert_says("\"trace\":[{\"pc\":\"0x");
  assert_string_equal(strchr(line, '\n'), "\n");  // the last line
}

static void test_no_json(void** state) {
  (void)state;
  child_again(&child, (again_t){.role = "misuse"});
  assert_true(child_killed(&child, SIGABRT));
  assert_says_not("{\"mimalloc\"");
}

static void test_json_file(void** state) {
  (void)state;
  char path[] = "/tmp/report_test.XXXXXX", option[64], line[16384];
  assert_non_null(mkdtemp(path));
  snprintf(option, sizeof(option), "MIMALLOC_REPORT=%s/out", path);
  for (int round = 1; round <= 2; round++) {
    child_again(&child, (again_t){.role = "misuse", .env = {option}});
    assert_true(child_killed(&child, SIGABRT));
    assert_says("mimalloc: violation: double-free: 0x");
    assert_says_not("{\"mimalloc\"");
    FILE* file = fopen(option + strlen("MIMALLOC_REPORT="), "r");
    assert_non_null(file);
    struct stat facts;
    assert_int_equal(fstat(fileno(file), &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0600);
    int lines = 0;
    while (fgets(line, sizeof(line), file) != NULL) {
      assert_json(line);
      lines++;
    }
    fclose(file);
    assert_int_equal(lines, round);  // appended
  }
  unlink(option + strlen("MIMALLOC_REPORT="));
  // A link is not followed, and the line is not lost.
  assert_int_equal(symlink("/tmp/report_test.elsewhere", option + strlen("MIMALLOC_REPORT=")), 0);
  child_again(&child, (again_t){.role = "misuse", .env = {option}});
  assert_says("mimalloc: the report file cannot be opened:\n{\"mimalloc\"");
  assert_int_equal(access("/tmp/report_test.elsewhere", F_OK), -1);
  unlink(option + strlen("MIMALLOC_REPORT="));
  rmdir(path);
}

// ---- going on -------------------------------------------------------------------------------------------------------

static int role_many(void) {
  for (int i = 0; i < 100; i++) {
    char* p = take(40);
    give(p);
    give(p);
  }
  char* p = take(24);
  p[24] = 1;
  give(p);
  int local = 0;
  give(&local);
  free(malloc(100));
  printf("went on, %zu counted\n", sec_violation_count());
  return 0;
}

static void test_goes_on(void** state) {
  (void)state;
  child_again(&child, (again_t){.role = "many", .env = {"MIMALLOC_ON_VIOLATION=report", "MIMALLOC_MAX_ERRORS=0"}});
  assert_true(child_exited(&child, 0));
  assert_says("went on, 102 counted\n");
  assert_int_equal(times_said("mimalloc: violation: double-free: 0x"), 100);
  assert_int_equal(times_said("mimalloc: violation: overflow: 0x"), 1);
  assert_int_equal(times_said("mimalloc: violation: foreign-free: 0x"), 1);
  assert_int_equal(times_said("    profile:   default, then report\n"), 102);
}

static void test_limit(void** state) {
  (void)state;
  child_again(&child, (again_t){.role = "many", .env = {"MIMALLOC_ON_VIOLATION=report", "MIMALLOC_MAX_ERRORS=3"}});
  assert_true(child_exited(&child, 0));
  assert_says("went on, 102 counted\n");
  assert_int_equal(times_said("mimalloc: violation: "), 3);
  assert_int_equal(times_said("mimalloc: further violations are counted, but not reported"), 1);
}

static void off(void* arg) {
  (void)arg;
  errno = 55;
  sec_violation(&(sec_report_t){.fault = MI_FAULT_OVERFLOW}, SEC_OFF);
  sec_violation(&(sec_report_t){.fault = MI_FAULT_OVERFLOW}, SEC_REPORT);
  mi_stats_t_decl(stats);
  _exit(errno == 55 && sec_violation_count() == 1 && mi_stats_get(&stats) && stats.violations.total == 1 ? 0 : 1);
}

// The error function of the plain interface is told too, before anything else follows.
static void exit_with(int error, void* arg) {
  _exit(arg == &child ? error : 1);
}

static void told_as_error(void* arg) {
  mi_register_error(exit_with, &child);
  sec_violation(&(sec_report_t){.fault = *(const mi_fault_t*)arg, .address = arg}, SEC_ABORT);
}

static void test_errors(void** state) {
  (void)state;
  for (mi_fault_t fault = MI_FAULT_DOUBLE_FREE; fault < MI_FAULT_NO_ENTROPY; fault++) {
    int error = fault == MI_FAULT_DOUBLE_FREE ? EAGAIN : EFAULT;
    if (strstr(mi_fault_name(fault), "mismatch") != NULL || fault == MI_FAULT_INVALID_HEAP ||
        (fault > MI_FAULT_DOUBLE_FREE && strstr(mi_fault_name(fault), "-free") != NULL &&
         strstr(mi_fault_name(fault), "after") == NULL)) {
      error = EINVAL;
    }
    child_run(&child, told_as_error, &fault);
    assert_true(child_exited(&child, error));
  }
}

static void test_off_and_errno(void** state) {
  (void)state;
  child_run(&child, off, NULL);
  assert_true(child_exited(&child, 0));
  assert_int_equal(times_said("mimalloc: violation: "), 1);
}

// ---- the handler ----------------------------------------------------------------------------------------------------

static void handler(const mi_violation_t* v, void* arg) {
  char line[300];
  int length = snprintf(line, sizeof(line), "handler %s %s %d %zu %zu %zd %d %d %d %d\n", (const char*)arg,
                        mi_fault_name(v->fault), v->severity == MI_SEVERITY_ABORT, v->requested_size, v->claimed_size,
                        v->offset, v->family, v->trace_count > 2, strncmp(v->text, "mimalloc: violation: ", 21) == 0,
                        v->size == sizeof(*v) && v->version == MI_VIOLATION_VERSION && v->thread_id == (long)gettid());
  if (write(2, line, (size_t)length) != length) _exit(1);
}

static void with_handler(void* arg) {
  mi_register_violation(handler, (void*)(uintptr_t) "once");
  misuse(arg);
}

static void test_handler(void** state) {
  (void)state;
  int how = CLAIM;
  child_run(&child, with_handler, &how);
  assert_true(child_killed(&child, SIGABRT));
  assert_says("\nhandler once size-mismatch 1 40 48 0 0 1 1 1\n");
  how = INSIDE;
  child_run(&child, with_handler, &how);
  assert_says("\nhandler once interior-free 1 40 0 16 0 1 1 1\n");
}

static void unregistered(void* arg) {
  mi_register_violation(handler, NULL);
  mi_register_violation(NULL, NULL);
  misuse(arg);
}

static void exiting_handler(const mi_violation_t* v, void* arg) {
  (void)v;
  _exit(*(int*)arg);
}

static void exits(void* arg) {
  int code = 33;
  mi_register_violation(exiting_handler, &code);
  misuse(arg);
}

// A handler that does what it must not.
static void freeing_handler(const mi_violation_t* v, void* arg) {
  (void)v;
  give((char*)arg + 1);
}

static void frees_badly(void* arg) {
  mi_register_violation(freeing_handler, take(32));
  misuse(arg);
}

static void test_handlers_ways(void** state) {
  (void)state;
  int how = TWICE;
  child_run(&child, unregistered, &how);
  assert_true(child_killed(&child, SIGABRT));
  assert_says_not("handler");
  child_run(&child, exits, &how);
  assert_true(child_exited(&child, 33));
  child_run(&child, frees_badly, &how);
  assert_true(child_killed(&child, SIGABRT));
  assert_int_equal(times_said("mimalloc: violation: "), 2);
  assert_says("mimalloc: violation: unaligned-free: 0x");
}

// ---- threads, signals, broken output -------------------------------------------------------------------------------

static pthread_barrier_t together;

static void* violate(void* arg) {
  pthread_barrier_wait(&together);
  for (int i = 0; i < 20; i++) {
    sec_violation(&(sec_report_t){.fault = MI_FAULT_OVERFLOW, .address = (void*)0x10, .detail = "the end"},
                  (sec_severity_t)(uintptr_t)arg);
  }
  return NULL;
}

static void two_threads(void* arg) {
  mi_option_set(mi_option_max_errors, 0);
  pthread_barrier_init(&together, NULL, 4);
  pthread_t threads[4];
  for (size_t i = 0; i < 4; i++) pthread_create(&threads[i], NULL, violate, *(void**)arg);
  for (size_t i = 0; i < 4; i++) pthread_join(threads[i], NULL);
}

static void test_threads(void** state) {
  (void)state;
  void* severity = (void*)SEC_REPORT;
  child_run(&child, two_threads, &severity);
  assert_true(child_exited(&child, 0));
  assert_int_equal(times_said("mimalloc: violation: overflow: 0x10 the bytes behind a block were overwritten\n"
                              "    note:      the end\n    thread:    "), 80);
  assert_int_equal(times_said(", then report\n    trace:\n      #0 0x"), 80);
  severity = (void*)SEC_ABORT;
  for (int round = 0; round < 20; round++) {
    child_run(&child, two_threads, &severity);
    assert_true(child_killed(&child, SIGABRT));
    assert_int_equal(times_said("mimalloc: violation: "), 1);
  }
}

static void in_signal(int signal) {
  (void)signal;
  int how = TWICE;
  misuse(&how);
}

static void from_signal(void* arg) {
  (void)arg;
  signal(SIGUSR1, in_signal);
  raise(SIGUSR1);
}

// On an alternate stack of the size that programs make (SIGSTKSZ is 8 KiB), most of which the kernel may need.
static char small_stack[64 * 1024];

static void from_small_stack(void* arg) {
  (void)arg;
  memset(small_stack, 0x5A, sizeof(small_stack));
  stack_t stack = {.ss_sp = small_stack, .ss_size = sizeof(small_stack), .ss_flags = 0};
  struct sigaction action;
  memset(&action, 0, sizeof(action));
  action.sa_handler = in_signal;
  action.sa_flags = SA_ONSTACK;
  sigaltstack(&stack, NULL);
  sigaction(SIGUSR1, &action, NULL);
  raise(SIGUSR1);
  size_t untouched = 0;
  while (small_stack[untouched] == 0x5A) untouched++;
  printf("%zu bytes used\n", sizeof(small_stack) - untouched);
  fflush(stdout);
}

static int role_small(void) {
  from_small_stack(NULL);
  return 0;
}

static void test_small_stack(void** state) {
  (void)state;
  child_again(&child, (again_t){.role = "small", .env = {"MIMALLOC_ON_VIOLATION=report", "MIMALLOC_REPORT=json"}});
  assert_true(child_exited(&child, 0));
  const char* at = strstr(child.text, "}\n");
  assert_non_null(at);
  size_t used = strtoul(at + 2, NULL, 10);
  size_t kernel = (size_t)sysconf(_SC_MINSIGSTKSZ);
  if (used > 6144 + kernel) fail_msg("%zu bytes of stack used, %zu of them by the kernel at most", used, kernel);
}

// A handler for SIGABRT does not keep the process alive, nor does ignoring or blocking it.
static void abort_ignored(void* arg) {
  signal(SIGABRT, SIG_IGN);
  sigset_t set;
  sigfillset(&set);
  sigprocmask(SIG_BLOCK, &set, NULL);
  misuse(arg);
}

static void test_signals(void** state) {
  (void)state;
  int how = TWICE;
  child_run(&child, from_signal, NULL);
  assert_true(child_killed(&child, SIGABRT));
  assert_says("mimalloc: violation: double-free: 0x");
  child_run(&child, abort_ignored, &how);
  assert_true(child_killed(&child, SIGABRT));
  assert_says("mimalloc: violation: double-free: 0x");
}

static void closed_error(void* arg) {
  close(2);
  misuse(arg);
}

static void broken_error(void* arg) {
  int ends[2];
  if (pipe(ends) != 0) _exit(1);
  close(ends[0]);
  dup2(ends[1], 2);
  misuse(arg);
}

// Where processes go on, a broken standard error must not kill them by SIGPIPE.
static void broken_error_goes_on(void* arg) {
  (void)arg;
  int ends[2];
  if (pipe(ends) != 0) _exit(1);
  close(ends[0]);
  dup2(ends[1], 2);
  sec_violation(&(sec_report_t){.fault = MI_FAULT_OVERFLOW}, SEC_REPORT);
  _exit(44);
}

static void test_broken_output(void** state) {
  (void)state;
  int how = TWICE;
  child_run(&child, closed_error, &how);
  assert_true(child_killed(&child, SIGABRT));
  child_run(&child, broken_error, &how);
  assert_true(child_killed(&child, SIGABRT));
  child_run(&child, broken_error_goes_on, NULL);
  assert_true(child_exited(&child, 44));
}

static void forked_report(void* arg) {
  // Another thread holds the report's lock while this one forks.
  (void)arg;
  mi_option_set(mi_option_max_errors, 0);
  pthread_barrier_init(&together, NULL, 2);
  pthread_t thread;
  pthread_create(&thread, NULL, violate, (void*)SEC_REPORT);
  pthread_barrier_wait(&together);
  for (int i = 0; i < 20; i++) {
    pid_t process = fork();
    if (process == 0) {
      alarm(5);
      sec_violation(&(sec_report_t){.fault = MI_FAULT_UNDERFLOW}, SEC_REPORT);
      _exit(0);
    }
    int status;
    waitpid(process, &status, 0);
    if (status != 0) _exit(1);
  }
  pthread_join(thread, NULL);
}

static void test_fork(void** state) {
  (void)state;
  if (BY_TSAN) skip();
  child_run(&child, forked_report, NULL);
  assert_true(child_exited(&child, 0));
}

int main(int argc, char** argv) {
  if (argc > 1) {
    if (strcmp(argv[1], "misuse") == 0) return role_misuse();
    if (strcmp(argv[1], "many") == 0) return role_many();
    if (strcmp(argv[1], "small") == 0) return role_small();
    return 2;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_catalogue),     cmocka_unit_test(test_overflow),
      cmocka_unit_test(test_underflow),     cmocka_unit_test(test_frees),
      cmocka_unit_test(test_trace),         cmocka_unit_test(test_json),
      cmocka_unit_test(test_no_json),       cmocka_unit_test(test_json_file),
      cmocka_unit_test(test_goes_on),       cmocka_unit_test(test_limit),
      cmocka_unit_test(test_errors),
      cmocka_unit_test(test_off_and_errno), cmocka_unit_test(test_handler),
      cmocka_unit_test(test_handlers_ways), cmocka_unit_test(test_threads),
      cmocka_unit_test(test_signals),       cmocka_unit_test(test_broken_output),
      cmocka_unit_test(test_fork),          cmocka_unit_test(test_small_stack),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
