// Reads outcomes out of what a case's process announced and how it ended, and prints tables of them.
#define _GNU_SOURCE
#include "outcome.h"

#include <stdlib.h>
#include <string.h>

static const struct { const char* name; char letter; } outcomes[OUTCOME_COUNT] = {
  [STOPPED_AT_MISUSE] = {"at-misuse", 'M'}, [STOPPED_AT_FREE] = {"at-free", 'F'},
  [STOPPED_AT_REUSE] = {"at-reuse", 'R'},   [STOPPED_AT_EXIT] = {"at-exit", 'E'},
  [HAD_NO_EFFECT] = {"prevented", 'p'},     [WAS_IGNORED] = {"ignored", 'i'},
  [WAS_MISSED] = {"missed", '-'},           [NOT_AVAILABLE] = {"not-available", '.'},
  [HUNG] = {"hung", 'H'},                   [BROKEN] = {"broken", '?'},
};

const char* outcome_name(outcome_t outcome) {
  return outcomes[outcome].name;
}

char outcome_letter(outcome_t outcome) {
  return outcomes[outcome].letter;
}

bool outcome_is_stopped(outcome_t outcome) {
  return outcome <= STOPPED_AT_EXIT;
}

// The first line of a report: `mimalloc: violation: <fault>: <address> <text>`.
static void read_report(one_case_t* one, const char* text) {
  static const char lead[] = "mimalloc: violation: ";
  size_t length = strcspn(text, "\n");
  one->spoke = *text != 0;
  snprintf(one->line, sizeof(one->line), "%.*s", (int)(length < 199 ? length : 199), text);
  if (strncmp(one->line, lead, sizeof(lead) - 1) != 0) return;
  const char* fault = one->line + sizeof(lead) - 1;
  size_t name = strcspn(fault, ": ");
  if (fault[name] != ':' || name >= sizeof(one->fault)) return;
  memcpy(one->fault, fault, name);
  one->fault[name] = 0;
  char* end;
  const char* number = fault + name + 2;
  if (strncmp(fault + name, ": 0x", 4) != 0) return;
  one->address = (uintptr_t)strtoull(number, &end, 16);
  one->has_address = end > number + 2;
}

static outcome_t stopped_in(char phase) {
  switch (phase) {
    case 'm': return STOPPED_AT_MISUSE;
    case 'f': return STOPPED_AT_FREE;
    case 'r': return STOPPED_AT_REUSE;
    case 'x': return STOPPED_AT_EXIT;
    default: return BROKEN;
  }
}

static outcome_t ended_with(char verdict) {
  switch (verdict) {
    case 'M': return WAS_MISSED;
    case 'P': return HAD_NO_EFFECT;
    case 'I': return WAS_IGNORED;
    case 'S': return STOPPED_AT_MISUSE;
    case 'N': return NOT_AVAILABLE;
    default: return BROKEN;
  }
}

void outcome_read(one_case_t* one, const child_result_t* result) {
  char phase = 0, verdict = 0;
  for (const char* c = result->extra.text; *c != 0; c++) {
    if (*c == '@') {
      char* end;
      one->block = (uintptr_t)strtoull(c + 1, &end, 16);
      if (*end == '+') one->block_size = (size_t)strtoull(end + 1, &end, 16);
      one->has_block = *end == ';' && one->block != 0;
      if (*end == 0) break;
      c = end;
    } else if (strchr("smfrx", *c) != NULL) {
      phase = *c;
    } else {
      verdict = *c;
    }
  }
  read_report(one, result->err.text);
  one->signal = result->signal;
  if (!result->started || phase == 0) one->outcome = BROKEN;
  else if (result->timed_out) one->outcome = HUNG;
  else if (result->signal != 0 || (result->exit_code != 0 && result->exit_code != 3)) one->outcome = stopped_in(phase);
  else one->outcome = ended_with(verdict);
  if (result->timed_out) one->signal = 0;
}

// ---- tables ---------------------------------------------------------------------------------------------------------

static const char* size_name(size_t size, char* text, size_t room) {
  if (size >= 1 << 20 && size % (1 << 20) == 0) snprintf(text, room, "%zuM", size >> 20);
  else if (size >= 1024 && size % 1024 == 0) snprintf(text, room, "%zuK", size >> 10);
  else snprintf(text, room, "%zu", size);
  return text;
}

