// Arenas: memory that was reserved in advance, or handed in by the program, or mapped as huge OS pages, perhaps only
// for heaps bound to it. An arena is a run of segments; it lasts until the process ends.
//
// The table is under mim_arena_lock; an entry never changes once its number is known.
#include "watch.h"

#define ARENA_MAX 128

typedef struct arena_s {
  uint8_t* start;
  size_t size;
  bool exclusive;
  bool handed_in;
} arena_t;

lock_t mim_arena_lock;

static struct {
  _Atomic(int) count;
  arena_t list[ARENA_MAX + 1];  // from 1
} arenas;

static const watch_t arena_watch[] = {WATCH_MEMBER("arenas.count", __typeof__(arenas), count)};
const watch_table_t mim_watch_arena = WATCH_TABLE(&arenas, arena_watch);

static const arena_t* arena_at(mi_arena_id_t id) {
  if (id < 1 || id > atomic_load_explicit(&arenas.count, memory_order_acquire)) return NULL;
  return &arenas.list[id];
}

int mi_reserve_os_memory_ex(size_t size, bool commit, bool allow_large, bool exclusive, mi_arena_id_t* arena_id) {
  if (arena_id != NULL) *arena_id = 0;
  if (!mim_process_init()) return ENOMEM;
  lock_acquire(&mim_arena_lock);
  int id = atomic_load_explicit(&arenas.count, memory_order_relaxed) + 1;
  span_t span = {0};
  if (id <= ARENA_MAX) span = mim_region_reserve_arena(size, id, exclusive, commit);
  if (span.start != NULL) {
    if (allow_large) mim_os_huge(span.start, span.slices * SLICE_SIZE, true);
    arenas.list[id] = (arena_t){.start = span.start, .size = span.slices * SLICE_SIZE, .exclusive = exclusive};
    atomic_store_explicit(&arenas.count, id, memory_order_release);
  }
  lock_release(&mim_arena_lock);
  if (span.start == NULL) return ENOMEM;
  if (arena_id != NULL) *arena_id = id;
  return 0;
}

int mi_reserve_os_memory(size_t size, bool commit, bool allow_large) {
  return mi_reserve_os_memory_ex(size, commit, allow_large, false, NULL);
}

void* mi_arena_area(mi_arena_id_t arena_id, size_t* size) {
  const arena_t* arena = arena_at(arena_id);
  if (size != NULL) *size = arena == NULL ? 0 : arena->size;
  return arena == NULL ? NULL : arena->start;
}

bool mi_arena_contains(mi_arena_id_t arena_id, const void* p) {
  const arena_t* arena = arena_at(arena_id);
  return arena != NULL && (uintptr_t)p - (uintptr_t)arena->start < arena->size;
}

size_t mim_arena_count(void) {
  return (size_t)atomic_load_explicit(&arenas.count, memory_order_acquire);
}

size_t mi_arena_min_alignment(void) {
  return SLICE_SIZE;
}

size_t mi_arena_min_size(void) {
  return SEGMENT_SIZE;
}

void mi_arenas_print(void) {
  for (int id = 1; id <= atomic_load_explicit(&arenas.count, memory_order_acquire); id++) {
    const arena_t* arena = &arenas.list[id];
    mim_print("arena %d: %p, %zu MiB%s%s\n", id, (void*)arena->start, arena->size / MIB,
              arena->exclusive ? ", exclusive" : "", arena->handed_in ? ", handed in" : "");
  }
}

void mi_debug_show_arenas(void) {
  mi_arenas_print();
}

// ---- memory handed in -----------------------------------------------------------------------------------------------

