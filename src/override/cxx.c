// The operators new and delete of C++, all 20 forms that [new.delete] lets a program replace, under the names the
// Itanium ABI gives them. In C, so that the library needs no C++ run-time.
//
//   _Znwm _Znam            new, new[]                  _ZdlPv _ZdaPv     delete, delete[]
//   ...St11align_val_t     with an alignment           ...m              with the size
//   ...RKSt9nothrow_t      that return NULL
//
// What a form is told (size, alignment, whether it is for arrays) goes to the secure layer, which compares it with what
// was asked for. To be compiled with -fexceptions: std::bad_alloc passes through.
//
// A new-handler may throw, and the nothrow forms must then return NULL. C cannot catch: where a handler may be called,
// they ask the C++ library's own form, whose place they took; it calls the throwing operator (ours) and catches.
#include "../cxx.h"
#include "mimalloc/attr.h"

_Static_assert(sizeof(size_t) == sizeof(unsigned long), "the names below are those for a size_t of unsigned long");

#define SYMBOL(name) __asm__(#name) MI_EXPORT
#define NEXT ((void*)-1l)  // RTLD_NEXT

extern void* find_symbol(void* handle, const char* name) __asm__("dlsym") __attribute__((weak));

// `align` 0: a form without one.
static mim_cold void* nothrow_failed(const char* name, size_t size, size_t align, family_t family) {
  if (!mim_new_has_handler()) return NULL;
  union {
    void* symbol;
    void* (*plain)(size_t size, const void* nothrow);
    void* (*aligned)(size_t size, size_t align, const void* nothrow);
  } next = {find_symbol == NULL ? NULL : find_symbol(NEXT, name)};
  if (next.symbol == NULL) return mim_new_retry(NULL, size, align == 0 ? MIN_ALIGN : align, family, true);
  static const char nothrow_object = 0;  // a std::nothrow_t has no contents
  void* p = align == 0 ? next.plain(size, &nothrow_object) : next.aligned(size, align, &nothrow_object);
  return mim_page_find(p) != NULL ? p : NULL;  // if it was another allocator's form, its block is not for our delete
}

// ---- new ------------------------------------------------------------------------------------------------------------

void* operator_new(size_t size) SYMBOL(_Znwm);
void* operator_new(size_t size) {
  return cxx_new(size, FAMILY_NEW, false);
}

void* operator_new_array(size_t size) SYMBOL(_Znam);
void* operator_new_array(size_t size) {
  return cxx_new(size, FAMILY_NEW_ARRAY, false);
}

void* operator_new_nothrow(size_t size, const void* nothrow) SYMBOL(_ZnwmRKSt9nothrow_t);
void* operator_new_nothrow(size_t size, const void* nothrow) {
  (void)nothrow;
  void* p = mim_alloc(size, FAMILY_NEW);
  return mim_likely(p != NULL) ? p : nothrow_failed("_ZnwmRKSt9nothrow_t", size, 0, FAMILY_NEW);
}

void* operator_new_array_nothrow(size_t size, const void* nothrow) SYMBOL(_ZnamRKSt9nothrow_t);
void* operator_new_array_nothrow(size_t size, const void* nothrow) {
  (void)nothrow;
  void* p = mim_alloc(size, FAMILY_NEW_ARRAY);
  return mim_likely(p != NULL) ? p : nothrow_failed("_ZnamRKSt9nothrow_t", size, 0, FAMILY_NEW_ARRAY);
}

void* operator_new_aligned(size_t size, size_t align) SYMBOL(_ZnwmSt11align_val_t);
void* operator_new_aligned(size_t size, size_t align) {
  return cxx_new_aligned(size, align, FAMILY_NEW, false);
}

void* operator_new_array_aligned(size_t size, size_t align) SYMBOL(_ZnamSt11align_val_t);
void* operator_new_array_aligned(size_t size, size_t align) {
  return cxx_new_aligned(size, align, FAMILY_NEW_ARRAY, false);
}

void* operator_new_aligned_nothrow(size_t size, size_t align, const void* nothrow)
    SYMBOL(_ZnwmSt11align_val_tRKSt9nothrow_t);
