// Heaps: queues of pages, by bin, that one thread owns.
//
// A page is in the queue of its bin while it may have free blocks. A page that turns out full leaves the queue: the
// heap of a thread drops it (nobody owns it then, and whoever frees into it first adopts it), a first-class heap keeps
// it in a list, since mi_heap_destroy must find it. Pages of an ended thread that have free blocks wait in a global
// list for each bin until a thread adopts them.
//
// Everything is done by the owning thread, but the lists of abandoned pages, which are under mim_abandoned_lock.
#include "watch.h"

lock_t mim_abandoned_lock;

// Abandoned pages, for each subprocess: threads of one take over pages only from each other.
typedef struct subproc_s {
  page_queue_t bins[BIN_COUNT];
  _Atomic(size_t) count;
  uint8_t index;
  bool in_use;
} subproc_t;

#define SUBPROC_MAX 64
static subproc_t main_subproc = {.in_use = true};
static subproc_t* subprocs[SUBPROC_MAX] = {&main_subproc};

static const watch_t subproc_watch[] = {WATCH_MEMBER("subprocess.abandoned", subproc_t, count)};
const watch_table_t mim_watch_subproc = WATCH_TABLE(NULL, subproc_watch);
static const watch_t subprocs_watch[] = {{"subprocesses", 0, sizeof(subprocs)}};
const watch_table_t mim_watch_subprocs = WATCH_TABLE(subprocs, subprocs_watch);

// ---- queues ---------------------------------------------------------------------------------------------------------

static void queue_insert(page_queue_t* queue, page_t* page, bool front) {
  page->next = front ? queue->first : NULL;
  page->prev = front ? NULL : queue->last;
  if (page->prev != NULL) {
    page->prev->next = page;
  } else {
    queue->first = page;
  }
  if (page->next != NULL) {
    page->next->prev = page;
  } else {
    queue->last = page;
  }
}

static void queue_remove(page_queue_t* queue, page_t* page) {
  if (page->prev != NULL) {
    page->prev->next = page->next;
  } else {
    queue->first = page->next;
  }
  if (page->next != NULL) {
    page->next->prev = page->prev;
  } else {
    queue->last = page->prev;
  }
  page->next = page->prev = NULL;
}

// The first page of a bin changed: the direct table follows. Only normal bins are in it.
static void direct_update(heap_t* heap, size_t bin) {
  if (bin == 0 || bin > BIN_NORMAL) return;
  size_t low_index, high_index;
  size_t low = bin == 1 ? 1 : mim_bins[bin - 1].room + 1;
  if (!hook_direct_index(low, &low_index)) return;
  if (!hook_direct_index(min_size(mim_bins[bin].room, SMALL_MAX), &high_index)) return;
  page_t* page = heap->bins[bin].first;
  if (page == NULL) page = &mim_page_empty_slot;
  if (bin == 1) low_index = 0;
  for (size_t i = low_index; i <= high_index; i++) heap->direct[i] = page;
}

void mim_heap_queue_push(heap_t* heap, page_t* page, bool front) {
  page_queue_t* queue = &heap->bins[page->bin];
  page->flags |= PAGE_QUEUED;
  page_t* first = queue->first;
  queue_insert(queue, page, front);
  if (queue->first != first) direct_update(heap, page->bin);
}

void mim_heap_queue_remove(heap_t* heap, page_t* page) {
  if (page->flags & PAGE_IN_FULL) {
    queue_remove(&heap->full, page);
  } else {
    page_queue_t* queue = &heap->bins[page->bin];
    bool first = queue->first == page;
    queue_remove(queue, page);
    if (first) direct_update(heap, page->bin);
  }
  if (page->flags & PAGE_RETIRED) heap->retired_slices -= page->slices;
  page->flags &= (uint8_t)~(PAGE_QUEUED | PAGE_IN_FULL | PAGE_RETIRED);
}

