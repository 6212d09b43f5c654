// Blocks that go back by another family of functions than they came from: malloc, new, new[], and the aligned forms of
// new. Where this happens, destructors do not run, counts in front of arrays are misread, and the program and its
// libraries have different ideas of who owns the memory. Double delete is here as well, as it needs C++.
#include "misuse.h"

#include <new>
#include <stdlib.h>

namespace {

const std::align_val_t align_64{64};

void* by_malloc(size_t n) { return malloc(n); }
void* by_calloc(size_t n) { return calloc(1, n); }
void* by_memalign(size_t n) {
  void* p = nullptr;
  return posix_memalign(&p, 64, n) == 0 ? p : nullptr;
}
void* by_realloc(size_t n) { return realloc(malloc(n + 100), n); }
void* by_strdup(size_t n) {
  memset(elsewhere, 's', n);
  elsewhere[n > 0 ? n - 1 : 0] = 0;
  return strdup(elsewhere);
}
void* by_new(size_t n) { return ::operator new(n); }
void* by_new_nothrow(size_t n) { return ::operator new(n, std::nothrow); }
void* by_new_array(size_t n) { return ::operator new[](n); }
void* by_new_aligned(size_t n) { return ::operator new(n, align_64); }
void* by_new_array_aligned(size_t n) { return ::operator new[](n, align_64); }

void back_free(void* p) { free(p); }
void back_delete(void* p) { ::operator delete(p); }
void back_delete_array(void* p) { ::operator delete[](p); }
void back_delete_aligned(void* p) { ::operator delete(p, align_64); }
void back_delete_array_aligned(void* p) { ::operator delete[](p, align_64); }

verdict_t mix(void* (*from)(size_t), void (*back)(void*), size_t n) {
  void* p = crowd_with(from, n);
  at(MISUSE);
  back(p);
  return MISSED;
}

verdict_t malloc_delete(size_t n) { return mix(by_malloc, back_delete, n); }
verdict_t malloc_delete_array(size_t n) { return mix(by_malloc, back_delete_array, n); }
verdict_t calloc_delete(size_t n) { return mix(by_calloc, back_delete, n); }
verdict_t realloc_delete_array(size_t n) { return mix(by_realloc, back_delete_array, n); }
verdict_t strdup_delete_array(size_t n) { return mix(by_strdup, back_delete_array, n); }
verdict_t memalign_delete(size_t n) { return mix(by_memalign, back_delete, n); }
verdict_t memalign_delete_aligned(size_t n) { return mix(by_memalign, back_delete_aligned, n); }
verdict_t new_free(size_t n) { return mix(by_new, back_free, n); }
verdict_t new_nothrow_free(size_t n) { return mix(by_new_nothrow, back_free, n); }
verdict_t new_delete_array(size_t n) { return mix(by_new, back_delete_array, n); }
verdict_t new_array_free(size_t n) { return mix(by_new_array, back_free, n); }
verdict_t new_array_delete(size_t n) { return mix(by_new_array, back_delete, n); }
verdict_t new_aligned_free(size_t n) { return mix(by_new_aligned, back_free, n); }
verdict_t new_aligned_delete_array(size_t n) { return mix(by_new_aligned, back_delete_array_aligned, n); }
verdict_t new_array_aligned_free(size_t n) { return mix(by_new_array_aligned, back_free, n); }
verdict_t new_array_aligned_delete(size_t n) { return mix(by_new_array_aligned, back_delete_aligned, n); }

verdict_t realloc_of(void* (*from)(size_t), size_t n) {
  void* p = crowd_with(from, n);
  at(MISUSE);
  hide(realloc(p, n * 2 + 10));
  return MISSED;
}

verdict_t new_realloc(size_t n) { return realloc_of(by_new, n); }
verdict_t new_array_realloc(size_t n) { return realloc_of(by_new_array, n); }

verdict_t twice(void* (*from)(size_t), void (*first)(void*), void (*second)(void*), size_t n) {
  void* p = crowd_with(from, n);
  first(p);
  at(MISUSE);
  second(p);
  return handed_out(n, nullptr, 0);
}

verdict_t delete_twice(size_t n) { return twice(by_new, back_delete, back_delete, n); }
verdict_t delete_array_twice(size_t n) { return twice(by_new_array, back_delete_array, back_delete_array, n); }
verdict_t delete_then_free(size_t n) { return twice(by_new, back_delete, back_free, n); }
verdict_t free_then_delete(size_t n) { return twice(by_malloc, back_free, back_delete, n); }
verdict_t delete_aligned_twice(size_t n) {
  return twice(by_new_aligned, back_delete_aligned, back_delete_aligned, n);
}

// One byte past the end of an array from new char[n].
verdict_t new_array_overflow(size_t n) {
  char* p = static_cast<char*>(crowd_with(by_new_array, n));
  at(MISUSE);
  poke(p, static_cast<ptrdiff_t>(n), 0);
  at(FREE);
  ::operator delete[](p);
  return MISSED;
}

verdict_t new_underflow(size_t n) {
  char* p = static_cast<char*>(crowd_with(by_new, n));
  at(MISUSE);
  poke(p, -1, peek(p, -1) ^ 4);
  at(FREE);
  ::operator delete(p);
  for (void* q; (q = crowd_take()) != nullptr;) ::operator delete(q);
  return MISSED;
}

verdict_t write_after_delete(size_t n) {
  char* p = static_cast<char*>(crowd_with(by_new, n));
  ::operator delete(p);
  at(MISUSE);
  poke(p, static_cast<ptrdiff_t>(n / 2), 'W');
  at(REUSE);
  churn(n);
  return MISSED;
}

const kind_t kinds[] = {
  {"malloc-delete", malloc_delete, "malloc, operator delete", 0},
  {"malloc-delete-array", malloc_delete_array, "malloc, operator delete[]", 0},
  {"calloc-delete", calloc_delete, "calloc, operator delete", 0},
  {"realloc-delete-array", realloc_delete_array, "realloc, operator delete[]", 1},
  {"strdup-delete-array", strdup_delete_array, "strdup, operator delete[]", 1},
  {"memalign-delete", memalign_delete, "posix_memalign, operator delete", 0},
  {"memalign-delete-aligned", memalign_delete_aligned, "posix_memalign, aligned operator delete", 0},
  {"new-free", new_free, "operator new, free", 0},
  {"new-nothrow-free", new_nothrow_free, "operator new (nothrow), free", 0},
  {"new-delete-array", new_delete_array, "operator new, operator delete[]", 0},
  {"new-array-free", new_array_free, "operator new[], free", 0},
  {"new-array-delete", new_array_delete, "operator new[], operator delete", 0},
  {"new-aligned-free", new_aligned_free, "aligned operator new, free", 0},
  {"new-aligned-delete-array", new_aligned_delete_array, "aligned operator new, aligned operator delete[]", 0},
  {"new-array-aligned-free", new_array_aligned_free, "aligned operator new[], free", 0},
  {"new-array-aligned-delete", new_array_aligned_delete, "aligned operator new[], aligned operator delete", 0},
  {"new-realloc", new_realloc, "operator new, realloc", 0},
  {"new-array-realloc", new_array_realloc, "operator new[], realloc", 0},
  {"delete-twice", delete_twice, "operator delete twice", 0},
  {"delete-array-twice", delete_array_twice, "operator delete[] twice", 0},
  {"delete-then-free", delete_then_free, "operator delete, then free", 0},
  {"free-then-delete", free_then_delete, "free, then operator delete", 0},
  {"delete-aligned-twice", delete_aligned_twice, "aligned operator delete twice", 0},
  {"new-array-overflow", new_array_overflow, "p[n] = 0 in an array from operator new[]", 0},
  {"new-underflow", new_underflow, "one bit of p[-1] of an object from operator new", 0},
  {"write-after-delete", write_after_delete, "a byte in the middle is written after operator delete", 1},
};

}  // namespace

extern "C" const group_t family_group = {"family", KINDS(kinds)};
