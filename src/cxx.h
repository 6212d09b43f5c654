// operator new as inline functions: for the operators themselves (override/cxx.c) and for mi_new (api_new.c).
#ifndef MIM_CXX_H
#define MIM_CXX_H

#include "fastpath.h"

// A request that failed once: asks the new-handler, then throws std::bad_alloc or, with `nothrow`, returns NULL. `heap`
// NULL: that of the thread.
void* mim_new_retry(heap_t* heap, size_t size, size_t align, family_t family, bool nothrow) mim_cold;

// Is there a new-handler?
bool mim_new_has_handler(void);

mim_inline void* cxx_new(size_t size, family_t family, bool nothrow) {
  void* p = mim_alloc(size, family);
  return mim_likely(p != NULL) ? p : mim_new_retry(NULL, size, MIN_ALIGN, family, nothrow);
}

mim_inline void* cxx_new_aligned(size_t size, size_t align, family_t family, bool nothrow) {
  void* p = mim_malloc_aligned(NULL, size, align, 0, family, false);
  return mim_likely(p != NULL) ? p : mim_new_retry(NULL, size, align, family, nothrow);
}

#endif
