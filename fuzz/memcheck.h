// What the interpreter has to do with tools that look at every access: see memcheck.c.
#ifndef FUZZ_MEMCHECK_H
#define FUZZ_MEMCHECK_H

#include <stdbool.h>
#include <stddef.h>

bool memcheck_runs(void);  // under Valgrind, where some things cannot be done
void track_allow(const void* p, size_t size);  // what comes next is wrong: an access that the library has to notice

#endif
