// Faults: accesses to guards, freed and zero-size blocks are reported with the block they were next to; the program's
// own handlers, whenever and however installed, see everything else as if ours were not there.
#include "reported.h"

#include <pthread.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "secure.h"

static void poke(char* p) {
  *(volatile char*)p = 1;
}

// ---- what happens in the program started anew -----------------------------------------------------------------------

static char* inaccessible;  // a mapping of the program's own

static void own_handler(int signal) {
  say(signal == SIGSEGV ? "own handler\n" : "own handler, other signal\n");
  _exit(40);
}

static void info_handler(int signal, siginfo_t* info, void* context) {
  say(signal == SIGSEGV && info->si_addr == inaccessible && context != NULL ? "right address\n" : "wrong address\n");
  sigset_t blocked;
  sigprocmask(SIG_SETMASK, NULL, &blocked);
  say(sigismember(&blocked, SIGUSR2) && sigismember(&blocked, SIGSEGV) ? "right mask\n" : "wrong mask\n");
  mprotect(inaccessible, 4096, PROT_READ | PROT_WRITE);  // the access is repeated, and succeeds
}

static void take_signal(void (*function)(int, siginfo_t*, void*), int flags) {
  struct sigaction action;
  memset(&action, 0, sizeof(action));
  action.sa_sigaction = function;
  action.sa_flags = flags | SA_SIGINFO;
  sigaddset(&action.sa_mask, SIGUSR2);
  if (sigaction(SIGSEGV, &action, NULL) != 0) _exit(1);
}

static void guard_of_pages(void) { touch(take(8192) + 8192); }
static void guard_of_large(void) { poke(take(300000) + 300000); }
static void guard_before(void) {
  char* highest = take(8192);
  for (int i = 0; i < 64; i++) {  // not the first of its page, which has no guard before it
    char* p = take(8192);
    if (p > highest && p - highest < 65536) highest = p;
  }
  touch(highest - 1);
}
static void freed_large(void) {
  char* p = take(300000);
  give(p);
  touch(p + 100);
}
static void zero_size(void) { touch(take(0)); }
static void near_null(void) {
  char* volatile null = NULL;
  touch(null + 0x18);
}
static void elsewhere(void) { touch(inaccessible); }

static void with_own_handler(void) {
  signal(SIGSEGV, own_handler);
  touch(take(8192) + 8192);
}
static void own_handler_elsewhere(void) {
  signal(SIGSEGV, own_handler);
  touch(inaccessible);
}
static void own_handler_null(void) {
  signal(SIGSEGV, own_handler);
  near_null();
}
static void old_style_handler(void) {
  __sighandler_t __sysv_signal(int, __sighandler_t);
  __sysv_signal(SIGSEGV, own_handler);
  touch(inaccessible);
}
static void handler_gets_all(void) {
  take_signal(info_handler, 0);
  touch(inaccessible);
  poke(inaccessible + 1);
  say("went on\n");
  _exit(41);
}
// A program may protect its own block, and handle what follows.
static void own_block_protected(void) {
  inaccessible = mi_malloc_aligned(4096, 4096);
  if (mprotect(inaccessible, 4096, PROT_NONE) != 0) _exit(1);
  take_signal(info_handler, 0);
  touch(inaccessible);
  say("went on\n");
  _exit(41);
}
static void once_only(void) {
  take_signal(info_handler, (int)SA_RESETHAND);
  touch(inaccessible);
  struct sigaction now;
  sigaction(SIGSEGV, NULL, &now);
  say(now.sa_handler == SIG_DFL ? "back to default\n" : "still there\n");
  mprotect(inaccessible, 4096, PROT_NONE);
  touch(inaccessible);
}
static void asked_back(void) {
  struct sigaction now;
  sigaction(SIGSEGV, NULL, &now);
  say(now.sa_handler == SIG_DFL ? "default at first\n" : "not default\n");
  say(signal(SIGSEGV, own_handler) == SIG_DFL ? "default before\n" : "not default\n");
  say(signal(SIGSEGV, SIG_IGN) == own_handler ? "own before\n" : "not own\n");
  sigaction(SIGSEGV, NULL, &now);
  say(now.sa_handler == SIG_IGN ? "ignored now\n" : "not ignored\n");
  raise(SIGSEGV);
  say("survived raise\n");
  signal(SIGSEGV, SIG_DFL);
  bool others = signal(SIGUSR1, own_handler) == SIG_DFL && signal(SIGUSR1, SIG_DFL) == own_handler;
  say(others ? "others too\n" : "others fail\n");
  raise(SIGSEGV);
}

