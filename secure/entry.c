// Pages of the secure build, off the fast path: making the side array, filling the magazine, giving it all up. What
// states and the magazine are, and what they stop, is told in entry.h.
#include "quarantine.h"
#include "sample.h"
#include "wipe.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

static size_t page_bytes(const page_t* page) {
  return (size_t)page->slices << SLICE_SHIFT;
}

// States of a page: one for each index an address of its slices can have, and some to spare, since free_mask reads 16.
static size_t state_count(const page_t* page) {
  return page_bytes(page) / page->stride + STATES_SPARE;
}

static bool has_guarded_blocks(const page_t* page) {
  return page->block_size != 0 && page->stride > page->block_size;
}

// Four at a time, by plain stores: of blocks that nobody has an address of yet.
static void fill_states(page_t* page, size_t first, size_t count, unsigned state) {
  uint16_t* entry = page->hook.entries + first;
  uint64_t four = (uint64_t)(uint16_t)(state ^ page->hook_key) * 0x0001000100010001u;
  size_t i = 0;
  for (; i + 4 <= count; i += 4) memcpy(entry + i, &four, sizeof(four));
  for (; i < count; i++) entry[i] = (uint16_t)four;
}

// ---- making a page --------------------------------------------------------------------------------------------------

void sec_page_init(page_t* page, tld_t* tld, uint16_t* side, bool fresh) {
  const hook_process_t* policy = &mim_process.hook;
  page->hook.entries = side + MAGAZINE_ROOM;
  page->hook_key = (uint16_t)sec_random64(&tld->hook);
  page->hook.fence = sec_random64(&tld->hook) | 1;
  // The limit is of requests: blocks of the largest have the pad on top, those of the aligned set are a bin larger.
  uint64_t limit = policy->wipe_limit + max_size(policy->wipe_limit / 8, HOOK_BIN_PAD);
  bool wipe = (policy->mechanisms & SEC_WIPE) && page->block_size != 0 && page->block_size <= limit;
  if (page->origin % MIN_ALIGN != 0) wipe = false;  // aligned at an odd offset: the stores would fault
  if ((policy->mechanisms & SEC_FENCE) && page->block_size != 0) {
    page->kind |= KIND_FENCE;
    if (!has_guarded_blocks(page)) page->kind |= KIND_DENSE;
  }
  if (wipe) page->kind |= KIND_WIPE;
  bool quarantine = sec_quarantine_wants(page);
  if (wipe && (page->kind & KIND_DENSE) && page->block_size <= QUICK_MAX) {
    page->kind |= KIND_QUICK;
    if (!quarantine) page->kind |= KIND_QUICK_BACK;
  }
  if (!(page->kind & KIND_FENCE) && !wipe && !quarantine) page->kind |= KIND_BARE;
  fill_states(page, 0, state_count(page), STATE_NEVER | (unsigned)fresh);
}

void sec_extend(page_t* page, tld_t* tld, uint32_t first, uint32_t count) {
  (void)tld;
  bool clear = (page->kind & KIND_WIPE) && !(page->flags & PAGE_ZERO);
  uint8_t* p = page_block(page, first);
  if (clear && !has_guarded_blocks(page)) memset(p, 0, (size_t)count * page->stride);
  if (clear && has_guarded_blocks(page)) {
    for (uint32_t i = 0; i < count; i++) memset(p + (size_t)i * page->stride, 0, page->block_size);
  }
  if (page->kind & KIND_DENSE) {
    uint64_t mixed = fence_mix(page, first);
    for (uint32_t i = 0; i < count; i++, mixed = fence_mix_next(page, mixed)) {
      p += page->stride;
      p[-1] = fence_last_of(mixed);
    }
  }
  fill_states(page, first, count, state_get(page, first) & STATE_FRESH);  // all of a page are alike
  if (has_guarded_blocks(page)) sec_guard_blocks(page, first, count);
}

// ---- the magazine ---------------------------------------------------------------------------------------------------

