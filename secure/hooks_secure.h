// The secure bodies of the hooks; contracts stand in src/hooks.h. Inline here is what the fast paths run; the rest
// forwards to the file of its mechanism.
#ifndef SEC_HOOKS_SECURE_H
#define SEC_HOOKS_SECURE_H

#include "entry.h"
#include "fence.h"
#include "wipe.h"

extern process_t mim_process;

// ---- layout ---------------------------------------------------------------------------------------------------------

#define HOOK_BIN_PAD ((size_t)16)
#define HOOK_MIN_SLACK ((size_t)1)
#define HOOK_ALIGNED_SET ((size_t)BIN_ALIGNED)
#define HOOK_LARGE_FLUSH 1
#define HOOK_SEPARATOR_SLICES ((size_t)1)
#define HOOK_ZERO_BIN 1
#define HOOK_CHECKS_HEAPS 1
#define HOOK_EXTEND_BYTES ((size_t)8 * KIB)
// Few of large blocks: each of them takes OS pages of its own, and most have a guard behind them.
#define HOOK_EXTEND_BLOCKS(stride) ((size_t)((stride) > 4 * KIB ? 4 : 8))

mim_inline bool hook_direct_index(size_t size, size_t* index) {
  *index = (size + MIN_ALIGN) / MIN_ALIGN;
  return size - 1 < SMALL_MAX;  // not for 0, which has a bin of its own
}

bin_t sec_bin(size_t nominal, bool aligned);
mim_inline bin_t hook_bin(size_t nominal, bool aligned) {
  return sec_bin(nominal, aligned);
}

mim_inline size_t hook_page_tail(void) {
  return mim_process.hook.page_tail;
}

mim_inline size_t hook_side_bytes(size_t page_bytes, size_t stride) {
  return (MAGAZINE_ROOM + page_bytes / stride + STATES_SPARE) * sizeof(uint16_t);
}

// ---- fast paths -----------------------------------------------------------------------------------------------------

mim_inline uintptr_t hook_pop(page_t* page) {
  uintptr_t position = page->free;
  page->free = position - 1;
  return magazine_get(page, position);
}

// Nothing links blocks: the state says it, and was set when the block was taken back.
mim_inline void hook_push(page_t* page, uintptr_t index) {
  page->local_free = index;  // the last one freed is not the next one handed out
}

mim_inline void* hand_out_bare(page_t* page, uintptr_t index, size_t size, family_t family, bool zero) {
  if (mim_unlikely(!(page->kind & KIND_BARE) || !state_is_free(state_get(page, index)))) return NULL;
  uint8_t* p = page_block(page, index);
  if (zero) memset(p, 0, size);
  state_set(page, index, state_live(family, page->block_size - size));
  return p;
}

// Inline for KIND_QUICK and bare pages; larger blocks go through the functions of entry.c.
mim_inline void* hook_hand_out(page_t* page, uintptr_t index, size_t size, family_t family, bool zero) {
  if (mim_unlikely(!(page->kind & KIND_QUICK))) return hand_out_bare(page, index, size, family, zero);
  uint16_t* state = &page->hook.entries[index];
  unsigned key = page->hook_key;
  unsigned found = __atomic_load_n(state, __ATOMIC_RELAXED);
  if (mim_unlikely((found ^ key) > STATE_FRESH)) return NULL;
  uint8_t* p = page_block(page, index);
  size_t block_size = page->block_size;
  fence_bytes_t pattern = fence_pattern(page, index);
  if (mim_unlikely(!wipe_holds(p, block_size, fence_tail(pattern)))) return NULL;
  size_t slack = block_size - size;
  __atomic_store_n(state, (uint16_t)(state_live(family, slack) ^ key), __ATOMIC_RELAXED);
  fence_put(pattern, p + block_size - FENCE_SIZE, slack);
  if (mim_unlikely(slack > FENCE_SIZE)) fence_put(pattern, p + size, FENCE_SIZE);
  if (p == NULL) __builtin_unreachable();
  return p;
}

