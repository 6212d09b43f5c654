// Traces: the same frames as the unwinder of the compiler's own library finds, in deep recursion, called back by libc,
// in signal handlers on either stack, in threads, in functions that realign or extend their stack; from an interrupted
// instruction; and no more than a short trace when the stack is smashed or a wild pointer was called.
#include "child.h"

#include <execinfo.h>
#include <pthread.h>
#include <ucontext.h>

#include "secure.h"

#define MAX 64

static void* ours[MAX];
static void* theirs[MAX];
static size_t ours_count;
static int theirs_count;

// Both from the same function. The first frames differ in the place inside it; the ones above must be the same.
__attribute__((noinline)) static void take_both(void) {
  sec_registers_t here;
  sec_registers_here(&here);
  ours_count = sec_trace(&here, false, ours, MAX);
  theirs_count = backtrace(theirs, MAX);
}

// Theirs begins with this function itself, ours with its caller.
static void assert_same(size_t at_least) {
  if (BY_ASAN || BY_TSAN) skip();  // backtrace is theirs then, and has a frame more
  assert_true(theirs_count > 1);
  assert_true(ours_count >= at_least);
  size_t count = (size_t)theirs_count - 1;
  assert_in_range(ours_count, count, count + 1);  // theirs may leave out the very last
  for (size_t i = 0; i < count; i++) {
    if (ours[i] != theirs[i + 1]) fail_msg("frame %zu of %zu: %p, not %p", i, count, ours[i], theirs[i + 1]);
  }
}

static volatile int one = 1;

__attribute__((noinline)) static int recurse(int depth) {
  if (depth == 0) {
    take_both();
  } else {
    recurse(depth - one);
  }
  return depth + one;
}

static void test_recursion(void** state) {
  (void)state;
  recurse(0);
  assert_same(3);
  recurse(25);
  assert_same(28);
  recurse(200);
  assert_int_equal(ours_count, MAX);
  assert_same(MAX);
}

static int compare(const void* a, const void* b) {
  take_both();
  return *(const char*)a - *(const char*)b;
}

static void test_called_back(void** state) {
  (void)state;
  char letters[] = "dcba";
  qsort(letters, 4, 1, compare);
  assert_same(5);
}

__attribute__((noinline)) static void realigned(int length) {
  volatile char wide[256] __attribute__((aligned(256)));
  wide[length] = 1;
  take_both();
  wide[length] = wide[length + 1];
}

__attribute__((noinline)) static void extended(int length) {
  volatile char more[length];
  more[length - 1] = 1;
  realigned(length);
  more[length - 1] = more[0];
}

static void test_unusual_frames(void** state) {
  (void)state;
  realigned(3);
  assert_same(3);
  extended(100);
  assert_same(4);
}

static void on_signal(int signal) {
  (void)signal;
  take_both();
}

static void test_signal(void** state) {
  (void)state;
  static char stack[65536];
  stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack), .ss_flags = 0};
  assert_int_equal(sigaltstack(&alternate, NULL), 0);
  for (int flags = 0; flags < 2; flags++) {
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_signal;
    action.sa_flags = flags ? SA_ONSTACK : 0;
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    assert_same(6);  // raise, this function, cmocka, main
  }
  alternate.ss_flags = SS_DISABLE;
  sigaltstack(&alternate, NULL);
}

static void* in_thread(void* arg) {
  recurse(5);
  return arg;
}

static void test_thread(void** state) {
  (void)state;
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, in_thread, NULL), 0);
  pthread_join(thread, NULL);
  assert_same(7);
}

// ---- from an interrupted instruction -------------------------------------------------------------------------------

static sec_registers_t interrupted;
static sigjmp_buf back;

static void keep_registers(int signal, siginfo_t* info, void* context) {
  (void)signal;
  (void)info;
  const ucontext_t* state = context;
#if defined(__x86_64__)
  static const int order[TRACE_REGISTERS] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
                                             REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                             REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};
  for (size_t i = 0; i < TRACE_REGISTERS; i++) interrupted.value[i] = (uintptr_t)state->uc_mcontext.gregs[order[i]];
#else
  for (size_t i = 0; i < 31; i++) interrupted.value[i] = (uintptr_t)state->uc_mcontext.regs[i];
  interrupted.value[TRACE_SP] = (uintptr_t)state->uc_mcontext.sp;
  interrupted.value[TRACE_PC] = (uintptr_t)state->uc_mcontext.pc;
