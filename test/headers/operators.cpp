// mimalloc-new-delete.h: every form of new and delete reaches this library, fits its counterpart, and
// zero-sized, aligned and impossible requests do what the standard says.
//
// Linked with the library and run, once for each standard, with both products: in the secure one a form
// that called the entry point of another family or passed a wrong size would end the process.
#include "mimalloc-new-delete.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>

#define check(condition)                                                    \
  do {                                                                      \
    if (!(condition)) {                                                     \
      std::fprintf(stderr, "line %d: not so: %s\n", __LINE__, #condition);  \
      std::exit(1);                                                         \
    }                                                                       \
  } while (0)

namespace {

struct plain_t {
  long numbers[5];
};

// With a destructor, an array of these carries a count in front.
struct counted_t {
  static int alive;
  long number;
  counted_t() : number(alive++) {
  }
  ~counted_t() {
    alive--;
  }
};
int counted_t::alive = 0;

volatile std::size_t unknown = 1;  // keeps the compiler from pairing new with delete and removing both

template <class T>
T* ours(T* p) {
  check(mi_is_in_heap_region(p));
  unknown = unknown + reinterpret_cast<std::uintptr_t>(p) % 2;
  return p;
}

void expressions() {
  delete ours(new plain_t);
  delete[] ours(new plain_t[7 * unknown]);
  delete ours(new (std::nothrow) plain_t);
  delete[] ours(new (std::nothrow) plain_t[7 * unknown]);
  delete ours(new counted_t);
  delete[] ours(new counted_t[100 * unknown]);
  check(counted_t::alive == 0);
  delete[] ours(new char[0 * unknown]);
  std::unique_ptr<counted_t[]> array(new counted_t[3]);
  std::shared_ptr<plain_t> shared = std::make_shared<plain_t>();
  check(mi_is_in_heap_region(shared.get()));
}

void calls() {
  for (std::size_t size = 0; size < 3000; size += 37) {
    ::operator delete(ours(::operator new(size)));
    ::operator delete[](ours(::operator new[](size)));
    ::operator delete(ours(::operator new(size, std::nothrow)), std::nothrow);
    ::operator delete[](ours(::operator new[](size, std::nothrow)), std::nothrow);
#if defined(__cpp_sized_deallocation)
    ::operator delete(ours(::operator new(size)), size);
    ::operator delete[](ours(::operator new[](size)), size);
#endif
  }
  ::operator delete(nullptr);
  ::operator delete[](nullptr);
}

void impossible() {
  const std::size_t huge = SIZE_MAX / 2 + unknown;
  int thrown = 0;
  try {
    ours(::operator new(huge));
  } catch (const std::bad_alloc&) {
    thrown++;
  }
  try {
    ours(::operator new[](huge));
  } catch (const std::bad_alloc&) {
    thrown++;
  }
  check(thrown == 2);
  check(::operator new(huge, std::nothrow) == nullptr);
  check(::operator new[](huge, std::nothrow) == nullptr);
}

#if defined(__cpp_aligned_new)
struct alignas(256) wide_t {
  char bytes[256];
};

void aligned() {
  delete ours(new wide_t);
  delete[] ours(new wide_t[3 * unknown]);
  for (std::size_t n = 1; n <= 1u << 16; n *= 2) {
    const std::align_val_t alignment = static_cast<std::align_val_t>(n);
    void* p[6] = {
      ::operator new(100, alignment),
      ::operator new[](100, alignment),
      ::operator new(100, alignment, std::nothrow),
      ::operator new[](100, alignment, std::nothrow),
      ::operator new(100, alignment),
      ::operator new[](100, alignment),
    };
    for (void* q : p) check(reinterpret_cast<std::uintptr_t>(ours(q)) % n == 0);
    ::operator delete(p[0], alignment);
    ::operator delete[](p[1], alignment);
    ::operator delete(p[2], alignment, std::nothrow);
    ::operator delete[](p[3], alignment, std::nothrow);
#if defined(__cpp_sized_deallocation)
    ::operator delete(p[4], 100, alignment);
    ::operator delete[](p[5], 100, alignment);
#else
    ::operator delete(p[4], alignment);
    ::operator delete[](p[5], alignment);
#endif
  }
}
#endif

}  // namespace

int main() {
  expressions();
  calls();
  impossible();
#if defined(__cpp_aligned_new)
  aligned();
#endif
  return 0;
}
