// Pages: making one, extending it, giving it back. Called with the page owned by the calling thread.
#include "internal.h"
#include "probes.h"

// Ticks of the generic path that an empty page is kept for.
#define RETIRE_AGE 8
// What a heap keeps of empty pages besides the last of each bin, in slices; of those with a guard behind each block more,
// the others included, as each guard is a system call.
#define KEEP_SLICES 64
#define GUARDED_KEEP_SLICES 256

static size_t page_bytes(const page_t* page) {
  return (size_t)page->slices << SLICE_SHIFT;
}

// Pages come into use and go: 1, -1.
static void page_count(stats_t* stats, size_t bin, int64_t amount) {
  mim_stat_add(&stats->pages, amount);
  mim_stat_add(&stats->page_bins[bin], amount);
}

// Claims the slots of a span for a page owned by the heap's thread. Publishing the slots is safe in any order: nobody
// has an address in the page before this returns.
static page_t* page_claim(heap_t* heap, const span_t* span, size_t bin) {
  page_t* page = &mim_process.slots[span->slice];
  for (size_t i = 1; i < span->slices; i++) {
    mim_slot_set_back(&page[i], i << SLOT_SHIFT);
  }
  page->slices = (uint32_t)span->slices;
  page->bin = (uint8_t)bin;
  mim_page_set_heap(page, heap);
  page->kind = 0;
  page->flags = span->zero ? PAGE_ZERO : 0;
  page->free = page->local_free = 0;
  page->used = 0;
  page->retire_age = 0;
  page->next = page->prev = NULL;
  atomic_store_explicit(&page->owner, heap->tld, memory_order_release);
  heap->page_count++;
  page_count(&heap->tld->stats, bin, 1);
  return page;
}

static page_t* page_make(heap_t* heap, size_t bin, const bin_t* shape, size_t first_offset) {
  size_t bytes = shape->slices * SLICE_SIZE;
  size_t usable = bytes - hook_page_tail();
  span_t span = mim_region_alloc(shape->slices, SLICE_SIZE, shape->block_size == 0 ? 0 : usable, heap->arena, false,
                                 bin);
  if (span.start == NULL) return NULL;
  size_t side_bytes = hook_side_bytes(bytes, shape->stride);
  uint16_t* side = NULL;
  if (side_bytes > 0) {
    side = mim_meta_alloc(side_bytes);
    if (side == NULL) {
      mim_region_free(span.slice, span.slices, span.zero, SPAN_BLOCKS);
      return NULL;
    }
  }
  page_t* page = page_claim(heap, &span, bin);
  page->stride = shape->stride;
  page->block_size = shape->block_size;
  page->origin = (uintptr_t)span.start + first_offset - shape->stride;
  page->capacity = 0;
  page->reserved = (uint32_t)((usable - first_offset) / shape->stride);
  hook_page_init(page, heap->tld, side, span.fresh);
  mim_page_set_reciprocal(page, UINT64_MAX / shape->stride + 1);
  probe_page_fresh(span.start, bytes, shape->block_size);
  return page;
}

page_t* mim_page_fresh(heap_t* heap, size_t bin) {
  return page_make(heap, bin, &mim_bins[bin], 0);
}

page_t* mim_page_fresh_odd(heap_t* heap, size_t size, size_t align, size_t offset) {
  uint32_t block_size = (uint32_t)align_up(max_size(size + HOOK_MIN_SLACK, 1), align);
  bin_t shape = {.block_size = block_size, .stride = block_size};
  if (HOOK_ZERO_BIN && size == 0) shape = (bin_t){.block_size = 0, .stride = (uint32_t)align};
  shape.slices = (uint16_t)(block_size <= SMALL_PAGE_BLOCK_MAX ? 1 : MEDIUM_SLICES);
  size_t residue = (align - offset % align) % align;
  return page_make(heap, BIN_ODD, &shape, residue);
}

bool mim_page_refill(page_t* page) {
  if (page->free != 0) return true;
  tld_t* tld = page->heap->tld;
  bool can_extend = page->capacity < page->reserved;
  if (!(can_extend && hook_prefers_extension(page)) && hook_collect(page, tld)) return true;
  if (!can_extend) return false;
  size_t count = max_size(HOOK_EXTEND_BYTES / page->stride, HOOK_EXTEND_BLOCKS(page->stride));
  count = min_size(count, page->reserved - page->capacity);
  uint32_t first = page->capacity + 1;
  page->capacity += (uint32_t)count;
  hook_extend(page, tld, first, (uint32_t)count);
  mim_count(&tld->stats.extended, 1);
  return page->free != 0 || hook_collect(page, tld);
}

// ---- large blocks ---------------------------------------------------------------------------------------------------