static char* volatile stack_seen;
static char spare[65536];
static void stack_handler(int signal, siginfo_t* info, void* context) {
  (void)signal; (void)info; (void)context;
  char here;
  stack_seen = &here;
  mprotect(inaccessible, 4096, PROT_READ | PROT_WRITE);
}
static void own_stack(void) {
  stack_t stack = {.ss_sp = spare, .ss_size = sizeof(spare), .ss_flags = 0};
  sigaltstack(&stack, NULL);
  take_signal(stack_handler, SA_ONSTACK);
  touch(inaccessible);
  say(stack_seen >= spare && stack_seen < spare + sizeof(spare) ? "on it\n" : "not on it\n");
  mprotect(inaccessible, 4096, PROT_NONE);
  take_signal(stack_handler, 0);
  touch(inaccessible);
  say(stack_seen >= spare && stack_seen < spare + sizeof(spare) ? "on it\n" : "not on it\n");
  _exit(0);
}

static void* in_thread(void* arg) {
  give(take(10));
  stack_t stack;
  sigaltstack(NULL, &stack);
  say(stack.ss_flags == 0 ? "has an alternate stack\n" : "has none\n");
  if (arg == NULL) touch(take(8192) + 8192);
  return NULL;
}
static void thread_faults(void) {
  pthread_t thread;
  for (int i = 0; i < 100; i++) {  // their stacks come and go
    pthread_create(&thread, NULL, in_thread, spare);
    pthread_join(thread, NULL);
  }
  pthread_create(&thread, NULL, in_thread, NULL);
  pthread_join(thread, NULL);
}

__attribute__((noinline)) static int endless(volatile char* above) {
  volatile char here[1000];
  here[0] = above[0];
  if (here[0] == 0) return 0;  // never
  return endless(here) + here[0];
}
static void stack_overflow(void) {
  char start = 1;
  endless(&start);
}

// What a vfork child does to its handlers does not concern the parent.
static void child_resets(void) {
  signal(SIGSEGV, own_handler);
  pid_t process = vfork();
  if (process == 0) {
    signal(SIGSEGV, SIG_DFL);
    _exit(0);
  }
  waitpid(process, NULL, 0);
  touch(inaccessible);
}

static void wild_call(void) {
  void (*volatile function)(void) = (void (*)(void))(uintptr_t)take(64);
  function();
}

static const struct {
  const char* name;
  void (*function)(void);
} roles[] = {
    {"guard_of_pages", guard_of_pages},
    {"guard_of_large", guard_of_large},
    {"guard_before", guard_before},
    {"freed_large", freed_large},
    {"zero_size", zero_size},
    {"near_null", near_null},
    {"elsewhere", elsewhere},
    {"with_own_handler", with_own_handler},
    {"own_handler_elsewhere", own_handler_elsewhere},
    {"own_handler_null", own_handler_null},
    {"old_style_handler", old_style_handler},
    {"handler_gets_all", handler_gets_all},
    {"own_block_protected", own_block_protected},
    {"once_only", once_only},
    {"asked_back", asked_back},
    {"own_stack", own_stack},
    {"thread_faults", thread_faults},
    {"stack_overflow", stack_overflow},
    {"child_resets", child_resets},
    {"wild_call", wild_call},
};

static int role_run(const char* name) {
  inaccessible = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
    if (strcmp(roles[i].name, name) != 0) continue;
    roles[i].function();
    return 42;
  }
  return 2;
}

static void run(const char* role, const char* option, const char* other) {
  child_again(&child, (again_t){.role = role, .env = {option, other}});
}

#define STRICT "MIMALLOC_PROFILE=strict"
#define OPTION "MIMALLOC_FAULT_REPORT=1"

// ---- reports --------------------------------------------------------------------------------------------------------

static bool has_block_guards(void) {
  return (mim_process.hook.mechanisms & SEC_BLOCK_GUARD) != 0;
}

static void test_guards(void** state) {
  (void)state;
  if (BY_ASAN || BY_TSAN) skip();
  static const char* const ways[] = {STRICT, OPTION};
  for (size_t i = 0; i < 2; i++) {
    run("guard_of_large", ways[i], NULL);
    assert_true(child_killed(&child, SIGABRT));
    assert_says("mimalloc: violation: access-outside: 0x");
    assert_says("    access:    1 byte past the end of a 300000-byte block\n");
    assert_says("    noticed:   by fault\n");
    assert_says("#1 ");
    if (!has_block_guards()) continue;
    run("guard_of_pages", ways[i], NULL);
    assert_true(child_killed(&child, SIGABRT));
    assert_says("mimalloc: violation: access-outside: 0x");
    assert_says("    access:    1 byte past the end of a 8192-byte block\n");
    run("guard_before", ways[i], NULL);
    assert_true(child_killed(&child, SIGABRT));
    assert_says("mimalloc: violation: access-outside: 0x");
  }
#if defined(__x86_64__)
  if (has_block_guards()) assert_says("    note:      it was a read\n");  // else guard_of_large was the last: a write
#endif
}

static void test_freed_and_empty(void** state) {
  (void)state;
  if (BY_ASAN || BY_TSAN) skip();
  run("freed_large", OPTION, NULL);
  assert_true(child_killed(&child, SIGABRT));
  assert_says("mimalloc: violation: use-after-free: 0x");
  assert_says("    access:    at byte 100 of a freed 300000-byte block\n");
  run("zero_size", OPTION, NULL);
  assert_true(child_killed(&child, SIGABRT));
  assert_says("mimalloc: violation: access-zero-size: 0x");
  assert_says("    access:    at byte 0 of a block of 0 bytes\n");
}

