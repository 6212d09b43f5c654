// Runs one program as a child. See child.h for what the callers may rely on.
//
// The end of the child is awaited through a pidfd in the same poll as its pipes: no signal handler, no busy waiting,
// and a grandchild that keeps a pipe open cannot make us wait.
#define _GNU_SOURCE
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char** environ;

enum { PIPE_OUT, PIPE_ERR, PIPE_EXTRA, PIPE_COUNT };

typedef struct pipes_s {
  int read[PIPE_COUNT];
  int write[PIPE_COUNT];
  capture_t* into[PIPE_COUNT];
} pipes_t;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool same_variable(const char* a, const char* b) {
  size_t length = strcspn(a, "=");
  return strncmp(a, b, length) == 0 && b[length] == '=';
}

// Our environment with the settings of `extra` in place of, or after, what it has.
static char** merged_environment(const char* const* extra) {
  size_t own = 0, more = 0;
  while (environ[own] != NULL) own++;
  while (extra != NULL && extra[more] != NULL) more++;
  char** merged = calloc(own + more + 1, sizeof(char*));
  if (merged == NULL) return NULL;
  size_t count = 0;
  for (size_t i = 0; i < own; i++) {
    bool replaced = false;
    for (size_t k = 0; k < more; k++) replaced = replaced || same_variable(extra[k], environ[i]);
    if (!replaced) merged[count++] = environ[i];
  }
  for (size_t k = 0; k < more; k++) merged[count++] = (char*)(size_t)extra[k];
  return merged;
}

static bool pipes_open(pipes_t* pipes, const child_spec_t* spec, child_result_t* result) {
  capture_t* into[PIPE_COUNT] = {spec->capture_out ? &result->out : NULL, &result->err,
                                 spec->extra_fd >= 0 ? &result->extra : NULL};
  for (int i = 0; i < PIPE_COUNT; i++) pipes->read[i] = pipes->write[i] = -1;
  for (int i = 0; i < PIPE_COUNT; i++) {
    int ends[2];
    pipes->into[i] = into[i];
    if (into[i] == NULL) continue;
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    pipes->read[i] = ends[0];
    pipes->write[i] = ends[1];
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
  }
  return true;
}

static void pipes_close(int* ends) {
  for (int i = 0; i < PIPE_COUNT; i++) {
    if (ends[i] >= 0) close(ends[i]);
    ends[i] = -1;
  }
}

// Takes what is there; false when the other side is closed.
static bool drain(int fd, capture_t* into) {
  for (;;) {
    char chunk[4096];
    ssize_t got = read(fd, chunk, sizeof(chunk));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno == EAGAIN;
    if (got == 0) return false;
    size_t room = sizeof(into->text) - 1 - into->length;
    size_t keep = (size_t)got < room ? (size_t)got : room;
    memcpy(into->text + into->length, chunk, keep);
    into->length += keep;
    into->text[into->length] = 0;
    into->cut = into->cut || keep < (size_t)got;
  }
}

// Runs in the child, and never returns.
static void become(const child_spec_t* spec, const pipes_t* pipes, char** env, int report) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  int empty = open("/dev/null", O_RDONLY | O_CLOEXEC);
  bool ok = empty >= 0 && dup2(empty, STDIN_FILENO) >= 0;
  if (pipes->write[PIPE_OUT] >= 0) ok = ok && dup2(pipes->write[PIPE_OUT], STDOUT_FILENO) >= 0;
  ok = ok && dup2(pipes->write[PIPE_ERR], STDERR_FILENO) >= 0;
  if (pipes->write[PIPE_EXTRA] >= 0) {
    // The report descriptor must not be the one that is overwritten.
    if (report == spec->extra_fd) report = fcntl(report, F_DUPFD_CLOEXEC, spec->extra_fd + 1);
    ok = ok && dup2(pipes->write[PIPE_EXTRA], spec->extra_fd) >= 0;
    if (ok && pipes->write[PIPE_EXTRA] == spec->extra_fd) ok = fcntl(spec->extra_fd, F_SETFD, 0) == 0;
  }
  if (ok) execvpe(spec->argv[0], spec->argv, env);
  int error = errno;
  ssize_t ignored = write(report, &error, sizeof(error));
  (void)ignored;
  _exit(127);
}

