// The part of prim.h that reports of violations need: files, signals, and the end of the process. Part of linux.c's
// contract, and like it by direct system calls: what libc does round these may take locks that a broken program holds.
//
// State: none. Threads: every function may be called by any number of threads at once, and in signal handlers.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../prim.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// The kernel's signal set is 64 bits, whatever libc's sigset_t is.
#define KERNEL_SIGSET_BYTES ((size_t)8)

int mim_os_file_open(const char* path, bool append) {
  long flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  flags |= append ? O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW : O_RDONLY;
  return (int)syscall(SYS_openat, (long)AT_FDCWD, path, flags, 0600L);
}

void mim_os_file_close(int fd) {
  int saved = errno;
  syscall(SYS_close, (long)fd);
  errno = saved;
}

#define PIPE_BIT ((uint64_t)1 << (SIGPIPE - 1))

os_signals_t mim_os_signals_block(void) {
  int saved = errno;
  const uint64_t all = ~(uint64_t)0;
  os_signals_t signals = {0, 0};
  syscall(SYS_rt_sigprocmask, (long)SIG_SETMASK, &all, &signals.blocked, KERNEL_SIGSET_BYTES);
  syscall(SYS_rt_sigpending, &signals.pending, KERNEL_SIGSET_BYTES);
  errno = saved;
  return signals;
}

void mim_os_signals_restore(os_signals_t signals) {
  int saved = errno;
  uint64_t pending = 0;
  syscall(SYS_rt_sigpending, &pending, KERNEL_SIGSET_BYTES);
  if (pending & ~signals.pending & PIPE_BIT) {
    const uint64_t pipe_only = PIPE_BIT;
    const struct timespec at_once = {0, 0};
    syscall(SYS_rt_sigtimedwait, &pipe_only, NULL, &at_once, KERNEL_SIGSET_BYTES);
  }
  syscall(SYS_rt_sigprocmask, (long)SIG_SETMASK, &signals.blocked, NULL, KERNEL_SIGSET_BYTES);
  errno = saved;
}

void mim_os_abort(void) {
  // libc's abort() runs handlers first and takes a lock that the broken program may hold. All zero is SIG_DFL, no
  // flags and an empty mask in the kernel's struct sigaction of every architecture.
  const uint64_t default_action[8] = {0};
  const uint64_t only_abort = (uint64_t)1 << (SIGABRT - 1);
  for (int tries = 0; tries < 3; tries++) {  // another thread may install a handler in between
    syscall(SYS_rt_sigaction, (long)SIGABRT, default_action, NULL, KERNEL_SIGSET_BYTES);
    syscall(SYS_rt_sigprocmask, (long)SIG_UNBLOCK, &only_abort, NULL, KERNEL_SIGSET_BYTES);
    syscall(SYS_tgkill, syscall(SYS_getpid), syscall(SYS_gettid), (long)SIGABRT);
  }
  // Process 1 of a container is spared by signals without handler, but not by this.
  for (;;) {
    syscall(SYS_exit_group, 128L + SIGABRT);
    __builtin_trap();
  }
}
