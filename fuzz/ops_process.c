// Operations on the process as a whole, for fuzz_process: what it starts with, system calls that fail, children, threads
// that begin and end, accesses to memory that must not be accessed.
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "faults.h"
#include "memcheck.h"
#include "model.h"
#include "os.h"
#include "process.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

// ---- what it starts with --------------------------------------------------------------------------------------------

#define OPTION(name, kind, initial, min, max, effect, help) #name,
#define LEGACY(old, name) #old,
static const char* const options[] = {
#include "../src/options.def"
    "no_such_option",
};
#undef OPTION
#undef LEGACY
#define OPTIONS (sizeof(options) / sizeof(options[0]))

static const char* const words[] = {"on",   "off",  "report", "abort",       "inherit",  "strict",  "fuzz",
                                    "fast", "none", "text",   "json",        "light",    "default", "/nowhere/map",
                                    "4M",   "64k",  "",       "-1",          "mprotect", "map",     "ignore",
                                    "next", "libc", "1G",     "report.json", "12 apples"};
#define WORDS (sizeof(words) / sizeof(words[0]))

static const char* const mechanisms[] = {
    "",           "fence",   "wipe",           "page-guard",   "block-guard", "large-seal", "family",
    "quarantine", "isolate", "checked-memory", "fault-report", "sample",      "sized",      "nothing-of-the-kind"};
#define MECHANISMS (sizeof(mechanisms) / sizeof(mechanisms[0]))

static void set_variable(const char* name, const char* value) {
  setenv(name, value, 1);
  if (model.trace) model_say("     %s=%s\n", name, value);
}

// Once the library has started this has no effect on it, as it should.
void op_environment(const op_t* op) {
  char name[64], value[64];
  model.lax = true;
  if (op->c >= 224) {  // of builds that may lower only: single mechanisms
    snprintf(value, sizeof(value), "%s,%s,%s", mechanisms[op->a % MECHANISMS], mechanisms[op->b % MECHANISMS],
             mechanisms[op->d % MECHANISMS]);
    set_variable("MIM_MECHANISMS", value);
    return;
  }
  snprintf(name, sizeof(name), "MIMALLOC_%s", options[op->c % OPTIONS]);
  for (char* s = name; *s != 0; s++) {
    if (*s >= 'a' && *s <= 'z' && op->d < 240) *s = (char)(*s - 'a' + 'A');
  }
  switch (op->d % 4) {
    case 0:
      snprintf(value, sizeof(value), "%d", op->a % 3);
      break;
    case 1:
      snprintf(value, sizeof(value), "%d", op->a << 8 | op->b);
      break;
    case 2:
      snprintf(value, sizeof(value), "%s", words[op->a % WORDS]);
      break;
    default:
      snprintf(value, sizeof(value), "%lld", (long long)1 << op->a % 63);
      break;
  }
  if (memcheck_runs() && strcasestr(name, "MAX_VABITS") != NULL) return;  // it keeps books of all address space
  // Blocks of 1 GiB and more are another matter than what such an option does.
  if (strstr(name, "RESERVE_OS_MEMORY") != NULL) snprintf(value, sizeof(value), "%uM", op->a * 2u);
  set_variable(name, value);
}

// ---- the kernel -----------------------------------------------------------------------------------------------------

static void limit_address_space(const op_t* op) {
  struct rlimit limit;
  if (SANITIZED || memcheck_runs() || getrlimit(RLIMIT_AS, &limit) != 0) return;
  static const rlim_t sizes[] = {8, 24, 48, 200, 1024, 4096, 65536, 1 << 20};  // MiB
  rlim_t wanted = sizes[op->a % 8u] << 20;
  limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
  setrlimit(RLIMIT_AS, &limit);
}

void op_deny(const op_t* op) {
  static const int errors[] = {ENOMEM, EAGAIN, EINTR, EPERM, ENOSYS, EINVAL, ERROR_SHORT, ERROR_END};
  unsigned kind = op->slot % (CALL_KINDS + 2);
  model.lax = true;
  if (kind == CALL_KINDS) {
    limit_address_space(op);
  } else if (kind > CALL_KINDS) {
    faults_clear();
    usleep(3000);
    for (int i = 0; i < 60; i++) os_tick();  // free memory grows old
  } else {
    size_t times = op->b < 128 ? op->b % 8u + 1u : op->b < 192 ? op->b : (size_t)TIMES_FOREVER;
    size_t skip = op->a < 224 ? op->a % 32u : op->a;
    if (model.trace)
      model_say("     calls of kind %u: %zu, then %zu with error %d\n", kind, skip, times, errors[op->c % 8]);
    faults_plan((call_kind_t)kind, skip, times, errors[op->c % 8]);
  }
}

// ---- children and threads -------------------------------------------------------------------------------------------

void op_fork(const op_t* op) {
  if (process_fork != NULL && me->number == 0) process_fork(1u + op->c % 32u, op->a % 4 != 0);
}

void op_thread(const op_t* op) {
  if (process_thread != NULL && me->number == 0) process_thread(1u + op->c % 32u, op->a % 4 == 0);
}

