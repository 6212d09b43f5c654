/* measure.c - runs one command under an allocator and says what it took.
 *
 *   measure [-l LIBRARY] [-t SECONDS] [-m MILLISECONDS] [-i IN] [-o OUT] [-e ERR] -r REPORT
 *           -- COMMAND [ARGUMENT...]
 *
 * REPORT receives one line of name=value: wall, user and sys in seconds, rss (KiB, the peak of the largest
 * process of the command's tree), minor and major page faults, mappings (the most that one process was
 * seen with; 0 unless -m), and end=exit:N, signal:N or timeout. Always exits with 0 when the report could
 * be written.
 *
 * A program of its own because a child inherits the high-water mark of the process that starts it, and
 * because LIBRARY must be loaded into the command and into nothing else. Mappings are counted by reading
 * /proc/PID/maps every so many milliseconds, which takes the command's memory lock for a moment: rounds
 * whose times count are run without. The command has a process group of its own, which is killed when time
 * is up or when measure itself is told to end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct options_s {
  const char* library;
  const char* in;
  const char* out;
  const char* err;
  const char* report;
  long seconds;           // limit, 0 for none
  long sample;            // milliseconds between counts of mappings, 0 for none
  char** command;
} options_t;

static void fail(const char* what, const char* which) {
  fprintf(stderr, "measure: %s '%s': %s\n", what, which, strerror(errno));
  exit(125);
}

static double seconds_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double seconds_of(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec * 1e-6; }

/* ---- the number of mappings ---- */

static long count_lines(const char* path) {
  char buffer[1 << 14];
  long lines = 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  for (ssize_t n; (n = read(fd, buffer, sizeof(buffer))) > 0;) {
    for (ssize_t i = 0; i < n; i++) lines += buffer[i] == '\n';
  }
  close(fd);
  return lines;
}

/* The most mappings of a process and its descendants; children that threads started are found as well. */
static long count_tree(pid_t pid, int depth) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
  long most = count_lines(path);
  snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
  FILE* children = depth < 8 ? fopen(path, "re") : NULL;
  if (children == NULL) return most;
  int child;
  while (fscanf(children, "%d", &child) == 1) {
    long mappings = count_tree(child, depth + 1);
    if (mappings > most) most = mappings;
  }
  fclose(children);
  return most;
}

/* ---- the command ---- */

static void redirect(const char* path, int flags, int target) {
  if (path == NULL) return;
  int fd = open(path, flags | O_CLOEXEC, 0644);
  if (fd < 0) fail("cannot open", path);
  dup2(fd, target);
}

static void start(const options_t* o, const sigset_t* mask) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);    // should measure itself be killed
  sigprocmask(SIG_UNBLOCK, mask, NULL);
  struct rlimit no_core = { 0, 0 };
  setrlimit(RLIMIT_CORE, &no_core);
  redirect(o->in, O_RDONLY, STDIN_FILENO);
  redirect(o->out, O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO);
  redirect(o->err, O_WRONLY | O_CREAT | O_TRUNC, STDERR_FILENO);
  if (o->library != NULL) setenv("LD_PRELOAD", o->library, 1);
  execvp(o->command[0], o->command);
  fprintf(stderr, "measure: cannot start '%s': %s\n", o->command[0], strerror(errno));
  _exit(127);
}

typedef struct outcome_s {
  double wall;
  int status;
  int timed_out;
  long mappings;
  struct rusage usage;
} outcome_t;

/* Waits for the command with one eye on the clock; a termination signal ends it and then us. */
static outcome_t watch(const options_t* o, pid_t pid, double begin, const sigset_t* mask) {
  outcome_t result = { 0 };
  double limit = o->seconds > 0 ? begin + (double)o->seconds : 1e18;
  for (;;) {
    double wait = limit - seconds_now();
    if (o->sample > 0 && wait > (double)o->sample / 1000) wait = (double)o->sample / 1000;
    if (wait > 1000) wait = 1000;
    if (wait < 0) wait = 0;
    struct timespec pause = { (time_t)wait, (long)((wait - (double)(time_t)wait) * 1e9) };
    int signal_number = sigtimedwait(mask, NULL, &pause);
    if (signal_number == SIGTERM || signal_number == SIGINT || signal_number == SIGHUP) {
      kill(-pid, SIGKILL);
      exit(128 + signal_number);
    }
    if (wait4(pid, &result.status, WNOHANG, &result.usage) == pid) break;
    if (seconds_now() >= limit && !result.timed_out) {
      result.timed_out = 1;
      limit = 1e18;
      kill(-pid, SIGKILL);
    } else if (o->sample > 0) {
      long mappings = count_tree(pid, 0);
      if (mappings > result.mappings) result.mappings = mappings;
    }
  }
  result.wall = seconds_now() - begin;
  kill(-pid, SIGKILL);    // what the command left behind
  return result;
}

static void report(const options_t* o, const outcome_t* r) {
  FILE* f = fopen(o->report, "we");
  if (f == NULL) fail("cannot write", o->report);
  const struct rusage* u = &r->usage;
  fprintf(f, "wall=%.6f user=%.6f sys=%.6f rss=%ld minor=%ld major=%ld mappings=%ld ", r->wall,
          seconds_of(u->ru_utime), seconds_of(u->ru_stime), u->ru_maxrss, u->ru_minflt, u->ru_majflt,
          r->mappings);
  if (r->timed_out) fprintf(f, "end=timeout\n");
  else if (WIFSIGNALED(r->status)) fprintf(f, "end=signal:%d\n", WTERMSIG(r->status));
  else fprintf(f, "end=exit:%d\n", WEXITSTATUS(r->status));
  if (fclose(f) != 0) fail("cannot write", o->report);
}

static long number(char option, const char* text) {
  char* end;
  long n = strtol(text, &end, 10);
  if (*text != 0 && *end == 0 && n >= 0 && n <= 1000000) return n;
  fprintf(stderr, "measure: -%c %s: not a number from 0 to 1000000\n", option, text);
  exit(125);
}

int main(int argc, char** argv) {
  options_t o = { 0 };
  for (int option; (option = getopt(argc, argv, "+l:t:m:i:o:e:r:")) != -1;) {
    switch (option) {
      case 'l': o.library = optarg; break;
      case 't': o.seconds = number('t', optarg); break;
      case 'm': o.sample = number('m', optarg); break;
      case 'i': o.in = optarg; break;
      case 'o': o.out = optarg; break;
      case 'e': o.err = optarg; break;
      case 'r': o.report = optarg; break;
      default: return 125;
    }
  }
  if (o.report == NULL || optind >= argc) {
    fputs("usage: measure [-l LIBRARY] [-t SECONDS] [-m MILLISECONDS] [-i IN] [-o OUT] [-e ERR] -r REPORT"
          " -- COMMAND [ARGUMENT...]\n", stderr);
    return 125;
  }
  o.command = argv + optind;
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGCHLD);
  sigaddset(&mask, SIGTERM);
  sigaddset(&mask, SIGINT);
  sigaddset(&mask, SIGHUP);
  sigprocmask(SIG_BLOCK, &mask, NULL);
  double begin = seconds_now();    // before the command can have begun
  pid_t pid = fork();
  if (pid < 0) fail("cannot start", o.command[0]);
  if (pid == 0) start(&o, &mask);
  setpgid(pid, pid);
  outcome_t outcome = watch(&o, pid, begin, &mask);
  report(&o, &outcome);
  return 0;
}