// ---- full pages -----------------------------------------------------------------------------------------------------

void mim_heap_page_full(heap_t* heap, page_t* page) {
  if (page->flags & PAGE_QUEUED) mim_heap_queue_remove(heap, page);
  if (heap->keeps_full) {
    page->flags |= PAGE_IN_FULL;
    queue_insert(&heap->full, page, true);
    atomic_store_explicit(&page->owner, (tld_t*)((uintptr_t)heap->tld | OWNER_FULL), memory_order_release);
  } else {
    heap->page_count--;
    atomic_store_explicit(&page->owner, NULL, memory_order_release);
  }
}

void mim_heap_page_unfull(page_t* page) {
  heap_t* heap = page->heap;
  mim_heap_queue_remove(heap, page);
  atomic_store_explicit(&page->owner, heap->tld, memory_order_release);
  if (!(page->kind & KIND_LARGE)) mim_heap_queue_push(heap, page, false);
}

// ---- adopting and abandoning ----------------------------------------------------------------------------------------

static void abandoned_unlist(page_t* page) {
  lock_acquire(&mim_abandoned_lock);
  subproc_t* subproc = subprocs[page->retire_age];
  queue_remove(&subproc->bins[page->bin], page);
  page->flags &= (uint8_t)~PAGE_LISTED;
  atomic_fetch_sub_explicit(&subproc->count, 1, memory_order_relaxed);
  lock_release(&mim_abandoned_lock);
}

// An empty page that an ended thread left.
static page_t* take_spare(heap_t* heap, size_t bin) {
  page_t* page = heap->arena != 0 ? NULL : mim_spare_take(bin);
  if (page == NULL) return NULL;
  mim_page_set_heap(page, heap);
  atomic_store_explicit(&page->owner, heap->tld, memory_order_release);
  heap->page_count++;
  mim_heap_queue_push(heap, page, true);
  return page;
}

static page_t* take_abandoned(heap_t* heap, size_t bin) {
  subproc_t* subproc = subprocs[heap->tld->subproc];
  // Blocks that others still have must not go with a heap that is destroyed: first-class heaps adopt nothing.
  if (heap->keeps_full) return NULL;
  if (atomic_load_explicit(&subproc->count, memory_order_relaxed) == 0 || heap->arena != 0) return NULL;
  page_t* found = NULL;
  lock_acquire(&mim_abandoned_lock);
  for (page_t* page = subproc->bins[bin].first; page != NULL; page = page->next) {
    tld_t* nobody = NULL;
    if (!atomic_compare_exchange_strong_explicit(&page->owner, &nobody, heap->tld, memory_order_acq_rel,
                                                 memory_order_relaxed)) {
      continue;  // a thread that frees into it was faster; it waits for the lock to take it off the list
    }
    queue_remove(&subproc->bins[bin], page);
    page->flags &= (uint8_t)~PAGE_LISTED;
    atomic_fetch_sub_explicit(&subproc->count, 1, memory_order_relaxed);
    found = page;
    break;
  }
  lock_release(&mim_abandoned_lock);
  if (found != NULL) {
    mim_page_set_heap(found, heap);
    heap->page_count++;
    mim_count(&heap->tld->stats.reclaimed, 1);
    mim_heap_queue_push(heap, found, true);
  }
  return found;
}

page_t* mim_heap_reclaim(heap_t* heap, size_t bin) {
  page_t* page = take_abandoned(heap, bin);
  return page != NULL ? page : take_spare(heap, bin);
}

