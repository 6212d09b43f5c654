// Freeing off the fast path: nothing, foreign pointers, blocks of other threads' pages, and of pages nobody owns.
#include "fastpath.h"

// A violation was reported, and the block of this page is left alone. A large page that was adopted in order to free its
// block is in no list of the thread's, which would end without letting go of it.
static void leave_alone(page_t* page) {
  bool adopted = mim_page_owner(page) == mim_tls.tld && (page->kind & KIND_LARGE) && !(page->flags & PAGE_IN_FULL);
  if (adopted) mim_heap_page_full(page->heap, page);
}

// The owner frees what the fast path declined, or into a page that is in the list of full pages, or that it has just
// adopted.
static void free_owned(page_t* page, void* p, family_t family) {
  uintptr_t ref = hook_take_back_slow(page, p, family);
  if (ref == 0) {
    leave_alone(page);
    return;
  }
  if (page->flags & PAGE_IN_FULL) mim_heap_page_unfull(page);
  mim_free_checked(page, ref);
}

static void free_remote(tld_t* me, page_t* page, tld_t* owner, void* p, family_t family) {
  bool at_once = __atomic_load_n(&page->urgent, __ATOMIC_RELAXED);  // mi_heap_destroy must find it in the inbox
  size_t bytes = page->block_size;
  if (!hook_take_back_remote(page, p, family)) return;
  mim_mail_send(me, owner, p, bytes, at_once);
}

static mim_noinline void free_any(void* p, page_t* page, family_t family) {
  if (p == NULL) return;
  if (page == NULL) page = mim_page_of_extra(p);
  if (mim_unlikely(page == NULL || page->reciprocal == 0)) {
    hook_foreign(p, "free");
    return;
  }
  heap_t* heap = mim_thread_heap();
  if (mim_unlikely(heap == NULL)) return;  // no memory for a heap: the block is lost, the program goes on
  tld_t* me = heap->tld;
  mim_mail_deliver(me);  // a thread that only frees never takes malloc's generic path; may let go of the page
  for (;;) {
    tld_t* owner = mim_page_owner(page);
    if (owner == me) {
      free_owned(page, p, family);
      break;
    }
    if (owner != NULL) {
      free_remote(me, page, owner, p, family);
      break;
    }
    if (mim_heap_adopt(me->backing, page)) {
      free_owned(page, p, family);
      break;
    }
  }
  mim_thread_return(heap);
}

// A small block of another thread's page goes into the letter that is being collected for that thread: nothing is called.
// Touches the tls_t, line 0 of the page, the thread's tld_t, the letter (secure: the state, the block).
static mim_noinline void free_elsewhere(void* p, page_t* page, family_t family) {
  if (mim_likely(page != NULL)) {
    tld_t* me = mim_tls.tld;
    tld_t* owner = atomic_load_explicit(&page->owner, memory_order_acquire);
    letter_t** place = mim_mail_place(me, owner);
    letter_t* letter = *place;
    if (mim_likely(letter->to == owner) && !__atomic_load_n(&page->urgent, __ATOMIC_RELAXED) &&
        mim_likely(hook_take_back_remote_quick(page, p, family))) {
      uint32_t count = letter->count;
      letter->blocks[count] = p;
      letter->count = ++count;
      if (mim_unlikely(count == LETTER_BLOCKS)) mim_mail_full(me, place);
      return;
    }
  }
  free_any(p, page, family);
}

static mim_noinline void free_kept(void* p, page_t* page, family_t family) {
  if (!hook_keep(page, p, family)) free_any(p, page, family);
}

void mim_free_slow(void* p, page_t* page, family_t family) {
  if (page != NULL && hook_keeps(page) && atomic_load_explicit(&page->owner, memory_order_relaxed) == mim_tls.tld) {
    free_kept(p, page, family);
  } else {
    free_elsewhere(p, page, family);
  }
}

void mim_free_delivered(tld_t* me, void* p) {
  page_t* page = mim_page_find(p);
  for (;;) {
    tld_t* owner = mim_page_owner(page);
    if (owner != NULL && owner != me) {
      if (atomic_load_explicit(&owner->inbox, memory_order_relaxed) == INBOX_CLOSED) {
        if (owner->lost) return;  // its thread was left behind by fork, and so are its pages
        if (owner == &mim_tld_empty) {  // a page that is held: somebody freed the block while it was in the mail
          (void)hook_deliver(page, p);
          return;
        }
        // Its thread is ending, and about to let go of the page. If this one is ending too, that one may be waiting for a
        // page that this one has adopted meanwhile.
        if (atomic_load_explicit(&me->inbox, memory_order_relaxed) == INBOX_CLOSED) mim_heap_abandon(me->backing);
        mim_os_yield();
        continue;
      }
      mim_mail_send(me, owner, p, page->block_size, false);
      return;
    }
    if (owner == me || mim_heap_adopt(me->backing, page)) break;
  }
  uintptr_t ref = hook_deliver(page, p);
  if (ref == 0) {
    leave_alone(page);
    return;
  }
  if (page->flags & PAGE_IN_FULL) mim_heap_page_unfull(page);
  mim_free_checked(page, ref);
}
