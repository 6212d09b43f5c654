// sigaction and signal in place of libc's: where fault reports are on, a handler that the program installs for SIGSEGV
// or SIGBUS is kept by fault.c, behind ours; everything else goes on to libc as it is.
//
// Any thread, also in signal handlers and in a vfork child, as the originals. libc itself, and what makes system calls
// of its own, does not come here. Left out of builds that leave libc's names alone (MIM_NO_OVERRIDE).
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "../include/mimalloc/attr.h"
#include "fault.h"

// Other names of glibc's functions, which stay reachable under them.
extern int __sigaction(int, const struct sigaction*, struct sigaction*) __attribute__((weak));

int sec_real_sigaction(int signal, const struct sigaction* action, struct sigaction* old) {
  if (__sigaction != NULL) return __sigaction(signal, action, old);
  int (*next)(int, const struct sigaction*, struct sigaction*);
  void* found = dlsym(RTLD_NEXT, "sigaction");
  memcpy(&next, &found, sizeof(next));
  if (next != NULL) return next(signal, action, old);
  errno = ENOSYS;
  return -1;
}

#ifndef MIM_NO_OVERRIDE

extern __sighandler_t ssignal(int, __sighandler_t) __attribute__((weak));
extern __sighandler_t sysv_signal(int, __sighandler_t) __attribute__((weak));

static __sighandler_t set(int signal, __sighandler_t handler, int flags) {
  struct sigaction action, old;
  memset(&action, 0, sizeof(action));
  action.sa_handler = handler;
  action.sa_flags = flags;
  int result = sec_fault_takes(signal) ? sec_fault_sigaction(signal, &action, &old)
                                       : sec_real_sigaction(signal, &action, &old);
  return result == 0 ? old.sa_handler : SIG_ERR;
}

MI_EXPORT int sigaction(int sig, const struct sigaction* restrict action, struct sigaction* restrict old) {
  return sec_fault_takes(sig) ? sec_fault_sigaction(sig, action, old) : sec_real_sigaction(sig, action, old);
}

MI_EXPORT __sighandler_t signal(int sig, __sighandler_t handler) {
  if (!sec_fault_takes(sig) && ssignal != NULL) return ssignal(sig, handler);
  return set(sig, handler, SA_RESTART);
}

MI_EXPORT __sighandler_t __sysv_signal(int sig, __sighandler_t handler);
MI_EXPORT __sighandler_t __sysv_signal(int sig, __sighandler_t handler) {
  if (!sec_fault_takes(sig) && sysv_signal != NULL) return sysv_signal(sig, handler);
  return set(sig, handler, (int)(SA_RESETHAND | SA_NODEFER));
}

#endif
