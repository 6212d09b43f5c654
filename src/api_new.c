// C++ allocation from C: the mi_new and mi_delete families, and what follows when operator new has no memory.
//
// The new-handler is called and the request tried again until it is met or there is no handler; then std::bad_alloc is
// thrown. Handler and exception belong to the C++ library of the program. That is found by weak references, or, when
// it came later by dlopen, by dlsym, so that this library needs none. Without one the process ends with a message. A
// request that no handler can make possible (its size overflows, its alignment is no power of two) fails at once.
//
// To be compiled with -fexceptions: the exception passes through these functions.
#include "api.h"
#include "cxx.h"
#include "mimalloc-secure.h"

typedef void (*handler_t)(void);

// std::get_new_handler() and std::__throw_bad_alloc().
extern handler_t std_get_new_handler(void) __asm__("_ZSt15get_new_handlerv") __attribute__((weak));
extern void std_throw_bad_alloc(void) __asm__("_ZSt17__throw_bad_allocv") __attribute__((weak));
extern void* find_symbol(void* handle, const char* name) __asm__("dlsym") __attribute__((weak));

static void* late_symbol(const char* name) {
  return find_symbol == NULL ? NULL : find_symbol(NULL, name);  // NULL is RTLD_DEFAULT
}

static handler_t new_handler(void) {
  if (std_get_new_handler != NULL) return std_get_new_handler();
  union {
    void* symbol;
    handler_t (*get)(void);
  } late = {late_symbol("_ZSt15get_new_handlerv")};
  return late.symbol == NULL ? NULL : late.get();
}

bool mim_new_has_handler(void) {
  return new_handler() != NULL;
}

static void throw_bad_alloc(size_t size) {
  if (std_throw_bad_alloc != NULL) std_throw_bad_alloc();
  union {
    void* symbol;
    void (*throw_it)(void);
  } late = {late_symbol("_ZSt17__throw_bad_allocv")};
  if (late.symbol != NULL) late.throw_it();
  mim_print(
      "mimalloc: out of memory: operator new of %zu bytes failed, and there is no C++ library to throw "
      "std::bad_alloc\n",
      size);
  mim_os_abort();
}

static void* try_once(heap_t* heap, size_t size, size_t align, family_t family) {
  return mim_malloc_aligned(heap, size, align, 0, family, false);
}

void* mim_new_retry(heap_t* heap, size_t size, size_t align, family_t family, bool nothrow) {
  if (size <= MAX_REQUEST && is_power_of_two(align)) {
    for (handler_t handler; (handler = new_handler()) != NULL;) {
      handler();
      void* p = try_once(heap, size, align, family);
      if (p != NULL) return p;
    }
  }
  if (!nothrow) throw_bad_alloc(size);
  return NULL;
}

// ---- new ------------------------------------------------------------------------------------------------------------

void* mi_new(size_t size) {
  return cxx_new(size, FAMILY_NEW, false);
}

void* mi_new_nothrow(size_t size) {
  return cxx_new(size, FAMILY_NEW, true);
}

void* mi_new_aligned(size_t size, size_t alignment) {
  return cxx_new_aligned(size, alignment, FAMILY_NEW, false);
}

void* mi_new_aligned_nothrow(size_t size, size_t alignment) {
  return cxx_new_aligned(size, alignment, FAMILY_NEW, true);
}

void* mi_new_array(size_t size) {
  return cxx_new(size, FAMILY_NEW_ARRAY, false);
}

void* mi_new_array_nothrow(size_t size) {
  return cxx_new(size, FAMILY_NEW_ARRAY, true);
}

void* mi_new_array_aligned(size_t size, size_t alignment) {
  return cxx_new_aligned(size, alignment, FAMILY_NEW_ARRAY, false);
}

void* mi_new_array_aligned_nothrow(size_t size, size_t alignment) {
  return cxx_new_aligned(size, alignment, FAMILY_NEW_ARRAY, true);
}

void* mi_heap_alloc_new(mi_heap_t* heap, size_t size) {
  heap = api_heap(heap);
  void* p = mim_heap_alloc(heap, size, FAMILY_NEW, false);
  return mim_likely(p != NULL) ? p : mim_new_retry(heap, size, MIN_ALIGN, FAMILY_NEW, false);
}

void* mi_heap_alloc_new_n(mi_heap_t* heap, size_t count, size_t size) {
  size_t total;
  if (mul_overflows(count, size, &total)) total = SIZE_MAX;  // which fails
  return mi_heap_alloc_new(heap, total);
}

void* mi_new_n(size_t count, size_t size) {
  return mi_heap_alloc_new_n(mim_tls.heap, count, size);
}

void* mi_new_realloc(void* p, size_t newsize) {
  void* q = mim_realloc(NULL, p, newsize, FAMILY_NEW, false);
  while (mim_unlikely(q == NULL)) {
    handler_t handler = newsize <= MAX_REQUEST && errno == ENOMEM ? new_handler() : NULL;
    if (handler == NULL) throw_bad_alloc(newsize);
    handler();
    q = mim_realloc(NULL, p, newsize, FAMILY_NEW, false);
  }
  return q;
}

void* mi_new_reallocn(void* p, size_t newcount, size_t size) {
  size_t total;
  if (mul_overflows(newcount, size, &total)) total = SIZE_MAX;
  return mi_new_realloc(p, total);
}

// ---- delete ---------------------------------------------------------------------------------------------------------

void mi_delete(void* p) {
  mim_release(p, FAMILY_NEW);
}

void mi_delete_size(void* p, size_t size) {
  mim_release_sized(p, size, 0, FAMILY_NEW);
}

void mi_delete_aligned(void* p, size_t alignment) {
  mim_release_sized(p, SIZE_UNKNOWN, alignment, FAMILY_NEW);
}

void mi_delete_size_aligned(void* p, size_t size, size_t alignment) {
  mim_release_sized(p, size, alignment, FAMILY_NEW);
}

void mi_delete_array(void* p) {
  mim_release(p, FAMILY_NEW_ARRAY);
}

void mi_delete_array_size(void* p, size_t size) {
  mim_release_sized(p, size, 0, FAMILY_NEW_ARRAY);
}

void mi_delete_array_aligned(void* p, size_t alignment) {
  mim_release_sized(p, SIZE_UNKNOWN, alignment, FAMILY_NEW_ARRAY);
}

void mi_delete_array_size_aligned(void* p, size_t size, size_t alignment) {
  mim_release_sized(p, size, alignment, FAMILY_NEW_ARRAY);
}
