// The metadata reservation: memory for the allocator itself, far from any block.
//
//   | guard | slots of the region's slices | segments | heap, growing up ........ | guard |
//
// All slots can be read from the start (they read as zero: no page), so that looking up any address of the region is
// safe. Slots and segments are opened for writing as segments are taken into use; the heap serves side arrays of pages,
// heaps, threads and letters: multiples of a cache line, from one free list for each size, never split or given back to
// the OS. The rest is inaccessible until opened. All under mim_meta_lock.
#include "meta.h"
#include "watch.h"

#define META_GUARD SLICE_SIZE
#define META_CLASS_MAX ((size_t)32 * KIB)
#define META_CLASSES (META_CLASS_MAX / CACHE_LINE + 1)
#define META_STEP ((size_t)64 * KIB)

lock_t mim_meta_lock;

typedef struct free_item_s {
  struct free_item_s* next;
} free_item_t;

static struct {
  uint8_t* segments;
  uint8_t* heap;
  size_t heap_size, heap_open, heap_used;
  _Atomic(size_t) committed;
  free_item_t* free[META_CLASSES];
} meta;

static const watch_t meta_watch[] = {WATCH_MEMBER("meta.committed", __typeof__(meta), committed)};
const watch_table_t mim_watch_meta = WATCH_TABLE(&meta, meta_watch);

bool mim_meta_reserve(size_t region_size) {
  size_t count = (region_size >> SEGMENT_SHIFT) + MIM_EXTRA_SEGMENTS;
  size_t slots = align_up(count * SEGMENT_SLICES << SLOT_SHIFT, SLICE_SIZE);
  size_t segments = align_up(count * MIM_SEGMENT_BYTES, SLICE_SIZE);
  size_t heap = align_up(region_size / 16 + 16 * MIB, SLICE_SIZE);
  size_t size = slots + segments + heap + 2 * META_GUARD;
  uint8_t* start = mim_region_place(size, SLICE_SIZE);
  if (start == NULL) return false;
  if (!mim_os_open_read(start + META_GUARD, slots)) {
    mim_os_release(start, size);
    return false;
  }
  mim_os_name(start, size, "mimalloc: metadata");
  mim_process.meta = start;
  mim_process.meta_size = size;
  mim_process.slots = (page_t*)(start + META_GUARD);
  meta.segments = start + META_GUARD + slots;
  meta.heap = meta.segments + segments;
  meta.heap_size = heap;
  return true;
}

static bool commit(uint8_t* start, size_t size) {
  if (!mim_os_open(start, size)) return false;
  atomic_fetch_add_explicit(&meta.committed, size, memory_order_relaxed);
  return true;
}

bool mim_meta_open_slots(size_t segment) {
  size_t bytes = SEGMENT_SLICES << SLOT_SHIFT;
  lock_acquire(&mim_meta_lock);
  bool ok = commit((uint8_t*)mim_process.slots + segment * bytes, bytes);
  uint8_t* entry = meta.segments + align_down(segment * MIM_SEGMENT_BYTES, META_STEP);
  // The first that is handed in may lie in the middle of a step, of which the region has opened nothing yet.
  bool opens = segment * MIM_SEGMENT_BYTES % META_STEP == 0 || segment == mim_process.region_size >> SEGMENT_SHIFT;
  if (ok && opens) ok = commit(entry, META_STEP);
  lock_release(&mim_meta_lock);
  return ok;
}

void* mim_meta_segments(void) {
  return meta.segments;
}

void* mim_meta_alloc(size_t size) {
  size = align_up(size, CACHE_LINE);
  assert_int(size <= META_CLASS_MAX);
  void* p = NULL;
  lock_acquire(&mim_meta_lock);
  free_item_t** list = &meta.free[size / CACHE_LINE];
  if (*list != NULL) {
    free_item_t* item = *list;
    *list = item->next;
    lock_release(&mim_meta_lock);
    memset(item, 0, size);
    return item;
  }
  if (meta.heap_used + size > meta.heap_open && meta.heap_open < meta.heap_size) {
    if (commit(meta.heap + meta.heap_open, META_STEP)) meta.heap_open += META_STEP;
  }
  if (meta.heap_used + size <= meta.heap_open) {
    p = meta.heap + meta.heap_used;
    meta.heap_used += size;
  }
  lock_release(&mim_meta_lock);
  return p;
}

void mim_meta_free(void* p, size_t size) {
  if (p == NULL) return;
  free_item_t* item = p;
  lock_acquire(&mim_meta_lock);
  free_item_t** list = &meta.free[align_up(size, CACHE_LINE) / CACHE_LINE];
  item->next = *list;
  *list = item;
  lock_release(&mim_meta_lock);
}

size_t mim_meta_committed(void) {
  return atomic_load_explicit(&meta.committed, memory_order_relaxed);
}
