// A program that uses its heap in every common way, for test/docs/calls.py, which looks at the system calls that come of
// it. usage: calls work | report | sandbox | sandbox-report
//
// `sandbox` makes one allocation and then allows itself only what docs/system-calls.md lists (allow.inc is generated from
// the same table) and what threads and the end of a process need of libc; anything else ends it with SIGSYS.

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 4
#define BLOCKS 2000
#define ALLOW(name) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void* shared[THREADS][BLOCKS];
static pthread_barrier_t barrier;

static size_t size_of(size_t i) {
  return i % 50 == 0 ? 100000 + i * 64 : i % 7 == 0 ? 5000 + i : 16 + i % 900;
}

// Allocates, then frees what the thread before allocated, so that frees cross threads.
static void* thread_main(void* argument) {
  size_t me = (size_t)(uintptr_t)argument;
  for (size_t i = 0; i < BLOCKS; i++) {
    shared[me][i] = malloc(size_of(i));
    if (shared[me][i] == NULL) abort();
    memset(shared[me][i], 1, size_of(i));
  }
  pthread_barrier_wait(&barrier);
  for (size_t i = 0; i < BLOCKS; i++) free(shared[(me + 1) % THREADS][i]);
  return NULL;
}

static void work(int with_fork) {
  for (int round = 0; round < 2; round++) {
    pthread_t threads[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (size_t i = 0; i < THREADS; i++) {
      if (pthread_create(&threads[i], NULL, thread_main, (void*)(uintptr_t)i) != 0) abort();
    }
    for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
  }
  char* grown = malloc(10);
  for (size_t size = 10; size < 40000000; size *= 3) {
    grown = realloc(grown, size);
    if (grown == NULL) abort();
    grown[size - 1] = 1;
  }
  free(grown);
  void* aligned = NULL;
  if (posix_memalign(&aligned, 1 << 20, 3 << 20) != 0) abort();
  free(aligned);
  if (with_fork) {
    pid_t child = fork();
    if (child == 0) {
      free(malloc(5000));
      _exit(0);
    }
    int status = 1;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) abort();
  }
}

static void sandbox_close(void) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
#include "allow.inc"
      // libc: threads, and the end of the process
      ALLOW(clone3),
      ALLOW(clone),
      ALLOW(set_robust_list),
      ALLOW(rseq),
      ALLOW(exit),
      ALLOW(restart_syscall),
      ALLOW(rt_sigreturn),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
  };
  struct sock_fprog program = {(unsigned short)(sizeof(code) / sizeof(code[0])), code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    perror("filter");
    _exit(3);
  }
}

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "";
  int sandbox = strncmp(what, "sandbox", 7) == 0;
  int report = strstr(what, "report") != NULL;
  if (!sandbox && !report && strcmp(what, "work") != 0) {
    fprintf(stderr, "usage: %s work | report | sandbox | sandbox-report\n", argv[0]);
    return 2;
  }
  free(malloc(1));
  if (sandbox) sandbox_close();
  work(!sandbox);
  if (report) {
    char* volatile block = malloc(100);
    free(block);
    free(block);
  }
  if (write(1, "done\n", 5) != 5) return 1;
  return 0;
}