static void test_null_and_elsewhere(void** state) {
  (void)state;
  if (BY_ASAN || BY_TSAN) skip();
  run("near_null", OPTION, NULL);
  assert_true(child_killed(&child, SIGSEGV));  // as ever
#if defined(__x86_64__)
  assert_says("mimalloc: violation: access-null: 0x18 access near the null pointer\n");
#endif
  run("elsewhere", OPTION, NULL);
  assert_true(child_killed(&child, SIGSEGV));
  assert_string_equal(child.text, "");
  run("stack_overflow", OPTION, NULL);
  assert_true(child_killed(&child, SIGSEGV));
  assert_string_equal(child.text, "");
}

// Without profile or option no handler is taken.
static void test_not_taken(void** state) {
  (void)state;
  if (BY_ASAN || BY_TSAN) skip();
  run("guard_of_large", NULL, NULL);
  assert_true(child_killed(&child, SIGSEGV));
  assert_string_equal(child.text, "");
}

// The access cannot be skipped: after the report it ends as it would have.
static void test_report_only(void** state) {
  (void)state;
  if (BY_ASAN || BY_TSAN) skip();
  run("guard_of_large", OPTION, "MIMALLOC_ON_VIOLATION=report");
  assert_true(child_killed(&child, SIGSEGV));
  assert_says("mimalloc: violation: access-outside: 0x");
  if (!has_block_guards()) skip();
  run("with_own_handler", OPTION, "MIMALLOC_ON_VIOLATION=report");
  assert_true(child_exited(&child, 40));
  assert_says("mimalloc: violation: access-outside: 0x");
  assert_says("own handler\n");
}

static void test_threads(void** state) {
  (void)state;
  if (BY_ASAN || BY_TSAN) skip();
  if (!has_block_guards()) skip();
  run("thread_faults", OPTION, NULL);
  assert_true(child_killed(&child, SIGABRT));
  assert_says("mimalloc: violation: access-outside: 0x");
  assert_says("has an alternate stack\n");
  assert_null(strstr(child.text, "has none"));
}

static void test_wild_call(void** state) {
  (void)state;
  if (BY_ASAN || BY_TSAN) skip();
  run("wild_call", OPTION, NULL);  // a block is not executable
  assert_true(child_killed(&child, SIGSEGV) || child_killed(&child, SIGILL));
  assert_null(strstr(child.text, "mimalloc"));  // the inside of a live block: not ours to report
}

// ---- the program's handlers -----------------------------------------------------------------------------------------

static void test_own_handlers(void** state) {
  (void)state;
  if (BY_ASAN || BY_TSAN) skip();
  static const char* const ways[] = {STRICT, OPTION, NULL};
  for (size_t i = 0; i < 3; i++) {  // with and without ours: the same
    run("own_handler_elsewhere", ways[i], NULL);
    assert_true(child_exited(&child, 40));
    assert_string_equal(child.text, "own handler\n");
    run("own_handler_null", ways[i], NULL);
    assert_true(child_exited(&child, 40));
    assert_string_equal(child.text, "own handler\n");
    run("old_style_handler", ways[i], NULL);
    assert_true(child_exited(&child, 40));
    assert_string_equal(child.text, "own handler\n");
    run("child_resets", ways[i], NULL);
    assert_true(child_exited(&child, 40));
    assert_string_equal(child.text, "own handler\n");
    run("handler_gets_all", ways[i], NULL);
    assert_true(child_exited(&child, 41));
    assert_string_equal(child.text, "right address\nright mask\nwent on\n");
    run("own_block_protected", ways[i], NULL);
    assert_true(child_exited(&child, 41));
    assert_string_equal(child.text, "right address\nright mask\nwent on\n");
    run("once_only", ways[i], NULL);
    assert_true(child_killed(&child, SIGSEGV));
    assert_string_equal(child.text, "right address\nright mask\nback to default\n");
    run("asked_back", ways[i], NULL);
    assert_true(child_killed(&child, SIGSEGV));
    assert_string_equal(child.text,
                        "default at first\ndefault before\nown before\nignored now\nsurvived raise\nothers too\n");
    run("own_stack", ways[i], NULL);
    assert_true(child_exited(&child, 0));
    assert_string_equal(child.text, "on it\nnot on it\n");
  }
}

int main(int argc, char** argv) {
  if (argc > 1) return role_run(argv[1]);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_guards),      cmocka_unit_test(test_freed_and_empty),
      cmocka_unit_test(test_null_and_elsewhere), cmocka_unit_test(test_not_taken),
      cmocka_unit_test(test_report_only), cmocka_unit_test(test_threads),
      cmocka_unit_test(test_wild_call),   cmocka_unit_test(test_own_handlers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
