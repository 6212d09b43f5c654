// The operating system as the fuzzers have it when speed counts (FUZZ_FAST): memory is opened once and stays so, and
// which OS pages are closed, guards or purged is kept in bytes here instead of by system calls; time and thread ids are
// numbers that depend on the input alone. All of it is put back by os_restore, so that each run begins the same.
//
// A guard costs nothing then, and does not fault either. What is written to its first or last bytes is noticed at the
// end of the run; what is read from it is not: for that, inputs are replayed with the real thing (docs/fuzzing.md).
// Off, everything goes to src/prim/linux.c.
#ifndef FUZZ_OS_H
#define FUZZ_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern bool os_simulated;  // taken back by fuzz_process: only time and ids are, then

void os_simulate(void);                   // before the library starts
void os_watch(void* start, size_t size);  // memory that the program maps itself and hands in
int os_access(const void* p);             // 1: may be read and written; 0: may not; -1: not known here
void os_tick(void);                       // time goes on by one step
void os_thread(uint32_t id);              // which thread runs from now on
void os_mute(void);                       // what the library writes to standard error is dropped

// Known states: what is now is what os_restore goes back to. In the last of them no block is in use.
#define STATES 2
void os_keep(unsigned which);
void os_restore(unsigned which);   // the pages: before the metadata, which says where segments are
void os_forget(unsigned which);    // what was used: after it
bool os_switches(unsigned which);  // the run did not begin with this state

// For state.c: what the library uses of its metadata, and small mappings that it made for itself.
typedef struct os_range_s {
  uint8_t* start;
  size_t size;
} os_range_t;
os_range_t os_meta_heap(void);
size_t os_small_maps(const os_range_t** maps);
size_t os_slices_used(size_t segment, bool ever);  // in this run, or ever: from the segment's start on

#endif
