// Whether this process runs under Valgrind, where some things cannot be done: see memcheck.c.
#ifndef FUZZ_MEMCHECK_H
#define FUZZ_MEMCHECK_H

#include <stdbool.h>

bool memcheck_runs(void);

#endif
