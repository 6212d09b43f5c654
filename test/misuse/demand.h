// The table of what must become of each kind of misuse; see expected-default.txt for its form.
#ifndef TEST_MISUSE_DEMAND_H
#define TEST_MISUSE_DEMAND_H

#include "outcome.h"

typedef struct demand_row_s {
  char kinds[64];      // a pattern of fnmatch(3)
  size_t least, most;  // sizes
  char outcome[32];    // see demand_check()
  char faults[128];    // "overflow|underflow", or "-"
  char note[160];
} demand_row_t;

typedef struct demand_table_s {
  demand_row_t* rows;
  size_t count;
} demand_table_t;

// Adds the rows of a file. Prints what is wrong with it, with its line, and returns false.
bool demand_load(demand_table_t* table, const char* file);

// Does the case fulfil the first row that is about it? Otherwise prints why not.
bool demand_check(const demand_table_t* table, const one_case_t* one);

#endif