void* sec_hand_out_slow(page_t* page, uintptr_t index, size_t size, family_t family, bool zero);
mim_inline void* hook_hand_out_slow(page_t* page, uintptr_t index, size_t size, family_t family, bool zero) {
  return sec_hand_out_slow(page, index, size, family, zero);
}

// Slack of a live block of this family: what is left of its state. Larger than SLACK_MAX: it is none.
mim_inline size_t live_slack(const page_t* page, uintptr_t index, family_t family) {
  size_t found = state_get(page, index);
  return family == FAMILY_ANY ? (found & ~(size_t)STATE_FAMILY_MASK) ^ STATE_LIVE : found ^ state_live(family, 0);
}

// Fence and wipe of a block of a page of one of these kinds, or of a bare one, of which only the state is looked at. Returns
// its index; 0: something is not as it should be, or the page is of another kind.
mim_inline uintptr_t take_apart_quick(page_t* page, void* p, family_t family, unsigned kinds) {
  place_t place = page_place(page, p);
  if (mim_unlikely(!place.start)) return 0;
  size_t slack = live_slack(page, place.index, family);
  if (mim_unlikely(slack > SLACK_MAX)) return 0;
  if (mim_likely(page->kind & kinds)) {
    size_t block_size = page->block_size;
    uint8_t* end = (uint8_t*)p + block_size;
    uint64_t mixed = fence_mix(page, place.index);
    fence_bytes_t pattern = fence_pattern_of(mixed);
    if (mim_likely(slack <= FENCE_SIZE)) {
      if (mim_unlikely(!fence_is(pattern, end - FENCE_SIZE, slack))) return 0;
    } else if (mim_unlikely(!fence_holds(page, place.index, end, slack))) {
      return 0;
    }
    if (mim_likely(place.index > 1)) {
      uint8_t before = __atomic_load_n((const uint8_t*)p - 1, __ATOMIC_RELAXED);
      if (mim_unlikely(before != fence_last_of(fence_mix_before(page, mixed)))) return 0;
    }
    wipe_bytes(p, block_size, fence_tail(pattern));
  } else if (!(page->kind & KIND_BARE)) {
    return 0;
  }
  if (place.index == 0) __builtin_unreachable();  // is never live
  return place.index;
}

mim_inline uintptr_t hook_take_back(page_t* page, void* p, family_t family) {
  uintptr_t index = take_apart_quick(page, p, family, KIND_QUICK_BACK);
  if (mim_likely(index != 0)) state_set(page, index, STATE_FREE);
  return index;
}

uintptr_t sec_take_back_slow(page_t* page, void* p, family_t family);
mim_inline uintptr_t hook_take_back_slow(page_t* page, void* p, family_t family) {
  return sec_take_back_slow(page, p, family);
}

mim_inline bool hook_keeps(const page_t* page) {
  return (page->kind & (KIND_QUICK | KIND_QUICK_BACK)) == KIND_QUICK;
}

bool sec_quarantine_keep(page_t* page, void* p, family_t family);
mim_inline bool hook_keep(page_t* page, void* p, family_t family) {
  return sec_quarantine_keep(page, p, family);
}

bool sec_take_back_remote(page_t* page, void* p, family_t family);
mim_inline bool hook_take_back_remote(page_t* page, void* p, family_t family) {
  return sec_take_back_remote(page, p, family);
}

