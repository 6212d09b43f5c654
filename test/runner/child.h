// Runs one program as a child: its environment, a time limit, what it wrote, and how it ended. Shared by `expect` and
// by the runner of the misuse suite.
//
// The child leads a process group of its own; whatever is left of the group is killed when the child has ended, so a
// test leaves nothing behind. Core dumps are off. Standard input is empty.
//
// Thread rule: child_run() may be called from several threads at once. Everything the child needs is prepared before
// the fork, since only async-signal-safe functions may be called between fork and exec in a threaded program.
#ifndef TEST_CHILD_H
#define TEST_CHILD_H

#include <stdbool.h>
#include <stddef.h>

// What a child wrote into one pipe: the first bytes of it, always ended by a zero byte.
typedef struct capture_s {
  char text[16384];
  size_t length;
  bool cut;  // it wrote more than that
} capture_t;

typedef struct child_spec_s {
  char* const* argv;         // argv[0] is looked up in PATH when it holds no slash
  const char* const* env;    // "NAME=value" settings added to our own environment, ended by NULL; or NULL
  double time_limit;         // seconds
  bool capture_out;          // also capture standard output; otherwise it goes where ours goes
  int extra_fd;              // descriptor in the child that is captured as `extra`; below 0: none
} child_spec_t;

typedef struct child_result_s {
  bool started;              // false: `reason` says why not
  char reason[256];
  bool timed_out;
  int signal;                // signal that ended it, or 0
  int exit_code;             // when signal is 0
  double seconds;
  capture_t out, err, extra;
} child_result_t;

void child_run(const child_spec_t* spec, child_result_t* result);

// "SIGABRT" for 6; the number in digits for a signal without a name. Takes "ABRT", "SIGABRT", "abrt" and "6"; 0 when
// there is no such signal.
const char* signal_name(int number);
int signal_number(const char* name);

#endif
