// Loads the table of demands and compares cases with it.
#define _GNU_SOURCE
#include "demand.h"

#include <errno.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const char* const outcome_words[] = {
  "abort",       "abort-at-misuse", "abort-at-free",     "abort-at-reuse", "fault",
  "abort|fault", "prevented",       "stopped|prevented", "missed",         "any",
};

static bool known_outcome(const char* word) {
  for (size_t i = 0; i < sizeof(outcome_words) / sizeof(outcome_words[0]); i++) {
    if (strcmp(word, outcome_words[i]) == 0) return true;
  }
  return false;
}

// "all", "N", "N-M", "-M", "N-".
static bool read_sizes(const char* text, demand_row_t* row) {
  row->least = 0;
  row->most = SIZE_MAX;
  if (strcmp(text, "all") == 0) return true;
  char* end = (char*)(size_t)text;
  if (*text != '-') row->least = row->most = strtoul(text, &end, 10);
  if (*end == 0) return end > text;
  if (*end != '-') return false;
  const char* second = end + 1;
  row->most = *second == 0 ? SIZE_MAX : strtoul(second, &end, 10);
  return *second == 0 || *end == 0;
}

static bool read_row(char* line, demand_row_t* row, const char** wrong) {
  char sizes[32];
  int used = 0;
  memset(row, 0, sizeof(*row));
  int got = sscanf(line, "%63s %31s %31s %127s %n", row->kinds, sizes, row->outcome, row->faults, &used);
  if (got < 4) return *wrong = "expected: KINDS SIZES OUTCOME FAULTS [NOTE]", false;
  if (!read_sizes(sizes, row)) return *wrong = "sizes are all, N, N-M, N- or -M", false;
  if (!known_outcome(row->outcome)) return *wrong = "unknown outcome", false;
  snprintf(row->note, sizeof(row->note), "%s", line + used);
  row->note[strcspn(row->note, "\n")] = 0;
  bool accepts_a_miss = strcmp(row->outcome, "missed") == 0 || strcmp(row->outcome, "any") == 0;
  if (accepts_a_miss && row->note[0] == 0) return *wrong = "a miss needs a note that says why", false;
  return true;
}

bool demand_load(demand_table_t* table, const char* file) {
  FILE* input = fopen(file, "r");
  char line[512];
  size_t number = 0;
  if (input == NULL) {
    fprintf(stderr, "misuse-suite: cannot read '%s': %s\n", file, strerror(errno));
    return false;
  }
  bool good = true;
  while (good && fgets(line, sizeof(line), input) != NULL) {
    const char* wrong = NULL;
    number++;
    if (line[strspn(line, " \t")] == '#' || line[strspn(line, " \t")] == '\n') continue;
    demand_row_t* rows = realloc(table->rows, (table->count + 1) * sizeof(*rows));
    if (rows == NULL) abort();
    table->rows = rows;
    good = read_row(line, &rows[table->count++], &wrong);
    if (!good) fprintf(stderr, "misuse-suite: %s, line %zu: %s: %s", file, number, wrong, line);
  }
  fclose(input);
  return good;
}

static bool fault_fits(const char* faults, const char* fault) {
  size_t length = strlen(fault);
  if (length == 0) return false;
  for (const char* word = faults; word != NULL; word = strchr(word, '|')) {
    if (*word == '|') word++;
    if (strncmp(word, fault, length) == 0 && (word[length] == '|' || word[length] == 0)) return true;
  }
  return false;
}

// Stopped by the hardware: plainly, or with a report of the fault, where the profile takes such signals.
static bool faulted(const one_case_t* one) {
  if (!outcome_is_stopped(one->outcome)) return false;
  // Without a signal of its own, it was stopped in children: by which signals is not known here.
  if (one->fault[0] == 0) return one->signal == SIGSEGV || one->signal == 0;
  return fault_fits("access-outside|use-after-free|access-zero-size|access-null", one->fault);
}

// A report must name an address that has to do with the block: in it, or less than 64 KiB and its size away.
static bool address_fits(const one_case_t* one) {
  if (!one->has_block || !one->has_address) return one->has_address;
  uintptr_t around = 65536 + 4096 + one->block_size;
  uintptr_t distance = one->address > one->block ? one->address - one->block : one->block - one->address;
  return distance <= around;
}

static bool aborted(const one_case_t* one, const demand_row_t* row, const char** why) {
  // Stopped in children of its own: they ended by a signal, and their reports came on the same standard error.
  if (one->signal != SIGABRT && one->signal != 0) return *why = "the signal is not SIGABRT", false;
  if (!fault_fits(row->faults, one->fault)) return *why = "the report names another fault, or none", false;
  if (!address_fits(one)) return *why = "the report names no address near the block", false;
  return true;
}

static bool fulfils(const one_case_t* one, const demand_row_t* row, const char** why) {
  const char* demand = row->outcome;
  if (strcmp(demand, "any") == 0) return true;
  if (strcmp(demand, "missed") == 0) {
    *why = "it is no longer missed: improve the table";
    return one->outcome == WAS_MISSED || one->outcome == WAS_IGNORED;
  }
  if (strcmp(demand, "prevented") == 0) return *why = "it was not prevented", one->outcome == HAD_NO_EFFECT;
  if (strcmp(demand, "stopped|prevented") == 0 && one->outcome == HAD_NO_EFFECT) return true;
  bool fault_allowed = strcmp(demand, "fault") == 0 || strcmp(demand, "abort|fault") == 0 ||
                       strcmp(demand, "stopped|prevented") == 0;
  if (fault_allowed && faulted(one)) return true;
  if (strcmp(demand, "fault") == 0) return *why = "it was not stopped by inaccessible memory", false;
  if (!outcome_is_stopped(one->outcome)) return *why = "it was not stopped", false;
  if (strcmp(demand, "abort-at-misuse") == 0 && one->outcome != STOPPED_AT_MISUSE) return *why = "not at misuse", false;
  if (strcmp(demand, "abort-at-free") == 0 && one->outcome != STOPPED_AT_FREE) return *why = "not at free", false;
  if (strcmp(demand, "abort-at-reuse") == 0 && one->outcome != STOPPED_AT_REUSE) return *why = "not at reuse", false;
  return aborted(one, row, why);
}

bool demand_check(const demand_table_t* table, const one_case_t* one) {
  const char* why = "no row of the table is about it";
  const demand_row_t* row = NULL;
  if (one->outcome == NOT_AVAILABLE) return true;
  for (size_t i = 0; i < table->count && row == NULL; i++) {
    bool fits = fnmatch(table->rows[i].kinds, one->kind, 0) == 0;
    if (fits && one->size >= table->rows[i].least && one->size <= table->rows[i].most) row = &table->rows[i];
  }
  if (row != NULL && one->outcome != BROKEN && one->outcome != HUNG && fulfils(one, row, &why)) return true;
  if (one->outcome == BROKEN) why = "the case itself failed";
  if (one->outcome == HUNG) why = "it hung";
  printf("WRONG %s %zu: %s; demanded: %s %s; got: %s %s\n", one->kind, one->size, why,
         row != NULL ? row->outcome : "-", row != NULL ? row->faults : "-", outcome_name(one->outcome),
         one->signal != 0 ? signal_name(one->signal) : "");
  if (one->line[0] != 0) printf("      %s\n", one->line);
  if (one->has_block) printf("      the block was 0x%zx, %zu bytes\n", (size_t)one->block, one->block_size);
  return false;
}
