// Runs a command under a seccomp filter, which one an option says:
//
//   (none)  mseal and getrandom are refused with EPERM, as an old container engine would
//   --kill  mseal ends the process, as a unit with SystemCallFilter= of an old systemd would
//   --old   Linux 6.1: mseal is not there (ENOSYS), nor are lightweight guards (madvise: EINVAL)
//
// For tests of what tools and library do with a kernel that offers less. Needs no privileges.

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NUMBER_OF_MSEAL 462  // the same on all machines; too new for libc's headers
#define GUARD_INSTALL 102    // MADV_GUARD_INSTALL, likewise; MADV_GUARD_REMOVE is the next

#define LOAD(what) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, what))
#define UNLESS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, what)
#define REFUSE(number, what) UNLESS(number, 1), RETURN(what)
#define FILTER(code) {sizeof(code) / sizeof(code[0]), code}

int main(int argc, char** argv) {
  struct sock_filter refusing[] = {
    LOAD(nr),
    REFUSE(NUMBER_OF_MSEAL, SECCOMP_RET_ERRNO | EPERM),
    REFUSE(SYS_getrandom, SECCOMP_RET_ERRNO | EPERM),
    RETURN(SECCOMP_RET_ALLOW),
  };
  struct sock_filter killing[] = {
    LOAD(nr),
    REFUSE(NUMBER_OF_MSEAL, SECCOMP_RET_KILL_PROCESS),
    RETURN(SECCOMP_RET_ALLOW),
  };
  struct sock_filter old[] = {
    LOAD(nr),
    REFUSE(NUMBER_OF_MSEAL, SECCOMP_RET_ERRNO | ENOSYS),
    UNLESS(SYS_madvise, 5),
    LOAD(args[2]),
    REFUSE(GUARD_INSTALL, SECCOMP_RET_ERRNO | EINVAL),
    REFUSE(GUARD_INSTALL + 1, SECCOMP_RET_ERRNO | EINVAL),
    RETURN(SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = FILTER(refusing);
  int first = 1;
  if (argc > 1 && strcmp(argv[1], "--kill") == 0) {
    program = (struct sock_fprog)FILTER(killing);
    first = 2;
  } else if (argc > 1 && strcmp(argv[1], "--old") == 0) {
    program = (struct sock_fprog)FILTER(old);
    first = 2;
  }
  if (argc <= first) {
    fprintf(stderr, "usage: %s [--kill|--old] COMMAND [ARGUMENT...]\n", argv[0]);
    return 2;
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    perror("filter");
    return 1;
  }
  execvp(argv[first], argv + first);
  perror(argv[first]);
  return 127;
}
