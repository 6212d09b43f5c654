// The layer as a whole: its start, its locks at a fork, and what it says of itself in statistics and messages.
#include "../src/watch.h"
#include "mimalloc-stats.h"
#include "sample.h"

void sec_process_init(void) {
  mim_process.hook.os_page = (uint32_t)mim_os_page_size();
  sec_policy_init();
  sec_guard_init();
  sec_fault_init();
}

// ---- forks ----------------------------------------------------------------------------------------------------------

void sec_fork_prepare(void) {
  lock_acquire(&sec_hold_lock);
  lock_acquire(&sec_sample_lock);
  lock_acquire(&sec_keys_lock);
}

void sec_fork_parent(void) {
  lock_release(&sec_keys_lock);
  lock_release(&sec_sample_lock);
  lock_release(&sec_hold_lock);
}

// ---- statistics -----------------------------------------------------------------------------------------------------

void sec_stats(mi_stats_t* stats) {
  sec_guard_info_t info;
  sec_guard_info(&info);
  stats->guards.total = (int64_t)info.installed;
  stats->guards.current = (int64_t)info.present;
  stats->guards.peak = (int64_t)info.peak;
  stats->violations.total = (int64_t)sec_violation_count();
  sec_sample_stats(stats);
}

void sec_print(void (*line)(const char* text, void* arg), void* arg) {
  const hook_process_t* policy = &mim_process.hook;
  sec_guard_info_t info;
  sec_guard_info(&info);
  char text[200];
  mim_format(text, sizeof(text), "secure: profile %s, on violation: %s, memory sealed: %d\n", mi_profile_name(),
             sec_severity_name((sec_severity_t)policy->on_violation), sec_seal_state());
  line(text, arg);
  mim_format(text, sizeof(text), "guards: %s, %zu installed, %zu removed, %zu refused, mappings %zu of %zu\n",
             policy->guard_kind == SEC_GUARD_LIGHT ? "lightweight" : "mprotect", info.installed, info.removed,
             info.refused, info.mappings_used, info.mappings_budget);
  line(text, arg);
  if (!(policy->mechanisms & SEC_ISOLATE)) return;
  mim_format(text, sizeof(text), "isolation: %zu spans used again for another size\n", sec_isolate_given_up());
  line(text, arg);
}

// ---- for tools that look from outside -------------------------------------------------------------------------------

const watch_table_t* const mim_watch_layer[] = {&sec_watch_guard, &sec_watch_policy, &sec_watch_report,
                                                &sec_watch_sample, NULL};