// Collects output until the child has ended or its time is up.
static void attend(pid_t pid, int pidfd, pipes_t* pipes, double limit, child_result_t* result) {
  double start = now();
  bool ended = false;
  while (!ended) {
    struct pollfd polled[PIPE_COUNT + 1];
    for (int i = 0; i < PIPE_COUNT; i++) polled[i] = (struct pollfd){pipes->read[i], POLLIN, 0};
    polled[PIPE_COUNT] = (struct pollfd){pidfd, POLLIN, 0};
    double left = start + limit - now();
    if (left <= 0 && !result->timed_out) {
      result->timed_out = true;
      kill(-pid, SIGKILL);
      kill(pid, SIGKILL);
    }
    poll(polled, PIPE_COUNT + 1, result->timed_out ? -1 : (int)(left * 1000) + 1);
    ended = polled[PIPE_COUNT].revents != 0;
    for (int i = 0; i < PIPE_COUNT; i++) {
      if (pipes->read[i] >= 0 && polled[i].revents != 0 && !drain(pipes->read[i], pipes->into[i])) {
        close(pipes->read[i]);
        pipes->read[i] = -1;
      }
    }
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  kill(-pid, SIGKILL);
  result->seconds = now() - start;
  for (int i = 0; i < PIPE_COUNT; i++) {
    if (pipes->read[i] >= 0) drain(pipes->read[i], pipes->into[i]);
  }
  if (WIFSIGNALED(status)) result->signal = WTERMSIG(status);
  else result->exit_code = WEXITSTATUS(status);
}

static void fail(child_result_t* result, const char* what, int error) {
  snprintf(result->reason, sizeof(result->reason), "%s: %s", what, strerror(error));
}

void child_run(const child_spec_t* spec, child_result_t* result) {
  memset(result, 0, sizeof(*result));
  pipes_t pipes;
  int report[2] = {-1, -1};
  char** env = merged_environment(spec->env);
  if (env == NULL || !pipes_open(&pipes, spec, result) || pipe2(report, O_CLOEXEC) != 0) {
    fail(result, "cannot prepare a child", errno);
    free(env);
    return;
  }
  pid_t pid = fork();
  if (pid == 0) become(spec, &pipes, env, report[1]);
  int fork_error = errno;
  pipes_close(pipes.write);
  close(report[1]);
  free(env);
  int pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
  int exec_error = 0;
  ssize_t got = 0;
  if (pid > 0) {
    setpgid(pid, pid);
    do got = read(report[0], &exec_error, sizeof(exec_error));
    while (got < 0 && errno == EINTR);
  }
  close(report[0]);
  if (pid < 0) fail(result, "cannot fork", fork_error);
  else if (pidfd < 0) fail(result, "cannot watch the child", errno);
  else if (got > 0) fail(result, spec->argv[0], exec_error);
  else result->started = true;

  if (result->started) {
    attend(pid, pidfd, &pipes, spec->time_limit, result);
  } else if (pid > 0) {
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
  }
  if (pidfd >= 0) close(pidfd);
  pipes_close(pipes.read);
}

static const struct { int number; const char* name; } signals[] = {
  {SIGABRT, "SIGABRT"}, {SIGALRM, "SIGALRM"}, {SIGBUS, "SIGBUS"},   {SIGFPE, "SIGFPE"},   {SIGHUP, "SIGHUP"},
  {SIGILL, "SIGILL"},   {SIGINT, "SIGINT"},   {SIGKILL, "SIGKILL"}, {SIGPIPE, "SIGPIPE"}, {SIGQUIT, "SIGQUIT"},
  {SIGSEGV, "SIGSEGV"}, {SIGSYS, "SIGSYS"},   {SIGTERM, "SIGTERM"}, {SIGTRAP, "SIGTRAP"}, {SIGUSR1, "SIGUSR1"},
  {SIGUSR2, "SIGUSR2"}, {SIGXCPU, "SIGXCPU"},
};
static const size_t signal_count = sizeof(signals) / sizeof(signals[0]);

const char* signal_name(int number) {
  static _Thread_local char digits[16];
  for (size_t i = 0; i < signal_count; i++) {
    if (signals[i].number == number) return signals[i].name;
  }
  snprintf(digits, sizeof(digits), "%d", number);
  return digits;
}

int signal_number(const char* name) {
  for (size_t i = 0; i < signal_count; i++) {
    if (strcasecmp(name, signals[i].name) == 0 || strcasecmp(name, signals[i].name + 3) == 0) {
      return signals[i].number;
    }
  }
  char* end;
  long number = strtol(name, &end, 10);
  return *name != 0 && *end == 0 && number > 0 && number < 65 ? (int)number : 0;
}