// Where a block of `size` bytes lies in [start, start + room): flush against the end or at the start, so that its
// address plus `offset` is a multiple of `align`.
static uintptr_t large_place(uintptr_t start, size_t room, size_t size, size_t align, size_t offset, bool flush) {
  if (flush) return align_down(start + room - size + offset, align) - offset;
  return align_up(start + offset, align) - offset;
}

// Zeroes a large block. Of a very large one the OS takes the memory back: it may have been used in a few places only,
// and the program may touch few of its pages.
#define CLEAR_MAX (4 * MIB)
static void large_clear(const page_t* page, uintptr_t start, size_t used, uintptr_t p, size_t size) {
  bool may_purge = size > CLEAR_MAX && mim_region_arena((size_t)(page - mim_process.slots)) == 0;
  if (!may_purge || !mim_os_purge((void*)start, used)) memset((void*)p, 0, size);
}

// The block of a page that is the heap's. `clear`: its memory has to be zeroed.
static void* large_make(heap_t* heap, page_t* page, size_t size, size_t align, size_t offset, size_t used,
                        family_t family, bool clear, bool flush) {
  uintptr_t start = (uintptr_t)mim_page_start(page);
  uintptr_t p = large_place(start, used, size, max_size(align, MIN_ALIGN), offset, flush);
  page->kind = KIND_LARGE;
  page->stride = 0;
  page->block_size = 0;
  page->origin = p - ((uintptr_t)1 << LARGE_STRIDE_SHIFT);
  page->large_request = size;
  page->large_size = start + used - p;
  page->used = 1;
  if (clear) large_clear(page, start, used, p, page->large_size);
  mim_stat_add(&heap->tld->stats.large, (int64_t)page->large_size);
  mim_stat_blocks(page, 1, size);
  hook_large_out(page, heap->tld, size, family);
  mim_page_set_reciprocal(page, LARGE_RECIPROCAL);  // whole from here on
  probe_page_fresh((void*)start, page_bytes(page), 0);
  mim_heap_page_full(heap, page);
  return (void*)p;
}

// A block that was kept when it was freed is used again.
static page_t* large_again(heap_t* heap, size_t slices, size_t* used) {
  page_t* page = hook_large_take(slices, used);
  if (page == NULL) return NULL;
  mim_page_set_reciprocal(page, 0);
  mim_stat_add(&heap->tld->stats.held, -(int64_t)page->large_size);
  page_count(&heap->tld->stats, BIN_LARGE, 1);
  page->flags = PAGE_ZERO;
  page->next = page->prev = NULL;
  mim_page_set_heap(page, heap);
  heap->page_count++;
  atomic_store_explicit(&page->owner, heap->tld, memory_order_release);
  return page;
}

void* mim_page_fresh_large(heap_t* heap, size_t size, size_t align, size_t offset, size_t room, family_t family,
                           bool zero, bool flush) {
  if (size > mim_process.region_size || align > mim_process.region_size) return NULL;
  // Whole OS pages are used; behind them lies the guard, if the layer wants one. An offset may shift the block by
  // up to the alignment.
  bool none = HOOK_ZERO_BIN && size == 0 && offset == 0;  // an address alone: all of its span is guard
  size_t used = none ? 0 : align_up(max_size(size, 1) + (offset != 0 ? align : 0), mim_os_page_size());
  size_t slices = div_up(used + hook_large_extra(), SLICE_SIZE);
  if (!HOOK_LARGE_FLUSH) used = slices * SLICE_SIZE;
  page_t* page = NULL;
  bool clear = false;
  if (room == 0 && used > 0 && align <= SLICE_SIZE && heap->arena == 0) page = large_again(heap, slices, &used);
  if (page == NULL) {
    // Of a single slice are only blocks whose memory goes back to the OS when they are freed: warm ones are for others.
    bool cold = slices == 1;
    slices += room / SLICE_SIZE;
    span_t span = mim_region_alloc(slices, max_size(align, SLICE_SIZE), used, heap->arena, cold, BIN_LARGE);
    if (span.start == NULL) return NULL;
    page = page_claim(heap, &span, BIN_LARGE);
    clear = zero && !span.zero;
  }
  void* p = large_make(heap, page, size, align, offset, used, family, clear, flush);
  if (zero) track_defined(p, size);
  return p;
}

bool mim_page_grow_large(page_t* page, const void* p, size_t size) {
  uintptr_t start = (uintptr_t)mim_page_start(page), end = (uintptr_t)p + page->large_size;
  size_t wanted = align_up((uintptr_t)p + size - start, mim_os_page_size());
  if (wanted + hook_large_extra() > page_bytes(page) || !hook_may_grow(page)) return false;
  bool zero;
  if (!mim_region_uncover((size_t)(page - mim_process.slots), page->slices, end - start, wanted, &zero)) return false;
  tld_t* tld = mim_tls.tld;
  if (tld != &mim_tld_empty) mim_stat_add(&tld->stats.large, (int64_t)(start + wanted - end));
  page->large_size = start + wanted - (uintptr_t)p;
  return true;
}