// For the pages of the fast paths. What is wrong is found before anything is done, or, where another thread was faster
// with the same block, after its state says so: the slow path then finds it once more, and reports.
mim_inline bool hook_take_back_remote_quick(page_t* page, void* p, family_t family) {
  place_t place = page_place(page, p);
  if (mim_unlikely(!place.start)) return false;
  uint16_t* state = &page->hook.entries[place.index];
  unsigned key = page->hook_key;
  unsigned found = __atomic_load_n(state, __ATOMIC_RELAXED);
  unsigned slack = family == FAMILY_ANY ? ((found ^ key) & ~STATE_FAMILY_MASK) ^ STATE_LIVE
                                        : (found ^ key) ^ state_live(family, 0);
  if (mim_unlikely(slack > STATE_SLACK_MASK)) return false;
  size_t block_size = page->block_size;
  uint8_t* end = (uint8_t*)p + block_size;
  bool quick = (page->kind & KIND_QUICK) != 0;
  if (mim_likely(quick)) {
    if (mim_likely(slack <= FENCE_SIZE)) {
      if (mim_unlikely(!fence_is(fence_pattern(page, place.index), end - FENCE_SIZE, slack))) return false;
    } else if (mim_unlikely(!fence_holds(page, place.index, end, slack))) {
      return false;
    }
    if (mim_unlikely(block_size < WIPE_BUT_LAST_MIN)) return false;
  } else if (!(page->kind & KIND_BARE) || block_size > LETTER_SMALL) {
    return false;
  }
  if (mim_unlikely(__atomic_exchange_n(state, (uint16_t)(STATE_MAILED ^ key), __ATOMIC_ACQ_REL) != found)) return false;
  if (mim_likely(quick)) wipe_but_last(p, block_size);
  return true;
}

uintptr_t sec_deliver(page_t* page, void* p);
mim_inline uintptr_t hook_deliver(page_t* page, void* p) {
  place_t place = page_place(page, p);
  if (mim_likely(page->kind & KIND_QUICK_BACK) && mim_likely(place.start) &&
      mim_likely(state_get(page, place.index) == STATE_MAILED)) {
    const uint8_t* before = (const uint8_t*)p - 1;
    if (place.index == 1 || mim_likely(__atomic_load_n(before, __ATOMIC_RELAXED) == fence_last(page, place.index - 1))) {
      state_set(page, place.index, STATE_FREE);
      if (place.index == 0) __builtin_unreachable();  // is never handed out
      return place.index;
    }
  }
  return sec_deliver(page, p);
}

bool sec_check_claim(page_t* page, void* p, size_t size, size_t align);
mim_inline bool hook_check_claim(page_t* page, void* p, size_t size, size_t align) {
  return sec_check_claim(page, p, size, align);
}

// ---- pages ----------------------------------------------------------------------------------------------------------

void sec_page_init(page_t* page, tld_t* tld, uint16_t* side, bool fresh);
mim_inline void hook_page_init(page_t* page, tld_t* tld, uint16_t* side, bool fresh) {
  sec_page_init(page, tld, side, fresh);
}

void sec_extend(page_t* page, tld_t* tld, uint32_t first, uint32_t count);
mim_inline void hook_extend(page_t* page, tld_t* tld, uint32_t first, uint32_t count) {
  sec_extend(page, tld, first, count);
}

// `used` counts the blocks handed out and in the mail; the rest of 1..capacity is free, and the magazine is empty.
bool sec_refill(page_t* page, tld_t* tld);
mim_inline bool hook_collect(page_t* page, tld_t* tld) {
  return page->used < page->capacity && sec_refill(page, tld);
}

mim_inline bool hook_prefers_extension(const page_t* page) {
  return page->capacity - page->used < HOOK_EXTEND_BLOCKS(page->stride);
}

uint16_t* sec_page_done(page_t* page, bool discard, bool* zero);
mim_inline uint16_t* hook_page_done(page_t* page, bool discard, bool* zero) {
  return sec_page_done(page, discard, zero);
}

// Read by sec_large_freed. A slot without this has no entries.
mim_inline void hook_large_gone(page_t* slot, uintptr_t block, size_t request) {
  slot->hook.entries = (uint16_t*)block;
  slot->hook.fence = request;
}

// ---- blocks, off the fast path ---------------------------------------------------------------------------------------

size_t sec_usable(page_t* page, const void* p);
mim_inline size_t hook_usable(page_t* page, const void* p) {
  place_t place = page_place(page, p);
  if (mim_likely(place.start) && mim_likely(page->block_size != 0)) {  // not a large one
    size_t slack = live_slack(page, place.index, FAMILY_ANY);
    if (mim_likely(slack <= SLACK_MAX)) return page->block_size - slack;
  }
  return sec_usable(page, p);
}

