/* measure: run one command, with or without a preloaded library, and say what it took.

   Why not time(1): the child inherits the high-water mark of the process it is forked from, so the
   measuring process has to be tiny; the library must be preloaded into the command alone, never into
   the shell that starts it; and a hanging command has to end with everything it started.

     measure [-p LIBRARY] [-t SECONDS] [-v MIB] [-d DIRECTORY] [-i IN] [-o OUT] [-e ERR] -r REPORT -- COMMAND...

   REPORT receives one line:  wall=SECONDS cpu=SECONDS maxrss=KIB end=exit:CODE|signal:NUMBER|timeout
   maxrss is the peak of the largest single process of the command's tree (wait4 takes the maximum).
   Exit status: that of the command; 128 + n when signal n ended it; 124 on a timeout; 125 when measure
   itself failed. The command runs in a process group of its own, which is killed when measure gets
   SIGINT, SIGTERM or SIGHUP and when time is up. -v limits its address space, as ulimit -v does. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct options_s {
  const char* library;
  const char* directory;
  const char* in;
  const char* out;
  const char* err;
  const char* report;
  unsigned int seconds;
  unsigned int mebibytes; /* of address space, 0 for no limit */
} options_t;

static volatile sig_atomic_t caught; /* the signal that ended the wait, 0 if none */
static volatile pid_t child = -1;

static void fail(const char* what, const char* which) {
  fprintf(stderr, "measure: %s '%s': %s\n", what, which, strerror(errno));
  exit(125);
}

static void on_signal(int number) {
  caught = number;
  if (child > 0) kill(-child, SIGKILL);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double seconds_of(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec * 1e-6; }

static void redirect(const char* path, int flags, int target) {
  if (path == NULL) return;
  const int fd = open(path, flags | O_CLOEXEC, 0644);
  if (fd < 0 || dup2(fd, target) < 0) fail("cannot open", path);
}

static void run_child(const options_t* o, char** command) {
  setpgid(0, 0);
  signal(SIGINT, SIG_DFL); /* a shell starts what it runs in the background with these ignored */
  signal(SIGQUIT, SIG_DFL);
  if (o->directory != NULL && chdir(o->directory) != 0) fail("cannot enter", o->directory);
  redirect(o->in, O_RDONLY, STDIN_FILENO);
  redirect(o->out, O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO);
  redirect(o->err, O_WRONLY | O_CREAT | O_TRUNC, STDERR_FILENO);
  if (o->mebibytes > 0) {
    const struct rlimit limit = { (rlim_t)o->mebibytes << 20, (rlim_t)o->mebibytes << 20 };
    if (setrlimit(RLIMIT_AS, &limit) != 0) fail("cannot limit the address space of", command[0]);
  }
  if (o->library != NULL) {
    setenv("LD_PRELOAD", o->library, 1);
  } else {
    unsetenv("LD_PRELOAD");
  }
  execvp(command[0], command);
  fail("cannot run", command[0]);
}

static unsigned int parse_number(const char* text, char option, long most) {
  char* end = NULL;
  const long value = strtol(text, &end, 10);
  if (end == text || *end != 0 || value < 1 || value > most) {
    fprintf(stderr, "measure: -%c wants a number from 1 to %ld, not '%s'\n", option, most, text);
    exit(125);
  }
  return (unsigned int)value;
}

static options_t parse(int argc, char** argv) {
  options_t o = { NULL, NULL, NULL, NULL, NULL, NULL, 0, 0 };
  int c;
  while ((c = getopt(argc, argv, "+p:t:v:d:i:o:e:r:")) != -1) {
    switch (c) {
      case 'p': o.library = optarg; break;
      case 't': o.seconds = parse_number(optarg, 't', 86400); break;
      case 'v': o.mebibytes = parse_number(optarg, 'v', 1 << 24); break;
      case 'd': o.directory = optarg; break;
      case 'i': o.in = optarg; break;
      case 'o': o.out = optarg; break;
      case 'e': o.err = optarg; break;
      case 'r': o.report = optarg; break;
      default: exit(125);
    }
  }
  if (o.report == NULL || optind >= argc) {
    fprintf(stderr, "usage: measure [-p LIBRARY] [-t SECONDS] [-v MIB] [-d DIRECTORY] [-i IN] [-o OUT] [-e ERR]"
                    " -r REPORT -- COMMAND...\n");
    exit(125);
  }
  return o;
}

static void install_handlers(void) {
  static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGALRM };
  struct sigaction action;
  memset(&action, 0, sizeof(action));
  action.sa_handler = on_signal;
  for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) sigaction(signals[i], &action, NULL);
}

int main(int argc, char** argv) {
  const options_t o = parse(argc, argv);
  FILE* report = fopen(o.report, "we");
  if (report == NULL) fail("cannot write", o.report);
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, &before); /* no signal between the fork and `child` being known */
  const double start = now();
  child = fork();
  if (child < 0) fail("cannot fork for", argv[optind]);
  if (child == 0) {
    sigprocmask(SIG_SETMASK, &before, NULL);
    run_child(&o, argv + optind);
  }
  setpgid(child, child); /* both sides do it: whoever is first */
  install_handlers();
  if (o.seconds > 0) alarm(o.seconds);
  sigprocmask(SIG_SETMASK, &before, NULL);

  int status = 0;
  struct rusage usage;
  while (wait4(child, &status, 0, &usage) < 0) {
    if (errno != EINTR) fail("cannot wait for", argv[optind]);
  }
  const double wall = now() - start;
  if (caught != 0) kill(-child, SIGKILL); /* what the command left behind */
  fprintf(report, "wall=%.3f cpu=%.3f maxrss=%ld ", wall,
          seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime), usage.ru_maxrss);
  int code;
  if (caught == SIGALRM) {
    fprintf(report, "end=timeout\n");
    code = 124;
  } else if (WIFSIGNALED(status)) {
    fprintf(report, "end=signal:%d\n", WTERMSIG(status));
    code = 128 + WTERMSIG(status);
  } else {
    fprintf(report, "end=exit:%d\n", WEXITSTATUS(status));
    code = WEXITSTATUS(status);
  }
  if (fclose(report) != 0) fail("cannot write", o.report);
  if (caught != 0 && caught != SIGALRM) code = 128 + (int)caught;
  return code;
}