// ---- giving back ----------------------------------------------------------------------------------------------------

// The slot is of no page any more. Its owner stays one whom no walk over the slots can replace.
static void slot_clear(page_t* page) {
  atomic_store_explicit(&page->owner, &mim_tld_nobody, memory_order_relaxed);
  mim_page_set_reciprocal(page, 0);
  mim_page_set_heap(page, NULL);
  page->origin = 0;
  memset((uint8_t*)page + offsetof(page_t, stride), 0, offsetof(page_t, heap) - offsetof(page_t, stride));
}

// `held`: the layer kept it, a large block, and it does not count as a page in use since.
static void page_release(page_t* page, bool discard, bool held) {
  assert_int(discard || page->used == 0);
  bool zero = false;
  bool large = (page->kind & KIND_LARGE) != 0;
  size_t side_bytes = large ? 0 : hook_side_bytes(page_bytes(page), page->stride);
  span_kind_t kind = page->stride > page->block_size ? SPAN_GUARDED : SPAN_BLOCKS;
  if (large) kind = page->flags & PAGE_SEALED ? SPAN_SEALED : SPAN_LARGE;
  uint16_t* side = hook_page_done(page, discard, &zero);
  size_t slices = page->slices;
  probe_page_retire(mim_page_start(page), page_bytes(page));
  uintptr_t block = (uintptr_t)mim_page_large_block(page);
  size_t request = page->large_request;
  heap_t* heap = page->heap;
  stats_t* stats = &heap->tld->stats;
  heap->page_count--;
  if (!held) page_count(stats, page->bin, -1);
  if (large) mim_stat_add(held ? &stats->held : &stats->large, -(int64_t)page->large_size);
  if (discard && page->used > 0) mim_stat_blocks(page, -(int64_t)page->used, 0);
  for (size_t i = 1; i < slices; i++) mim_slot_set_back(&page[i], 0);
  slot_clear(page);
  if (large) hook_large_gone(page, block, request);
  if (side != NULL) mim_meta_free(side, side_bytes);
  mim_region_free((size_t)(page - mim_process.slots), slices, zero, kind);
}

void mim_page_release(page_t* page, bool discard) {
  page_release(page, discard, false);
}

void mim_page_give_up(heap_t* heap, page_t* page) {
  mim_page_set_heap(page, heap);
  heap->page_count++;
  page_release(page, false, (page->kind & KIND_LARGE) != 0);
}

void mim_page_empty(page_t* page) {
  heap_t* heap = page->heap;
  if (!(page->kind & KIND_LARGE) && (page->flags & PAGE_QUEUED)) {
    page_queue_t* queue = &heap->bins[page->bin];
    bool last = queue->first == page && queue->last == page;  // of its bin: likely to be needed again
    bool counted = (page->flags & PAGE_RETIRED) != 0;
    size_t most = page->stride > page->block_size ? GUARDED_KEEP_SLICES : KEEP_SLICES;
    bool dear = heap->retired_slices + page->slices <= most;
    if (last || dear || counted) {
      if (!counted) heap->retired_slices += page->slices;
      page->flags |= PAGE_RETIRED;
      page->retire_age = RETIRE_AGE;
      if (page->bin < heap->retired_min) heap->retired_min = page->bin;
      if (page->bin > heap->retired_max) heap->retired_max = page->bin;
      return;
    }
  }
  if (page->flags & (PAGE_QUEUED | PAGE_IN_FULL)) mim_heap_queue_remove(heap, page);
  mim_count(&heap->tld->stats.retired, 1);
  if (page->kind & KIND_LARGE) {
    int64_t size = (int64_t)page->large_size;  // another thread may use a page that is held
    page_t* given_up = hook_hold(page);
    if (given_up != page) {
      heap->page_count--;
      page_count(&heap->tld->stats, BIN_LARGE, -1);
      mim_stat_add(&heap->tld->stats.large, -size);
      mim_stat_add(&heap->tld->stats.held, size);
      for (page_t* next; given_up != NULL; given_up = next) {
        next = given_up->next;
        mim_page_give_up(heap, given_up);
      }
      return;
    }
  }
  mim_page_release(page, false);
}

// ---- checks and walks -----------------------------------------------------------------------------------------------

bool mim_page_is_valid(const page_t* page) {
  if (page->kind & KIND_LARGE) return page->used <= 1;
  if (page->capacity > page->reserved || page->used > page->capacity || page->stride == 0) return false;
  uint64_t free_map[(4096 + 64) / 64] = {0};
  return hook_block_states((page_t*)page, free_map);
}
