// Frees and other uses of blocks that are not right, and everything else about a block that is off the fast path:
// frees from other threads, sized frees, sizes, large blocks.
//
// Stops: frees of addresses that are not the start of a live block, always, and says which kind: double, interior,
// unaligned, foreign, never handed out; frees by the wrong family of functions; wrong sizes in sized frees.
// Does not stop: a second free of a block that was handed out again in between.
// Costs: nothing on legal programs' fast path; a remote free exchanges the state (one atomic operation).
#include <dlfcn.h>

#include "quarantine.h"
#include "sample.h"

static size_t usable_size(const page_t* page) {
  return (page->kind & KIND_LARGE) ? page->large_size : page->block_size;
}

static size_t request_of(const page_t* page, uint16_t state) {
  if (page->kind & KIND_LARGE) return page->large_request;
  return page->block_size - (state & STATE_SLACK_MASK);
}

static void* start_of(const page_t* page, uintptr_t index) {
  return (void*)(page->origin + index * ((page->kind & KIND_LARGE) ? (uintptr_t)1 << LARGE_STRIDE_SHIFT : page->stride));
}

static sec_severity_t default_severity(void) {
  return (sec_severity_t)mim_process.hook.on_violation;
}

static void report_block(mi_fault_t fault, const page_t* page, uintptr_t index, uint16_t state, const void* p,
                         size_t claimed, sec_severity_t severity) {
  const uint8_t* block = start_of(page, index);
  sec_report_t report = {
      .fault = fault,
      .address = p,
      .page = (page_t*)page,
      .index = index,
      .block = block,
      .block_size = usable_size(page),
      .request = state_is_live(state) ? request_of(page, state) : 0,
      .offset = (const uint8_t*)p - block,
      .claimed = claimed,
  };
  sec_sample_describe(&report);
  sec_violation(&report, severity);
}

// What is wrong with an address as the argument of free; MI_FAULT_NONE when it is a live block.
static mi_fault_t classify(const page_t* page, const void* p, place_t* place, uint16_t* state) {
  *place = (place_t){0, false};
  *state = STATE_NEVER;
  if (page->reciprocal == 0) return MI_FAULT_INVALID_FREE;
  *place = page_place(page, p);
  bool known = (page->kind & KIND_LARGE) ? place->index == 1 : true;
  if (known) *state = state_get(page, place->index);
  if (!place->start || !known) {
    if ((uintptr_t)p % MIN_ALIGN != 0) return MI_FAULT_UNALIGNED_FREE;
    return state_is_live(*state) ? MI_FAULT_INTERIOR_FREE : MI_FAULT_INVALID_FREE;
  }
  if (state_is_live(*state)) return MI_FAULT_NONE;
  return *state == STATE_FREE || *state == STATE_MAILED || *state >= STATE_HELD ? MI_FAULT_DOUBLE_FREE
                                                                                 : MI_FAULT_INVALID_FREE;
}

// True when the block may be used as `family` says. Reports otherwise.
static bool check(page_t* page, const void* p, family_t family, place_t* place, uint16_t* state) {
  mi_fault_t fault = classify(page, p, place, state);
  if (mim_unlikely(fault != MI_FAULT_NONE)) {
    report_block(fault, page, place->index, *state, p, 0, default_severity());
    return false;
  }
  bool same = family == FAMILY_ANY || ((*state >> STATE_FAMILY_SHIFT) & 3u) == (unsigned)family;
  if (mim_likely(same)) return true;
  sec_severity_t severity = (sec_severity_t)mim_process.hook.family_severity;
  if (!(mim_process.hook.mechanisms & SEC_FAMILY) || severity == SEC_OFF) return true;
  report_block(MI_FAULT_FAMILY_MISMATCH, page, place->index, *state, p, (size_t)family, severity);
  return true;  // reported and outlived: the block itself is sound
}

// ---- frees ----------------------------------------------------------------------------------------------------------

// Fence and wipe of a block that comes back. Its last byte stays what it is: the owner may be looking at it while
// another thread frees the block.
void sec_take_apart(page_t* page, uintptr_t index, uint8_t* p, uint16_t state) {
  size_t slack = state & STATE_SLACK_MASK;
  size_t block_size = page->block_size;
  if ((page->kind & KIND_FENCE) && slack != 0 && mim_unlikely(!fence_holds(page, index, p + block_size, slack))) {
    sec_fence_broken(page, index, block_size, slack);
    if (page->kind & KIND_DENSE) p[block_size - 1] = fence_last(page, index);
  }
  if (page->kind & KIND_WIPE) memset(p, 0, block_size - ((page->kind & KIND_DENSE) != 0));
}

