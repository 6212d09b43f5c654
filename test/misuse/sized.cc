// Frees that say how large or how aligned the block is, and are wrong about it: free_sized and free_aligned_sized of
// C23, operator delete with a size or an alignment, and the mi_free_ forms. A wrong size means that the program and the
// allocator disagree about what the block is: a base class without a virtual destructor, or a confused type.
#include "misuse.h"

#include <new>
#include <stdlib.h>

namespace {

// An alignment that no block has by accident, so that a claim of it must be wrong.
const size_t MUCH = 16 << 20;

using sized_t = void (*)(void*, size_t);
using aligned_sized_t = void (*)(void*, size_t, size_t);

verdict_t by_name(const char* name, size_t size, size_t said) {
  sized_t function = reinterpret_cast<sized_t>(find_function(name));
  if (function == nullptr) return NOT_HERE;
  void* p = crowd(size);
  at(MISUSE);
  function(p, said);
  return MISSED;
}

verdict_t free_sized_more(size_t n) { return by_name("free_sized", n, n + 1); }
verdict_t free_sized_less(size_t n) { return by_name("free_sized", n, n - 1); }
verdict_t free_sized_zero(size_t n) { return by_name("free_sized", n, 0); }
verdict_t free_sized_double(size_t n) { return by_name("free_sized", n, n * 2); }
verdict_t free_sized_huge(size_t n) { return by_name("free_sized", n, SIZE_MAX - n); }
verdict_t mi_free_size_more(size_t n) { return by_name("mi_free_size", n, n + 1); }
verdict_t mi_free_size_less(size_t n) { return by_name("mi_free_size", n, n - 1); }

// free_sized is for malloc, calloc and realloc; free_aligned_sized for aligned_alloc.
verdict_t free_sized_of_aligned(size_t n) {
  sized_t function = reinterpret_cast<sized_t>(find_function("free_sized"));
  void* p = nullptr;
  if (function == nullptr) return NOT_HERE;
  if (posix_memalign(&p, 256, n) != 0) return SET_UP_FAILED;
  about(p, n);
  at(MISUSE);
  function(hide(p), n + 1);
  return MISSED;
}

verdict_t aligned_by_name(const char* name, size_t size, size_t align, size_t said_align, size_t said_size) {
  any_function_t found = find_function(name);
  if (found == nullptr) return NOT_HERE;
  void* p = align == 0 ? get(size) : hide(aligned_alloc(align, size));
  if (p == nullptr) return SET_UP_FAILED;
  // Not by accident aligned to more than was asked for.
  for (int i = 0; i < 40 && said_align > align && (uintptr_t)p % said_align == 0; i++) {
    p = align == 0 ? get(size) : hide(aligned_alloc(align, size));
  }
  if (said_align > align && (uintptr_t)p % said_align == 0) return NOT_HERE;
  about(p, size);
  at(MISUSE);
  reinterpret_cast<aligned_sized_t>(found)(p, said_align, said_size);
  return MISSED;
}

verdict_t aligned_sized_more(size_t n) { return aligned_by_name("free_aligned_sized", n, 64, 64, n + 1); }
verdict_t aligned_sized_less(size_t n) { return aligned_by_name("free_aligned_sized", n, 64, 64, n - 1); }
verdict_t aligned_sized_align(size_t n) { return aligned_by_name("free_aligned_sized", n, 64, MUCH, n); }
verdict_t aligned_sized_of_plain(size_t n) { return aligned_by_name("free_aligned_sized", n, 0, MUCH, n); }

verdict_t mi_free_aligned_wrong(size_t n) {
  sized_t function = reinterpret_cast<sized_t>(find_function("mi_free_aligned"));
  if (function == nullptr) return NOT_HERE;
  void* p = crowd(n);
  for (void* q; (uintptr_t)p % MUCH == 0 && (q = crowd_take()) != nullptr;) p = q;
  if ((uintptr_t)p % MUCH == 0) return NOT_HERE;
  about(p, n);
  at(MISUSE);
  function(p, MUCH);
  return MISSED;
}

void* by_new(size_t n) { return ::operator new(n); }
void* by_new_array(size_t n) { return ::operator new[](n); }

verdict_t delete_said(size_t n, size_t said) {
  void* p = crowd_with(by_new, n);
  at(MISUSE);
  ::operator delete(p, said);
  return MISSED;
}

verdict_t delete_array_said(size_t n, size_t said) {
  void* p = crowd_with(by_new_array, n);
  at(MISUSE);
  ::operator delete[](p, said);
  return MISSED;
}

verdict_t delete_more(size_t n) { return delete_said(n, n + 1); }
verdict_t delete_less(size_t n) { return delete_said(n, n - 1); }
verdict_t delete_double(size_t n) { return delete_said(n, n * 2); }
verdict_t delete_zero(size_t n) { return delete_said(n, 0); }
verdict_t delete_huge(size_t n) { return delete_said(n, SIZE_MAX - n); }
verdict_t delete_array_more(size_t n) { return delete_array_said(n, n + 1); }
verdict_t delete_array_less(size_t n) { return delete_array_said(n, n - 1); }

// `delete` through a pointer to a base class without a virtual destructor.
struct base { long a, b; };
struct derived : base { long more[6]; };

verdict_t delete_by_base(size_t n) {
  for (size_t i = 0; i < 16 && i * n < (1 << 20); i++) get(n);
  derived* object = static_cast<derived*>(hide(new derived));
  about(object, sizeof(derived));
  at(MISUSE);
  delete static_cast<base*>(static_cast<void*>(object));
  return MISSED;
}

verdict_t delete_aligned_size(size_t n) {
  void* p = hide(::operator new(n, std::align_val_t{64}));
  about(p, n);
  at(MISUSE);
  ::operator delete(p, n + 1, std::align_val_t{64});
  return MISSED;
}

verdict_t delete_aligned_more(size_t n) {
  void* p = hide(::operator new(n, std::align_val_t{64}));
  for (int i = 0; i < 40 && (uintptr_t)p % MUCH == 0; i++) p = hide(::operator new(n, std::align_val_t{64}));
  if ((uintptr_t)p % MUCH == 0) return NOT_HERE;
  about(p, n);
  at(MISUSE);
  ::operator delete(p, std::align_val_t{MUCH});
  return MISSED;
}

verdict_t delete_array_aligned_more(size_t n) {
  void* p = hide(::operator new[](n, std::align_val_t{64}));
  for (int i = 0; i < 40 && (uintptr_t)p % MUCH == 0; i++) p = hide(::operator new[](n, std::align_val_t{64}));
  if ((uintptr_t)p % MUCH == 0) return NOT_HERE;
  about(p, n);
  at(MISUSE);
  ::operator delete[](p, n, std::align_val_t{MUCH});
  return MISSED;
}

const kind_t kinds[] = {
  {"free-sized-more", free_sized_more, "free_sized(p, n + 1)", 0},
  {"free-sized-less", free_sized_less, "free_sized(p, n - 1)", 1},
  {"free-sized-zero", free_sized_zero, "free_sized(p, 0)", 1},
  {"free-sized-double", free_sized_double, "free_sized(p, 2 * n)", 1},
  {"free-sized-huge", free_sized_huge, "free_sized(p, SIZE_MAX - n)", 0},
  {"free-sized-of-aligned", free_sized_of_aligned, "free_sized(p, n + 1) of an aligned block", 0},
  {"mi-free-size-more", mi_free_size_more, "mi_free_size(p, n + 1)", 0},
  {"mi-free-size-less", mi_free_size_less, "mi_free_size(p, n - 1)", 1},
  {"mi-free-aligned", mi_free_aligned_wrong, "mi_free_aligned(p, 16 MiB) of a block that is not", 0},
  {"aligned-sized-more", aligned_sized_more, "free_aligned_sized(p, 64, n + 1)", 0},
  {"aligned-sized-less", aligned_sized_less, "free_aligned_sized(p, 64, n - 1)", 1},
  {"aligned-sized-align", aligned_sized_align, "free_aligned_sized(p, 16 MiB, n) of a block aligned to 64", 0},
  {"aligned-sized-of-plain", aligned_sized_of_plain, "free_aligned_sized(p, 16 MiB, n) of a block from malloc", 0},
  {"delete-more", delete_more, "operator delete(p, n + 1)", 0},
  {"delete-less", delete_less, "operator delete(p, n - 1)", 2},
  {"delete-double", delete_double, "operator delete(p, 2 * n)", 1},
  {"delete-zero", delete_zero, "operator delete(p, 0)", 1},
  {"delete-huge", delete_huge, "operator delete(p, SIZE_MAX - n)", 0},
  {"delete-array-more", delete_array_more, "operator delete[](p, n + 1)", 0},
  {"delete-array-less", delete_array_less, "operator delete[](p, n - 1)", 2},
  {"delete-by-base", delete_by_base, "delete through a base class without a virtual destructor", 0},
  {"delete-aligned-size", delete_aligned_size, "operator delete(p, n + 1, 64)", 0},
  {"delete-aligned-more", delete_aligned_more, "operator delete(p, align 16 MiB) of a block aligned to 64", 0},
  {"delete-array-aligned-more", delete_array_aligned_more, "operator delete[](p, n, align 16 MiB), likewise", 0},
};

}  // namespace

extern "C" const group_t sized_group = {"sized", KINDS(kinds)};