static void page_abandon(heap_t* heap, page_t* page) {
  mim_heap_queue_remove(heap, page);
  if (page->used == 0) {
    if (mim_spare_put(page)) {
      heap->page_count--;
    } else {
      mim_page_release(page, false);
    }
    return;
  }
  heap->page_count--;
  mim_count(&heap->tld->stats.abandoned.total, 1);
  if (page->used < page->reserved && page->bin < BIN_ODD && !(page->kind & KIND_LARGE)) {
    lock_acquire(&mim_abandoned_lock);
    subproc_t* subproc = subprocs[heap->tld->subproc];
    page->flags |= PAGE_LISTED;
    page->retire_age = subproc->index;
    queue_insert(&subproc->bins[page->bin], page, false);
    atomic_fetch_add_explicit(&subproc->count, 1, memory_order_relaxed);
    atomic_store_explicit(&page->owner, NULL, memory_order_release);
    lock_release(&mim_abandoned_lock);
  } else {
    atomic_store_explicit(&page->owner, NULL, memory_order_release);
  }
}

// A thread that frees what others allocated adopts pages that it has no use for. It keeps the last few of them, since more
// of their blocks are likely to be freed; those before go to the list, for threads that allocate such blocks. A guest may
// have become something else meanwhile: if it is still this thread's, the list is no wrong place for it either.
static void guest_come(heap_t* heap, page_t* page) {
  tld_t* tld = heap->tld;
  page_t** place = &tld->guests[tld->guest_count++ % GUESTS_MAX];
  page_t* before = *place;
  *place = page;
  if (before == NULL || before == page || mim_page_owner(before) != tld || mim_page_heap(before) != heap) return;
  if (before->flags & PAGE_QUEUED) page_abandon(heap, before);
}

static bool is_guest(const heap_t* heap, const page_t* page) {
  if (page->bin >= BIN_ODD) return false;  // not of the list
  return !(heap->allocates[page->bin / 64] >> (page->bin % 64) & 1);
}

bool mim_heap_adopt(heap_t* heap, page_t* page) {
  tld_t* nobody = NULL;
  if (!atomic_compare_exchange_strong_explicit(&page->owner, &nobody, heap->tld, memory_order_acq_rel,
                                               memory_order_relaxed)) {
    return false;
  }
  bool guest = is_guest(heap, page);
  if (page->flags & PAGE_LISTED) abandoned_unlist(page);
  mim_page_set_heap(page, heap);
  heap->page_count++;
  mim_count(&heap->tld->stats.adopted, 1);
  if (!(page->kind & KIND_LARGE)) {
    assert_walk(mim_page_is_valid(page));
    mim_heap_queue_push(heap, page, false);
    if (guest) guest_come(heap, page);
  }
  return true;
}

static void for_each_page(heap_t* heap, void (*act)(heap_t* heap, page_t* page)) {
  for (size_t bin = 0; bin < BIN_COUNT; bin++) {
    for (page_t *page = heap->bins[bin].first, *next; page != NULL; page = next) {
      next = page->next;
      act(heap, page);
    }
  }
  for (page_t *page = heap->full.first, *next; page != NULL; page = next) {
    next = page->next;
    act(heap, page);
  }
}

void mim_heap_abandon(heap_t* heap) {
  for_each_page(heap, page_abandon);
  memset(heap->allocates, 0, sizeof(heap->allocates));  // the next thread that gets the heap has asked for nothing
}

size_t mim_abandoned_count(void) {
  size_t count = 0;
  lock_acquire(&mim_abandoned_lock);
  for (size_t i = 0; i < SUBPROC_MAX; i++) {
    if (subprocs[i] != NULL) count += atomic_load_explicit(&subprocs[i]->count, memory_order_relaxed);
  }
  lock_release(&mim_abandoned_lock);
  return count;
}

// The subprocess in whose list an abandoned page is. The caller owns it.
mi_subproc_id_t mim_heap_subproc(const page_t* page) {
  return subprocs[page->retire_age];
}

// ---- subprocesses ---------------------------------------------------------------------------------------------------

mi_subproc_id_t mi_subproc_main(void) {
  return &main_subproc;
}