bool mi_manage_os_memory_ex(void* start, size_t size, bool is_committed, bool is_pinned, bool is_zero, int numa_node,
                            bool exclusive, mi_arena_id_t* arena_id) {
  (void)numa_node;  // the memory lies where it lies
  if (arena_id != NULL) *arena_id = 0;
  uintptr_t first = align_up((uintptr_t)start, SLICE_SIZE);
  uintptr_t end = align_down((uintptr_t)start + size, SLICE_SIZE);
  if (start == NULL || end < (uintptr_t)start || end < first + mi_arena_min_size() || !mim_process_init()) {
    mim_warn("mi_manage_os_memory: %p of %zu bytes: at least %zu bytes are needed\n", start, size,
             mi_arena_min_size());
    return false;
  }
  if (!is_committed && !mim_os_open((void*)first, end - first)) return false;
  lock_acquire(&mim_arena_lock);
  int id = atomic_load_explicit(&arenas.count, memory_order_relaxed) + 1;
  size_t taken = 0;
  if (id <= ARENA_MAX) {
    taken = mim_region_hand_in((uint8_t*)first, end - first, is_zero, is_pinned, id, exclusive);
  }
  if (taken > 0) {
    arenas.list[id] = (arena_t){.start = (uint8_t*)first, .size = taken, .exclusive = exclusive, .handed_in = true};
    atomic_store_explicit(&arenas.count, id, memory_order_release);
  }
  lock_release(&mim_arena_lock);
  if (taken > 0 && arena_id != NULL) *arena_id = id;
  return taken > 0;
}

bool mi_manage_os_memory(void* start, size_t size, bool is_committed, bool is_pinned, bool is_zero, int numa_node) {
  return mi_manage_os_memory_ex(start, size, is_committed, is_pinned, is_zero, numa_node, false, NULL);
}

// ---- huge OS pages --------------------------------------------------------------------------------------------------

int mi_reserve_huge_os_pages_at_ex(size_t pages, int numa_node, size_t timeout_msecs, bool exclusive,
                                   mi_arena_id_t* arena_id) {
  if (arena_id != NULL) *arena_id = 0;
  if (pages == 0) return 0;
  uint64_t begin = mim_os_clock_ms();
  size_t got = 0;
  void* memory = mim_os_huge_pages(pages, numa_node, timeout_msecs, &got);
  bool late = timeout_msecs != 0 && mim_os_clock_ms() - begin > timeout_msecs;
  if (memory == NULL) return late ? ETIMEDOUT : ENOMEM;
  bool ok = mi_manage_os_memory_ex(memory, got * GIB, true, true, true, numa_node, exclusive, arena_id);
  if (!ok) {
    mim_os_release(memory, got * GIB);
    return ENOMEM;
  }
  return got == pages ? 0 : late ? ETIMEDOUT : ENOMEM;
}

int mi_reserve_huge_os_pages_at(size_t pages, int numa_node, size_t timeout_msecs) {
  return mi_reserve_huge_os_pages_at_ex(pages, numa_node, timeout_msecs, false, NULL);
}

int mi_reserve_huge_os_pages_interleave(size_t pages, size_t numa_nodes, size_t timeout_msecs) {
  size_t nodes = numa_nodes != 0 ? numa_nodes : (size_t)mim_option(mi_option_use_numa_nodes);
  if (nodes == 0) nodes = mim_os_numa_nodes();
  for (size_t node = 0, left = pages; node < nodes && left > 0; node++) {
    size_t here = div_up(left, nodes - node);
    int error = mi_reserve_huge_os_pages_at(here, (int)node, timeout_msecs / nodes);
    if (error != 0) return error;
    left -= here;
  }
  return 0;
}

int mi_reserve_huge_os_pages(size_t pages, double max_secs, size_t* pages_reserved) {
  if (pages_reserved != NULL) *pages_reserved = 0;
  size_t timeout = max_secs > 0 && max_secs < 1e9 ? (size_t)(max_secs * 1000) : 0;
  int error = mi_reserve_huge_os_pages_interleave(pages, 0, timeout);
  if (error == 0 && pages_reserved != NULL) *pages_reserved = pages;
  return error;
}

// ---- what the options reserve at start ------------------------------------------------------------------------------

void mim_arena_start(void) {
  size_t bytes = mi_option_get_size(mi_option_reserve_os_memory);
  if (bytes > 0 && mi_reserve_os_memory(bytes, true, mim_option(mi_option_allow_large_os_pages) != 0) != 0) {
    mim_notice("reserve_os_memory: %zu bytes cannot be reserved; going on without", bytes);
  }
  size_t pages = (size_t)mim_option(mi_option_reserve_huge_os_pages);
  if (pages == 0) return;
  long node = mim_option(mi_option_reserve_huge_os_pages_at);
  size_t timeout = pages * 500;
  int error = node < 0 ? mi_reserve_huge_os_pages_interleave(pages, 0, timeout)
                       : mi_reserve_huge_os_pages_at(pages, (int)node, timeout);
  if (error != 0) mim_notice("reserve_huge_os_pages: there are not %zu of 1 GiB; going on with what there is", pages);
}