#endif
  interrupted.known = ((uint64_t)1 << TRACE_REGISTERS) - 1;
  ours_count = sec_trace(&interrupted, true, ours, MAX);
  siglongjmp(back, 1);
}

static void catch_faults(void) {
  struct sigaction action;
  memset(&action, 0, sizeof(action));
  action.sa_sigaction = keep_registers;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, NULL);
}

static int* volatile nowhere;
static void (*volatile function_nowhere)(void);

__attribute__((noinline)) static void reads(void) {
  *(volatile int*)nowhere = 1;
}
__attribute__((noinline)) static void calls(void) {
  function_nowhere();
  one = 1;
}
__attribute__((noinline)) static void caller(void (*function)(void)) {
  function();
  one = 1;
}

static bool lies_in(void* frame, void (*function)(void)) {
  return (uintptr_t)frame - (uintptr_t)function < 100;
}

static void test_interrupted(void** state) {
  (void)state;
  if (BY_ASAN || BY_TSAN) skip();
  catch_faults();
  if (sigsetjmp(back, 1) == 0) caller(reads);
  assert_true(ours_count > 3);
  assert_true(lies_in(ours[0], reads));
  assert_true(lies_in(ours[1], (void (*)(void))(uintptr_t)caller));
  if (sigsetjmp(back, 1) == 0) caller(calls);
  assert_true(ours_count > 4);
  assert_null(ours[0]);
  assert_true(lies_in(ours[1], calls));
  assert_true(lies_in(ours[2], (void (*)(void))(uintptr_t)caller));
  signal(SIGSEGV, SIG_DFL);
}

// ---- a smashed stack ------------------------------------------------------------------------------------------------

// Takes a trace of a stack that is a copy of the true one with some words replaced: no fault, no endless loop.
static void test_smashed(void** state) {
  (void)state;
  if (BY_ASAN || BY_TSAN) skip();
  static uintptr_t copy[1024];
  sec_registers_t here;
  sec_registers_here(&here);
  uintptr_t from = here.value[TRACE_SP];
  extern char** environ;
  size_t words = ((uintptr_t)environ - from) / sizeof(uintptr_t);
  if (words > 1024) words = 1024;
  uint64_t seed = 7;
  for (int round = 0; round < 20000; round++) {
    memcpy(copy, (void*)from, words * sizeof(uintptr_t));
    uintptr_t base = (uintptr_t)copy;
    for (size_t i = 0; i < words; i++) {  // what points into the stack points into the copy
      if (copy[i] - from < words * sizeof(uintptr_t)) copy[i] += base - from;
    }
    for (int k = 0; k < 6; k++) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      size_t at = (seed >> 33) % 160;
      uintptr_t code = (uintptr_t)test_smashed + (seed >> 50), data = base + (seed >> 52);
      copy[at] = k % 3 == 0 ? (uintptr_t)seed : k % 3 == 1 ? code : data;
    }
    sec_registers_t registers = here;
    registers.value[TRACE_SP] = base;
    if (registers.value[TRACE_FP] - from < words * sizeof(uintptr_t)) registers.value[TRACE_FP] += base - from;
    void* frames[MAX];
    size_t count = sec_trace(&registers, false, frames, MAX);
    assert_true(count <= MAX);
  }
}

static void test_modules(void** state) {
  (void)state;
  uintptr_t base;
  const char* name;
  assert_true(sec_trace_module((void*)(uintptr_t)test_modules, &base, &name));
  assert_non_null(strstr(name, "trace"));
  assert_true(sec_trace_module((void*)(uintptr_t)qsort, &base, &name) || BY_ASAN || BY_TSAN);
  assert_true(strstr(name, "libc") != NULL || BY_ASAN || BY_TSAN);
  assert_false(sec_trace_module(ours, &base, &name) && (uintptr_t)ours < base);
  assert_false(sec_trace_module((void*)16, &base, &name));
  assert_int_equal(sec_trace_own(ours, ours_count), 0);  // the library is part of this program
}

int main(void) {
  void* first[2];
  backtrace(first, 2);  // loads libgcc, outside of handlers
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_recursion), cmocka_unit_test(test_called_back), cmocka_unit_test(test_unusual_frames),
      cmocka_unit_test(test_signal),    cmocka_unit_test(test_thread),      cmocka_unit_test(test_interrupted),
      cmocka_unit_test(test_smashed),   cmocka_unit_test(test_modules),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