mi_subproc_id_t mi_subproc_new(void) {
  if (!mim_process_init()) return mim_fail(ENOMEM, sizeof(subproc_t));
  subproc_t* found = NULL;
  lock_acquire(&mim_abandoned_lock);
  for (size_t i = 1; i < SUBPROC_MAX && found == NULL; i++) {
    if (subprocs[i] == NULL) {
      subprocs[i] = mim_meta_alloc(sizeof(subproc_t));
      if (subprocs[i] == NULL) break;
      subprocs[i]->index = (uint8_t)i;
    }
    if (!subprocs[i]->in_use) found = subprocs[i];
  }
  if (found != NULL) found->in_use = true;
  lock_release(&mim_abandoned_lock);
  return found != NULL ? found : mim_fail(ENOMEM, sizeof(subproc_t));
}

void mi_subproc_delete(mi_subproc_id_t id) {
  subproc_t* subproc = id;
  if (subproc == NULL || subproc == &main_subproc) return;
  lock_acquire(&mim_abandoned_lock);
  for (size_t bin = 0; bin < BIN_COUNT; bin++) {
    for (page_t* page; (page = subproc->bins[bin].first) != NULL;) {
      queue_remove(&subproc->bins[bin], page);
      page->retire_age = 0;
      queue_insert(&main_subproc.bins[bin], page, false);
    }
  }
  size_t count = atomic_exchange_explicit(&subproc->count, 0, memory_order_relaxed);
  atomic_fetch_add_explicit(&main_subproc.count, count, memory_order_relaxed);
  subproc->in_use = false;
  lock_release(&mim_abandoned_lock);
}

void mi_subproc_add_current_thread(mi_subproc_id_t id) {
  subproc_t* subproc = id;
  heap_t* heap = mim_thread_heap();
  if (heap == NULL || subproc == NULL) return;
  if (heap->tld->backing->page_count > 0) {
    mim_warn("mi_subproc_add_current_thread: the thread has allocated already; it stays where it is\n");
    return;
  }
  heap->tld->subproc = subproc->index;
}

// ---- collecting -----------------------------------------------------------------------------------------------------

// Empty pages that were kept grow older by one, and are given back at last.
void mim_heap_retire_tick(heap_t* heap, bool force) {
  if (heap->retired_min > heap->retired_max) return;
  size_t min = BIN_COUNT, max = 0;
  for (size_t bin = heap->retired_min; bin <= heap->retired_max; bin++) {
    for (page_t *page = heap->bins[bin].first, *next; page != NULL; page = next) {
      next = page->next;
      if (!(page->flags & PAGE_RETIRED)) continue;
      if (page->used > 0) {
        page->flags &= (uint8_t)~PAGE_RETIRED;
        heap->retired_slices -= page->slices;
      } else if (force || --page->retire_age == 0) {
        mim_heap_queue_remove(heap, page);
        mim_count(&heap->tld->stats.retired, 1);
        mim_page_release(page, false);
      } else {
        if (bin < min) min = bin;
        max = bin;
      }
    }
  }
  heap->retired_min = (uint16_t)min;
  heap->retired_max = (uint16_t)max;
}

static void page_collect(heap_t* heap, page_t* page) {
  if (page->used == 0 && (page->flags & PAGE_QUEUED)) {
    mim_heap_queue_remove(heap, page);
    mim_page_release(page, false);
  }
}

void mim_heap_age(heap_t* heap, bool all) {
  for (page_t* given_up = NULL; hook_age(all, &given_up);) {
    if (given_up != NULL) mim_page_give_up(heap, given_up);
  }
  for (page_t* page; (page = mim_spare_old(all)) != NULL;) mim_page_give_up(heap, page);
}

void mim_heap_collect(heap_t* heap, bool force) {
  tld_t* tld = heap->tld;
  mim_mail_flush(tld);
  mim_mail_deliver(tld);
  if (force) hook_let_go(tld, false);
  mim_heap_retire_tick(heap, force);
  if (force) for_each_page(heap, page_collect);
  mim_heap_age(heap, force);
  mim_region_purge(force);
}