bool sec_check_live(page_t* page, const void* p, family_t family);
mim_inline bool hook_check_live(page_t* page, const void* p, family_t family) {
  place_t place = page_place(page, p);
  if (mim_likely(place.start) && mim_likely(page->kind & (KIND_QUICK | KIND_BARE))) {
    size_t slack = live_slack(page, place.index, family);
    if (mim_likely(slack <= SLACK_MAX) &&
        ((page->kind & KIND_BARE) || fence_holds(page, place.index, (const uint8_t*)p + page->block_size, slack))) {
      return true;
    }
  }
  return sec_check_live(page, p, family);
}

bool sec_resize(page_t* page, void* p, size_t old_size, size_t new_size, bool zero);
mim_inline bool hook_resize(page_t* page, void* p, size_t old_size, size_t new_size, bool zero) {
  return sec_resize(page, p, old_size, new_size, zero);
}

bool sec_block_states(page_t* page, uint64_t* free_map);
mim_inline bool hook_block_states(page_t* page, uint64_t* free_map) {
  return sec_block_states(page, free_map);
}

void sec_large_out(page_t* page, tld_t* tld, size_t size, family_t family);
mim_inline void hook_large_out(page_t* page, tld_t* tld, size_t size, family_t family) {
  sec_large_out(page, tld, size, family);
}

// One OS page for the guard.
mim_inline size_t hook_large_extra(void) {
  return mim_process.hook.os_page;
}

// Sampled blocks end at their guard, and so do all in profiles with a quarantine: rather a copy than a gap.
mim_inline bool hook_may_grow(const page_t* page) {
  return !(page->kind & KIND_SAMPLED) && !(mim_process.hook.mechanisms & SEC_QUARANTINE);
}

void* sec_sample(heap_t* heap, size_t size, size_t align, family_t family, bool zero);
mim_inline void* hook_sample(heap_t* heap, size_t size, size_t align, family_t family, bool zero) {
  return sec_sample(heap, size, align, family, zero);
}

page_t* sec_hold(page_t* page);
mim_inline page_t* hook_hold(page_t* page) {
  return sec_hold(page);
}

page_t* sec_hold_take(size_t slices, size_t* used);
mim_inline page_t* hook_large_take(size_t slices, size_t* used) {
  return sec_hold_take(slices, used);
}

page_t* sec_hold_out(void);
mim_inline page_t* hook_last_resort(void) {
  return sec_hold_out();
}

bool sec_hold_age(bool all, page_t** given_up);
mim_inline bool hook_age(bool all, page_t** given_up) {
  return sec_hold_age(all, given_up);
}

void sec_invalid_heap(const heap_t* heap, const char* what);
mim_inline void hook_invalid_heap(const heap_t* heap, const char* what) {
  sec_invalid_heap(heap, what);
}

void sec_foreign(const void* p, const char* what);
mim_inline void hook_foreign(const void* p, const char* what) {
  sec_foreign(p, what);
}

// ---- memory of the region --------------------------------------------------------------------------------------------

void sec_guard_segment(hook_segment_t* guards, uint8_t* start);
mim_inline void hook_segment_init(hook_segment_t* guards, uint8_t* start) {
  sec_guard_segment(guards, start);
}

mim_inline void hook_segment_guards(const hook_segment_t* guards, uint64_t* tails, uint64_t* all) {
  memcpy(tails, guards->tail, sizeof(guards->tail));
  memcpy(all, guards->all, sizeof(guards->all));
}

#define HOOK_SEGMENT_BYTES ((size_t)1024)

unsigned sec_isolate_choices(void);
mim_inline unsigned hook_choices(void) {
  return sec_isolate_choices();
}

bool sec_isolate_adds(unsigned choice);
mim_inline bool hook_choice_adds(unsigned choice) {
  return sec_isolate_adds(choice);
}

const uint64_t* sec_isolate_choose(const hook_segment_t* segment, const uint64_t* free, size_t bin, unsigned choice,
                                   uint64_t* chosen);