// The byte before a block; only the owner looks.
static void look_before(page_t* page, uintptr_t index, const uint8_t* p) {
  if (!(page->kind & KIND_DENSE) || index <= 1) return;
  if (__atomic_load_n(p - 1, __ATOMIC_RELAXED) != fence_last(page, index - 1)) sec_fence_before_broken(page, index);
}

uintptr_t sec_take_back_slow(page_t* page, void* p, family_t family) {
  place_t place;
  uint16_t state;
  if (!check(page, p, family, &place, &state)) return 0;
  if (page->kind & KIND_SAMPLED) sec_sample_freed(page);
  if (!(page->kind & KIND_LARGE)) {
    look_before(page, place.index, p);
    sec_take_apart(page, place.index, p, state);
    if (sec_quarantine_take(page, place.index)) return 0;
  }
  state_set(page, place.index, STATE_FREE);
  return place.index;
}

bool sec_take_back_remote(page_t* page, void* p, family_t family) {
  place_t place;
  uint16_t state;
  if (!check(page, p, family, &place, &state)) return false;
  // From here on only one of several threads that free the same block goes on.
  if (mim_unlikely(state_exchange(page, place.index, STATE_MAILED) != state)) {
    report_block(MI_FAULT_DOUBLE_FREE, page, place.index, STATE_MAILED, p, 0, default_severity());
    return false;
  }
  if (page->kind & KIND_SAMPLED) sec_sample_freed(page);
  if (!(page->kind & KIND_LARGE)) sec_take_apart(page, place.index, p, state);
  return true;
}

uintptr_t sec_deliver(page_t* page, void* p) {
  place_t place = page_place(page, p);
  uint16_t state = place.start ? state_get(page, place.index) : (uint16_t)STATE_NEVER;
  if (mim_unlikely(state != STATE_MAILED && state != STATE_RELEASED)) {
    report_block(MI_FAULT_DOUBLE_FREE, page, place.index, STATE_MAILED, p, 0, default_severity());
    return 0;
  }
  if (state == STATE_MAILED) {
    look_before(page, place.index, p);
    if (!(page->kind & KIND_LARGE) && sec_quarantine_take(page, place.index)) return 0;
  }
  state_set(page, place.index, STATE_FREE);
  return place.index;
}

bool sec_check_claim(page_t* page, void* p, size_t size, size_t align) {
  if (!(mim_process.hook.mechanisms & SEC_SIZED)) return true;
  sec_severity_t severity = (sec_severity_t)mim_process.hook.size_severity;
  if (severity == SEC_OFF) return true;
  place_t place;
  uint16_t state;
  if (classify(page, p, &place, &state) != MI_FAULT_NONE) return true;  // free itself will say so
  if (size != SIZE_UNKNOWN && size != request_of(page, state)) {
    report_block(MI_FAULT_SIZE_MISMATCH, page, place.index, state, p, size, severity);
  }
  if (align != 0 && ((uintptr_t)p & (align - 1)) != 0) {
    report_block(MI_FAULT_ALIGNMENT_MISMATCH, page, place.index, state, p, align, severity);
  }
  return true;
}

// ---- sizes ----------------------------------------------------------------------------------------------------------

bool sec_check_live(page_t* page, const void* p, family_t family) {
  place_t place;
  uint16_t state;
  if (!check(page, p, family, &place, &state)) return false;
  size_t usable = usable_size(page);
  size_t slack = usable - request_of(page, state);
  bool fenced = (page->kind & KIND_FENCE) || ((page->kind & KIND_LARGE) && (mim_process.hook.mechanisms & SEC_FENCE));
  if (fenced && slack != 0 && mim_unlikely(!fence_holds(page, place.index, (const uint8_t*)p + usable, slack))) {
    sec_fence_broken(page, place.index, usable, slack);
  }
  return true;
}

size_t sec_usable(page_t* page, const void* p) {
  place_t place;
  uint16_t state;
  if (!check(page, p, FAMILY_ANY, &place, &state)) return 0;
  return request_of(page, state);
}

