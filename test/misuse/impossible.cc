// Requests that cannot be met: sizes that became negative, products that overflow, alignments that are none. They must
// fail; a block that is smaller than the program believes is an overflow waiting to happen.
#include "misuse.h"

#include <errno.h>
#include <malloc.h>
#include <new>
#include <stdlib.h>

namespace {

verdict_t refused(void* p) {
  return p == nullptr && errno == ENOMEM ? PREVENTED : MISSED;
}

// The compiler must not see a size that it can tell is impossible.
size_t minus(size_t n) { return hide_number(-n); }

verdict_t malloc_negative(size_t n) {
  at(MISUSE);
  errno = 0;
  return refused(hide(malloc(minus(n))));
}

verdict_t malloc_half(size_t n) {
  at(MISUSE);
  errno = 0;
  return refused(hide(malloc(hide_number(SIZE_MAX / 2 + n))));
}

verdict_t calloc_wraps(size_t n) {
  at(MISUSE);
  errno = 0;
  return refused(hide(calloc(hide_number(SIZE_MAX / n + 1), n)));
}

verdict_t calloc_wraps_to_zero(size_t n) {
  size_t half = (size_t)1 << 32;
  at(MISUSE);
  errno = 0;
  return refused(hide(calloc(hide_number(half), hide_number(half * (n % 1024 + 1)))));
}

verdict_t realloc_negative(size_t n) {
  void* p = crowd(n);
  at(MISUSE);
  errno = 0;
  return refused(hide(realloc(p, minus(n))));
}

verdict_t reallocarray_wraps(size_t n) {
  void* p = crowd(n);
  at(MISUSE);
  errno = 0;
  return refused(hide(reallocarray(p, hide_number(SIZE_MAX / n + 1), n)));
}

verdict_t memalign_negative(size_t n) {
  at(MISUSE);
  errno = 0;
  return refused(hide(memalign(64, minus(n))));
}

verdict_t posix_memalign_three(size_t n) {
  void* p = nullptr;
  at(MISUSE);
  return posix_memalign(&p, hide_number(24), n) == EINVAL ? PREVENTED : MISSED;
}

verdict_t posix_memalign_zero(size_t n) {
  void* p = nullptr;
  at(MISUSE);
  return posix_memalign(&p, hide_number(0), n) == EINVAL ? PREVENTED : MISSED;
}

verdict_t posix_memalign_negative(size_t n) {
  void* p = nullptr;
  at(MISUSE);
  return posix_memalign(&p, 64, minus(n)) == ENOMEM ? PREVENTED : MISSED;
}

verdict_t pvalloc_wraps(size_t n) {
  at(MISUSE);
  errno = 0;
  return refused(hide(pvalloc(minus(n))));
}

verdict_t new_negative(size_t n) {
  at(MISUSE);
  try {
    hide(::operator new(minus(n)));
  } catch (const std::bad_alloc&) {
    return PREVENTED;
  }
  return MISSED;
}

verdict_t new_nothrow_negative(size_t n) {
  at(MISUSE);
  return hide(::operator new[](minus(n), std::nothrow)) == nullptr ? PREVENTED : MISSED;
}

verdict_t new_array_wraps(size_t n) {
  at(MISUSE);
  try {
    hide(new long[hide_number(SIZE_MAX / sizeof(long) + n)]);
  } catch (const std::bad_alloc&) {
    return PREVENTED;
  }
  return MISSED;
}

const kind_t kinds[] = {
  {"malloc-negative", malloc_negative, "malloc(-n)", 1},
  {"malloc-half", malloc_half, "malloc(SIZE_MAX / 2 + n)", 1},
  {"calloc-wraps", calloc_wraps, "calloc of a product that does not fit", 2},
  {"calloc-wraps-to-zero", calloc_wraps_to_zero, "calloc of a product whose low 64 bits are 0", 1},
  {"realloc-negative", realloc_negative, "realloc(p, -n)", 1},
  {"reallocarray-wraps", reallocarray_wraps, "reallocarray of a product that does not fit", 2},
  {"memalign-negative", memalign_negative, "memalign(64, -n)", 1},
  {"posix-memalign-three", posix_memalign_three, "posix_memalign to 24", 1},
  {"posix-memalign-zero", posix_memalign_zero, "posix_memalign to 0", 1},
  {"posix-memalign-negative", posix_memalign_negative, "posix_memalign of -n bytes", 1},
  {"pvalloc-wraps", pvalloc_wraps, "pvalloc(-n): rounding up wraps round", 1},
  {"new-negative", new_negative, "operator new(-n)", 1},
  {"new-nothrow-negative", new_nothrow_negative, "operator new[](-n, nothrow)", 1},
  {"new-array-wraps", new_array_wraps, "new long[] with a count that does not fit", 1},
};

}  // namespace

extern "C" const group_t impossible_group = {"impossible", KINDS(kinds)};
