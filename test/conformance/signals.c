// sigaction, signal and __sysv_signal, which the secure library stands before: whatever the program does with handlers,
// also for the signals of faults, must be as without it. So the cases hold with every library, and with none.
#define _GNU_SOURCE
#include "conform.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

static void free_block(void* p) {
  free(p);
}
release_t* const release = free_block;

size_t usable(const void* p) {
  (void)p;
  return 0;
}

void prepare(void) {
}

extern __sighandler_t __sysv_signal(int number, __sighandler_t handler);

static const int signals[] = {SIGSEGV, SIGBUS, SIGUSR1, SIGALRM};

static volatile sig_atomic_t count, last, code;
static void* volatile address;
static sigjmp_buf back;

static void note(int number) {
  count++;
  last = number;
}

static void other(int number) {
  (void)number;
}

static void note_more(int number, siginfo_t* info, void* ucontext) {
  note(number);
  code = info->si_code;
  address = info->si_addr;
  CHECK(ucontext != NULL);
}

static void jump(int number, siginfo_t* info, void* ucontext) {
  note_more(number, info, ucontext);
  siglongjmp(back, 1);
}

static struct sigaction action_of(void (*handler)(int), int flags) {
  struct sigaction action;
  memset(&action, 0, sizeof(action));
  action.sa_handler = handler;
  action.sa_flags = flags;
  return action;
}

static char* inaccessible(void) {
  char* area = mmap(NULL, 1 << 16, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(area != MAP_FAILED);
  return area;
}

// Installed, asked about, delivered, replaced.
static void check_action(int number) {
  context("signal %d", number);
  struct sigaction old, action = action_of(note, SA_RESTART);
  sigaddset(&action.sa_mask, SIGUSR2);
  CHECK(sigaction(number, NULL, &old) == 0 && old.sa_handler == SIG_DFL);
  CHECK(sigaction(number, &action, &old) == 0 && old.sa_handler == SIG_DFL);
  CHECK(sigaction(number, NULL, &old) == 0 && old.sa_handler == note);
  CHECK((old.sa_flags & SA_RESTART) && sigismember(&old.sa_mask, SIGUSR2) && !sigismember(&old.sa_mask, SIGHUP));
  count = 0;
  CHECK(raise(number) == 0 && count == 1 && last == number);
  CHECK(raise(number) == 0 && count == 2);
  action = action_of(NULL, SA_SIGINFO | (int)SA_RESETHAND);
  action.sa_sigaction = note_more;
  CHECK(sigaction(number, &action, &old) == 0 && old.sa_handler == note);
  CHECK(raise(number) == 0 && count == 3 && last == number && code == SI_TKILL);
  CHECK(sigaction(number, NULL, &old) == 0 && old.sa_handler == SIG_DFL);
  action = action_of(SIG_IGN, 0);
  CHECK(sigaction(number, &action, NULL) == 0 && raise(number) == 0 && count == 3);
  CHECK(sigaction(number, NULL, &old) == 0 && old.sa_handler == SIG_IGN);
  action = action_of(SIG_DFL, 0);
  CHECK(sigaction(number, &action, &old) == 0 && old.sa_handler == SIG_IGN);
}

// A fault of the program's own goes to its handler, which may leave by siglongjmp, or mend the mapping and return.
static void check_fault(void) {
  char* area = inaccessible();
  struct sigaction action = action_of(NULL, SA_SIGINFO);
  action.sa_sigaction = jump;
  CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
  for (int i = 1; i <= 5; i++) {
    context("fault %d", i);
    count = 0;
    if (sigsetjmp(back, 1) == 0) {
      *(volatile char*)(area + i * 4096 + 7) = 1;
      failed(__FILE__, __LINE__, "no fault");
    }
    CHECK(count == 1 && last == SIGSEGV && address == area + i * 4096 + 7 && code == SEGV_ACCERR);
  }
}

static char* mended;
static void mend(int number) {
  note(number);
  CHECK(mprotect(mended, 4096, PROT_READ | PROT_WRITE) == 0);
}

static void check_mending(__sighandler_t (*set)(int, __sighandler_t)) {
  for (int i = 0; i < 3; i++) {
    context("mending %d", i);
    mended = inaccessible();
    CHECK(set(SIGSEGV, mend) != SIG_ERR);
    count = 0;
    *(volatile char*)mended = 5;
    CHECK(count == 1 && *mended == 5);
  }
}

static void test_sigaction(void) {
  for (size_t i = 0; i < COUNT_OF(signals); i++) check_action(signals[i]);
  check_fault();
  struct sigaction action = action_of(note, 0), old;
  static const int bad[] = {0, -1, 65, 1000};
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    context("signal %d", bad[i]);
    errno = 0;
    CHECK(sigaction(bad[i], &action, &old) == -1 && errno == EINVAL);
  }
  errno = 0;
  CHECK(sigaction(SIGKILL, &action, NULL) == -1 && errno == EINVAL);
}

static void check_signal(__sighandler_t (*set)(int, __sighandler_t), bool one_shot) {
  for (size_t i = 0; i < COUNT_OF(signals); i++) {
    context("signal %d", signals[i]);
    CHECK(set(signals[i], note) == SIG_DFL);
    CHECK(set(signals[i], other) == note);
    CHECK(set(signals[i], note) == other);
    struct sigaction old;
    CHECK(sigaction(signals[i], NULL, &old) == 0 && old.sa_handler == note);
    CHECK(((old.sa_flags & (int)SA_RESETHAND) != 0) == one_shot && ((old.sa_flags & SA_RESTART) == 0) == one_shot);
    count = 0;
    CHECK(raise(signals[i]) == 0 && count == 1 && last == signals[i]);
    CHECK(set(signals[i], SIG_IGN) == (one_shot ? SIG_DFL : note));
    CHECK(raise(signals[i]) == 0 && count == 1);
    CHECK(set(signals[i], SIG_DFL) == SIG_IGN);
  }
  errno = 0;
  CHECK(set(SIGKILL, note) == SIG_ERR && errno == EINVAL);
  errno = 0;
  CHECK(set(0, note) == SIG_ERR && errno == EINVAL);
  check_mending(set);
}

static void test_signal(void) {
  check_signal(signal, false);
}

static void test___sysv_signal(void) {
  check_signal(__sysv_signal, true);
}

// One a line, as CMakeLists.txt reads them.
// clang-format off
const case_t cases[] = {
  CASE(sigaction)
  CASE(signal)
  CASE(__sysv_signal)
  {NULL, NULL, NULL}
};
// clang-format on
