// Tests of the runner itself: a runner that passes everything would make every other test worthless, so most rows here
// are demands that do NOT hold, and the diagnosis that must come of it.
//
//   selftest EXPECT ACTOR     paths of the two programs
//
// Each row: the arguments of expect (ACTOR stands for the path of the actor), the exit code it must give, and a pattern
// that some line of its output must match.
#define _GNU_SOURCE
#include "child.h"
#include "pattern.h"

#include <stdio.h>
#include <string.h>

enum { MAX_WORDS = 20 };

typedef struct row_s {
  const char* words[MAX_WORDS];
  int exit_code;
  const char* says;  // NULL: it must say nothing
} row_t;

static const row_t rows[] = {
  // Endings.
  {{"ACTOR"}, 0, NULL},
  {{"ACTOR", "exit:3"}, 1, "expect: ended with exit code 3; demanded: exit code 0"},
  {{"--exit", "3", "ACTOR", "exit:3"}, 0, NULL},
  {{"--exit", "3", "--", "ACTOR"}, 1, "expect: ended with exit code 0; demanded: exit code 3"},
  {{"--exit", "3", "ACTOR", "raise:6"}, 1, "expect: ended by SIGABRT; demanded: exit code 3"},
  {{"--exit", "134", "ACTOR", "raise:6"}, 1, "expect: ended by SIGABRT; demanded: exit code 134"},
  {{"--signal", "ABRT", "ACTOR", "raise:6"}, 0, NULL},
  {{"--signal", "sigabrt", "ACTOR", "raise:6"}, 0, NULL},
  {{"--signal", "6", "ACTOR", "raise:6"}, 0, NULL},
  {{"--signal", "ABRT", "ACTOR", "raise:11"}, 1, "expect: ended by SIGSEGV; demanded: SIGABRT"},
  {{"--signal", "ABRT", "ACTOR", "exit:6"}, 1, "expect: ended with exit code 6; demanded: SIGABRT"},
  {{"--signal", "ABRT", "ACTOR"}, 1, "expect: ended with exit code 0; demanded: SIGABRT"},
  // Standard error.
  {{"--stderr", "a fault", "ACTOR", "err:hello", "err:a fault"}, 0, NULL},
  {{"--stderr", "a fault", "ACTOR", "err:a fault."}, 1, "expect: no line of standard error is: a fault"},
  {{"--stderr", "a fault", "ACTOR", "err:a faul"}, 1, "    | a faul"},
  {{"--stderr", "a fault", "ACTOR", "out:a fault"}, 1, "  standard error: (empty)"},
  {{"--stderr", "a * b", "ACTOR", "err:a x b"}, 1, "expect: no line of standard error is: a \\* b"},
  {{"--stderr-like", "a * b", "ACTOR", "err:a x b"}, 0, NULL},
  {{"--stderr-like", "x: {hex} y", "ACTOR", "err:x: 0x7f00 y"}, 0, NULL},
  {{"--stderr-like", "x: {hex} y", "ACTOR", "err:x: 7f00 y"}, 1, "expect: no line of standard error matches: *"},
  {{"--first-like", "two*", "ACTOR", "err:one", "err:two"}, 1, "expect: the first line of standard error does*"},
  {{"--first-like", "one", "ACTOR", "err:one", "err:two"}, 0, NULL},
  {{"--first-like", "one", "ACTOR"}, 1, "expect: the first line of standard error does not match: one"},
  {{"--no-stderr-like", "*bad*", "ACTOR", "err:good", "err:a bad day"}, 1, "expect: a line of * matches what it*"},
  {{"--no-stderr-like", "*bad*", "ACTOR", "err:good"}, 0, NULL},
  {{"--stderr-empty", "ACTOR"}, 0, NULL},
  {{"--stderr-empty", "ACTOR", "err:x"}, 1, "expect: standard error is not empty"},
  {{"--stderr", "one", "--stderr", "two", "ACTOR", "err:one"}, 1, "expect: no line of standard error is: two"},
  {{"--signal", "ABRT", "--stderr", "one", "ACTOR", "err:one", "exit:1"}, 1, "expect: ended with exit code 1; *"},
  {{"--stderr", "line 99 of many", "ACTOR", "fill:100"}, 0, NULL},
  {{"--stderr", "no such", "ACTOR", "fill:100000"}, 1, "expect: no line of standard error is: no such"},
  // Standard output.
  {{"--stdout", "here", "ACTOR", "out:here"}, 0, NULL},
  {{"--stdout", "here", "ACTOR", "err:here"}, 1, "expect: no line of standard output is: here"},
  {{"--stdout-like", "h?re", "ACTOR", "out:here"}, 0, NULL},
  {{"--no-stdout-like", "h*", "ACTOR", "out:here"}, 1, "expect: a line of standard output matches what it must not*"},
  // Environment, time, leftovers.
  {{"--env", "RUNNER_SELF=7", "--stdout", "RUNNER_SELF=7", "ACTOR", "env:RUNNER_SELF"}, 0, NULL},
  {{"--env", "HOME=/elsewhere", "--stdout", "HOME=/elsewhere", "ACTOR", "env:HOME"}, 0, NULL},
  {{"--stdout", "0 bytes of input", "ACTOR", "stdin"}, 0, NULL},
  {{"--time-limit", "0.2", "ACTOR", "sleep:20000"}, 1, "expect: not finished after 0.2 s, killed; demanded: exit*"},
  {{"--time-limit", "0.2", "--signal", "KILL", "ACTOR", "sleep:20000"}, 1, "expect: not finished after 0.2 s, *"},
  {{"--time-limit", "5", "ACTOR", "orphan:20000"}, 0, NULL},
  {{"--time-limit", "5", "--stderr", "late", "ACTOR", "orphan:20000", "err:late"}, 0, NULL},
  // Wrong use.
  {{"--exit", "0"}, 2, "expect: no program given"},
  {{"--exit", "many", "ACTOR"}, 2, "expect: 'many': expected an exit code between 0 and 255"},
  {{"--exit", "1", "--signal", "ABRT", "ACTOR"}, 2, "expect: --exit and --signal exclude each other"},
  {{"--signal", "NONSENSE", "ACTOR"}, 2, "expect: 'NONSENSE': no such signal*"},
  {{"--time-limit", "0", "ACTOR"}, 2, "expect: '0': expected seconds between *"},
  {{"--env", "NOVALUE", "ACTOR"}, 2, "expect: 'NOVALUE': expected NAME=VALUE"},
  {{"--preload", "/no/such/library.so", "ACTOR"}, 2, "expect: cannot preload '/no/such/library.so': *"},
  {{"--nonsense", "ACTOR"}, 2, "expect: '--nonsense': unknown option*"},
  {{"/no/such/program"}, 2, "expect: cannot run it: /no/such/program: No such file or directory"},
};

