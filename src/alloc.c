// Allocation off the fast path: finding or making a page that has a free block, large blocks, aligned blocks; and, since
// this path is taken at least once for every page's worth of blocks, all the work that is put off until then.
#include "fastpath.h"

// ---- deferred work --------------------------------------------------------------------------------------------------

static _Atomic(mi_deferred_free_fun*) deferred_free;
static _Atomic(void*) deferred_arg;

void mi_register_deferred_free(mi_deferred_free_fun* fun, void* arg) {
  atomic_store_explicit(&deferred_arg, arg, memory_order_relaxed);
  atomic_store_explicit(&deferred_free, fun, memory_order_release);
}

void mim_deferred_free(heap_t* heap, bool force) {
  tld_t* tld = heap->tld;
  tld->heartbeat++;
  mi_deferred_free_fun* fun = atomic_load_explicit(&deferred_free, memory_order_acquire);
  if (fun == NULL || tld->recursing) return;
  tld->recursing = true;
  fun(force, tld->heartbeat, atomic_load_explicit(&deferred_arg, memory_order_relaxed));
  tld->recursing = false;
}

// Every call of the generic path calls the deferred free function and looks into the inbox; one in as many as the option
// generic_collect says does the rest.

static void generic_tick(heap_t* heap) {
  tld_t* tld = heap->tld;
  mim_deferred_free(heap, false);
  mim_mail_deliver(tld);
  if (++tld->generic_count < (uint32_t)mim_option(mi_option_generic_collect)) return;
  mim_count(&tld->stats.generic, tld->generic_count);
  tld->generic_count = 0;
  mim_mail_flush(tld);
  for (heap_t* each = tld->heaps; each != NULL; each = each->next) mim_heap_retire_tick(each, false);
  mim_heap_age(heap, false);
  mim_region_purge(false);
  assert_walk(mim_heap_is_valid(heap));
}

// ---- finding a page -------------------------------------------------------------------------------------------------

// A page of the bin that has a free block. Pages that turn out full leave the queue on the way.
static page_t* page_find(heap_t* heap, size_t bin) {
  page_queue_t* queue = &heap->bins[bin];
  heap->allocates[bin / 64] |= (uint64_t)1 << (bin % 64);
  for (page_t *page = queue->first, *next; page != NULL; page = next) {
    next = page->next;
    mim_count(&heap->tld->stats.searched, 1);
    if (mim_page_refill(page)) return page;
    mim_heap_page_full(heap, page);
  }
  for (page_t* page; (page = mim_heap_reclaim(heap, bin)) != NULL;) {
    if (mim_page_refill(page)) return page;
    mim_heap_page_full(heap, page);
  }
  page_t* page = mim_page_fresh(heap, bin);
  if (page == NULL) return NULL;
  mim_heap_queue_push(heap, page, true);
  return mim_page_refill(page) ? page : NULL;
}

static void* hand_out(page_t* page, size_t size, family_t family, bool zero) {
  page->used++;
  mim_stat_blocks(page, 1, size);
  uintptr_t ref = hook_pop(page);
  void* p = hook_hand_out(page, ref, size, family, zero);
  return mim_likely(p != NULL) ? p : hook_hand_out_slow(page, ref, size, family, zero);
}

void* mim_hand_out_slow(page_t* page, uintptr_t ref, size_t size, family_t family, bool zero) {
  return hook_hand_out_slow(page, ref, size, family, zero);
}

static void* malloc_binned(heap_t* heap, size_t size, family_t family, bool zero) {
  size_t bin = HOOK_ZERO_BIN && size == 0 ? BIN_ZERO : mim_bin_of(size);
  page_t* page = page_find(heap, bin);
  return page == NULL ? NULL : hand_out(page, size, family, zero);
}

void* mim_fail(int error, size_t size) {
  if (error == ENOMEM) {
    mim_error(ENOMEM, "out of memory: %zu bytes", size);
  } else if (error == EOVERFLOW) {
    mim_error(EOVERFLOW, "size of the request is too large: %zu bytes", size);
    error = ENOMEM;
  } else if (error == EINVAL) {
    mim_error(EINVAL, "not a valid alignment or argument: %zu", size);
  }
  errno = error;
  return NULL;
}

// ---- the generic path -----------------------------------------------------------------------------------------------

// The heap to allocate from: that of the thread where none is named, or, after a report, one that is not the thread's.
// NULL: out of memory.
static heap_t* heap_for(heap_t* heap, const char* what) {
  if (heap == NULL || heap == &mim_heap_empty) return mim_thread_heap();
  if (mim_likely(heap->tld == mim_tls.tld)) return heap;
  hook_invalid_heap(heap, what);
  return mim_thread_heap();
}

heap_t* mim_heap_not_ours(const heap_t* heap) {
  hook_invalid_heap(heap, "mi_heap_malloc");
  return mim_tls.heap;
}

