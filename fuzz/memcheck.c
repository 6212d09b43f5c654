// For runs under Valgrind's memcheck: metadata that was given back holds nothing that may be relied on, whatever it still
// reads as, until it is written to again. The kernel's zeroes are defined to memcheck, and so is what is on no list.
// Elsewhere the request to Valgrind is a few instructions that do nothing.
//
// With MI_TRACK=asan AddressSanitizer is told of blocks (src/track.h), and has to let pass what is planted.
#include "memcheck.h"

#include "../src/meta.h"
#include "../src/internal.h"

#if FUZZ_MEMCHECK
#include <valgrind/memcheck.h>
#define undefined(p, size) ((void)VALGRIND_MAKE_MEM_UNDEFINED(p, size))
#define running() (RUNNING_ON_VALGRIND != 0)
#else
#define undefined(p, size) ((void)(p), (void)(size))
#define running() false
#endif

#if MIM_TRACK_ASAN
#include <sanitizer/asan_interface.h>
#endif

void real_mim_meta_free(void* p, size_t size);

void mim_meta_free(void* p, size_t size) {
  bool tells = size == sizeof(heap_t);  // of a heap that is gone it is read that it is
  if (p != NULL && !tells) undefined(p, align_up(size, CACHE_LINE));
  real_mim_meta_free(p, size);
}

bool memcheck_runs(void) {
  return running();
}

void track_allow(const void* p, size_t size) {
#if MIM_TRACK_ASAN
  __asan_unpoison_memory_region(p, size);
#else
  (void)p;
  (void)size;
#endif
}
