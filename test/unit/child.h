// What tests of the secure layer share: functions run in child processes, with what they write caught; the test program
// run again from the start, with an environment and a filter on system calls of its own.
#ifndef TEST_CHILD_H
#define TEST_CHILD_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cmocka.h>

// Sanitizers have handlers of their own for faults, and ThreadSanitizer knows only fork of processes with one thread.
#ifdef MIM_SANITIZE_ADDRESS
#define BY_ASAN true
#else
#define BY_ASAN false
#endif
#ifdef MIM_SANITIZE_THREAD
#define BY_TSAN true
#else
#define BY_TSAN false
#endif

#define CHILD_TEXT (1 << 20)

typedef struct child_s {
  int status;             // of wait
  char text[CHILD_TEXT];  // what it wrote to standard output and standard error
  size_t length;
} child_t;

static inline bool child_exited(const child_t* child, int code) {
  return WIFEXITED(child->status) && WEXITSTATUS(child->status) == code;
}

static inline bool child_killed(const child_t* child, int signal) {
  return WIFSIGNALED(child->status) && WTERMSIG(child->status) == signal;
}

static inline void child_collect(child_t* child, pid_t process, int from) {
  child->length = 0;
  for (;;) {
    ssize_t got = read(from, child->text + child->length, CHILD_TEXT - 1 - child->length);
    if (got <= 0) break;
    child->length += (size_t)got;
  }
  child->text[child->length] = 0;
  close(from);
  assert_int_equal(waitpid(process, &child->status, 0), process);
}

// Runs `function` in a fork; a child that does not end in a minute is killed.
static inline void child_run(child_t* child, void (*function)(void*), void* arg) {
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  pid_t process = fork();
  assert_true(process >= 0);
  if (process == 0) {
    dup2(ends[1], 1);
    dup2(ends[1], 2);
    close(ends[0]);
    close(ends[1]);
    alarm(60);
    function(arg);
    _exit(0);
  }
  close(ends[1]);
  child_collect(child, process, ends[0]);
}

// ---- filters --------------------------------------------------------------------------------------------------------

// Makes one system call fail with an error, for this process and all it starts. With `third` >= 0 only where the third
// argument is that number.
static inline bool deny_call(long number, int error, long third) {
  struct sock_filter any[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)third, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  if (third < 0) any[3].jf = 0;  // then either way leads to the refusal
  struct sock_fprog program = {.len = sizeof(any) / sizeof(any[0]), .filter = any};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// ---- the program again ----------------------------------------------------------------------------------------------

typedef struct again_s {
  const char* role;       // argv[1]
  const char* env[8];     // "NAME=value"
  long denied;            // system call; 0: none
  int error;
  long third;
} again_t;

static inline void again_exec(void* arg) {
  const again_t* again = arg;
  char* argv[] = {(char*)"again", (char*)again->role, NULL};
  if (again->denied != 0 && !deny_call(again->denied, again->error, again->third)) _exit(99);
  for (size_t i = 0; i < 8 && again->env[i] != NULL; i++) putenv((char*)again->env[i]);
  execv("/proc/self/exe", argv);
  _exit(98);
}

// Starts the test program anew; its main must look at argv[1] before anything else.
static inline void child_again(child_t* child, again_t again) {
  if (again.third == 0) again.third = -1;
  child_run(child, again_exec, &again);
}

#endif
