// The mi_new and mi_delete families, called from C. That they throw, and what new-handlers do, is in cxx.cc.
#include "mi.h"

// ---- adaptors: every allocating function as one of a size, or of a size and an alignment ----------------------------

MAKE(new_nothrow, mi_new_nothrow(size))
MAKE(new_array_nothrow, mi_new_array_nothrow(size))
MAKE(new_aligned_nothrow, mi_new_aligned_nothrow(size, 64))
MAKE_ALIGNED(new, mi_new_aligned(size, alignment))
MAKE_ALIGNED(new_array, mi_new_array_aligned(size, alignment))

// ---- C++ from C: what throws is tested in cxx.cc --------------------------------------------------------------------

static void test_mi_new(void) {
  check_make(mi_new, THROWS);
}

static void test_mi_new_nothrow(void) {
  check_make(mi_new_nothrow, 0);
}

static void test_mi_new_aligned(void) {
  check_make_aligned(aligned_new, 1, THROWS);
}

static void test_mi_new_aligned_nothrow(void) {
  check_aligned(mi_new_aligned_nothrow, 0);
}

static void test_mi_new_array(void) {
  check_make(mi_new_array, THROWS);
}

static void test_mi_new_array_nothrow(void) {
  check_make(mi_new_array_nothrow, 0);
}

static void test_mi_new_array_aligned(void) {
  check_make_aligned(aligned_new_array, 1, THROWS);
}

static void test_mi_new_array_aligned_nothrow(void) {
  check_aligned(mi_new_array_aligned_nothrow, 0);
}

MAKE(new_n, mi_new_n(size, 1))

static void test_mi_new_n(void) {
  check_make(make_new_n, THROWS);
}

static void test_mi_new_realloc(void) {
  char* p = mi_new(100);
  fill(p, 100, 1);
  for (const size_t* size = sizes; *size != 0; size++) {
    context("size %zu", *size);
    if (*size < 100) continue;
    p = mi_new_realloc(p, *size);
    CHECK(p != NULL && filled(p, 100, 1));
  }
  mi_free(p);
  p = mi_new_realloc(NULL, 50);
  mi_delete(p);
}

static void test_mi_new_reallocn(void) {
  char* p = mi_new_reallocn(NULL, 10, 10);
  fill(p, 100, 1);
  p = mi_new_reallocn(p, 1000, 30);
  CHECK(filled(p, 100, 1) && mi_usable_size(p) >= 30000);
  mi_delete(p);
}

#define CHECK_DELETES(make, end) \
  for (const size_t* size = sizes; *size != 0; size++) { \
    context("size %zu", *size); \
    void* p = make; \
    errno = 4321; \
    end; \
    CHECK(errno == 4321); \
  } \
  const size_t zero = 0; \
  const size_t* size = &zero; \
  void* p = *size == 0 ? NULL : hide(NULL); \
  end

static void test_mi_delete(void) {
  CHECK_DELETES(mi_new(*size), mi_delete(p));
}

static void test_mi_delete_size(void) {
  CHECK_DELETES(mi_new(*size), mi_delete_size(p, *size));
}

static void test_mi_delete_aligned(void) {
  CHECK_DELETES(mi_new_aligned(*size, 64), mi_delete_aligned(p, 64));
}

static void test_mi_delete_size_aligned(void) {
  CHECK_DELETES(mi_new_aligned(*size, 4096), mi_delete_size_aligned(p, *size, 4096));
}

static void test_mi_delete_array(void) {
  CHECK_DELETES(mi_new_array(*size), mi_delete_array(p));
}

static void test_mi_delete_array_size(void) {
  CHECK_DELETES(mi_new_array(*size), mi_delete_array_size(p, *size));
}

static void test_mi_delete_array_aligned(void) {
  CHECK_DELETES(mi_new_array_aligned(*size, 32), mi_delete_array_aligned(p, 32));
}

static void test_mi_delete_array_size_aligned(void) {
  CHECK_DELETES(mi_new_array_aligned(*size, 128), mi_delete_array_size_aligned(p, *size, 128));
}

// One a line, as CMakeLists.txt reads them.
// clang-format off
const case_t cases[] = {
  CASE(mi_new)
  CASE_OOM(mi_new_nothrow, make_new_nothrow)
  CASE(mi_new_aligned)
  CASE_OOM(mi_new_aligned_nothrow, make_new_aligned_nothrow)
  CASE(mi_new_array)
  CASE_OOM(mi_new_array_nothrow, make_new_array_nothrow)
  CASE(mi_new_array_aligned)
  CASE(mi_new_array_aligned_nothrow)
  CASE(mi_new_n)
  CASE(mi_new_realloc)
  CASE(mi_new_reallocn)
  CASE(mi_delete)
  CASE(mi_delete_size)
  CASE(mi_delete_aligned)
  CASE(mi_delete_size_aligned)
  CASE(mi_delete_array)
  CASE(mi_delete_array_size)
  CASE(mi_delete_array_aligned)
  CASE(mi_delete_array_size_aligned)
  {NULL, NULL, NULL}
};
// clang-format on