#if defined(__SSE2__)
// Other threads may be exchanging states of live blocks meanwhile; which of their two states is seen does not matter, as
// neither is free. Each state is seen whole: the processor reads aligned 8 bytes at once, and the compiler, which
// promises nothing for a plain load here, does not see this one.
mim_inline __m128i eight_states(const uint16_t* entries) {
  __m128i states;
  __asm__("movdqu %1, %0" : "=x"(states) : "m"(*(const __m128i*)(const void*)entries));
  return states;
}
#endif

// Bit i of the result: entry i of 16 is free. `code`: an encrypted state, free but for its lowest bit.
static uint32_t free_mask(const uint16_t* entries, uint16_t code) {
#if defined(__SSE2__)
  __m128i wanted = _mm_set1_epi16((short)code), low = _mm_set1_epi16(1);
  __m128i a = _mm_cmpeq_epi16(_mm_or_si128(eight_states(entries), low), wanted);
  __m128i b = _mm_cmpeq_epi16(_mm_or_si128(eight_states(entries + 8), low), wanted);
  return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(a, b));
#else
  uint32_t mask = 0;
  for (size_t i = 0; i < 16; i++) {
    mask |= (uint32_t)((__atomic_load_n(&entries[i], __ATOMIC_RELAXED) | 1) == code) << i;
  }
  return mask;
#endif
}

// Adds free blocks with indices in [from, to) to the magazine, each in a random place among those that are there, until
// it is full. `from` is a multiple of 16. Returns how many there are then.
static size_t gather(page_t* page, size_t from, size_t to, size_t count, uint64_t* random) {
  const uint16_t* entries = page->hook.entries;
  uint16_t key = page->hook_key;
  uint16_t* magazine = magazine_at(page, 1);
  uint64_t state = *random;
  for (size_t i = from; i < to && count < MAGAZINE_SIZE; i += 16) {
    for (uint32_t mask = free_mask(entries + i, key | 1); mask != 0; mask &= mask - 1) {
      uint16_t index = (uint16_t)(i ^ key ^ (size_t)__builtin_ctz(mask));
      size_t place = sec_random_below(&state, count + 1);  // Fisher-Yates, inside out
      magazine[count++] = magazine[place];
      magazine[place] = index;
    }
  }
  *random = state;
  return count;
}

bool sec_refill(page_t* page, tld_t* tld) {
  assert_int(page->free == 0);
  uint64_t random = sec_random64(&tld->hook) | 1;
  size_t end = (size_t)page->capacity + 1;
  size_t from = 0;
  if (page->capacity - page->used > MAGAZINE_SIZE) from = align_down(sec_random_below(&random, end), 16);
  size_t count = gather(page, from, end, 0, &random);
  if (from > 0) count = gather(page, 0, from, count, &random);
  // The only free block is the one freed last: for once the page passes for full, and another one serves.
  if (count == 1 && page->capacity > 1 && magazine_get(page, 1) == page->local_free) {
    page->local_free = 0;
    return false;
  }
  size_t top = count;
  if ((mim_process.hook.mechanisms & SEC_SAMPLE) && count > 0) top = sec_sample_trim(tld, page, count);
  if (count > 1 && magazine_get(page, top) == page->local_free) {  // the last one freed is not the next handed out
    size_t place = sec_random_below(&random, count - 1) + 1;
    if (place == top) place = count;
    uint16_t swapped = *magazine_at(page, place);
    *magazine_at(page, place) = *magazine_at(page, top);
    *magazine_at(page, top) = swapped;
  }
  page->free = top;
  page->local_free = 0;
  return count != 0;
}

// ---- handing out what the fast path declined ------------------------------------------------------------------------

fence_bytes_t sec_tail_of(const page_t* page, uintptr_t index) {
  return (page->kind & KIND_DENSE) ? fence_tail(fence_pattern(page, index)) : (fence_bytes_t){0};
}

