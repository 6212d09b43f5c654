// Outcomes of misuse cases, as the suite's runner sees them from outside, and the tables made of them.
#ifndef TEST_MISUSE_OUTCOME_H
#define TEST_MISUSE_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "child.h"

typedef enum outcome_e {
  STOPPED_AT_MISUSE,
  STOPPED_AT_FREE,
  STOPPED_AT_REUSE,
  STOPPED_AT_EXIT,
  HAD_NO_EFFECT,   // the case's verdict PREVENTED
  WAS_IGNORED,     // IGNORED: no word, no effect seen
  WAS_MISSED,      // MISSED
  NOT_AVAILABLE,   // NOT_HERE, or the size is below the kind's least
  HUNG,            // killed after the time limit
  BROKEN,          // the set-up failed, or crashed: the case says nothing about the allocator
  OUTCOME_COUNT
} outcome_t;

typedef struct one_case_s {
  const char* kind;
  size_t size;
  outcome_t outcome;
  int signal;           // 0: it ended by itself
  char fault[32];       // fault name of the report's first line; empty without one
  uintptr_t address;    // address of that line
  bool has_address;
  uintptr_t block;      // block the case is about
  size_t block_size;
  bool has_block;
  bool spoke;           // something was on standard error
  char line[200];       // its first line
} one_case_t;

typedef struct kind_row_s {
  char name[64];
  size_t least;
  char what[128];
} kind_row_t;

typedef struct sheet_s {
  kind_row_t* kinds;
  size_t kind_count;
  const size_t* sizes;
  size_t size_count;
  one_case_t* cases;    // kind by kind, size by size
} sheet_t;

// What became of a case, from the end of its process and what it announced.
void outcome_read(one_case_t* one, const child_result_t* result);

// "at misuse", "missed" ...; and the letter for it in tables.
const char* outcome_name(outcome_t outcome);
char outcome_letter(outcome_t outcome);
bool outcome_is_stopped(outcome_t outcome);

void sheet_print(const sheet_t* sheet, FILE* file);
void sheet_markdown(const sheet_t* sheet, const char* title, FILE* file);
void sheet_csv(const sheet_t* sheet, FILE* file);

#endif
