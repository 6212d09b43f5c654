// What the operations of fuzz_process (ops_process.c) ask of its driver (fuzz_process.c), which alone starts the library
// late, forks and ends processes. Weak: other targets have none of it.
#ifndef FUZZ_PROCESS_H
#define FUZZ_PROCESS_H

#include <stdbool.h>
#include <stddef.h>

typedef enum ending_e { ENDS_WELL = 0, ENDS_BY_ABORT = 1, ENDS_BY_FAULT = 2 } ending_t;

// From here on the process may end so.
void process_may_end(ending_t how) __attribute__((weak));
// The next `count` operations run in a child; `both`: and in this process as well, afterwards.
void process_fork(size_t count, bool both) __attribute__((weak));
// They run on a thread, which then ends, or `stays` until the end.
void process_thread(size_t count, bool stays) __attribute__((weak));
// What operator new calls when there is no memory, and how it gives up: throws to where `process_catch` said.
typedef void(process_handler)(void);
void process_new_handler(process_handler* handler) __attribute__((weak));
bool process_catch(void (*run)(void* arg), void* arg) __attribute__((weak));  // false: it threw

#endif
