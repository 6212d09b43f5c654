// What a tool needs to read the library's numbers out of a running process, as a debugger would: names, places and sizes,
// in read-only tables. mimalloc-top is such a tool. Nothing here runs, and nothing is copied for it: the process pays for
// being looked at only the moment in which the kernel copies.
//
//   note in the file (.note.mimalloc) --> mim_watch --> tables --> entries: name, place, size
//
// Each file that owns numbers has a table of them. Keys, states of blocks and whatever else an attacker would like to
// know are in none (unit.watch). Names of statistics are those of MI_STAT_TABLE, behind "stats." where each thread has
// its own.
#ifndef MIM_WATCH_H
#define MIM_WATCH_H

#include "internal.h"

// Grows when a tool that knows the one before would go wrong: a name that means something else, say. New names do not
// make it grow, and neither do places and sizes, which every tool takes from the tables.
#define WATCH_LAYOUT 1

typedef struct watch_s {
  char name[24];
  uint32_t at;    // bytes from the table's base, or from the start of its structure; a number: the number itself
  uint32_t size;  // bytes; 0: a number
} watch_t;

typedef struct watch_table_s {
  const void* base;  // NULL: entries are members of structures, and numbers
  const watch_t* entries;
  uint64_t count;
} watch_table_t;

#define WATCH_MEMBER(name, type, member) \
  { name, (uint32_t)offsetof(type, member), (uint32_t)sizeof(((type*)0)->member) }
#define WATCH_NUMBER(name, number) \
  { name, (uint32_t)(number), 0 }
#define WATCH_TABLE(base, entries) \
  { base, entries, sizeof(entries) / sizeof((entries)[0]) }

typedef struct watch_root_s {
  uint32_t version;                  // of the library: MI_MALLOC_VERSION
  uint32_t entry_bytes;              // sizeof(watch_t)
  const watch_table_t* const* core;  // both ended by NULL
  const watch_table_t* const* layer;
} watch_root_t;

extern const watch_root_t mim_watch;
extern const watch_table_t mim_watch_arena, mim_watch_ended, mim_watch_meta, mim_watch_region, mim_watch_segment,
    mim_watch_since, mim_watch_stats, mim_watch_subproc, mim_watch_subprocs, mim_watch_threads;
extern const watch_table_t* const mim_watch_layer[];  // of the secure layer; in the plain product there are none

#endif
