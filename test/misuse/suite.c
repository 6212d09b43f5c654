// misuse-suite: runs every case of heap misuse in a process of its own, under any allocator that can be preloaded, and
// tabulates when each was stopped.
//
//   misuse-suite [options]
//
//   --preload FILE     allocator to load before all others; without it, the C library's is tested
//   --env NAME=VALUE   a setting of the environment of each case; may be repeated
//   --kinds PATTERN    only kinds (GROUP.KIND) that match; fnmatch(3) patterns, separated by commas
//   --sizes N,N,...    other sizes than the standard twelve
//   --threads          runs each case in a second thread, while two others allocate and free
//   --jobs N           processes at a time (default 2)
//   --time-limit S     seconds for one case (default 20)
//   --repeat N         runs everything N times, and keeps the weakest outcome of each case
//   --expect FILE      compares with a table of demands; exit code 1 when a case does not fulfil it. May be repeated:
//                      of all rows that are about a case, the first counts
//   --expect-old FILE  the same, where the kernel has no lightweight guards (before Linux 6.13); elsewhere not looked at
//   --csv FILE  --markdown FILE   writes the results
//   --title TEXT       heading of the Markdown table
//   --cases FILE       the program that holds the cases (default: misuse-cases beside this one)
//   --list             prints all kinds, and ends
//   --quiet            does not print the table
//
// Exit code 0: done, and all demands are fulfilled; 1: a demand is not, or a case is broken; 2: wrong command line.
#define _GNU_SOURCE
#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "demand.h"
#include "driver.h"
#include "outcome.h"

enum { MAX_ENV = 64, MAX_SIZES = 64, MAX_JOBS = 64, MAX_TABLES = 8 };

static const size_t standard_sizes[] = {1, 8, 16, 40, 100, 256, 1024, 4096, 20000, 65536, 524288, 4194304};

typedef struct suite_s {
  char cases[4096];
  const char* env[MAX_ENV + 1];
  size_t env_count;
  const char* kinds;
  size_t sizes[MAX_SIZES];
  size_t size_count;
  bool threaded, quiet, list;
  size_t jobs, repeat;
  double time_limit;
  const char* expect[MAX_TABLES];
  size_t expect_count;
  const char *csv, *markdown, *title;
  sheet_t sheet;
  atomic_size_t next;
} suite_t;

static void __attribute__((noreturn, format(printf, 1, 2))) misused(const char* format, ...) {
  va_list args;
  va_start(args, format);
  fputs("misuse-suite: ", stderr);
  vfprintf(stderr, format, args);
  fputs("\nusage: misuse-suite [--preload FILE] [--env NAME=VALUE] [--kinds PATTERN,...] [--sizes N,...] [--threads]\n"
        "  [--jobs N] [--time-limit SECONDS] [--repeat N] [--expect FILE] [--expect-old FILE] [--csv FILE]\n"
        "  [--markdown FILE] [--title TEXT] [--cases FILE] [--list] [--quiet]\n", stderr);
  va_end(args);
  exit(2);
}

// ---- command line ---------------------------------------------------------------------------------------------------

static size_t whole(const char* text, const char* what, size_t least, size_t most) {
  char* end;
  errno = 0;
  unsigned long value = strtoul(text, &end, 10);
  if (*text < '0' || *text > '9' || *end != 0 || errno != 0 || value < least || value > most) {
    misused("'%s': expected %s, a number from %zu to %zu", text, what, least, most);
  }
  return value;
}

static void add_env(suite_t* suite, const char* setting) {
  if (suite->env_count == MAX_ENV) misused("more than %d settings of the environment", MAX_ENV);
  if (strchr(setting, '=') == NULL || setting[0] == '=') misused("'%s': expected NAME=VALUE", setting);
  suite->env[suite->env_count++] = setting;
}

static void add_preload(suite_t* suite, const char* file) {
  char* setting;
  char* path = realpath(file, NULL);
  if (path == NULL) misused("cannot preload '%s': %s", file, strerror(errno));
  if (asprintf(&setting, "LD_PRELOAD=%s", path) < 0) misused("out of memory");
  if (suite->title == NULL) suite->title = strdup(basename(path));
  free(path);
  add_env(suite, setting);
}

static void add_table(suite_t* suite, const char* file) {
  if (suite->expect_count == MAX_TABLES) misused("more than %d tables", MAX_TABLES);
  suite->expect[suite->expect_count++] = file;
}

// Tried on a page of our own.
static bool kernel_has_light_guards(void) {
  enum { GUARD_INSTALL = 102 };  // MADV_GUARD_INSTALL, too new for libc's headers
  size_t size = (size_t)sysconf(_SC_PAGESIZE);
  void* page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) misused("mmap: %s", strerror(errno));
  bool has = madvise(page, size, GUARD_INSTALL) == 0;
  munmap(page, size);
  return has;
}

