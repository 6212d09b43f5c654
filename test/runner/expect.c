// expect: runs a program and compares how it ends and what it says with what the test demands.
//
//   expect [options] [--] PROGRAM [ARGUMENT...]
//
//   --exit N             it must end with this exit code (default 0, unless --signal is given)
//   --signal NAME        it must be ended by this signal (ABRT, SIGSEGV, 11 ...)
//   --stderr LINE        this line must appear on standard error, exactly
//   --stderr-like PAT    a line that matches must appear on standard error; see pattern.h
//   --first-like PAT     the first line of standard error must match
//   --no-stderr-like PAT no line of standard error may match
//   --stderr-empty       nothing may appear on standard error
//   --stdout LINE, --stdout-like PAT, --no-stdout-like PAT   the same for standard output
//   --env NAME=VALUE     a setting of the environment; may be repeated
//   --preload FILE       load this library before all others (sets LD_PRELOAD)
//   --time-limit SECONDS the program is killed, and the test fails, after this time (default 30)
//
// Every demand may be repeated and all of them must hold. Exit code 0: they do; 1: at least one does not, and each one
// that does not is named together with what was there; 2: the command line is wrong or the program did not start.
#define _GNU_SOURCE
#include "child.h"
#include "pattern.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_DEMANDS = 64, MAX_ENV = 64, SHOWN_LINES = 30 };

typedef enum demand_kind_e { HAS_LINE, HAS_LIKE, FIRST_LIKE, NO_LIKE, EMPTY } demand_kind_t;

typedef struct demand_s {
  demand_kind_t kind;
  bool on_stdout;
  const char* text;
} demand_t;

typedef struct plan_s {
  demand_t demands[MAX_DEMANDS];
  size_t demand_count;
  const char* env[MAX_ENV + 1];
  size_t env_count;
  int signal;
  int exit_code;  // -1: not asked for
  double time_limit;
  bool wants_stdout;
  char** command;
} plan_t;

static void __attribute__((noreturn, format(printf, 1, 2))) misused(const char* format, ...) {
  va_list args;
  va_start(args, format);
  fputs("expect: ", stderr);
  vfprintf(stderr, format, args);
  fputs("\nusage: expect [--exit N | --signal NAME] [--stderr LINE] [--stderr-like PATTERN] [--first-like PATTERN]\n"
        "  [--no-stderr-like PATTERN] [--stderr-empty] [--stdout LINE] [--stdout-like PATTERN]\n"
        "  [--no-stdout-like PATTERN] [--env NAME=VALUE] [--preload FILE] [--time-limit SECONDS] [--] PROGRAM ...\n",
        stderr);
  va_end(args);
  exit(2);
}

static void add_demand(plan_t* plan, demand_kind_t kind, bool on_stdout, const char* text) {
  if (plan->demand_count == MAX_DEMANDS) misused("more than %d demands", MAX_DEMANDS);
  if (text != NULL && strchr(text, '\n') != NULL) misused("'%s': a demand is about one line", text);
  plan->demands[plan->demand_count++] = (demand_t){kind, on_stdout, text};
  plan->wants_stdout = plan->wants_stdout || on_stdout;
}

static void add_env(plan_t* plan, const char* setting) {
  if (plan->env_count == MAX_ENV) misused("more than %d settings of the environment", MAX_ENV);
  if (strchr(setting, '=') == NULL || setting[0] == '=') misused("'%s': expected NAME=VALUE", setting);
  plan->env[plan->env_count++] = setting;
}

static void add_preload(plan_t* plan, const char* file) {
  char* setting;
  char* path = realpath(file, NULL);
  if (path == NULL) misused("cannot preload '%s': %s", file, strerror(errno));
  if (asprintf(&setting, "LD_PRELOAD=%s", path) < 0) misused("out of memory");
  free(path);
  add_env(plan, setting);
}

static double number(const char* text, const char* what, double least, double most) {
  char* end;
  double value = strtod(text, &end);
  if (*text == 0 || *end != 0 || !(value >= least && value <= most)) {
    misused("'%s': expected %s between %g and %g", text, what, least, most);
  }
  return value;
}

static void parse(plan_t* plan, int argc, char** argv) {
  enum { EXIT = 1, SIGNAL, ERR, ERR_LIKE, ERR_FIRST, ERR_NOT, ERR_EMPTY, OUT, OUT_LIKE, OUT_NOT, ENV, PRELOAD, LIMIT };
  static const struct option options[] = {
    {"exit", 1, NULL, EXIT},           {"signal", 1, NULL, SIGNAL},          {"stderr", 1, NULL, ERR},
    {"stderr-like", 1, NULL, ERR_LIKE}, {"first-like", 1, NULL, ERR_FIRST},  {"no-stderr-like", 1, NULL, ERR_NOT},
    {"stderr-empty", 0, NULL, ERR_EMPTY}, {"stdout", 1, NULL, OUT},          {"stdout-like", 1, NULL, OUT_LIKE},
    {"no-stdout-like", 1, NULL, OUT_NOT}, {"env", 1, NULL, ENV},             {"preload", 1, NULL, PRELOAD},
    {"time-limit", 1, NULL, LIMIT},    {NULL, 0, NULL, 0},
  };
  *plan = (plan_t){.exit_code = -1, .time_limit = 30};
  opterr = 0;
  for (;;) {
    int got = getopt_long(argc, argv, "+", options, NULL);
    if (got == -1) break;
    switch (got) {
      case EXIT: plan->exit_code = (int)number(optarg, "an exit code", 0, 255); break;
      case SIGNAL:
        plan->signal = signal_number(optarg);
        if (plan->signal == 0) misused("'%s': no such signal; expected a name like ABRT or a number", optarg);
        break;
      case ERR: add_demand(plan, HAS_LINE, false, optarg); break;
      case ERR_LIKE: add_demand(plan, HAS_LIKE, false, optarg); break;
      case ERR_FIRST: add_demand(plan, FIRST_LIKE, false, optarg); break;
      case ERR_NOT: add_demand(plan, NO_LIKE, false, optarg); break;
      case ERR_EMPTY: add_demand(plan, EMPTY, false, NULL); break;
      case OUT: add_demand(plan, HAS_LINE, true, optarg); break;
      case OUT_LIKE: add_demand(plan, HAS_LIKE, true, optarg); break;
      case OUT_NOT: add_demand(plan, NO_LIKE, true, optarg); break;
      case ENV: add_env(plan, optarg); break;
      case PRELOAD: add_preload(plan, optarg); break;
      case LIMIT: plan->time_limit = number(optarg, "seconds", 0.01, 86400); break;
      default: misused("'%s': unknown option, or its value is missing", argv[optind - 1]);
    }
  }
  if (optind == argc) misused("no program given");
  if (plan->signal != 0 && plan->exit_code >= 0) misused("--exit and --signal exclude each other");
  if (plan->signal == 0 && plan->exit_code < 0) plan->exit_code = 0;
  plan->command = argv + optind;
}

