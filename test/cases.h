// For programs that are a table of cases, each to be run in a process of its own: PROGRAM CASE.
#ifndef CASES_H
#define CASES_H

#include <stdio.h>
#include <string.h>

typedef struct named_case_s {
  const char* name;
  void (*run)(void);
} named_case_t;

// What main returns. The table ends with a NULL name.
static inline int run_case(const named_case_t* cases, int argc, char** argv) {
  for (; argc == 2 && cases->name != NULL; cases++) {
    if (strcmp(argv[1], cases->name) != 0) continue;
    cases->run();
    return 0;
  }
  fprintf(stderr, "usage: %s CASE; '%s' is none\n", argv[0], argc > 1 ? argv[1] : "");
  return 2;
}

#endif
