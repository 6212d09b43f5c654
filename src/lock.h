// A small lock for slow paths: a futex word with three states (free, held, held with waiters). It needs no
// constructor, never allocates, can be forced free in a forked child, and is not recursive.
// Source: U. Drepper, "Futexes Are Tricky", mutex no. 3.
#ifndef MIM_LOCK_H
#define MIM_LOCK_H

#include "prim.h"

typedef struct lock_s {
  _Atomic(uint32_t) word;
} lock_t;

enum { LOCK_FREE = 0, LOCK_HELD = 1, LOCK_WAITED = 2 };

static inline void lock_acquire(lock_t* lock) {
  uint32_t seen = LOCK_FREE;
  if (mim_likely(atomic_compare_exchange_strong_explicit(&lock->word, &seen, LOCK_HELD, memory_order_acquire,
                                                         memory_order_relaxed))) {
    return;
  }
  for (int spin = 0; spin < 100; spin++) {  // holders do a few hundred cycles of work: worth a short wait
    seen = LOCK_FREE;
    if (atomic_load_explicit(&lock->word, memory_order_relaxed) == LOCK_FREE &&
        atomic_compare_exchange_weak_explicit(&lock->word, &seen, LOCK_HELD, memory_order_acquire,
                                              memory_order_relaxed)) {
      return;
    }
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  while (atomic_exchange_explicit(&lock->word, LOCK_WAITED, memory_order_acquire) != LOCK_FREE) {
    mim_os_wait(&lock->word, LOCK_WAITED);
  }
}

static inline void lock_release(lock_t* lock) {
  if (atomic_exchange_explicit(&lock->word, LOCK_FREE, memory_order_release) == LOCK_WAITED) {
    mim_os_wake(&lock->word, false);
  }
}

// In the child of a fork, where the thread that held it is gone.
static inline void lock_reset(lock_t* lock) {
  atomic_store_explicit(&lock->word, LOCK_FREE, memory_order_relaxed);
}

#endif
