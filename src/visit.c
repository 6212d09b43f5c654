// Looking at heaps: walking a heap's pages and blocks, and whose block an address is.
//
// Pages are found through the slots, not through queues, since a full page of a thread's heap is in no queue and owned
// by nobody. Such a page is owned by the visitor while it looks at it. Other threads' pages are never touched.
#include "internal.h"

#define MAP_WORDS ((SLICE_SIZE / MIN_ALIGN + 63) / 64 + 1)

static bool is_large(const page_t* page) {
  return (page->kind & KIND_LARGE) != 0;
}

static uint8_t* block_at(const page_t* page, size_t index) {
  uintptr_t stride = is_large(page) ? (uintptr_t)1 << LARGE_STRIDE_SHIFT : page->stride;
  return (uint8_t*)(page->origin + index * stride);
}

static mi_heap_area_t area_of(const page_t* page, const heap_t* heap) {
  mi_heap_area_t area = {.blocks = block_at(page, 1), .used = page->used, .heap_tag = heap->tag};
  if (is_large(page)) {
    area.block_size = area.full_block_size = area.reserved = area.committed = page->large_size;
  } else {
    area.block_size = page->block_size;
    area.full_block_size = page->stride;
    area.reserved = (size_t)page->reserved * page->stride;
    area.committed = (size_t)page->capacity * page->stride;
  }
  return area;
}

static bool visit_blocks(page_t* page, const heap_t* heap, const mi_heap_area_t* area, mi_block_visit_fun* visitor,
                         void* arg) {
  if (is_large(page)) return page->used == 0 || visitor(heap, area, area->blocks, area->block_size, arg);
  uint64_t free_map[MAP_WORDS] = {0};
  hook_block_states(page, free_map);
  for (size_t i = 1; i <= page->capacity; i++) {
    if ((free_map[i / 64] >> (i % 64)) & 1) continue;
    if (!visitor(heap, area, block_at(page, i), area->block_size, arg)) return false;
  }
  return true;
}

static bool visit_page(page_t* page, const heap_t* heap, bool blocks, mi_block_visit_fun* visitor, void* arg) {
  mi_heap_area_t area = area_of(page, heap);
  if (!visitor(heap, &area, NULL, area.block_size, arg)) return false;
  return !blocks || visit_blocks(page, heap, &area, visitor, arg);
}

bool mi_heap_visit_blocks(const mi_heap_t* heap, bool blocks, mi_block_visit_fun* visitor, void* arg) {
  if (heap == NULL || heap->tld != mim_tls.tld || visitor == NULL) return false;
  mim_mail_deliver(heap->tld);
  bool more = true;
  for (size_t i = mim_region_slice_next(SIZE_MAX); more && i < mim_region_slices(); i = mim_region_slice_next(i)) {
    page_t* page = &mim_process.slots[i];
    if (!mim_page_look(page) || mim_page_heap(page) != heap) continue;
    tld_t* nobody = NULL;
    bool borrowed = atomic_compare_exchange_strong(&page->owner, &nobody, heap->tld);
    // Look again: it may have been another heap's meanwhile.
    if ((borrowed || mim_page_owner(page) == heap->tld) && mim_page_heap(page) == heap) {
      more = visit_page(page, heap, blocks, visitor, arg);
    }
    if (borrowed) atomic_store_explicit(&page->owner, NULL, memory_order_release);
  }
  return more;
}

bool mi_abandoned_visit_blocks(mi_subproc_id_t subproc, int heap_tag, bool blocks, mi_block_visit_fun* visitor,
                               void* arg) {
  heap_t* heap = mim_thread_heap();
  if (heap == NULL || subproc == NULL || visitor == NULL || mim_option(mi_option_visit_abandoned) == 0) return false;
  if (heap_tag > 0) return true;  // pages of heaps with a tag went to the thread's heap when they were deleted
  bool more = true;
  for (size_t i = mim_region_slice_next(SIZE_MAX); more && i < mim_region_slices(); i = mim_region_slice_next(i)) {
    page_t* page = &mim_process.slots[i];
    tld_t* nobody = NULL;
    if (!mim_page_look(page) || mim_page_owner(page) != NULL) continue;
    if (!atomic_compare_exchange_strong(&page->owner, &nobody, heap->tld)) continue;
    if ((page->flags & PAGE_LISTED) && mim_heap_subproc(page) == subproc) {
      more = visit_page(page, heap, blocks, visitor, arg);
    }
    atomic_store_explicit(&page->owner, NULL, memory_order_release);
  }
  return more;
}

// ---- whose block is it? ---------------------------------------------------------------------------------------------

// The page of an address, if it is one of this heap and the address lies among its blocks.
static page_t* page_in_heap(const heap_t* heap, const void* p) {
  page_t* page = mim_page_seek(p);
  if (heap == NULL || page == NULL || !mim_page_look(page) || mim_page_heap(page) != heap) return NULL;
  return (uintptr_t)p >= (uintptr_t)block_at(page, 1) ? page : NULL;
}

bool mi_heap_contains_block(mi_heap_t* heap, const void* p) {
  page_t* page = page_in_heap(heap, p);
  if (page == NULL) return false;
  if (is_large(page)) return p == block_at(page, 1);
  size_t offset = (uintptr_t)p - page->origin;
  if (offset % page->stride != 0 || offset / page->stride > page->capacity) return false;
  if (mim_page_owner(page) != heap->tld) return true;  // full, so there is no free block
  uint64_t free_map[MAP_WORDS] = {0};
  hook_block_states(page, free_map);
  size_t index = offset / page->stride;
  return ((free_map[index / 64] >> (index % 64)) & 1) == 0;
}

bool mi_heap_check_owned(mi_heap_t* heap, const void* p) {
  page_t* page = page_in_heap(heap, p);
  if (page == NULL) return false;
  if (is_large(page)) return (uintptr_t)p - (uintptr_t)block_at(page, 1) < page->large_size;
  size_t offset = (uintptr_t)p - page->origin;
  return offset / page->stride <= page->capacity && offset % page->stride < page->block_size;
}

bool mi_check_owned(const void* p) {
  return mi_heap_check_owned(mim_thread_heap(), p);
}

bool mi_heap_contains(const mi_heap_t* heap, const void* p) {
  return mi_heap_contains_block((heap_t*)heap, p);
}

mi_heap_t* mi_heap_of(const void* p) {
  page_t* page = mim_page_seek(p);
  return page == NULL || !mim_page_look(page) ? NULL : mim_page_heap(page);
}

bool mi_is_in_heap_region(const void* p) {
  page_t* page = mim_page_seek(p);
  return page != NULL && mim_page_look(page);
}

bool mi_any_heap_contains(const void* p) {
  return mi_is_in_heap_region(p);
}

bool mi_unsafe_heap_page_is_under_utilized(mi_heap_t* heap, void* p, size_t perc_threshold) {
  page_t* page = page_in_heap(heap, p);
  if (page == NULL || is_large(page) || mim_page_owner(page) != heap->tld) return false;
  const page_queue_t* queue = &heap->bins[page->bin];
  if (queue->first == queue->last || queue->first == page) return false;
  return (size_t)page->used * 100 < perc_threshold * page->reserved;
}