typedef struct match_row_s {
  const char* pattern;
  const char* text;
  bool fits;
} match_row_t;

static const match_row_t match_rows[] = {
  {"", "", true},           {"", "x", false},          {"*", "", true},             {"*", "anything", true},
  {"a*", "ba", false},      {"*a", "ab", false},       {"*a*", "bab", true},        {"a**b", "ab", true},
  {"?", "", false},         {"?", "x", true},          {"??", "x", false},          {"{hex}", "0x1aF", true},
  {"{hex}", "0x", false},   {"{hex}", "0xg", false},   {"{hex}f", "0xff", true},    {"{dec}", "120", true},
  {"{dec}", "-1", false},   {"{dec}x", "12", false},   {"{a|bc}d", "bcd", true},    {"{a|bc}d", "bd", false},
  {"{a|ab}c", "abc", true}, {"{|x}y", "y", true},      {"{open", "{open", false},   {"\\*", "*", true},
  {"\\*", "x", false},      {"a\\{b", "a{b", true},    {"{dec}*{hex}", "1 2 0x3", true},
};

static int failures;

static bool output_has(const capture_t* got, const char* pattern) {
  const char* end = got->text + got->length;
  for (const char* line = got->text; line < end;) {
    const char* stop = memchr(line, '\n', (size_t)(end - line));
    if (stop == NULL) stop = end;
    if (pattern_matches(pattern, line, (size_t)(stop - line))) return true;
    line = stop + 1;
  }
  return false;
}

static void check_row(const row_t* row, char* expect, char* actor) {
  static child_result_t result;
  char* argv[MAX_WORDS + 2] = {expect};
  for (size_t i = 0; i < MAX_WORDS && row->words[i] != NULL; i++) {
    argv[i + 1] = strcmp(row->words[i], "ACTOR") == 0 ? actor : (char*)(size_t)row->words[i];
  }
  child_spec_t spec = {argv, NULL, 20, true, -1};
  child_run(&spec, &result);
  const capture_t* says = row->exit_code == 2 && result.out.length == 0 ? &result.err : &result.out;
  bool silent = result.out.length == 0 && result.err.length == 0;
  bool good = result.started && !result.timed_out && result.signal == 0 && result.exit_code == row->exit_code &&
              (row->says != NULL ? output_has(says, row->says) : silent);
  if (good) return;
  failures++;
  printf("selftest: expect");
  for (size_t i = 1; argv[i] != NULL; i++) printf(" %s", argv[i]);
  printf("\n  gave exit code %d (signal %d, killed %d) for %d; wanted it to say: %s\n%s%s%s\n", result.exit_code,
         result.signal, result.timed_out, row->exit_code, row->says != NULL ? row->says : "nothing", result.reason,
         result.out.text, result.err.text);
}

// An extra descriptor must reach the child and come back apart from its other output.
static void check_extra(void) {
  static child_result_t result;
  char script[] = "echo on-extra >&9; echo on-err >&2";
  char shell[] = "/bin/sh";
  char option[] = "-c";
  char* argv[] = {shell, option, script, NULL};
  child_spec_t spec = {argv, NULL, 20, false, 9};
  child_run(&spec, &result);
  if (strcmp(result.extra.text, "on-extra\n") != 0 || strcmp(result.err.text, "on-err\n") != 0) {
    printf("selftest: extra descriptor: got '%s' and '%s'\n", result.extra.text, result.err.text);
    failures++;
  }
}

int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: selftest EXPECT ACTOR (paths of the two programs)\n");
    return 2;
  }
  size_t count = sizeof(rows) / sizeof(rows[0]), patterns = sizeof(match_rows) / sizeof(match_rows[0]);
  for (size_t i = 0; i < count; i++) check_row(&rows[i], argv[1], argv[2]);
  for (size_t i = 0; i < patterns; i++) {
    const match_row_t* row = &match_rows[i];
    if (pattern_matches(row->pattern, row->text, strlen(row->text)) == row->fits) continue;
    printf("selftest: pattern '%s' against '%s' must%s match\n", row->pattern, row->text, row->fits ? "" : " not");
    failures++;
  }
  check_extra();
  printf("selftest: %zu runs, %zu patterns, %d failures\n", count + 1, patterns, failures);
  return failures == 0 ? 0 : 1;
}
