// A list of the system calls that echod may make from here on. Files can no longer be opened, programs not be started,
// and sockets not be made: what a hijacked daemon would want. The allocator needs none of that once it has started;
// docs/linking.md says what it does need.
#include "sandbox.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "add the architecture here"
#endif

#define ALLOW(name) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

bool sandbox_close(void) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      // The daemon: connections, and threads to serve them.
      ALLOW(accept4),
      ALLOW(recvfrom),
      ALLOW(sendto),
      ALLOW(close),
      ALLOW(clone3),
      ALLOW(clone),
      ALLOW(set_robust_list),
      ALLOW(rseq),
      ALLOW(exit),
      ALLOW(exit_group),
      ALLOW(restart_syscall),
      ALLOW(rt_sigreturn),
      // The allocator: memory, waiting for a lock, random numbers for the keys of new threads, the clock for purging.
      ALLOW(mmap),
      ALLOW(munmap),
      ALLOW(mprotect),
      ALLOW(madvise),
      ALLOW(futex),
      ALLOW(sched_yield),
      ALLOW(getrandom),
      ALLOW(clock_gettime),
      ALLOW(gettid),
      // A report, the handler's message, and the end.
      ALLOW(write),
      ALLOW(sendmsg),
      ALLOW(getpid),
      ALLOW(rt_sigprocmask),
      ALLOW(rt_sigpending),
      ALLOW(rt_sigtimedwait),
      ALLOW(ppoll),
      ALLOW(rt_sigaction),
      ALLOW(sigaltstack),  // reports of faults: profile strict, or MIMALLOC_FAULT_REPORT=1
      ALLOW(tgkill),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
  };
  struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}