void mim_heap_out_of_memory(heap_t* heap) {
  mim_heap_collect(heap, true);
  for (page_t* page; (page = hook_last_resort()) != NULL;) mim_page_give_up(heap, page);
}

// ---- making and unmaking --------------------------------------------------------------------------------------------

heap_t* mim_heap_make(tld_t* tld, bool keeps_full) {
  heap_t* heap = mim_meta_alloc(sizeof(heap_t));
  if (heap == NULL) return NULL;
  for (size_t i = 0; i < DIRECT_COUNT; i++) heap->direct[i] = &mim_page_empty_slot;
  heap->tld = tld;
  heap->keeps_full = keeps_full;
  heap->retired_min = BIN_COUNT;
  heap->retired_max = 0;
  heap->sample_rate = SIZE_MAX;
  heap->sample_min = (size_t)mim_option(mi_option_guarded_min);
  heap->sample_max = (size_t)mim_option(mi_option_guarded_max);
  heap->next = tld->heaps;
  tld->heaps = heap;
  if (keeps_full) mim_stat_add(&tld->stats.heaps, 1);
  return heap;
}

// Is it one of the calling thread's? Reports when it is not.
static bool is_mine(const heap_t* heap, const char* what) {
  for (const heap_t* each = mim_tls.tld->heaps; each != NULL; each = each->next) {
    if (each == heap) return true;
  }
  hook_invalid_heap(heap, what);
  return false;
}

// What is left behind sends every allocation to the generic path, which knows that this is no heap.
void mim_heap_unmake(heap_t* heap) {
  for (heap_t** link = &heap->tld->heaps; *link != NULL; link = &(*link)->next) {
    if (*link != heap) continue;
    *link = heap->next;
    break;
  }
  if (heap->keeps_full) mim_stat_add(&heap->tld->stats.heaps, -1);
  for (size_t i = 0; i < DIRECT_COUNT; i++) heap->direct[i] = &mim_page_empty_slot;
  heap->tld = &mim_tld_empty;
  mim_meta_free(heap, sizeof(heap_t));
}

bool mim_heap_is_valid(const heap_t* heap) {
  for (size_t bin = 0; bin < BIN_COUNT; bin++) {
    const page_t* prev = NULL;
    for (const page_t* page = heap->bins[bin].first; page != NULL; prev = page, page = page->next) {
      if (page->prev != prev || page->bin != bin || page->heap != heap || !(page->flags & PAGE_QUEUED)) return false;
      if (mim_page_owner(page) != heap->tld || !mim_page_is_valid(page)) return false;
    }
    if (heap->bins[bin].last != prev) return false;
  }
  // A page with blocks to give is in the queue of its bin: in the list of full ones nobody would look for it. One block
  // may be there all the same: the secure layer does not hand out the one freed last.
  for (const page_t* page = heap->full.first; page != NULL; page = page->next) {
    if (page->heap != heap || !(page->flags & PAGE_IN_FULL) || page->used == 0) return false;
    if (!(page->kind & KIND_LARGE) && page->used + 1 < page->capacity) return false;
  }
  return true;
}

// ---- first-class heaps ----------------------------------------------------------------------------------------------

mi_heap_t* mi_heap_new_ex(int heap_tag, bool allow_destroy, mi_arena_id_t arena_id) {
  if (heap_tag < 0 || heap_tag > 255 || (arena_id > 0 && mi_arena_area(arena_id, NULL) == NULL)) {
    return mim_fail(EINVAL, 0);
  }
  heap_t* backing = mim_thread_heap();
  heap_t* heap = backing == NULL ? NULL : mim_heap_make(backing->tld, true);
  if (heap == NULL) return mim_fail(ENOMEM, sizeof(heap_t));
  heap->tag = heap_tag;
  heap->no_destroy = !allow_destroy;
  heap->arena = arena_id > 0 ? arena_id : 0;
  return heap;
}

