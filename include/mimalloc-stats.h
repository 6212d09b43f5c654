/**
 * @file mimalloc-stats.h
 * Statistics as numbers: one structure made from one table, and the same as JSON.
 *
 * The table MI_STAT_TABLE is the only list of what is counted: the structure here, the merging of threads,
 * the text and the JSON are made from it. Its entries have the names that JSON has as well. A release build
 * counts what costs nothing on the fast paths; entries marked (debug) are 0 in it. Versions: later releases
 * add entries at the end only. `size` tells the library how much the caller knows of, so that programs run
 * with older and newer libraries; MI_STAT_VERSION changes when that is not enough. Thread rule: may be
 * called by any thread. Threads that are running have their numbers read while they change: each number is
 * one that held at some time, sums are exact when the others are at rest.
 */
#ifndef MIMALLOC_STATS_H
#define MIMALLOC_STATS_H

#include "mimalloc.h"

#include <stdint.h>

/** The version of mi_stats_t; grows when older programs can no longer read it. */
#define MI_STAT_VERSION 1

/** Room for bins in mi_stats_t; `bin_count` says how many there are. */
#define MI_STAT_BINS 192

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup numbers Statistics as numbers
 *  @{ */

/** Something that comes and goes. */
typedef struct mi_stat_count_s {
  int64_t total;    ///< All there ever was.
  int64_t peak;     ///< The most there was at a time.
  int64_t current;  ///< What there is now.
} mi_stat_count_t;

/** Something that only grows. */
typedef struct mi_stat_counter_s {
  int64_t total;  ///< How many there were.
} mi_stat_counter_t;

/**
 * What is counted, in the order of the structure: COUNT(name, unit, text) for an mi_stat_count_t,
 * COUNTER(name, unit, text) for an mi_stat_counter_t, BINS(name, unit, text) for an array of MI_STAT_BINS
 * mi_stat_count_t, one for each bin. The unit is `bytes` or `count`.
 */
#define MI_STAT_TABLE(COUNT, COUNTER, BINS)                                          \
  BINS(malloc_bins, count, "blocks, by bin (debug)")                                 \
  BINS(page_bins, count, "pages, by bin")                                            \
  COUNT(malloc_requested, bytes, "what programs asked for (debug)")                  \
  COUNT(malloc_normal, bytes, "blocks of bins (debug)")                              \
  COUNT(malloc_large, bytes, "blocks with a page of their own")                      \
  COUNT(reserved, bytes, "address space taken from the OS")                          \
  COUNT(committed, bytes, "memory opened for use")                                   \
  COUNT(segments, count, "segments in use")                                          \
  COUNT(pages, count, "pages in use")                                                \
  COUNT(pages_abandoned, count, "pages of ended threads that nobody has taken over") \
  COUNT(threads, count, "threads that have allocated")                               \
  COUNT(heaps, count, "first-class heaps")                                           \
  COUNT(arenas, count, "arenas")                                                     \
  COUNT(guards, count, "guards set behind pages and blocks (secure)")                \
  COUNT(quarantine, bytes, "freed blocks of bins kept out of use (secure)")          \
  COUNT(held, bytes, "freed large blocks kept inaccessible (secure)")                \
  COUNT(guarded_blocks, count, "sampled blocks with guards of their own (secure)")   \
  COUNTER(reset, bytes, "always 0: memory is given back, not marked")                \
  COUNTER(purged, bytes, "memory given back to the OS")                              \
  COUNTER(mmap_calls, count, "reservations made")                                    \
  COUNTER(commit_calls, count, "times memory was opened")                            \
  COUNTER(purge_calls, count, "times memory was given back")                         \
  COUNTER(generic_calls, count, "calls of the generic path")                         \
  COUNTER(page_searches, count, "pages looked at for a free block")                  \
  COUNTER(pages_extended, count, "times a page grew")                                \
  COUNTER(pages_retired, count, "empty pages given up")                              \
  COUNTER(pages_reclaimed, count, "pages of ended threads taken over")               \
  COUNTER(pages_adopted, count, "full pages taken over by who freed into them")      \
  COUNTER(mailed, count, "blocks sent to the thread that owns them")                 \
  COUNTER(delivered, count, "blocks received from other threads")                    \
  COUNTER(violations, count, "misuses noticed (secure)")

/** All statistics; see MI_STAT_TABLE for the members that follow the first three. */
typedef struct mi_stats_s {
  size_t size;       ///< sizeof(mi_stats_t), set by the caller.
  size_t version;    ///< MI_STAT_VERSION, set by the caller.
  size_t bin_count;  ///< How many elements of the arrays of bins are in use; set by the library.
  /** @cond */
#define MI_STAT_MEMBER_COUNT(name, unit, text) mi_stat_count_t name;
#define MI_STAT_MEMBER_COUNTER(name, unit, text) mi_stat_counter_t name;
#define MI_STAT_MEMBER_BINS(name, unit, text) mi_stat_count_t name[MI_STAT_BINS];
  MI_STAT_TABLE(MI_STAT_MEMBER_COUNT, MI_STAT_MEMBER_COUNTER, MI_STAT_MEMBER_BINS)
#undef MI_STAT_MEMBER_COUNT
#undef MI_STAT_MEMBER_COUNTER
#undef MI_STAT_MEMBER_BINS
  /** @endcond */
} mi_stats_t;

/** Declares a variable @p name that can be passed to mi_stats_get(). */
#define mi_stats_t_decl(name) \
  mi_stats_t name;            \
  name.size = sizeof(mi_stats_t); \
  name.version = MI_STAT_VERSION

/**
 * Fill in @p stats for the whole process, running threads included. The caller has set `size` and
 * `version`, as mi_stats_t_decl() does; at most `size` bytes are written, and members this library does not
 * know become 0. False, and nothing is written, when @p stats is NULL or they do not fit.
 */
MI_EXPORT bool mi_stats_get(mi_stats_t* stats) MI_NOEXCEPT;

/**
 * mi_stats_get() as a JSON object, ended by 0, in the @p buf_size bytes at @p buf; NULL if it does not fit.
 * When @p buf is NULL, in a new block that the caller frees with mi_free(); NULL with ENOMEM if there is no
 * memory.
 */
MI_EXPORT char* mi_stats_get_json(size_t buf_size, char* buf) MI_NOEXCEPT;

/**
 * As mi_stats_get_json(), for statistics @p stats from mi_stats_get(); NULL if it is NULL or does not fit.
 */
MI_EXPORT char* mi_stats_as_json(mi_stats_t* stats, size_t buf_size, char* buf) MI_NOEXCEPT;

/**
 * As mi_stats_get_json(), for the pages and blocks of @p heap alone, as they are now; NULL if it is NULL. It
 * must be the calling thread's: of another's all numbers are 0.
 */
MI_EXPORT char* mi_heap_stats_get_json(mi_heap_t* heap, size_t buf_size, char* buf) MI_NOEXCEPT;

/**
 * The size in bytes of the blocks of bin @p bin, an index of the arrays of bins; 0 when they have no one
 * size.
 */
MI_NODISCARD MI_EXPORT size_t mi_stats_get_bin_size(size_t bin) MI_NOEXCEPT;

/** @} */

#ifdef __cplusplus
}
#endif

#endif  // MIMALLOC_STATS_H
