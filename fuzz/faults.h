// System calls that fail where a fuzzer says so. Those of src/prim/ come here (syscalls.h) and go on to the kernel, unless
// a plan says that this call is to fail: the n-th of a kind from now on, once, a few times, or always, as in a kernel
// that does not know the call.
#ifndef FUZZ_FAULTS_H
#define FUZZ_FAULTS_H

#include <stddef.h>

typedef enum call_kind_e {
  CALL_OTHER,  // never fails
  CALL_MAP,
  CALL_UNMAP,
  CALL_PROTECT,
  CALL_PURGE,
  CALL_GUARD_INSTALL,
  CALL_GUARD_REMOVE,
  CALL_ADVICE,  // other forms of madvise
  CALL_RANDOM,
  CALL_OPEN,
  CALL_READ,
  CALL_WRITE,
  CALL_SEAL,
  CALL_NAME,  // prctl
  CALL_REMAP,
  CALL_HUGE,  // does not fail: huge pages of 1 GiB are there, which few machines have
  CALL_KINDS,
} call_kind_t;

enum { TIMES_FOREVER = 1 << 30, ERROR_SHORT = -1, ERROR_END = -2, PLANS = 4 };

// The calls of that kind from the one after `skip` others on fail, `times` of them, with this error number.
// ERROR_SHORT: reads, writes and random bytes come in halves. ERROR_END: a file ends.
void faults_plan(call_kind_t kind, size_t skip, size_t times, int error);
void faults_clear(void);
size_t faults_failed(void);  // how many calls failed so far

#endif