// ---- memory that must not be accessed -------------------------------------------------------------------------------

static sigjmp_buf recovered;
static volatile sig_atomic_t faults_seen;

static void on_fault(int signal, siginfo_t* info, void* context) {
  (void)signal;
  (void)info;
  (void)context;
  faults_seen = faults_seen + 1;
  siglongjmp(recovered, 1);
}

static void on_fault_plainly(int signal) {
  on_fault(signal, NULL, NULL);
}

static void on_signal(int signal) {
  (void)signal;
  faults_seen = faults_seen + 1;
}

#if MIM_SECURE
#include "../secure/fault.h"
#endif

// As a program calls it: the layer stands in libc's place where it reports faults.
static int set_action(int signal, const struct sigaction* action, struct sigaction* old) {
#if MIM_SECURE
  if (sec_fault_takes(signal)) return sec_fault_sigaction(signal, action, old);
#endif
  return sigaction(signal, action, old);
}

static const uint8_t* place_of(const op_t* op) {
  const block_t* block = &model.slots[op->slot % SLOTS].block;
  const block_t* grave = grave_pick(op->slot);
  size_t region_size;
  uintptr_t region = probe_region(&region_size);
  switch (op->b % 7) {
    case 0:
      return block->p == NULL ? NULL : block->p + probe_room(block->p) + op->c;  // behind it
    case 1:
      return grave == NULL ? NULL : grave->p + (grave->size == 0 ? 0 : op->c * 97u % grave->size);
    case 2:
      return block->p == NULL ? NULL : block->p - 1 - op->c;
    case 3:
      return (const uint8_t*)(uintptr_t)(op->c * 16u);  // NULL and what is next to it
    case 4:
      return (const uint8_t*)(region + (region_size >> 8) * op->a + op->c);
    default:
      return (const uint8_t*)(region + ((size_t)op->a << 16) + ((size_t)op->c << 8));
  }
}

static void access_to(const uint8_t* p, bool store) {
  volatile uint8_t* at = (volatile uint8_t*)(uintptr_t)p;
  if (store) {
    *at = 1;
  } else {
    (void)*at;
  }
}

// A fault, or a signal that was sent, with this handler in place, which recovers.
static void access_and_recover(const op_t* op, const uint8_t* p, struct sigaction* action) {
  struct sigaction before, now;
  int result = set_action(SIGSEGV, action, &before);
  must(result == 0, "a handler for SIGSEGV is not taken: %d", result);
  notice_reset();
  faults_seen = 0;
  if (sigsetjmp(recovered, 1) == 0) access_to(p, op->d % 2 == 1);
  must(faults_seen == 1, "an access to %p called the handler %d times", (const void*)p, (int)faults_seen);
  notice_reset();
  int asked = SA_SIGINFO | SA_ONSTACK | SA_NODEFER, wanted = action->sa_flags;
  must(set_action(SIGSEGV, NULL, &now) == 0, "the handler is not told");
  must((wanted & (int)SA_RESETHAND) || (now.sa_flags & asked) == wanted, "the handler has flags %x, not %x",
       now.sa_flags, (unsigned)wanted);
  must(set_action(SIGSEGV, &before, NULL) == 0, "the handler of before is not taken back");
}

static void send_signal(struct sigaction* action, bool ignored) {
  struct sigaction before;
  memset(action, 0, sizeof(*action));
  action->sa_handler = ignored ? SIG_IGN : on_signal;
  must(set_action(SIGBUS, action, &before) == 0, "a handler for SIGBUS is not taken");
  faults_seen = 0;
  raise(SIGBUS);
  must(faults_seen == !ignored, "a signal that was sent called the handler %d times", (int)faults_seen);
  must(set_action(SIGBUS, &before, NULL) == 0, "the handler of before is not taken back");
}

void op_access(const op_t* op) {
  struct sigaction action;
  if (SANITIZED || memcheck_runs()) return;  // they have handlers of their own
  if (op->a % 8 == 7) {
    send_signal(&action, op->c % 2 == 0);
    return;
  }
  const uint8_t* p = place_of(op);
  if (probe_access(p)) return;
  memset(&action, 0, sizeof(action));
  model.misuses = true;
  switch (op->a % 4) {
    case 0:
      action.sa_sigaction = on_fault;
      action.sa_flags = SA_SIGINFO | (op->c % 2 == 0 ? SA_ONSTACK : 0);
      process_may_end(ENDS_BY_ABORT);  // where it is a violation, and those abort
      access_and_recover(op, p, &action);
      process_may_end(ENDS_WELL);
      break;
    case 1:
    case 2:
      action.sa_handler = on_fault_plainly;
      action.sa_flags = op->a % 4 == 1 ? (int)SA_RESETHAND : SA_NODEFER;
      process_may_end(ENDS_BY_ABORT);
      access_and_recover(op, p, &action);
      process_may_end(ENDS_WELL);
      break;
    default:
      process_may_end(ENDS_BY_FAULT);
      access_to(p, op->d % 2 == 1);
      model_fail("%p can be accessed, though it could not a moment ago", (const void*)p);
  }
}
