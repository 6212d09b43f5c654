// What the library knows lies in its variables, in the metadata reservation and in small mappings of its own. All of it
// is copied once; after a run, what differs is copied back. The memory of blocks is not: what of it was used before
// counts as used, and fuzz/os.c clears the rest.
#include "state.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../src/meta.h"
#include "model.h"
#include "os.h"

extern uint8_t __start_fuzz_data[] __attribute__((weak)), __stop_fuzz_data[] __attribute__((weak));
extern uint8_t __start_fuzz_bss[] __attribute__((weak)), __stop_fuzz_bss[] __attribute__((weak));

typedef struct kept_s {
  uint8_t* live;
  uint8_t* copy;
  size_t size;
} kept_t;

#define KEPT_MAX 16

static struct state_s {
  kept_t fixed[KEPT_MAX];
  size_t fixed_count;
  tls_t tls;
  kept_t heap, segments, slots, extra_segments, extra_slots;
  size_t count, extra_count;  // of segments: the region's, and handed in
} states[STATES];
static unsigned last_kept;

// Before the library starts, and before options are set (interp.c).
extern const bool fuzz_driver_is_fast __attribute__((weak));
__attribute__((constructor(101))) static void choose_speed(void) {
  const char* value = getenv("FUZZ_FAST");
  bool fast = &fuzz_driver_is_fast != NULL && fuzz_driver_is_fast;
  if (value != NULL) fast = strcmp(value, "0") != 0;
  if (!fast) return;
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
  model_fail("FUZZ_FAST=1 does not go with AddressSanitizer, which keeps its own between the library's variables");
#endif
#endif
  if (__start_fuzz_bss == NULL || __start_fuzz_data == NULL) model_fail("FUZZ_FAST=1 needs a build with clang");
  os_simulate();
}

static uint8_t* copy_of(const void* live, size_t size) {
  uint8_t* copy = malloc(size);
  if (copy == NULL) model_fail("no memory for a copy of the library's state");
  memcpy(copy, live, size);
  return copy;
}

static kept_t keep(void* live, size_t size) {
  return (kept_t){live, copy_of(live, size), size};
}

// Copies what differs alone: most does not, and some of it may be read-only.
#define PIECE 512

static void put_back(const kept_t* what) {
  for (size_t at = 0; at < what->size; at += PIECE) {
    size_t size = min_size(PIECE, what->size - at);
    if (memcmp(what->live + at, what->copy + at, size) != 0) memcpy(what->live + at, what->copy + at, size);
  }
}

static size_t region_segments(void) {
  region_info_t info;
  mim_region_info(&info);
  return info.segments;
}

// Segments that the program handed in come after all of the region's.
static size_t extra_first(void) {
  return mim_process.region_size / SEGMENT_SIZE;
}

static size_t extra_count(void) {
  size_t end = mim_region_slices() / SEGMENT_SLICES;
  return end > extra_first() ? end - extra_first() : 0;
}

static uint8_t* segment_bytes(size_t segment) {
  return (uint8_t*)mim_meta_segments() + segment * MIM_SEGMENT_BYTES;
}

static kept_t keep_segments(size_t first, size_t count) {
  return keep(segment_bytes(first), count * MIM_SEGMENT_BYTES);
}

static kept_t keep_slots(size_t first, size_t count) {
  return keep(&mim_process.slots[first * SEGMENT_SLICES], count * SEGMENT_SLICES << SLOT_SHIFT);
}

// A forked child is a process of its own to the library, with new keys: to the fuzzer it is not.
static void in_child(void) {
  state_restore(last_kept);
}

void state_keep(unsigned which) {
  static bool registered;
  if (!registered) must(pthread_atfork(NULL, NULL, in_child) == 0, "no handler for forks");
  registered = true;
  last_kept = which;
  struct state_s* state = &states[which];
  os_keep(which);
  const os_range_t* maps;
  size_t count = os_small_maps(&maps);
  if (count + 2 > KEPT_MAX) model_fail("more mappings than fuzz/state.c keeps");
  state->fixed[0] = keep(__start_fuzz_data, (size_t)(__stop_fuzz_data - __start_fuzz_data));
  state->fixed[1] = keep(__start_fuzz_bss, (size_t)(__stop_fuzz_bss - __start_fuzz_bss));
  for (size_t i = 0; i < count; i++) state->fixed[2 + i] = keep(maps[i].start, maps[i].size);
  state->fixed_count = 2 + count;
  state->tls = mim_tls;
  os_range_t heap = os_meta_heap();
  state->heap = keep(heap.start, heap.size);
  state->count = region_segments();
  state->extra_count = extra_count();
  state->segments = keep_segments(0, state->count);
  state->slots = keep_slots(0, state->count);
  state->extra_segments = keep_segments(extra_first(), state->extra_count);
  state->extra_slots = keep_slots(extra_first(), state->extra_count);
}

// The slots of slices that were in use, of segments from `first` on.
static void slots_back(const kept_t* slots, size_t first, size_t count, bool all) {
  for (size_t i = 0; i < count; i++) {
    size_t from = i * SEGMENT_SLICES << SLOT_SHIFT;
    kept_t used = {slots->live + from, slots->copy + from, os_slices_used(first + i, all) << SLOT_SHIFT};
    put_back(&used);
  }
}

static void segments_back(const struct state_s* state, bool all) {
  slots_back(&state->slots, 0, state->count, all);
  slots_back(&state->extra_slots, extra_first(), state->extra_count, all);
  for (size_t i = state->count, count = region_segments(); i < count; i++) {
    memset(&mim_process.slots[i * SEGMENT_SLICES], 0, os_slices_used(i, false) << SLOT_SHIFT);
    memset(segment_bytes(i), 0, MIM_SEGMENT_BYTES);
  }
  put_back(&state->segments);
  put_back(&state->extra_segments);
}

void state_restore(unsigned which) {
  const struct state_s* state = &states[which];
  os_restore(which);
  segments_back(state, os_switches(which));
  os_range_t heap = os_meta_heap();
  if (heap.size > state->heap.size) memset(heap.start + state->heap.size, 0, heap.size - state->heap.size);
  put_back(&state->heap);
  for (size_t i = 0; i < state->fixed_count; i++) put_back(&state->fixed[i]);
  mim_tls = state->tls;
  os_forget(which);
}
