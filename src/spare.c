// Spare pages: empty ones that threads had when they ended, kept for threads to come.
//
// A program that starts thread after thread would otherwise make the same pages for each: memory from the region, its
// states, and the guards of the bins that have them, which the other processors have to be told of. A spare page is
// nobody's, in no queue, and has a free block in every place; a thread that needs one of that bin takes it as it is,
// whichever subprocess it is of, since there are no blocks of anybody's in it. Pages of arenas are not kept. Their number
// and their memory are bounded, and what was not taken for as long as free memory waits for its purge is given back.
//
// Everything is under mim_abandoned_lock.
#include "internal.h"

#define SPARE_MAX 64
#define SPARE_SLICES 256

static struct {
  struct {
    page_t* page;
    uint64_t since;  // clock in ms
  } pages[SPARE_MAX];  // oldest first
  _Atomic(size_t) count;
  size_t slices;
} spare;

static page_t* take_out(size_t at) {
  page_t* page = spare.pages[at].page;
  size_t count = atomic_load_explicit(&spare.count, memory_order_relaxed) - 1;
  for (size_t i = at; i < count; i++) spare.pages[i] = spare.pages[i + 1];
  atomic_store_explicit(&spare.count, count, memory_order_relaxed);
  spare.slices -= page->slices;
  return page;
}

static bool is_wanted(const page_t* page) {
  return page->bin < BIN_ODD && !(page->kind & KIND_LARGE) && mim_purge_delay() != 0 &&
         mim_option(mi_option_abandoned_page_purge) == 0 &&
         mim_region_arena((size_t)(page - mim_process.slots)) == 0;
}

bool mim_spare_put(page_t* page) {
  assert_int(page->used == 0);
  if (!is_wanted(page)) return false;
  lock_acquire(&mim_abandoned_lock);
  size_t count = atomic_load_explicit(&spare.count, memory_order_relaxed);
  bool kept = count < SPARE_MAX && spare.slices + page->slices <= SPARE_SLICES;
  if (kept) {
    // Of no thread that gets mail: a block that is freed once more is found out, and nobody adopts the page for it.
    atomic_store_explicit(&page->owner, &mim_tld_empty, memory_order_release);
    spare.pages[count].page = page;
    spare.pages[count].since = mim_os_clock_ms();
    spare.slices += page->slices;
    atomic_store_explicit(&spare.count, count + 1, memory_order_relaxed);
  }
  lock_release(&mim_abandoned_lock);
  return kept;
}

page_t* mim_spare_take(size_t bin) {
  if (atomic_load_explicit(&spare.count, memory_order_relaxed) == 0) return NULL;
  page_t* page = NULL;
  lock_acquire(&mim_abandoned_lock);
  for (size_t i = atomic_load_explicit(&spare.count, memory_order_relaxed); i-- > 0 && page == NULL;) {
    if (spare.pages[i].page->bin == bin) page = take_out(i);
  }
  lock_release(&mim_abandoned_lock);
  return page;
}

page_t* mim_spare_old(bool all) {
  if (atomic_load_explicit(&spare.count, memory_order_relaxed) == 0) return NULL;
  long delay = mim_purge_delay();
  uint64_t now = mim_os_clock_ms();
  page_t* page = NULL;
  lock_acquire(&mim_abandoned_lock);
  if (atomic_load_explicit(&spare.count, memory_order_relaxed) > 0 &&
      (all || (delay >= 0 && now - spare.pages[0].since > (uint64_t)delay))) {
    page = take_out(0);
  }
  lock_release(&mim_abandoned_lock);
  return page;
}