void* operator_new_aligned_nothrow(size_t size, size_t align, const void* nothrow) {
  (void)nothrow;
  void* p = mim_malloc_aligned(NULL, size, align, 0, FAMILY_NEW, false);
  return mim_likely(p != NULL) ? p : nothrow_failed("_ZnwmSt11align_val_tRKSt9nothrow_t", size, align, FAMILY_NEW);
}

void* operator_new_array_aligned_nothrow(size_t size, size_t align, const void* nothrow)
    SYMBOL(_ZnamSt11align_val_tRKSt9nothrow_t);
void* operator_new_array_aligned_nothrow(size_t size, size_t align, const void* nothrow) {
  (void)nothrow;
  void* p = mim_malloc_aligned(NULL, size, align, 0, FAMILY_NEW_ARRAY, false);
  return mim_likely(p != NULL) ? p
                               : nothrow_failed("_ZnamSt11align_val_tRKSt9nothrow_t", size, align, FAMILY_NEW_ARRAY);
}

// ---- delete ---------------------------------------------------------------------------------------------------------

void operator_delete(void* p) SYMBOL(_ZdlPv);
void operator_delete(void* p) {
  mim_release(p, FAMILY_NEW);
}

void operator_delete_array(void* p) SYMBOL(_ZdaPv);
void operator_delete_array(void* p) {
  mim_release(p, FAMILY_NEW_ARRAY);
}

void operator_delete_nothrow(void* p, const void* nothrow) SYMBOL(_ZdlPvRKSt9nothrow_t);
void operator_delete_nothrow(void* p, const void* nothrow) {
  (void)nothrow;
  mim_release(p, FAMILY_NEW);
}

void operator_delete_array_nothrow(void* p, const void* nothrow) SYMBOL(_ZdaPvRKSt9nothrow_t);
void operator_delete_array_nothrow(void* p, const void* nothrow) {
  (void)nothrow;
  mim_release(p, FAMILY_NEW_ARRAY);
}

void operator_delete_sized(void* p, size_t size) SYMBOL(_ZdlPvm);
void operator_delete_sized(void* p, size_t size) {
  mim_release_sized(p, size, 0, FAMILY_NEW);
}

void operator_delete_array_sized(void* p, size_t size) SYMBOL(_ZdaPvm);
void operator_delete_array_sized(void* p, size_t size) {
  mim_release_sized(p, size, 0, FAMILY_NEW_ARRAY);
}

void operator_delete_aligned(void* p, size_t align) SYMBOL(_ZdlPvSt11align_val_t);
void operator_delete_aligned(void* p, size_t align) {
  mim_release_sized(p, SIZE_UNKNOWN, align, FAMILY_NEW);
}

void operator_delete_array_aligned(void* p, size_t align) SYMBOL(_ZdaPvSt11align_val_t);
void operator_delete_array_aligned(void* p, size_t align) {
  mim_release_sized(p, SIZE_UNKNOWN, align, FAMILY_NEW_ARRAY);
}

void operator_delete_aligned_nothrow(void* p, size_t align, const void* nothrow)
    SYMBOL(_ZdlPvSt11align_val_tRKSt9nothrow_t);
void operator_delete_aligned_nothrow(void* p, size_t align, const void* nothrow) {
  (void)nothrow;
  mim_release_sized(p, SIZE_UNKNOWN, align, FAMILY_NEW);
}

void operator_delete_array_aligned_nothrow(void* p, size_t align, const void* nothrow)
    SYMBOL(_ZdaPvSt11align_val_tRKSt9nothrow_t);
void operator_delete_array_aligned_nothrow(void* p, size_t align, const void* nothrow) {
  (void)nothrow;
  mim_release_sized(p, SIZE_UNKNOWN, align, FAMILY_NEW_ARRAY);
}

void operator_delete_sized_aligned(void* p, size_t size, size_t align) SYMBOL(_ZdlPvmSt11align_val_t);
void operator_delete_sized_aligned(void* p, size_t size, size_t align) {
  mim_release_sized(p, size, align, FAMILY_NEW);
}

void operator_delete_array_sized_aligned(void* p, size_t size, size_t align) SYMBOL(_ZdaPvmSt11align_val_t);
void operator_delete_array_sized_aligned(void* p, size_t size, size_t align) {
  mim_release_sized(p, size, align, FAMILY_NEW_ARRAY);
}
