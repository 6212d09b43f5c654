// Threads: what each knows (tld_t), its beginning at the first allocation, its end by a pthread key, and its life after
// that: destructors of other keys, and libc's own cleaning up, still allocate and free. A thread that comes back gets
// a new tld_t and, while pthread runs destructors again, ends once more; after the last round each call borrows one.
//
// tld_t come from a pool and are never given back to the OS. The list of all is under mim_thread_lock.
#include <limits.h>
#include <pthread.h>

#include "probes.h"
#include "watch.h"

#ifndef PTHREAD_DESTRUCTOR_ITERATIONS
#define PTHREAD_DESTRUCTOR_ITERATIONS 4
#endif

// Nothing is ever found in these, and nothing is written to them: the page is always full, the heap has no others, and
// the tld owns nothing.
page_t mim_page_empty_slot;
#define NONE_8 NONE_2, NONE_2, NONE_2, NONE_2
#define NONE_2 (letter_t*)&mim_letter_none, (letter_t*)&mim_letter_none
_Static_assert(OUTBOX_COUNT == 16, "the outbox below is written out");
tld_t mim_tld_empty = {.inbox = INBOX_CLOSED, .outbox = {NONE_8, NONE_8}};
tld_t mim_tld_nobody = {.inbox = INBOX_CLOSED, .lost = true};
#define EMPTY_8 &mim_page_empty_slot, &mim_page_empty_slot, &mim_page_empty_slot, &mim_page_empty_slot, \
                &mim_page_empty_slot, &mim_page_empty_slot, &mim_page_empty_slot, &mim_page_empty_slot
_Static_assert(DIRECT_COUNT == 66, "the empty heap's table below is written out");
heap_t mim_heap_empty = {
    .direct = {EMPTY_8, EMPTY_8, EMPTY_8, EMPTY_8, EMPTY_8, EMPTY_8, EMPTY_8, EMPTY_8,
               &mim_page_empty_slot, &mim_page_empty_slot},
    .tld = &mim_tld_empty,
};

__thread tls_t mim_tls __attribute__((tls_model("initial-exec"))) = {&mim_heap_empty, &mim_tld_empty, 0};

lock_t mim_thread_lock;

static struct {
  tld_t* all;    // of running threads
  tld_t* pool;
  size_t made;   // ever
  stat_t count;
  pthread_key_t key;
  bool has_key;
} threads;

static const watch_t threads_watch[] = {
    WATCH_MEMBER("threads.all", __typeof__(threads), all),
    WATCH_MEMBER("threads.count", __typeof__(threads), count),
};
const watch_table_t mim_watch_threads = WATCH_TABLE(&threads, threads_watch);

// ---- beginning ------------------------------------------------------------------------------------------------------

#define LINES(type) ((sizeof(type) + CACHE_LINE - 1) / CACHE_LINE)

// The place of an owner's letter comes from the address of its tld_t, in cache lines (mim_mail_place): those that are made
// one after the other are put so that they have different places, whatever else was taken in between.
static tld_t* tld_make(void) {
  uint8_t* room = mim_meta_alloc((LINES(tld_t) + OUTBOX_COUNT - 1) * CACHE_LINE);
  if (room == NULL) return NULL;
  lock_acquire(&mim_thread_lock);
  size_t place = threads.made++;
  lock_release(&mim_thread_lock);
  return (tld_t*)(room + (place - (uintptr_t)room / CACHE_LINE) % OUTBOX_COUNT * CACHE_LINE);
}

static tld_t* tld_get(void) {
  lock_acquire(&mim_thread_lock);
  tld_t* tld = threads.pool;
  if (tld != NULL) threads.pool = tld->next;
  lock_release(&mim_thread_lock);
  if (tld == NULL) tld = tld_make();
  if (tld == NULL) return NULL;
  tld->thread_id = mim_os_thread_id();
  tld->subproc = 0;
  if (tld->backing == NULL) tld->backing = mim_heap_make(tld, false);
  if (tld->backing == NULL) {
    lock_acquire(&mim_thread_lock);
    tld->next = threads.pool;
    threads.pool = tld;
    lock_release(&mim_thread_lock);
    return NULL;
  }
  mim_mail_init(tld);
  hook_thread_init(tld);
  atomic_store_explicit(&tld->inbox, NULL, memory_order_release);
  lock_acquire(&mim_thread_lock);
  tld->prev = NULL;
  tld->next = threads.all;
  if (tld->next != NULL) tld->next->prev = tld;
  threads.all = tld;
  mim_stat_add(&threads.count, 1);
  lock_release(&mim_thread_lock);
  probe_thread_start(tld->thread_id);
  return tld;
}