bool sec_resize(page_t* page, void* p, size_t old_size, size_t new_size, bool zero) {
  bool large = (page->kind & KIND_LARGE) != 0;
  size_t usable = usable_size(page);
  size_t slack = usable - new_size;
  if (!large && slack > SLACK_MAX) return false;
  // What is given up beyond the new fence would be neither checked nor wiped at once: `strict` takes a new block.
  bool strict = (mim_process.hook.mechanisms & SEC_QUARANTINE) != 0;
  if (strict && new_size < old_size && old_size - new_size > FENCE_SIZE) return false;
  place_t place = page_place(page, p);
  uint8_t* bytes = p;
  // The bytes gained hold the old fence, or what the program left there long ago.
  if (new_size > old_size) {
    size_t gained = new_size - old_size;
    size_t fenced = (size_t)(align_up((uintptr_t)bytes + old_size, mim_process.hook.os_page) - (uintptr_t)bytes) - old_size;
    memset(bytes + old_size, 0, zero || !large ? gained : min_size(gained, fenced));
  } else if (page->kind & KIND_WIPE) {
    memset(bytes + new_size, 0, old_size - new_size);
  }
  if (large) {
    page->large_request = new_size;
  } else {
    family_t family = (family_t)((state_get(page, place.index) >> STATE_FAMILY_SHIFT) & 3);
    state_set(page, place.index, state_live(family, slack));
  }
  bool fenced = (page->kind & KIND_FENCE) || (large && (mim_process.hook.mechanisms & SEC_FENCE));
  if (fenced && slack != 0) fence_reset(page, place.index, bytes + usable, slack);
  if (page->kind & KIND_SAMPLED) sec_large_fill(page);
  return true;
}

// ---- large blocks ---------------------------------------------------------------------------------------------------

// A block that is flush with its end leaves room before it, of which the last bytes are fence too. 0 where there is none.
static size_t room_before(const page_t* page) {
  if (!(mim_process.hook.mechanisms & SEC_FENCE)) return 0;
  return min_size((size_t)((const uint8_t*)start_of(page, 1) - mim_page_start(page)), FENCE_SIZE);
}

static void large_look_before(page_t* page) {
  const uint8_t* block = start_of(page, 1);
  fence_bytes_t wanted = fence_pattern(page, 1);
  for (size_t back = 1; back <= room_before(page); back++) {
    if (block[-(ptrdiff_t)back] == wanted[FENCE_SIZE - back]) continue;
    report_block(MI_FAULT_UNDERFLOW, page, 1, state_live(FAMILY_ANY, 0), block - back, 0,
                 (sec_severity_t)mim_process.hook.fence_severity);
    return;
  }
}

// A sampled block has OS pages of its own: what of them is neither block nor fence is filled, and looked at when it is
// freed. So a write in any place of them is noticed, behind the block or before it.
void sec_large_fill(page_t* page) {
  if (!(mim_process.hook.mechanisms & SEC_FENCE)) return;
  uint8_t* block = start_of(page, 1);
  uint8_t* first = mim_page_start(page);
  size_t before = (size_t)(block - first), slack = page->large_size - page->large_request;
  uint8_t byte = fence_last(page, 1);
  if (before > FENCE_SIZE) memset(first, byte, before - FENCE_SIZE);
  if (slack > FENCE_SIZE) memset(block + page->large_request + FENCE_SIZE, byte, slack - FENCE_SIZE);
}

static bool is_filled(const uint8_t* p, const uint8_t* end, uint8_t byte) {
  const fence_bytes_t wanted = (fence_bytes_t){0} + byte;
  fence_bytes_t other = {0};
  for (; end - p >= 64; p += 64) {
    other |= (fence_load(p) ^ wanted) | (fence_load(p + 16) ^ wanted) | (fence_load(p + 32) ^ wanted) |
             (fence_load(p + 48) ^ wanted);
  }
  for (; p < end; p++) other[0] |= *p ^ byte;
  return fence_zero(other);
}

static void look_around(page_t* page) {
  const uint8_t* block = start_of(page, 1);
  const uint8_t* first = mim_page_start(page);
  uint8_t byte = fence_last(page, 1);
  sec_severity_t severity = (sec_severity_t)mim_process.hook.fence_severity;
  const uint8_t* before = block - room_before(page);
  if (before > first && mim_unlikely(!is_filled(first, before, byte))) {
    while (before[-1] == byte) before--;
    report_block(MI_FAULT_UNDERFLOW, page, 1, state_live(FAMILY_ANY, 0), before - 1, 0, severity);
  }
  const uint8_t *behind = block + page->large_request + FENCE_SIZE, *end = block + page->large_size;
  if (behind < end && mim_unlikely(!is_filled(behind, end, byte))) {
    while (*behind == byte) behind++;
    report_block(MI_FAULT_OVERFLOW, page, 1, state_live(FAMILY_ANY, 0), behind, 0, severity);
  }
}