// Does this one line fulfil the demand's text?
static bool line_fits(const demand_t* demand, const char* line, size_t length) {
  if (demand->kind == HAS_LINE) return length == strlen(demand->text) && memcmp(line, demand->text, length) == 0;
  return pattern_matches(demand->text, line, length);
}

static bool any_line_fits(const demand_t* demand, const capture_t* got, bool first_only) {
  const char* end = got->text + got->length;
  for (const char* line = got->text; line < end;) {
    const char* stop = memchr(line, '\n', (size_t)(end - line));
    if (stop == NULL) stop = end;
    if (line_fits(demand, line, (size_t)(stop - line))) return true;
    if (first_only) return false;
    line = stop + 1;
  }
  return false;
}

static bool demand_holds(const demand_t* demand, const capture_t* got) {
  switch (demand->kind) {
    case HAS_LINE:
    case HAS_LIKE: return any_line_fits(demand, got, false);
    case FIRST_LIKE: return any_line_fits(demand, got, true);
    case NO_LIKE: return !any_line_fits(demand, got, false);
    case EMPTY: return got->length == 0;
  }
  return false;
}

static void print_unmet(const demand_t* demand) {
  const char* stream = demand->on_stdout ? "standard output" : "standard error";
  switch (demand->kind) {
    case HAS_LINE: printf("expect: no line of %s is: %s\n", stream, demand->text); break;
    case HAS_LIKE: printf("expect: no line of %s matches: %s\n", stream, demand->text); break;
    case FIRST_LIKE: printf("expect: the first line of %s does not match: %s\n", stream, demand->text); break;
    case NO_LIKE: printf("expect: a line of %s matches what it must not: %s\n", stream, demand->text); break;
    case EMPTY: printf("expect: %s is not empty\n", stream); break;
  }
}

static void print_capture(const char* name, const capture_t* got) {
  if (got->length == 0) {
    printf("  %s: (empty)\n", name);
    return;
  }
  printf("  %s:\n", name);
  const char* end = got->text + got->length;
  int shown = 0;
  for (const char* line = got->text; line < end; shown++) {
    const char* stop = memchr(line, '\n', (size_t)(end - line));
    if (stop == NULL) stop = end;
    if (shown == SHOWN_LINES) {
      printf("    | ...\n");
      return;
    }
    printf("    | %.*s\n", (int)(stop - line), line);
    line = stop + 1;
  }
  if (got->cut) printf("    | ... (only the first %zu bytes are kept)\n", got->length);
}

static void print_ending(const plan_t* plan, const child_result_t* result) {
  if (result->timed_out) printf("expect: not finished after %g s, killed; ", plan->time_limit);
  else if (result->signal != 0) printf("expect: ended by %s; ", signal_name(result->signal));
  else printf("expect: ended with exit code %d; ", result->exit_code);
  if (plan->signal != 0) printf("demanded: %s\n", signal_name(plan->signal));
  else printf("demanded: exit code %d\n", plan->exit_code);
}

static bool ending_holds(const plan_t* plan, const child_result_t* result) {
  if (result->timed_out) return false;
  if (plan->signal != 0) return result->signal == plan->signal;
  return result->signal == 0 && result->exit_code == plan->exit_code;
}

int main(int argc, char** argv) {
  static plan_t plan;
  static child_result_t result;
  parse(&plan, argc, argv);
  child_spec_t spec = {plan.command, plan.env, plan.time_limit, plan.wants_stdout, -1};
  child_run(&spec, &result);
  if (!result.started) {
    printf("expect: cannot run it: %s\n", result.reason);
    return 2;
  }
  bool good = ending_holds(&plan, &result);
  if (!good) print_ending(&plan, &result);
  for (size_t i = 0; i < plan.demand_count; i++) {
    const demand_t* demand = &plan.demands[i];
    if (demand_holds(demand, demand->on_stdout ? &result.out : &result.err)) continue;
    print_unmet(demand);
    good = false;
  }
  if (good) return 0;
  printf("  program:");
  for (char** word = plan.command; *word != NULL; word++) printf(" %s", *word);
  printf("\n  time: %.3f s\n", result.seconds);
  print_capture("standard error", &result.err);
  if (plan.wants_stdout) print_capture("standard output", &result.out);
  return 1;
}
