// Runs a command under a seccomp filter that refuses mseal and getrandom with EPERM, as an old container engine would, or
// ends it when it calls mseal (--kill), as a unit with SystemCallFilter= of an old systemd would.
//
// For tests of what tools say of a kernel that offers less. Needs no privileges.

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NUMBER_OF_MSEAL 462  // the same on all machines; too new for libc's headers

int main(int argc, char** argv) {
  bool kill = argc > 1 && strcmp(argv[1], "--kill") == 0;
  struct sock_filter code[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NUMBER_OF_MSEAL, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, kill ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | EPERM),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getrandom, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, kill ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | EPERM),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};
  if (argc < 2 + kill) {
    fprintf(stderr, "usage: %s [--kill] COMMAND [ARGUMENT...]\n", argv[0]);
    return 2;
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    perror("filter");
    return 1;
  }
  execvp(argv[1 + kill], argv + 1 + kill);
  perror(argv[1 + kill]);
  return 127;
}
