// Life of the process: start at the first allocation (which comes before any constructor of ours: libraries allocate in
// theirs), forks, exit. Nothing is torn down at exit, so the last use may come after every destructor.
#include <pthread.h>
#include <stdlib.h>

#include "internal.h"

process_t mim_process;

enum { START_NOT = 0, START_RUNNING = 1, START_DONE = 2 };
static _Atomic(uint32_t) start_state;
static _Atomic(uint32_t) start_thread;

// ---- fork -----------------------------------------------------------------------------------------------------------

// All locks, in the order in which they nest. Registered first, so our prepare handler runs last and our others first:
// handlers of the program may allocate.
static lock_t* const locks[] = {&mim_arena_lock,  &mim_thread_lock, &mim_abandoned_lock,
                                &mim_letter_lock, &mim_region_lock, &mim_meta_lock};
#define LOCK_COUNT (sizeof(locks) / sizeof(locks[0]))

static void fork_prepare(void) {
  for (size_t i = 0; i < LOCK_COUNT; i++) lock_acquire(locks[i]);
  hook_fork_prepare();
}

static void fork_parent(void) {
  hook_fork_parent();
  for (size_t i = LOCK_COUNT; i > 0; i--) lock_release(locks[i - 1]);
}

static void fork_child(void) {
  mim_thread_fork_child();
  hook_fork_child();
  for (size_t i = 0; i < LOCK_COUNT; i++) lock_reset(locks[i]);
}

// ---- start ----------------------------------------------------------------------------------------------------------

// What must be there before the first block: calls nothing that could allocate.
static bool start(void) {
  hook_process_seed();
  mim_options_init();
  mim_stats_start();
  hook_process_init();
  mim_bins_init();
  if (!mim_region_reserve()) return false;
  hook_process_ready();
  return true;
}

bool mim_process_init(void) {
  for (;;) {
    uint32_t state = atomic_load_explicit(&start_state, memory_order_acquire);
    if (mim_likely(state == START_DONE)) return true;
    if (state == START_RUNNING) {
      if (atomic_load_explicit(&start_thread, memory_order_relaxed) == mim_os_thread_id()) return false;
      mim_os_wait(&start_state, START_RUNNING);
      continue;
    }
    if (!atomic_compare_exchange_strong(&start_state, &state, START_RUNNING)) continue;
    int saved = errno;
    atomic_store_explicit(&start_thread, mim_os_thread_id(), memory_order_relaxed);
    bool ok = start();
    atomic_store_explicit(&start_state, ok ? START_DONE : START_NOT, memory_order_release);
    mim_os_wake(&start_state, true);
    if (!ok) return false;
    mim_arena_start();
    // From here on allocation works, and these may allocate.
    mim_thread_init_process();
    pthread_atfork(fork_prepare, fork_parent, fork_child);
    if (mim_option(mi_option_verbose) != 0) mi_options_print();
    errno = saved;
    return true;
  }
}

bool mim_process_is_ready(void) {
  return atomic_load_explicit(&start_state, memory_order_acquire) == START_DONE;
}

void mi_process_init(void) {
  mim_process_init();
}

#if !MIM_FUZZING  // fuzzers say when it starts, and with which environment
__attribute__((constructor)) static void process_constructor(void) {
  mim_process_init();
}
#endif

// ---- exit -----------------------------------------------------------------------------------------------------------

void mi_process_done(void) {
  if (!mim_process_is_ready()) return;
  heap_t* heap = mim_tls.heap;
  if (heap != &mim_heap_empty) {
    hook_let_go(heap->tld, false);  // what was written to since it was freed is noticed now, or never
    mim_heap_collect(heap->tld->backing, false);
  }
  mim_stats_exit();
  mim_map_exit();
}

__attribute__((destructor)) static void process_destructor(void) {
  static bool done;
  if (done) return;
  done = true;
  mi_process_done();
}

void mim_assert_fail(const char* expression, const char* file, int line, const char* function) {
  mim_print("mimalloc: assertion failed: at %s:%d, %s: %s\n", file, line, function, expression);
  mim_os_abort();
}
