// Traces: the same frames as the unwinder of the compiler's own library finds, in deep recursion, called back by libc,
// in signal handlers on either stack, in threads, in functions that realign or extend their stack; from an interrupted
// instruction; and no more than a short trace when the stack is smashed or a wild pointer was called. The same again, by
// rows that were kept; and rows that are kept at once in the same place are never mixed up.
#include "child.h"

#include <execinfo.h>
#include <pthread.h>
#include <ucontext.h>

#include "row.h"
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

// ---- rows that are kept ---------------------------------------------------------------------------------------------

static void test_again(void** state) {
  (void)state;
  static void* before[MAX];
  sec_object_t object;
  sec_row_t row;
  for (int round = 0; round < 3; round++) {
    recurse(40);
    assert_same(MAX < 43 ? MAX : 43);
    if (round > 0) assert_memory_equal(before + 1, ours + 1, 39 * sizeof(void*));  // those in recurse
    memcpy(before, ours, sizeof(ours));
  }
  uintptr_t pc = (uintptr_t)ours[20] - 1;  // in recurse
  assert_true(sec_object_find(pc, &object));
  assert_true(sec_row_find(pc, &object, &row));
  assert_true(row.offset >= 16);
  object.end += 4096;  // another library has come to its address
  assert_false(sec_row_find(pc, &object, &row));
  assert_false(sec_row_find(0, &object, &row));
}

static const sec_object_t some_object = {.start = 4096, .end = 1 << 20};
static volatile size_t steps, interruption;

// Three of the same pair of places, and so always in each other's way.
static uintptr_t pc_of(size_t i) {
  return 5000 + (i << 56);
}

static sec_row_t row_of(size_t i, size_t writer) {
  sec_row_t row = {.words = {0}};
  row.offset = (int32_t)(16 * i + 8 * writer + 8);
  row.base = (uint8_t)writer;
  memset(row.saved, (int)(writer + 1), sizeof(row.saved));
  return row;
}

static void write_row(size_t i, size_t writer) {
  sec_row_t row = row_of(i, writer);
  sec_row_keep(pc_of(i), &some_object, &row);
}

static bool look_at_row(size_t i) {
  sec_row_t row;
  if (!sec_row_find(pc_of(i), &some_object, &row)) return false;
  sec_row_t whole = row_of(i, row.base);
  assert_memory_equal(&row, &whole, sizeof(row));
  return true;
}

#if defined(__x86_64__)
static void on_step(int signal) {
  (void)signal;
  if (++steps == interruption) write_row(interruption % 3, 1);
}

// The processor stops after each instruction: the trap flag, bit 8 of the flags.
__attribute__((noinline)) static void write_in_steps(size_t i) {
  __asm__ __volatile__("leaq -128(%%rsp), %%rsp; pushfq; orq $256, (%%rsp); popfq; leaq 128(%%rsp), %%rsp" ::
                           : "memory", "cc");
  write_row(i, 0);
  __asm__ __volatile__("leaq -128(%%rsp), %%rsp; pushfq; andq $~256, (%%rsp); popfq; leaq 128(%%rsp), %%rsp" ::
                           : "memory", "cc");
}
#endif

// A write is interrupted at each of its instructions by another to the same places, as two threads' would be, and never
// is a mixture of both found (one would be taken for a row with a probability of 2^-64).
static void test_rows_interrupted(void** state) {
  (void)state;
  if (BY_TSAN) skip();  // which lets handlers wait
#if defined(__x86_64__)
  signal(SIGTRAP, on_step);
  size_t found = 0;
  for (interruption = 1; interruption == 1 || steps >= interruption - 1; interruption++) {
    for (size_t i = 0; i < 3; i++) {
      write_row((i + 1) % 3, 0);
      steps = 0;
      write_in_steps(i);
      for (size_t k = 0; k < 3; k++) found += look_at_row(k);
    }
  }
  signal(SIGTRAP, SIG_DFL);
  if (interruption < 10) skip();  // a processor that is emulated, without the trap flag
  assert_true(found > 3 * interruption);
#else
  skip();
#endif
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
      cmocka_unit_test(test_recursion),      cmocka_unit_test(test_called_back),
      cmocka_unit_test(test_unusual_frames), cmocka_unit_test(test_signal),
      cmocka_unit_test(test_thread),         cmocka_unit_test(test_interrupted),
      cmocka_unit_test(test_smashed),        cmocka_unit_test(test_modules),
      cmocka_unit_test(test_again),          cmocka_unit_test(test_rows_interrupted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
