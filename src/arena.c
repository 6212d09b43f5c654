// Arenas: memory of the region that was reserved in advance, perhaps on huge OS pages, perhaps only for heaps bound to
// it. An arena is a run of whole segments; it lasts until the process ends.
//
// The table is under its lock; an entry never changes once its number is known.
#include "internal.h"

#define ARENA_MAX 128

typedef struct arena_s {
  uint8_t* start;
  size_t size;
  bool exclusive;
  bool huge;
  int numa_node;
} arena_t;

static struct {
  lock_t lock;
  _Atomic(int) count;
  arena_t list[ARENA_MAX + 1];  // from 1
} arenas;

static const arena_t* arena_at(mi_arena_id_t id) {
  if (id < 1 || id > atomic_load_explicit(&arenas.count, memory_order_acquire)) return NULL;
  return &arenas.list[id];
}

// Makes an arena; with `huge`, on OS pages of 1 GiB from that node. 0 or an error number.
static int arena_make(size_t size, bool open, bool large, bool huge, int numa_node, bool exclusive,
                      mi_arena_id_t* arena_id) {
  if (!mim_process_init()) return ENOMEM;
  lock_acquire(&arenas.lock);
  int id = atomic_load_explicit(&arenas.count, memory_order_relaxed) + 1;
  span_t span = {0};
  if (id <= ARENA_MAX) {
    span = mim_region_reserve_arena(size, huge ? GIB : SEGMENT_SIZE, id, exclusive, open || huge);
  }
  if (span.start != NULL) {
    if (large) mim_os_huge(span.start, span.slices * SLICE_SIZE, true);
    arenas.list[id] = (arena_t){.start = span.start, .size = span.slices * SLICE_SIZE, .exclusive = exclusive,
                                .huge = huge, .numa_node = numa_node};
    atomic_store_explicit(&arenas.count, id, memory_order_release);
  }
  lock_release(&arenas.lock);
  if (span.start == NULL) return ENOMEM;
  if (arena_id != NULL) *arena_id = id;
  return 0;
}

int mi_reserve_os_memory_ex(size_t size, bool commit, bool allow_large, bool exclusive, mi_arena_id_t* arena_id) {
  if (arena_id != NULL) *arena_id = 0;
  return arena_make(size, commit, allow_large, false, -1, exclusive, arena_id);
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
              arena->exclusive ? ", exclusive" : "", arena->huge ? ", huge OS pages" : "");
  }
}

void mi_debug_show_arenas(void) {
  mi_arenas_print();
}