mi_heap_t* mi_heap_new(void) {
  return mi_heap_new_ex(0, true, 0);
}

mi_heap_t* mi_heap_new_in_arena(mi_arena_id_t arena_id) {
  return mi_heap_new_ex(0, true, arena_id);
}

static void page_move(heap_t* from, page_t* page) {
  heap_t* to = from->tld->backing;
  bool full = (page->flags & PAGE_IN_FULL) != 0;
  mim_heap_queue_remove(from, page);
  from->page_count--;
  to->page_count++;
  mim_page_set_heap(page, to);
  if (full) {
    mim_heap_page_full(to, page);
  } else {
    mim_heap_queue_push(to, page, false);
  }
}

void mi_heap_delete(mi_heap_t* heap) {
  if (heap == NULL || !is_mine(heap, "mi_heap_delete") || heap == heap->tld->backing) return;
  mim_mail_deliver(heap->tld);
  for_each_page(heap, page_move);
  if (mim_tls.heap == heap) mim_tls.heap = heap->tld->backing;
  mim_heap_unmake(heap);
}

// A large block goes as if it were freed: whoever still has its address is stopped just the same.
static void page_destroy(heap_t* heap, page_t* page) {
  mim_heap_queue_remove(heap, page);
  if ((page->kind & KIND_LARGE) && page->used == 1) {
    mim_stat_blocks(page, -1, 0);
    track_freed(mim_page_large_block(page), page->large_size);
    page->used = 0;
    mim_page_empty(page);
  } else {
    mim_page_release(page, true);
  }
}

void mi_heap_destroy(mi_heap_t* heap) {
  if (heap == NULL || !is_mine(heap, "mi_heap_destroy") || heap == heap->tld->backing) return;
  if (heap->no_destroy) {
    mi_heap_delete(heap);
    return;
  }
  mim_mail_flush(heap->tld);
  mim_mail_deliver(heap->tld);
  hook_let_go(heap->tld, false);
  for_each_page(heap, page_destroy);
  if (mim_tls.heap == heap) mim_tls.heap = heap->tld->backing;
  mim_heap_unmake(heap);
}

mi_heap_t* mi_heap_get_backing(void) {
  heap_t* heap = mim_thread_heap();
  return heap == NULL ? NULL : heap->tld->backing;
}

mi_heap_t* mi_heap_get_default(void) {
  return mim_thread_heap();
}

mi_heap_t* mi_heap_set_default(mi_heap_t* heap) {
  heap_t* old = mim_thread_heap();
  if (old == NULL || heap == NULL || heap->tld != old->tld) return NULL;
  mim_tls.heap = heap;
  return old;
}

void mi_heap_guarded_set_sample_rate(mi_heap_t* heap, size_t sample_rate, size_t seed) {
  (void)seed;  // the choice of samples comes from the thread's random numbers
  if (heap != NULL) heap->sample_rate = sample_rate;
}

void mi_heap_guarded_set_size_bound(mi_heap_t* heap, size_t min, size_t max) {
  if (heap == NULL) return;
  heap->sample_min = min;
  heap->sample_max = max_size(min, max);
}

void mi_heap_collect(mi_heap_t* heap, bool force) {
  if (heap == NULL || heap->tld != mim_tls.tld) return;
  mim_deferred_free(heap, force);
  mim_heap_collect(heap, force);
}

void mi_collect(bool force) {
  heap_t* heap = mim_thread_heap();
  if (heap == NULL) return;
  mim_deferred_free(heap, force);
  for (heap_t* each = heap->tld->heaps; each != NULL; each = each->next) mim_heap_collect(each, force);
  mim_thread_return(heap);
}

void mi_thread_set_in_threadpool(void) {
  // Pages of a thread are given up when it ends, and not before, whether it belongs to a pool or not.
}