static void read_sizes(suite_t* suite, char* text) {
  suite->size_count = 0;
  for (char* word; (word = strsep(&text, ",")) != NULL;) {
    if (suite->size_count == MAX_SIZES) misused("more than %d sizes", MAX_SIZES);
    suite->sizes[suite->size_count++] = whole(word, "a size in bytes", 0, ELSEWHERE_SIZE / 2);
  }
}

static void default_cases(suite_t* suite) {
  ssize_t length = readlink("/proc/self/exe", suite->cases, sizeof(suite->cases) - 32);
  char* slash = length > 0 ? memrchr(suite->cases, '/', (size_t)length) : NULL;
  if (slash == NULL) misused("cannot tell where this program is; use --cases");
  strcpy(slash + 1, "misuse-cases");
}

static void parse(suite_t* suite, int argc, char** argv) {
  enum {
    PRELOAD = 1, ENV, KINDS_, SIZES, THREADS, JOBS, LIMIT, REPEAT, EXPECT, OLD, CSV, MARKDOWN, TITLE, CASES, LIST,
    QUIET
  };
  static const struct option options[] = {
    {"preload", 1, NULL, PRELOAD}, {"env", 1, NULL, ENV},       {"kinds", 1, NULL, KINDS_},
    {"sizes", 1, NULL, SIZES},     {"threads", 0, NULL, THREADS}, {"jobs", 1, NULL, JOBS},
    {"time-limit", 1, NULL, LIMIT}, {"repeat", 1, NULL, REPEAT}, {"expect", 1, NULL, EXPECT},
    {"expect-old", 1, NULL, OLD},
    {"csv", 1, NULL, CSV},         {"markdown", 1, NULL, MARKDOWN}, {"title", 1, NULL, TITLE},
    {"cases", 1, NULL, CASES},     {"list", 0, NULL, LIST},     {"quiet", 0, NULL, QUIET},
    {NULL, 0, NULL, 0},
  };
  suite->jobs = 2;
  suite->repeat = 1;
  suite->time_limit = 20;
  suite->size_count = sizeof(standard_sizes) / sizeof(standard_sizes[0]);
  memcpy(suite->sizes, standard_sizes, sizeof(standard_sizes));
  default_cases(suite);
  opterr = 0;
  for (int got; (got = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    switch (got) {
      case PRELOAD: add_preload(suite, optarg); break;
      case ENV: add_env(suite, optarg); break;
      case KINDS_: suite->kinds = optarg; break;
      case SIZES: read_sizes(suite, optarg); break;
      case THREADS: suite->threaded = true; break;
      case JOBS: suite->jobs = whole(optarg, "a number of processes", 1, MAX_JOBS); break;
      case LIMIT: suite->time_limit = (double)whole(optarg, "seconds", 1, 3600); break;
      case REPEAT: suite->repeat = whole(optarg, "a number of runs", 1, 1000); break;
      case EXPECT: add_table(suite, optarg); break;
      case OLD:
        if (!kernel_has_light_guards()) add_table(suite, optarg);
        break;
      case CSV: suite->csv = optarg; break;
      case MARKDOWN: suite->markdown = optarg; break;
      case TITLE: suite->title = optarg; break;
      case CASES: snprintf(suite->cases, sizeof(suite->cases), "%s", optarg); break;
      case LIST: suite->list = true; break;
      case QUIET: suite->quiet = true; break;
      default: misused("'%s': unknown option, or its value is missing", argv[optind - 1]);
    }
  }
  if (optind < argc) misused("'%s': unexpected argument", argv[optind]);
}

// ---- kinds ----------------------------------------------------------------------------------------------------------

static bool wanted(const suite_t* suite, const char* name) {
  if (suite->kinds == NULL) return true;
  char* patterns = strdup(suite->kinds);
  bool found = false;
  char* rest = patterns;
  for (char* pattern; (pattern = strsep(&rest, ",")) != NULL;) found = found || fnmatch(pattern, name, 0) == 0;
  free(patterns);
  return found;
}

// Asks the program that holds the cases; its own heap misuse starts only with `run`.
static void load_kinds(suite_t* suite) {
  char command[4200];
  snprintf(command, sizeof(command), "'%s' list", suite->cases);
  FILE* list = popen(command, "r");
  char line[512];
  size_t all = 0;
  while (list != NULL && fgets(line, sizeof(line), list) != NULL) {
    kind_row_t row;
    if (sscanf(line, "%63[^\t]\t%zu\t%127[^\n]", row.name, &row.least, row.what) != 3) continue;
    all++;
    if (!wanted(suite, row.name)) continue;
    kind_row_t* kinds = realloc(suite->sheet.kinds, (suite->sheet.kind_count + 1) * sizeof(row));
    if (kinds == NULL) misused("out of memory");
    suite->sheet.kinds = kinds;
    kinds[suite->sheet.kind_count++] = row;
  }
  if (list == NULL || pclose(list) != 0 || all == 0) misused("'%s' does not list its cases", suite->cases);
  if (suite->sheet.kind_count == 0) misused("'%s': no kind matches; --list shows all", suite->kinds);
}

// ---- runs -----------------------------------------------------------------------------------------------------------

// With several runs, what counts is the weakest: a check that works now and then is none.
static int weakness(outcome_t outcome) {
  static const int order[OUTCOME_COUNT] = {
    [STOPPED_AT_MISUSE] = 0, [STOPPED_AT_FREE] = 1, [STOPPED_AT_REUSE] = 2, [STOPPED_AT_EXIT] = 3,
    [HAD_NO_EFFECT] = 4,     [WAS_IGNORED] = 5,     [WAS_MISSED] = 6,       [NOT_AVAILABLE] = -1,
    [HUNG] = 7,              [BROKEN] = 8,
  };
  return order[outcome];
}

static void run_case(suite_t* suite, one_case_t* one, child_result_t* result) {
  char number[24], command[16], name[64];
  snprintf(number, sizeof(number), "%zu", one->size);
  snprintf(command, sizeof(command), "%s", suite->threaded ? "run-threaded" : "run");
  snprintf(name, sizeof(name), "%s", one->kind);
  char* argv[] = {suite->cases, command, name, number, NULL};
  child_spec_t spec = {argv, suite->env, suite->time_limit, true, REPORT_FD};
  for (size_t i = 0; i < suite->repeat; i++) {
    one_case_t now = {.kind = one->kind, .size = one->size};
    child_run(&spec, result);
    if (!result->started) misused("cannot run '%s': %s", suite->cases, result->reason);
    outcome_read(&now, result);
    if (i == 0 || weakness(now.outcome) > weakness(one->outcome)) *one = now;
  }
}

static void* worker(void* argument) {
  suite_t* suite = argument;
  child_result_t* result = malloc(sizeof(*result));
  size_t count = suite->sheet.kind_count * suite->sheet.size_count;
  if (result == NULL) misused("out of memory");
  for (size_t i; (i = atomic_fetch_add(&suite->next, 1)) < count;) {
    const kind_row_t* kind = &suite->sheet.kinds[i / suite->sheet.size_count];
    one_case_t* one = &suite->sheet.cases[i];
    one->kind = kind->name;
    one->size = suite->sizes[i % suite->sheet.size_count];
    one->outcome = NOT_AVAILABLE;
    if (one->size >= kind->least) run_case(suite, one, result);
  }
  free(result);
  return NULL;
}

static void run_all(suite_t* suite) {
  pthread_t threads[MAX_JOBS];
  suite->sheet.sizes = suite->sizes;
  suite->sheet.size_count = suite->size_count;
  suite->sheet.cases = calloc(suite->sheet.kind_count * suite->size_count, sizeof(one_case_t));
  if (suite->sheet.cases == NULL) misused("out of memory");
  for (size_t i = 0; i < suite->jobs; i++) {
    if (pthread_create(&threads[i], NULL, worker, suite) != 0) misused("cannot start a thread");
  }
  for (size_t i = 0; i < suite->jobs; i++) pthread_join(threads[i], NULL);
}

// ---- results --------------------------------------------------------------------------------------------------------

static FILE* open_output(const char* file) {
  FILE* output = fopen(file, "w");
  if (output == NULL) misused("cannot write '%s': %s", file, strerror(errno));
  return output;
}

static bool write_results(const suite_t* suite) {
  const char* title = suite->title != NULL ? suite->title : "the C library's malloc";
  bool good = true;
  if (suite->csv != NULL) {
    FILE* output = open_output(suite->csv);
    sheet_csv(&suite->sheet, output);
    good = fclose(output) == 0 && good;
  }
  if (suite->markdown != NULL) {
    FILE* output = open_output(suite->markdown);
    sheet_markdown(&suite->sheet, title, output);
    good = fclose(output) == 0 && good;
  }
  if (!good) fprintf(stderr, "misuse-suite: cannot write the results: %s\n", strerror(errno));
  return good;
}

int main(int argc, char** argv) {
  static suite_t suite;
  demand_table_t table = {0};
  parse(&suite, argc, argv);
  load_kinds(&suite);
  if (suite.list) {
    for (size_t i = 0; i < suite.sheet.kind_count; i++) {
      printf("%-40s %s\n", suite.sheet.kinds[i].name, suite.sheet.kinds[i].what);
    }
    return 0;
  }
  for (size_t i = 0; i < suite.expect_count; i++) {
    if (!demand_load(&table, suite.expect[i])) return 2;
  }
  run_all(&suite);
  if (!suite.quiet) sheet_print(&suite.sheet, stdout);
  bool good = write_results(&suite);
  size_t wrong = 0, count = suite.sheet.kind_count * suite.sheet.size_count;
  for (size_t i = 0; i < count; i++) {
    if (suite.expect_count > 0) wrong += !demand_check(&table, &suite.sheet.cases[i]);
    else wrong += suite.sheet.cases[i].outcome == BROKEN;
  }
  if (suite.expect_count > 0) printf("%zu cases, %zu do not fulfil what is demanded\n", count, wrong);
  else if (wrong > 0) printf("%zu cases are broken: they did not get as far as the misuse\n", wrong);
  return good && wrong == 0 ? 0 : 1;
}
