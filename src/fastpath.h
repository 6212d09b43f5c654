// The fast paths: what malloc, calloc, operator new and free do nearly always, inline in each of their entry points.
//
// malloc touches: the thread's tls_t, one word of its heap, line 1 of the page (secure: line 0, the magazine and the
// state), the block. free touches: the tls_t, line 0 and line 1 of the page (secure: the state), the block.
#ifndef MIM_FASTPATH_H
#define MIM_FASTPATH_H

#include "internal.h"

mim_inline void* mim_heap_alloc(heap_t* heap, size_t size, family_t family, bool zero) {
  size_t index;
  if (mim_likely(hook_direct_index(size, &index))) {
    page_t* page = heap->direct[index];
    if (mim_likely(page->free != 0)) {
      page->used++;
      mim_stat_blocks(page, 1, size);
      uintptr_t ref = hook_pop(page);
      void* p = hook_hand_out(page, ref, size, family, zero);
      return mim_likely(p != NULL) ? p : mim_hand_out_slow(page, ref, size, family, zero);
    }
  }
  return mim_malloc_generic(size, heap, family, zero);
}

mim_inline void* mim_alloc(size_t size, family_t family) {
  return mim_heap_alloc(mim_tls.heap, size, family, false);
}

mim_inline void* mim_zalloc(size_t size, family_t family) {
  return mim_heap_alloc(mim_tls.heap, size, family, true);
}

mim_inline void mim_release(void* p, family_t family) {
  page_t* page = mim_page_of(p);
  if (mim_likely(page != NULL) &&
      mim_likely(atomic_load_explicit(&page->owner, memory_order_relaxed) == mim_tls.tld)) {
    uintptr_t ref = hook_take_back(page, p, family);
    if (mim_likely(ref != 0)) {
      mim_free_checked(page, ref);
      return;
    }
  }
  mim_free_slow(p, page, family);
}

// With what the program claims about the block: SIZE_UNKNOWN and alignment 0 claim nothing.
mim_inline void mim_release_sized(void* p, size_t size, size_t align, family_t family) {
  page_t* page = mim_page_find(p);
  if (mim_likely(page != NULL) && !hook_check_claim(page, p, size, align)) return;
  mim_release(p, family);
}

// Usable bytes of a block; 0 for NULL and for what is no block.
mim_inline size_t mim_usable(const void* p) {
  page_t* page = mim_page_find(p);
  if (mim_likely(page != NULL)) return hook_usable(page, p);
  if (p != NULL) hook_foreign(p, "malloc_usable_size");
  return 0;
}

#endif