heap_t* mim_thread_heap(void) {
  heap_t* heap = mim_tls.heap;
  if (mim_likely(heap != &mim_heap_empty)) return heap;
  if (!mim_process_init()) return NULL;
  tld_t* tld = tld_get();
  if (tld == NULL) return NULL;
  mim_tls.heap = tld->backing;
  mim_tls.tld = tld;
  tld->borrowed = mim_tls.endings >= PTHREAD_DESTRUCTOR_ITERATIONS;
  // This may allocate, and does so from the heap that has just been set.
  if (!tld->borrowed && threads.has_key) pthread_setspecific(threads.key, tld);
  return tld->backing;
}

// ---- end ------------------------------------------------------------------------------------------------------------

// Lets go of everything, and of what arrives meanwhile. From when the inbox is closed until the last page is let go,
// senders to this thread wait; that is short, and takes no lock they could hold. Threads that end at the same time may
// wait for each other: none of them has a page while it waits (mim_free_delivered).
static void tld_end(tld_t* tld) {
  heap_t* backing = tld->backing;
  for (heap_t *heap = tld->heaps, *next; heap != NULL; heap = next) {
    next = heap->next;
    if (heap != backing) mi_heap_delete(heap);
  }
  mim_mail_flush(tld);
  mim_mail_deliver(tld);
  hook_let_go(tld, true);
  mim_heap_abandon(backing);
  mim_mail_close(tld);
  mim_heap_abandon(backing);
  backing->retired_min = BIN_COUNT;
  backing->retired_max = 0;
  backing->retired_slices = 0;
  mim_stats_merge(&tld->stats);
  hook_thread_done(tld);
  probe_thread_end(tld->thread_id);
  mim_tls.heap = &mim_heap_empty;
  mim_tls.tld = &mim_tld_empty;
  lock_acquire(&mim_thread_lock);
  if (tld->prev != NULL) {
    tld->prev->next = tld->next;
  } else {
    threads.all = tld->next;
  }
  if (tld->next != NULL) tld->next->prev = tld->prev;
  mim_stat_add(&threads.count, -1);
  tld->thread_id = 0;
  tld->prev = NULL;
  tld->next = threads.pool;
  threads.pool = tld;
  lock_release(&mim_thread_lock);
}

void mim_thread_return(heap_t* heap) {
  if (mim_unlikely(heap->tld->borrowed)) tld_end(heap->tld);
}

void mim_thread_done(void) {
  tld_t* tld = mim_tls.tld;
  if (tld == &mim_tld_empty) return;
  mim_tls.endings++;
  mim_deferred_free(tld->backing, true);
  mim_heap_age(tld->backing, false);  // short threads never come to the generic path's tick
  tld_end(tld);
  mim_region_purge(mim_option(mi_option_abandoned_page_purge) != 0);
}

static void key_destructor(void* value) {
  if (value == mim_tls.tld) mim_thread_done();
}

bool mim_thread_init_process(void) {
  if (!threads.has_key) threads.has_key = pthread_key_create(&threads.key, key_destructor) == 0;
  tld_t* tld = mim_tls.tld;
  if (threads.has_key && tld != &mim_tld_empty) pthread_setspecific(threads.key, tld);
  return threads.has_key;
}

void mi_thread_init(void) {
  mim_thread_heap();
}

void mi_thread_done(void) {
  int endings = mim_tls.endings;
  mim_thread_done();
  mim_tls.endings = endings;  // an early end by request: the thread may come back as often as it likes
}

// ---- all threads ----------------------------------------------------------------------------------------------------

void mim_thread_totals(stat_t* totals) {
  lock_acquire(&mim_thread_lock);
  *totals = threads.count;
  lock_release(&mim_thread_lock);
}

void mim_thread_visit(void (*visit)(tld_t* tld, void* arg), void* arg) {
  lock_acquire(&mim_thread_lock);
  for (tld_t* tld = threads.all; tld != NULL; tld = tld->next) visit(tld, arg);
  lock_release(&mim_thread_lock);
}

// In the child, under the lock: the other threads are gone, perhaps in the middle of a change to their pages. What they
// owned stays as it is, and blocks freed into it are lost.
void mim_thread_fork_child(void) {
  tld_t* me = mim_tls.tld;
  for (tld_t *tld = threads.all, *next; tld != NULL; tld = next) {
    next = tld->next;
    if (tld == me) continue;
    tld->lost = true;
    atomic_store_explicit(&tld->inbox, INBOX_CLOSED, memory_order_relaxed);
    mim_stats_merge(&tld->stats);  // what they allocated is still there
  }
  threads.all = NULL;
  threads.count.current = 0;
  if (me == &mim_tld_empty) return;
  me->next = me->prev = NULL;
  me->thread_id = mim_os_thread_id();
  threads.all = me;
  threads.count.current = 1;
}