static void* malloc_generic(heap_t* heap, size_t size, size_t room, family_t family, bool zero) {
  heap = heap_for(heap, "mi_heap_malloc");
  if (mim_unlikely(heap == NULL)) return mim_fail(ENOMEM, size);
  if (mim_unlikely(size > MAX_REQUEST)) {
    mim_thread_return(heap);
    return mim_fail(EOVERFLOW, size);
  }
  generic_tick(heap);
  void* p = NULL;
  for (int attempt = 0; attempt < 2 && p == NULL; attempt++) {
    if (attempt > 0) {  // out of memory: give back what we can, and try once more
      mim_heap_out_of_memory(heap);
      room = 0;
    }
    p = hook_sample(heap, size, MIN_ALIGN, family, zero);
    if (mim_unlikely(p != NULL)) break;
    p = size <= MEDIUM_MAX ? malloc_binned(heap, size, family, zero)
                           : mim_page_fresh_large(heap, size, MIN_ALIGN, 0, room, family, zero, HOOK_LARGE_FLUSH);
  }
  mim_thread_return(heap);
  return mim_likely(p != NULL) ? p : mim_fail(ENOMEM, size);
}

// Blocks above SMALL_MAX have no direct table, but the first page of their bin, which mostly has a free block. What was
// put off then waits until the page's list is empty, as it does on the fast path.
void* mim_malloc_generic(size_t size, heap_t* heap, family_t family, bool zero) {
  if (size - SMALL_MAX - 1 < MEDIUM_MAX - SMALL_MAX && mim_likely(heap != NULL)) {
    page_t* page = heap->bins[mim_bin_of(size)].first;
    if (mim_likely(page != NULL && page->free != 0)) return hand_out(page, size, family, zero);
  }
  return malloc_generic(heap, size, 0, family, zero);
}

// Address space is all that room costs; a block that grows by steps is then copied as often as it doubles.
#define ROOM_MAX (256 * MIB)

void* mim_malloc_growing(heap_t* heap, size_t size, family_t family) {
  bool roomy = size > MEDIUM_MAX && size < mim_process.region_size / 1024;
  return malloc_generic(heap, size, roomy ? min_size(size, ROOM_MAX) : 0, family, false);
}

// ---- aligned --------------------------------------------------------------------------------------------------------

// Aligned at an offset: pages whose blocks are all shifted alike, each page with a block size and a shift of its own.
static void* malloc_odd(heap_t* heap, size_t size, size_t align, size_t offset, family_t family, bool zero) {
  bool none = HOOK_ZERO_BIN && size == 0;  // no memory at all, only an address for each
  size_t block_size = none ? 0 : align_up(max_size(size + HOOK_MIN_SLACK, 1), align);
  size_t stride = none ? align : block_size;
  for (page_t *page = heap->bins[BIN_ODD].first, *next; page != NULL; page = next) {
    next = page->next;
    bool fits = page->block_size == block_size && page->stride == stride &&
                ((page->origin + page->stride + offset) & (align - 1)) == 0;
    if (fits && mim_page_refill(page)) return hand_out(page, size, family, zero);
    if (fits) mim_heap_page_full(heap, page);
  }
  page_t* page = mim_page_fresh_odd(heap, size, align, offset);
  if (page == NULL) return NULL;
  mim_heap_queue_push(heap, page, true);
  return mim_page_refill(page) ? hand_out(page, size, family, zero) : NULL;
}

static void* aligned_try(heap_t* heap, size_t size, size_t align, size_t offset, family_t family, bool zero) {
  if (offset % align == 0) {
    void* p = hook_sample(heap, size, align, family, zero);
    if (mim_unlikely(p != NULL)) return p;
  }
  if (HOOK_ZERO_BIN && size == 0 && align <= BIN_ALIGN_MAX) {
    return malloc_odd(heap, size, align, offset, family, zero);
  }
  if (align <= BIN_ALIGN_MAX && offset % align == 0) {
    size_t bin = mim_bin_of_aligned(size, align);
    if (bin != 0) {
      page_t* page = page_find(heap, bin);
      return page == NULL ? NULL : hand_out(page, size, family, zero);
    }
  } else if (align <= BIN_ALIGN_MAX && size + align <= MEDIUM_MAX) {
    return malloc_odd(heap, size, align, offset, family, zero);
  }
  return mim_page_fresh_large(heap, size, align, offset % align, 0, family, zero, HOOK_LARGE_FLUSH);
}

void* mim_malloc_aligned(heap_t* heap, size_t size, size_t align, size_t offset, family_t family, bool zero) {
  if (mim_unlikely(!is_power_of_two(align))) return mim_fail(EINVAL, align);
  if (mim_unlikely(size > MAX_REQUEST)) return mim_fail(EOVERFLOW, size);
  if (align <= MIN_ALIGN && offset % align == 0) {
    return mim_heap_alloc(heap == NULL ? mim_tls.heap : heap, size, family, zero);
  }
  heap = heap_for(heap, "mi_heap_malloc_aligned");
  if (mim_unlikely(heap == NULL)) return mim_fail(ENOMEM, size);
  generic_tick(heap);
  // An alignment below the least one, at an odd offset, is asked of the least one.
  size_t wanted = max_size(align, MIN_ALIGN);
  size_t shift = align < MIN_ALIGN ? offset % align : offset;
  void* p = NULL;
  for (int attempt = 0; attempt < 2 && p == NULL; attempt++) {
    if (attempt > 0) mim_heap_out_of_memory(heap);
    p = aligned_try(heap, size, wanted, shift, family, zero);
  }
  mim_thread_return(heap);
  return mim_likely(p != NULL) ? p : mim_fail(ENOMEM, size);
}