void sec_large_out(page_t* page, tld_t* tld, size_t size, family_t family) {
  page->hook.entries = page->own_entry;
  page->hook_key = (uint16_t)sec_random64(&tld->hook);
  page->hook.fence = sec_random64(&tld->hook) | 1;
  state_set(page, 0, STATE_NEVER);
  state_set(page, 1, state_live(family, 0));
  size_t slack = page->large_size - size;
  if ((mim_process.hook.mechanisms & SEC_FENCE) && slack != 0) {
    // Written, not read first: of fresh memory that would be two page faults.
    fence_set(fence_pattern(page, 1), (uint8_t*)start_of(page, 1) + page->large_size, slack);
  }
  size_t before = room_before(page);
  fence_bytes_t bytes = fence_pattern(page, 1);
  memcpy((uint8_t*)start_of(page, 1) - before, (const uint8_t*)&bytes + FENCE_SIZE - before, before);
}

void sec_large_back(page_t* page) {
  large_look_before(page);
  size_t slack = page->large_size - page->large_request;
  const uint8_t* end = (const uint8_t*)start_of(page, 1) + page->large_size;
  if ((mim_process.hook.mechanisms & SEC_FENCE) && slack != 0 && !fence_holds(page, 1, end, slack)) {
    sec_fence_broken(page, 1, page->large_size, slack);
  }
  if ((page->kind & KIND_SAMPLED) && (mim_process.hook.mechanisms & SEC_FENCE)) look_around(page);
}

bool sec_large_freed(const void* p, uintptr_t* block, size_t* request) {
  const page_t* slot = mim_page_of(p);
  size_t slice = ((uintptr_t)p - mim_process.region) / SLICE_SIZE;  // in memory handed in: beyond the region
  size_t steps = slice < mim_process.region_size / SLICE_SIZE ? min_size(slice, GIB / SLICE_SIZE) : 0;
  for (; slot != NULL && slot->reciprocal == 0; slot--, steps--) {
    if (slot->hook.entries != NULL) {
      *block = (uintptr_t)slot->hook.entries;
      *request = slot->hook.fence;
      return (uintptr_t)p - *block < max_size(*request, 1);
    }
    if (steps == 0) return false;
  }
  return false;
}

// ---- foreign pointers -----------------------------------------------------------------------------------------------

enum { FOREIGN_ABORT = 0, FOREIGN_PASS = 1, FOREIGN_IGNORE = 2 };

void sec_foreign(const void* p, const char* what) {
  page_t* page = mim_page_of(p);
  int policy = page != NULL ? FOREIGN_ABORT : mim_process.hook.foreign_policy;  // no way round for what is ours
  if (policy == FOREIGN_IGNORE) return;
  if (policy == FOREIGN_PASS && strcmp(what, "free") == 0) {
    void (*next)(void*) = (void (*)(void*))(uintptr_t)dlsym(RTLD_NEXT, "free");
    if (next != NULL) {
      next((void*)(uintptr_t)p);
      return;
    }
  }
  sec_report_t report = {
      .fault = page != NULL ? MI_FAULT_INVALID_FREE : MI_FAULT_FOREIGN_FREE,
      .address = p,
      .page = page,
      .operation = what,
  };
  uintptr_t block;
  if (page != NULL && sec_large_freed(p, &block, &report.block_size)) {
    report.block = (const void*)block;
    if ((uintptr_t)p == block) report.fault = MI_FAULT_DOUBLE_FREE;
  }
  sec_violation(&report, default_severity());
}

void sec_invalid_heap(const heap_t* heap, const char* what) {
  sec_violation(&(sec_report_t){.fault = MI_FAULT_INVALID_HEAP, .address = heap, .operation = what},
                default_severity());
}

// For any address, without a report: to the end of what was asked for of the live block it is in.
size_t mi_malloc_object_size(const void* p) {
  const page_t* page = mim_page_seek(p);
  if (page == NULL) return SIZE_MAX;
  if (!mim_page_look(page)) return 0;
  place_t place;
  uint16_t state;
  classify(page, p, &place, &state);
  if (!state_is_live(state)) return 0;
  const uint8_t* end = (const uint8_t*)start_of(page, place.index) + request_of(page, state);
  return (const uint8_t*)p < end ? (size_t)(end - (const uint8_t*)p) : 0;
}
