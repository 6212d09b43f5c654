// See faults.h. Plans are made by one thread while no other runs; without any, a call costs one comparison more.
//
// Files are never made, whatever an input says: what is opened to be written is /dev/null.
#define _GNU_SOURCE
#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_mseal
#define SYS_mseal 462
#endif
#define GUARD_INSTALL 102
#define GUARD_REMOVE 103
#define RETRIES_MOST 150  // of what is tried again for as long as it was interrupted

typedef struct plan_s {
  call_kind_t kind;  // CALL_OTHER: none
  size_t skip, times;
  int error;
} plan_t;

static plan_t plans[PLANS];
static bool any;
static size_t next_plan, failed;

long fuzz_syscall(long number, long a, long b, long c, long d, long e, long f);
#if FUZZ_COVERAGE
void __gcov_dump(void);  // what ends here is not measured otherwise
#endif

void faults_plan(call_kind_t kind, size_t skip, size_t times, int error) {
  bool moves = kind == CALL_READ || kind == CALL_WRITE || kind == CALL_RANDOM;
  if (error < 0 && (!moves || (error == ERROR_END && kind == CALL_RANDOM))) error = ENOMEM;
  if ((error == EINTR || error == EAGAIN) && times > RETRIES_MOST) times = RETRIES_MOST;
  plans[next_plan++ % PLANS] = (plan_t){kind, skip, times, error};
  any = true;
}

void faults_clear(void) {
  for (size_t i = 0; i < PLANS; i++) plans[i].kind = CALL_OTHER;
  any = false;
}

size_t faults_failed(void) {
  return failed;
}

static call_kind_t kind_of_advice(long advice) {
  switch (advice) {
    case MADV_DONTNEED:
      return CALL_PURGE;
    case GUARD_INSTALL:
      return CALL_GUARD_INSTALL;
    case GUARD_REMOVE:
      return CALL_GUARD_REMOVE;
    default:
      return CALL_ADVICE;
  }
}

static call_kind_t kind_of(long number, const long* arg) {
  switch (number) {
    case SYS_mmap:
      return CALL_MAP;
    case SYS_munmap:
      return CALL_UNMAP;
    case SYS_mprotect:
      return CALL_PROTECT;
    case SYS_madvise:
      return kind_of_advice(arg[2]);
    case SYS_getrandom:
      return CALL_RANDOM;
    case SYS_openat:
      return CALL_OPEN;
    case SYS_read:
      return CALL_READ;
    case SYS_write:
      return CALL_WRITE;
    case SYS_mseal:
      return CALL_SEAL;
    case SYS_prctl:
      return CALL_NAME;
    case SYS_mremap:
      return CALL_REMAP;
    default:
      return CALL_OTHER;
  }
}

// The plan that this call comes under; NULL: it is made.
static plan_t* planned(call_kind_t kind) {
  for (size_t i = 0; i < PLANS && kind != CALL_OTHER; i++) {
    plan_t* plan = &plans[i];
    if (plan->kind != kind || plan->times == 0) continue;
    if (plan->skip > 0) {
      plan->skip--;
      continue;
    }
    if (plan->times != TIMES_FOREVER) plan->times--;
    return plan;
  }
  return NULL;
}

static bool is_huge(long number, const long* arg) {
  return number == SYS_mmap && (arg[3] & MAP_HUGETLB) != 0 && planned(CALL_HUGE) != NULL;
}

// True: *result is what the call gives; false: it is to be made, perhaps with other arguments.
static bool answered(long number, long* arg, long* result) {
  if (is_huge(number, arg)) {
    arg[3] = (arg[3] & 0xFFFF & ~(long)MAP_HUGETLB) | MAP_NORESERVE;
    return false;
  }
  const plan_t* plan = planned(kind_of(number, arg));
  if (plan == NULL) return false;
  failed++;
  if (plan->error == ERROR_SHORT) {
    size_t place = number == SYS_getrandom ? 1 : 2;
    bool can = number == SYS_getrandom || number == SYS_read || number == SYS_write;
    if (can && arg[place] > 1) arg[place] /= 2;
    return false;
  }
  *result = plan->error == ERROR_END ? 0 : -1;
  if (plan->error != ERROR_END) errno = plan->error;
  return true;
}

long fuzz_syscall(long number, long a, long b, long c, long d, long e, long f) {
  long arg[6] = {a, b, c, d, e, f}, result;
#if FUZZ_COVERAGE
  if (number == SYS_tgkill) __gcov_dump();
#endif
  if (any && answered(number, arg, &result)) return result;
  if (number == SYS_openat && (arg[2] & O_CREAT) != 0) arg[1] = (long)"/dev/null";
  return syscall(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}
