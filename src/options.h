// Options: one table (options.def), read from the environment once at start, never in processes with raised
// privileges. Reading one is a plain load; slow paths and start-up do that, fast paths do not.
#ifndef MIM_OPTIONS_H
#define MIM_OPTIONS_H

#include "base.h"
#include "mimalloc.h"

// Where an effective value came from.
typedef enum option_origin_e {
  ORIGIN_DEFAULT,
  ORIGIN_ENVIRONMENT,
  ORIGIN_PROGRAM,   // mi_option_set
  ORIGIN_REJECTED,  // the environment held a value that is not accepted; the default stands
} option_origin_t;

// Reads the environment (once). Warnings about bad values are kept back until output works.
void mim_options_init(void);
long mim_option(mi_option_t option);
option_origin_t mim_option_origin(mi_option_t option);
// The file that reports go to when mi_option_report is MI_REPORT_FILE; an absolute path.
const char* mim_option_report_path(void);
// What names of heap maps begin with when mi_option_heap_map is 1; an absolute path, empty when there is none.
#define MIM_PATH_MAX 512
const char* mim_option_map_path(void);
#if MIM_FUZZING
void mim_options_read(char** environment);
#endif

#endif