static void* hand_out_any(page_t* page, uintptr_t index, size_t size, family_t family, bool zero) {
  if (!state_is_free(state_get(page, index))) return NULL;
  uint8_t* p = page_block(page, index);
  size_t block_size = page->block_size;
  size_t slack = block_size - size;
  if (page->kind & KIND_WIPE) {
    if (mim_unlikely(!wipe_holds(p, block_size, sec_tail_of(page, index)))) return NULL;
  } else if (zero) {
    memset(p, 0, size);
  }
  state_set(page, index, state_live(family, slack));
  if ((page->kind & KIND_FENCE) && slack != 0) fence_set(fence_pattern(page, index), p + block_size, slack);
  return p;
}

// A child would hand out the blocks already drawn in the order its parent and its siblings do. It draws anew.
void sec_entry_fork_child(void) {
  for (heap_t* heap = mim_tls.tld->heaps; heap != NULL; heap = heap->next) {
    for (size_t bin = 0; bin < BIN_COUNT; bin++) {
      for (page_t* page = heap->bins[bin].first; page != NULL; page = page->next) {
        if (page->free != 0) page->free = 0;  // reads alone do not copy the OS page for the child
      }
    }
  }
}

void* sec_hand_out_slow(page_t* page, uintptr_t index, size_t size, family_t family, bool zero) {
  void* p = hand_out_any(page, index, size, family, zero);
  if (mim_likely(p != NULL)) return p;
  if (!state_is_free(state_get(page, index))) {
    sec_fatal(MI_FAULT_CORRUPT_LINK, page_block(page, index), "a block to be handed out is not free");
  }
  sec_wipe_broken(page, index);
  return hand_out_any(page, index, size, family, zero);
}

// ---- giving a page up -----------------------------------------------------------------------------------------------

// The live blocks of a page that goes with its heap: their fences are looked at, and they are wiped.
static void discard_blocks(page_t* page) {
  for (uint32_t i = 1; i <= page->capacity; i++) {
    uint16_t state = state_get(page, i);
    if (state_is_live(state)) sec_take_apart(page, i, page_block(page, i), state);
  }
}

uint16_t* sec_page_done(page_t* page, bool discard, bool* zero) {
  if (page->kind & KIND_LARGE) {
    if (state_get(page, 1) != STATE_HELD) sec_large_back(page);
    if (page->kind & KIND_SAMPLED) sec_sample_done(page);
    return NULL;
  }
  if (discard && (page->kind & (KIND_FENCE | KIND_WIPE))) discard_blocks(page);
  // What the page was never extended to is as it was when the page was made.
  *zero = (page->kind & (KIND_WIPE | KIND_DENSE)) == KIND_WIPE && (page->flags & PAGE_ZERO);
  return page->hook.entries - MAGAZINE_ROOM;
}

bool sec_block_states(page_t* page, uint64_t* free_map) {
  size_t count = 0;
  for (uint32_t i = 1; i <= page->capacity; i++) {
    uint16_t state = state_get(page, i);
    bool is_free = state_is_free(state);
    if (is_free) count++;
    if (is_free || state == STATE_QUARANTINED) free_map[i / 64] |= (uint64_t)1 << (i % 64);
  }
  return count + page->used == page->capacity;
}

// ---- bins -----------------------------------------------------------------------------------------------------------

bin_t sec_bin(size_t nominal, bool aligned) {
  size_t os_page = mim_process.hook.os_page;
  if ((mim_process.hook.mechanisms & SEC_BLOCK_GUARD) && nominal != 0 && nominal % os_page == 0) {
    return (bin_t){.block_size = (uint32_t)nominal, .stride = (uint32_t)(nominal + os_page), .room = (uint32_t)nominal};
  }
  uint32_t size = (uint32_t)(nominal + (aligned ? 0 : HOOK_BIN_PAD));
  return (bin_t){.block_size = size, .stride = size, .room = size - (uint32_t)HOOK_MIN_SLACK};
}
