/**
 * @file mimalloc/options.h
 * Run-time options: their names and the functions that read and set them. Included by mimalloc.h.
 *
 * Every option is a `long`. It gets its value from, later ones winning: the default; the build; the
 * environment variable `MIMALLOC_<NAME>` (`MIMALLOC_PURGE_DELAY=10`), read once at start and never in a
 * process that gained privileges (`AT_SECURE`); mi_option_set(). Switches take 0/1, on/off, yes/no,
 * true/false. An option "in KiB" takes bytes in the environment, with or without a suffix K, M, G or T
 * (also `KiB`, `KB` ...), and is rounded up to KiB. A value that does not fit gives a warning that names the
 * value and the range, and the default stays. Options of the secure build cannot change any more once the
 * library has started, which the first allocation does: set them in the environment.
 *
 * Only the names are promised to stay; the numbers may change with every minor version.
 *
 * Thread rule: reading is safe at any time. Set options at the start of `main`, before threads exist; most
 * of them are read when the first block is allocated or when a heap, page or arena is made.
 */
#ifndef MIMALLOC_OPTIONS_H
#define MIMALLOC_OPTIONS_H

#include "attr.h"
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup options Options
 *  @{ */

/**
 * All options. The names of the mimalloc 2.4 interface come first and in its order, then names of other
 * versions, then those of the secure build. "No effect" marks a name that is accepted, stored and
 * returned, so that programs and scripts written for mimalloc run unchanged, but that steers nothing here.
 */
typedef enum mi_option_e {
  mi_option_show_errors,          ///< Switch: print error messages.
  mi_option_show_stats,           ///< Switch: print statistics at the end of the process.
  mi_option_verbose,              ///< 0..3: print what the library does, and all options at start.
  mi_option_eager_commit,         ///< Switch: no effect; memory is opened a few slices of 64 KiB at a time.
  mi_option_arena_eager_commit,   ///< 0..2: no effect; what reserves an arena says whether to open it.
  mi_option_purge_decommits,      ///< Switch: no effect; purging always gives memory back.
  mi_option_allow_large_os_pages, ///< Switch: ask for large OS pages (2 MiB, transparent). Read at start.
  mi_option_reserve_huge_os_pages,     ///< Number of 1 GiB OS pages to reserve at start.
  mi_option_reserve_huge_os_pages_at,  ///< NUMA node they are to come from; -1 for all nodes in turn.
  mi_option_reserve_os_memory,         ///< OS memory to reserve at start, in KiB.
  mi_option_deprecated_segment_cache,  ///< No effect.
  mi_option_deprecated_page_reset,     ///< No effect.
  mi_option_abandoned_page_purge,      ///< Switch: purge at once when a thread ends, whatever the delay.
  mi_option_deprecated_segment_reset,  ///< No effect.
  mi_option_eager_commit_delay,        ///< No effect; see mi_option_eager_commit.
  /** Milliseconds, times mi_option_arena_purge_mult, until free memory goes back; 0 at once, -1 never. */
  mi_option_purge_delay,
  mi_option_use_numa_nodes,       ///< NUMA nodes to assume; 0 asks the OS.
  mi_option_disallow_os_alloc,    ///< Switch: use only arenas, and no more of other memory.
  mi_option_os_tag,               ///< No effect; a tag of memory on another OS.
  mi_option_max_errors,           ///< Error messages to print at most; 0 for no limit.
  mi_option_max_warnings,         ///< Warnings to print at most; 0 for no limit.
  mi_option_max_segment_reclaim,  ///< No effect; abandoned pages are taken one by one.
  mi_option_destroy_on_exit,      ///< Switch: no effect; destructors may use blocks until the end.
  mi_option_arena_reserve,        ///< In KiB: no effect; address space is reserved once.
  mi_option_arena_purge_mult,     ///< Factor on mi_option_purge_delay, for all memory.
  mi_option_purge_extend_delay,   ///< No effect; purge times are not extended.
  mi_option_abandoned_reclaim_on_free,   ///< Switch: no effect; who frees into a page of nobody takes it.
  mi_option_disallow_arena_alloc,        ///< Switch: no allocation in arenas, except in heaps bound to one.
  mi_option_retry_on_oom,                ///< Milliseconds: no effect; it is tried again after a collection.
  mi_option_visit_abandoned,             ///< Switch: allow mi_abandoned_visit_blocks().
  mi_option_guarded_min,                 ///< Smallest request, in bytes, that may be a sampled guarded block.
  mi_option_guarded_max,                 ///< Largest request, in bytes, that may be a sampled guarded block.
  mi_option_guarded_precise,             ///< Switch: no effect; guarded blocks are aligned as all are.
  mi_option_guarded_sample_rate,         ///< One allocation in this many is guarded; 0 for none.
  mi_option_guarded_sample_seed,         ///< No effect; the choice of samples is always random.
  mi_option_target_segments_per_thread,  ///< No effect; segments are shared by threads.
  mi_option_generic_collect,             ///< Calls of the generic path between two collections.
  mi_option_allow_thp,                   ///< Switch: allow transparent huge pages for blocks. Read at start.
  // Names of version 3.
  mi_option_page_reclaim_on_free,  ///< No effect; as mi_option_abandoned_reclaim_on_free.
  mi_option_page_full_retain,      ///< No effect.
  mi_option_page_max_candidates,   ///< No effect; the first page with a free block is taken.
  mi_option_max_vabits,            ///< Bits of address space to reserve at most; 0 for 16 TiB. Read at start.
  mi_option_pagemap_commit,        ///< No effect; there is no page map.
  mi_option_page_commit_on_demand, ///< No effect; see mi_option_eager_commit.
  mi_option_page_max_reclaim,      ///< No effect.
  mi_option_page_cross_thread_max_reclaim, ///< No effect.
  mi_option_minimal_purge_size,            ///< Smallest piece of memory to purge, in KiB; but by force.
  mi_option_arena_max_object_size,         ///< No effect; blocks of every size lie in the one region.
  mi_option_arena_is_numa_local,           ///< No effect.
  // Names of our own; see mimalloc-secure.h for the values. Without effect in the plain build.
  mi_option_profile,        ///< Sum of mechanisms, an mi_profile_t: fast, default, strict or fuzz. Read once.
  mi_option_on_violation,   ///< What follows a detected misuse, an mi_severity_t: abort or report.
  mi_option_fence,          ///< mi_severity_t of overflow and underflow checks; off writes no fence at all.
  mi_option_zero_free,      ///< Largest block, in bytes, that is zeroed when freed; 0 for none, -1 for all.
  mi_option_quarantine,     ///< Freed memory kept out of use, for each thread, in KiB; 0 for none.
  mi_option_sample_rate,    ///< One allocation in this many is a guarded block; 0 for none, 1 for all.
  mi_option_family_check,   ///< mi_severity_t of `malloc`, `new`, `new[]` being freed by the wrong one.
  mi_option_size_check,     ///< mi_severity_t of sized and aligned frees that name a wrong size.
  mi_option_foreign,        ///< What becomes of a pointer that is not ours, an mi_foreign_t.
  mi_option_report,         ///< Form of reports, an mi_report_form_t: text, JSON, or the path of a file.
  mi_option_checked_memory, ///< mi_severity_t of memcpy, memset, strcpy and so on going beyond a block.
  mi_option_guards,         ///< Guards: 0 light ones where the kernel has them (6.13), 1 mprotect always.
  mi_option_fault_report,   ///< Switch: report faults (takes SIGSEGV and SIGBUS); on in strict and fuzz.
  mi_option_heap_map,       ///< Write a heap map at exit; the environment says what its name begins with.
  _mi_option_last,          ///< Number of options; no option.
  // Older and newer names of the above.
  mi_option_large_os_pages = mi_option_allow_large_os_pages,               ///< Older name.
  mi_option_eager_region_commit = mi_option_arena_eager_commit,            ///< Older name; no effect.
  mi_option_deprecated_eager_region_commit = mi_option_arena_eager_commit, ///< Older name; no effect.
  mi_option_reset_decommits = mi_option_purge_decommits,                   ///< Older name; no effect.
  mi_option_deprecated_reset_decommits = mi_option_purge_decommits,        ///< Older name; no effect.
  mi_option_allow_decommit = mi_option_purge_decommits,                    ///< Older name.
  mi_option_page_reset = mi_option_deprecated_page_reset,                  ///< Older name; no effect.
  mi_option_abandoned_page_reset = mi_option_abandoned_page_purge,         ///< Older name.
  mi_option_abandoned_page_decommit = mi_option_abandoned_page_purge,      ///< Older name.
  mi_option_reset_delay = mi_option_purge_delay,                           ///< Older name.
  mi_option_decommit_delay = mi_option_purge_delay,                        ///< Older name.
  mi_option_segment_decommit_delay = mi_option_purge_delay,                ///< Older name.
  mi_option_decommit_extend_delay = mi_option_purge_extend_delay,          ///< Older name; no effect.
  mi_option_limit_os_alloc = mi_option_disallow_os_alloc,                  ///< Older name.
  mi_option_deprecated_eager_commit = mi_option_eager_commit,                 ///< Newer name; no effect.
  mi_option_deprecated_abandoned_page_purge = mi_option_abandoned_page_purge, ///< Newer name.
  mi_option_deprecated_eager_commit_delay = mi_option_eager_commit_delay,     ///< Newer name; no effect.
  mi_option_deprecated_max_segment_reclaim = mi_option_max_segment_reclaim,   ///< Newer name; no effect.
  mi_option_deprecated_purge_extend_delay = mi_option_purge_extend_delay      ///< Newer name; no effect.
} mi_option_t;

/** Is @p option other than 0? False for a number that is no option. */
MI_NODISCARD MI_EXPORT bool mi_option_is_enabled(mi_option_t option) MI_NOEXCEPT;

/** Set @p option to 1. */
MI_EXPORT void mi_option_enable(mi_option_t option) MI_NOEXCEPT;

/** Set @p option to 0. */
MI_EXPORT void mi_option_disable(mi_option_t option) MI_NOEXCEPT;

/** Set @p option to 1 or 0. */
MI_EXPORT void mi_option_set_enabled(mi_option_t option, bool enable) MI_NOEXCEPT;

/** Set the default of @p option to 1 or 0; no change if environment or program have set it already. */
MI_EXPORT void mi_option_set_enabled_default(mi_option_t option, bool enable) MI_NOEXCEPT;

/** The value of @p option, in the unit its comment above names; 0 for a number that is no option. */
MI_NODISCARD MI_EXPORT long mi_option_get(mi_option_t option) MI_NOEXCEPT;

/** The value of @p option, not below @p min and not above @p max. */
MI_NODISCARD MI_EXPORT long mi_option_get_clamp(mi_option_t option, long min, long max) MI_NOEXCEPT;

/**
 * The value of @p option as a size in bytes: options in KiB are multiplied by 1024, others returned as they
 * are; 0 for a negative value, SIZE_MAX when the product is too large.
 */
MI_NODISCARD MI_EXPORT size_t mi_option_get_size(mi_option_t option) MI_NOEXCEPT;

/**
 * Set @p option to @p value, in its own unit. A value out of range gives a warning and changes nothing; so
 * does, in the secure build, another value of one of its options when the library has started.
 */
MI_EXPORT void mi_option_set(mi_option_t option, long value) MI_NOEXCEPT;

/** Set the default of @p option; no change if environment or program have set it already. */
MI_EXPORT void mi_option_set_default(mi_option_t option, long value) MI_NOEXCEPT;

/** @} */

#ifdef __cplusplus
}
#endif

#endif  // MIMALLOC_OPTIONS_H