mim_inline const uint64_t* hook_choose(const hook_segment_t* segment, const uint64_t* free, size_t bin, unsigned choice,
                                       uint64_t* chosen) {
  return sec_isolate_choose(segment, free, bin, choice, chosen);
}

void sec_isolate_bind(hook_segment_t* segment, size_t first, size_t slices, size_t bin);
bool sec_guard_span_out(hook_segment_t* guards, uint8_t* base, size_t first, size_t slices, size_t used);
mim_inline bool hook_span_out(hook_segment_t* guards, uint8_t* base, size_t first, size_t slices, size_t used,
                              size_t bin) {
  sec_isolate_bind(guards, first, slices, bin);
  return sec_guard_span_out(guards, base, first, slices, used);
}

bool sec_guard_span_grow(hook_segment_t* guards, uint8_t* base, size_t first, size_t used, size_t more, bool* zero);
mim_inline bool hook_span_grow(hook_segment_t* guards, uint8_t* base, size_t first, size_t used, size_t more,
                               bool* zero) {
  return sec_guard_span_grow(guards, base, first, used, more, zero);
}

bool sec_guard_span_back(hook_segment_t* guards, uint8_t* base, size_t first, size_t slices, span_kind_t kind);
mim_inline bool hook_span_back(hook_segment_t* guards, uint8_t* base, size_t first, size_t slices, span_kind_t kind) {
  return sec_guard_span_back(guards, base, first, slices, kind);
}

void* sec_region_hint(size_t size);
mim_inline void* hook_region_hint(size_t size) {
  return sec_region_hint(size);
}

// ---- life of the process ---------------------------------------------------------------------------------------------

void sec_keys_seed(void);
mim_inline void hook_process_seed(void) {
  sec_keys_seed();
}

void sec_process_init(void);
mim_inline void hook_process_init(void) {
  sec_process_init();
}

void sec_seal(void);
mim_inline void hook_process_ready(void) {
  sec_seal();
}

void sec_fork_prepare(void);
mim_inline void hook_fork_prepare(void) {
  sec_fork_prepare();
}
void sec_fork_parent(void);
mim_inline void hook_fork_parent(void) {
  sec_fork_parent();
}
void sec_keys_fork_child(void);
void sec_entry_fork_child(void);
void sec_sample_fork_child(void);
void sec_hold_fork_child(void);
void sec_report_fork_child(void);
void sec_fault_fork_child(void);
mim_inline void hook_fork_child(void) {
  sec_keys_fork_child();
  sec_entry_fork_child();
  sec_sample_fork_child();
  sec_hold_fork_child();
  sec_report_fork_child();
  sec_fault_fork_child();
}

void sec_keys_thread(hook_thread_t* thread);
void sec_fault_thread(hook_thread_t* thread);
void sec_sample_thread(tld_t* tld);
mim_inline void hook_thread_init(tld_t* tld) {
  sec_keys_thread(&tld->hook);
  sec_sample_thread(tld);
  sec_fault_thread(&tld->hook);
}

// All blocks kept out of use go back to their pages; with `ends` none is kept any more.
void sec_quarantine_flush(tld_t* tld);
void sec_quarantine_close(tld_t* tld);
mim_inline void hook_let_go(tld_t* tld, bool ends) {
  if (ends) {
    sec_quarantine_close(tld);
  } else {
    sec_quarantine_flush(tld);
  }
}

void sec_memzero(void* p, size_t size);
void sec_fault_thread_done(hook_thread_t* thread);
mim_inline void hook_thread_done(tld_t* tld) {
  sec_fault_thread_done(&tld->hook);
  sec_memzero(&tld->hook, sizeof(tld->hook));
}

void sec_stats(struct mi_stats_s* stats);
mim_inline void hook_stats(struct mi_stats_s* stats) {
  sec_stats(stats);
}

void sec_print(void (*line)(const char* text, void* arg), void* arg);
mim_inline void hook_print(void (*line)(const char* text, void* arg), void* arg) {
  sec_print(line, arg);
}

#endif
