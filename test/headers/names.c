// Every name of the public interface exists and has the type it is promised to have. Compiled as C and as
// C++, never linked: what fails here fails in the compiler.
//
// Functions: the address of each is assigned to a pointer of the type that prototypes.def states. Options:
// each enumerator is used, and aliases are compared. Types, constants and macros: used in the way programs
// use them. Programs written for mimalloc 1, 2 and, where the contract allows it, 3 rest on these names.
#include "mimalloc-secure.h"
#include "mimalloc-stats.h"
#include "mimalloc.h"

#ifdef __cplusplus
#define ASSERT_THAT(condition) static_assert(condition, #condition)
#else
#define ASSERT_THAT(condition) _Static_assert(condition, #condition)
#endif

// ---- functions --------------------------------------------------------------------------------------------

#define HAS(result, name, ...) \
  extern result (*const pointer_to_##name)(__VA_ARGS__); \
  result (*const pointer_to_##name)(__VA_ARGS__) = name;
#include "prototypes.def"
#undef HAS

// ---- options ----------------------------------------------------------------------------------------------

// The order of the enumerators of the 2.4 interface, then those of version 3, then ours: each appears once.
extern const mi_option_t all_options[];
const mi_option_t all_options[] = {
  mi_option_show_errors, mi_option_show_stats, mi_option_verbose, mi_option_eager_commit,
  mi_option_arena_eager_commit, mi_option_purge_decommits, mi_option_allow_large_os_pages,
  mi_option_reserve_huge_os_pages, mi_option_reserve_huge_os_pages_at, mi_option_reserve_os_memory,
  mi_option_deprecated_segment_cache, mi_option_deprecated_page_reset, mi_option_abandoned_page_purge,
  mi_option_deprecated_segment_reset, mi_option_eager_commit_delay, mi_option_purge_delay,
  mi_option_use_numa_nodes, mi_option_disallow_os_alloc, mi_option_os_tag, mi_option_max_errors,
  mi_option_max_warnings, mi_option_max_segment_reclaim, mi_option_destroy_on_exit, mi_option_arena_reserve,
  mi_option_arena_purge_mult, mi_option_purge_extend_delay, mi_option_abandoned_reclaim_on_free,
  mi_option_disallow_arena_alloc, mi_option_retry_on_oom, mi_option_visit_abandoned, mi_option_guarded_min,
  mi_option_guarded_max, mi_option_guarded_precise, mi_option_guarded_sample_rate,
  mi_option_guarded_sample_seed, mi_option_target_segments_per_thread, mi_option_generic_collect,
  mi_option_allow_thp, mi_option_page_reclaim_on_free, mi_option_page_full_retain,
  mi_option_page_max_candidates, mi_option_max_vabits, mi_option_pagemap_commit,
  mi_option_page_commit_on_demand, mi_option_page_max_reclaim, mi_option_page_cross_thread_max_reclaim,
  mi_option_minimal_purge_size, mi_option_arena_max_object_size, mi_option_arena_is_numa_local,
  mi_option_profile, mi_option_on_violation, mi_option_fence, mi_option_zero_free, mi_option_quarantine,
  mi_option_sample_rate, mi_option_family_check, mi_option_size_check, mi_option_foreign, mi_option_report,
  mi_option_checked_memory, mi_option_guards, mi_option_fault_report, mi_option_heap_map,
};
ASSERT_THAT(sizeof(all_options) / sizeof(all_options[0]) == _mi_option_last);

#define SAME_OPTION(older, newer) ASSERT_THAT((int)mi_option_##older == (int)mi_option_##newer)
SAME_OPTION(large_os_pages, allow_large_os_pages);
SAME_OPTION(eager_region_commit, arena_eager_commit);
SAME_OPTION(deprecated_eager_region_commit, arena_eager_commit);
SAME_OPTION(reset_decommits, purge_decommits);
SAME_OPTION(deprecated_reset_decommits, purge_decommits);
SAME_OPTION(allow_decommit, purge_decommits);
SAME_OPTION(page_reset, deprecated_page_reset);
SAME_OPTION(abandoned_page_reset, abandoned_page_purge);
SAME_OPTION(abandoned_page_decommit, abandoned_page_purge);
SAME_OPTION(reset_delay, purge_delay);
SAME_OPTION(decommit_delay, purge_delay);
SAME_OPTION(segment_decommit_delay, purge_delay);
SAME_OPTION(decommit_extend_delay, purge_extend_delay);
SAME_OPTION(limit_os_alloc, disallow_os_alloc);
SAME_OPTION(deprecated_eager_commit, eager_commit);
SAME_OPTION(deprecated_abandoned_page_purge, abandoned_page_purge);
SAME_OPTION(deprecated_eager_commit_delay, eager_commit_delay);
SAME_OPTION(deprecated_max_segment_reclaim, max_segment_reclaim);
SAME_OPTION(deprecated_purge_extend_delay, purge_extend_delay);

// ---- constants --------------------------------------------------------------------------------------------

#if MI_MALLOC_VERSION != MI_VERSION_MAJOR * 100 + MI_VERSION_MINOR * 10 + MI_VERSION_PATCH
#error "the version must be usable in the preprocessor"
#endif
ASSERT_THAT(MI_VERSION_MINOR < 10 && MI_VERSION_PATCH < 10);
ASSERT_THAT(MI_SMALL_SIZE_MAX == MI_SMALL_WSIZE_MAX * sizeof(void*));
ASSERT_THAT(MI_PROFILE_NONE == 0 && MI_PROFILE_FUZZ == 4);
// The option table compares severities: a stronger one has a larger number.
ASSERT_THAT(MI_SEVERITY_INHERIT == -1 && MI_SEVERITY_OFF == 0);
ASSERT_THAT(MI_SEVERITY_OFF < MI_SEVERITY_REPORT && MI_SEVERITY_REPORT < MI_SEVERITY_ABORT);
ASSERT_THAT(MI_FOREIGN_ABORT == 0 && MI_FOREIGN_IGNORE == 2);
ASSERT_THAT(MI_FAULT_NONE == 0 && MI_FAULT_COUNT == 20);
ASSERT_THAT(MI_FAMILY_UNKNOWN == 3);
ASSERT_THAT(MI_REPORT_FILE == 2);

// ---- types ------------------------------------------------------------------------------------------------

ASSERT_THAT(offsetof(mi_stats_t, size) == 0);
ASSERT_THAT(offsetof(mi_stats_t, version) == sizeof(size_t));
ASSERT_THAT(sizeof(((mi_stats_t*)0)->malloc_bins) == MI_STAT_BINS * sizeof(mi_stat_count_t));
ASSERT_THAT(sizeof(((mi_stats_t*)0)->page_bins) == MI_STAT_BINS * sizeof(mi_stat_count_t));
ASSERT_THAT(sizeof(mi_stat_count_t) == 3 * sizeof(int64_t));
ASSERT_THAT(sizeof(mi_stat_counter_t) == sizeof(int64_t));
ASSERT_THAT(offsetof(mi_violation_t, size) == 0 && offsetof(mi_violation_t, version) == sizeof(size_t));
ASSERT_THAT(sizeof(mi_arena_id_t) == sizeof(int) && sizeof(mi_subproc_id_t) == sizeof(void*));

// The table of statistics holds no padding and nothing twice: the members add up to the structure.
#define BYTES_COUNT(name, unit, text) +sizeof(mi_stat_count_t)
#define BYTES_COUNTER(name, unit, text) +sizeof(mi_stat_counter_t)
#define BYTES_BINS(name, unit, text) +MI_STAT_BINS * sizeof(mi_stat_count_t)
ASSERT_THAT(sizeof(mi_stats_t) ==
            3 * sizeof(size_t) MI_STAT_TABLE(BYTES_COUNT, BYTES_COUNTER, BYTES_BINS));

// ---- callbacks, declared as programs declare theirs -------------------------------------------------------

static void deferred_free(bool force, unsigned long long heartbeat, void* arg) {
  (void)force;
  (void)heartbeat;
  (void)arg;
}
static void output(const char* message, void* arg) {
  (void)message;
  (void)arg;
}
static void error(int number, void* arg) {
  (void)number;
  (void)arg;
}
static void violation(const mi_violation_t* what, void* arg) {
  size_t* faults = (size_t*)arg;
  faults[what->fault] += what->block_size - what->requested_size;
}
static bool visit(const mi_heap_t* heap, const mi_heap_area_t* area, void* block, size_t block_size,
                  void* arg) {
  (void)arg;
  return heap != NULL && area->blocks != block && area->reserved >= area->committed && area->used > 0 &&
         area->block_size <= area->full_block_size && area->heap_tag == 0 && block_size != 0;
}

// ---- macros and calls -------------------------------------------------------------------------------------

typedef struct pair_s {
  long key;
  double value;
} pair_t;

extern bool use_everything(size_t* faults);
bool use_everything(size_t* faults) {
  mi_register_deferred_free(deferred_free, NULL);
  mi_register_output(output, NULL);
  mi_register_error(error, NULL);
  mi_register_violation(violation, faults);

  pair_t* p = mi_malloc_tp(pair_t);
  pair_t* q = mi_zalloc_tp(pair_t);
  pair_t* r = mi_calloc_tp(pair_t, 3);
  pair_t* s = mi_mallocn_tp(pair_t, 3);
  r = mi_reallocn_tp(r, pair_t, 5);
  s = mi_recalloc_tp(s, pair_t, 5);
  mi_free(p);
  mi_free(q);
  mi_free(r);
  mi_free(s);

  // The heap comes first, then the type.
  mi_heap_t* heap = mi_heap_new();
  p = mi_heap_malloc_tp(heap, pair_t);
  q = mi_heap_zalloc_tp(heap, pair_t);
  r = mi_heap_calloc_tp(heap, pair_t, 3);
  s = mi_heap_mallocn_tp(heap, pair_t, 3);
  r = mi_heap_reallocn_tp(heap, r, pair_t, 5);
  s = mi_heap_recalloc_tp(heap, s, pair_t, 5);
  bool all = mi_heap_visit_blocks(heap, true, visit, NULL);
  all = all && p != NULL && q != NULL && r != NULL && s != NULL;
  mi_heap_destroy(heap);

  // Names of version 3 for the same heaps.
  mi_theap_t* theap = mi_heap_theap(mi_heap_main());
  void* block = mi_theap_malloc(theap, 10);
  block = mi_theap_realloc(theap, block, 20);
  mi_free(block);
  mi_theap_collect(mi_theap_get_default(), false);
  mi_theap_set_default(theap);

  mi_stats_t_decl(stats);
  all = mi_stats_get(&stats) && all;
  mi_option_set(mi_option_large_os_pages, 0);
  return all && stats.malloc_bins[1].peak >= stats.malloc_bins[1].current && stats.mmap_calls.total > 0;
}