static void count_outcomes(const sheet_t* sheet, size_t first, size_t cases, size_t counts[OUTCOME_COUNT]) {
  memset(counts, 0, OUTCOME_COUNT * sizeof(counts[0]));
  for (size_t i = 0; i < cases; i++) counts[sheet->cases[first + i].outcome]++;
}

// One line that says it all: how many of those that ran were stopped, when, and what became of the others.
static void print_totals(const sheet_t* sheet, FILE* file) {
  size_t counts[OUTCOME_COUNT], all = sheet->kind_count * sheet->size_count;
  count_outcomes(sheet, 0, all, counts);
  size_t ran = all - counts[NOT_AVAILABLE], stopped = 0;
  for (int i = STOPPED_AT_MISUSE; i <= STOPPED_AT_EXIT; i++) stopped += counts[i];
  fprintf(file, "%zu of %zu cases stopped (%zu at the misuse, %zu at the free, %zu at reuse, %zu at exit), ", stopped,
          ran, counts[STOPPED_AT_MISUSE], counts[STOPPED_AT_FREE], counts[STOPPED_AT_REUSE], counts[STOPPED_AT_EXIT]);
  fprintf(file, "%zu prevented, %zu ignored, %zu missed, %zu hung, %zu broken\n", counts[HAD_NO_EFFECT],
          counts[WAS_IGNORED], counts[WAS_MISSED], counts[HUNG], counts[BROKEN]);
}

static void print_legend(FILE* file) {
  fputs("M stopped at the misuse, F at the free, R at reuse, E at exit; p prevented: no effect; i ignored: no word, "
        "no effect\nseen; - missed; . not available, or too small; H hung; ? the case did not get that far\n", file);
}

void sheet_print(const sheet_t* sheet, FILE* file) {
  char text[32];
  fprintf(file, "%-38s", "kind");
  for (size_t s = 0; s < sheet->size_count; s++) fprintf(file, "%6s", size_name(sheet->sizes[s], text, sizeof(text)));
  fputc('\n', file);
  for (size_t k = 0; k < sheet->kind_count; k++) {
    fprintf(file, "%-38s", sheet->kinds[k].name);
    for (size_t s = 0; s < sheet->size_count; s++) {
      fprintf(file, "%6c", outcome_letter(sheet->cases[k * sheet->size_count + s].outcome));
    }
    fputc('\n', file);
  }
  print_legend(file);
  print_totals(sheet, file);
}

void sheet_markdown(const sheet_t* sheet, const char* title, FILE* file) {
  char text[32];
  fprintf(file, "# Misuse suite: %s\n\n", title);
  print_totals(sheet, file);
  fputc('\n', file);
  print_legend(file);
  fputs("\n| kind | what the program does |", file);
  for (size_t s = 0; s < sheet->size_count; s++) {
    fprintf(file, " %s |", size_name(sheet->sizes[s], text, sizeof(text)));
  }
  fputs("\n|---|---|", file);
  for (size_t s = 0; s < sheet->size_count; s++) fputs("---|", file);
  fputc('\n', file);
  for (size_t k = 0; k < sheet->kind_count; k++) {
    fprintf(file, "| %s | %s |", sheet->kinds[k].name, sheet->kinds[k].what);
    for (size_t s = 0; s < sheet->size_count; s++) {
      fprintf(file, " %c |", outcome_letter(sheet->cases[k * sheet->size_count + s].outcome));
    }
    fputc('\n', file);
  }
}

static void csv_text(const char* text, FILE* file) {
  fputc('"', file);
  for (; *text != 0; text++) {
    if (*text == '"') fputc('"', file);
    fputc((unsigned char)*text < 32 ? ' ' : *text, file);
  }
  fputc('"', file);
}

void sheet_csv(const sheet_t* sheet, FILE* file) {
  fputs("kind,size,outcome,signal,fault,line\n", file);
  for (size_t i = 0; i < sheet->kind_count * sheet->size_count; i++) {
    const one_case_t* one = &sheet->cases[i];
    fprintf(file, "%s,%zu,%s,%s,%s,", one->kind, one->size, outcome_name(one->outcome),
            one->signal != 0 ? signal_name(one->signal) : "", one->fault);
    csv_text(one->line, file);
    fputc('\n', file);
  }
}
