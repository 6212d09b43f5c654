// The mi_ functions that reallocate, that tell block sizes as they go, and that copy strings, against the comments of the
// public headers.
#include "mi.h"

#include <limits.h>
#include <wchar.h>

// ---- adaptors: every allocating function as one of a size, or of a size and an alignment ----------------------------

MAKE(calloc, mi_calloc(1, size))
MAKE(realloc, mi_realloc(NULL, size))
MAKE(rezalloc, mi_rezalloc(NULL, size))
MAKE(umalloc, mi_umalloc(size, NULL))
MAKE_ALIGNED(umalloc, mi_umalloc_aligned(size, alignment, NULL))
MAKE_ALIGNED(uzalloc, mi_uzalloc_aligned(size, alignment, NULL))
MAKE_ALIGNED(realloc, mi_realloc_aligned(NULL, size, alignment))
MAKE_ALIGNED(rezalloc, mi_rezalloc_aligned(NULL, size, alignment))
MAKE_ALIGNED(recalloc, mi_recalloc_aligned(NULL, 1, size, alignment))
RESIZE(reallocn, mi_reallocn(p, size, 1))
RESIZE(reallocarray, mi_reallocarray(p, 1, size))
RESIZE(recalloc, mi_recalloc(p, size, 1))
RESIZE(urealloc, mi_urealloc(p, size, NULL, NULL))
RESIZE(realloc_aligned, mi_realloc_aligned(p, size, 128))
RESIZE(rezalloc_aligned, mi_rezalloc_aligned(p, size, 128))
RESIZE(recalloc_aligned, mi_recalloc_aligned(p, 1, size, 128))
RESIZE(aligned_recalloc, mi_aligned_recalloc(p, 1, size, 128))
RESIZE(realloc_at, mi_realloc_aligned_at(p, size, 16, 0))
RESIZE(rezalloc_at, mi_rezalloc_aligned_at(p, size, 16, 0))
RESIZE(recalloc_at, mi_recalloc_aligned_at(p, 1, size, 16, 0))
RESIZE(offset_recalloc, mi_aligned_offset_recalloc(p, 1, size, 16, 0))
MAKE(zalloc_128, mi_zalloc_aligned(size, 128))
MAKE(malloc_128, mi_malloc_aligned(size, 128))

// ---- reallocation ---------------------------------------------------------------------------------------------------

static void test_mi_realloc(void) {
  check_resize(mi_realloc, mi_malloc, 16, 0);
}

typedef void* resize_n_t(void* p, size_t count, size_t size);

static void check_resize_overflow(resize_n_t* resize) {
  context("overflow");
  void* p = mi_zalloc(100);
  fill(p, 100, 2);
  errno = 0;
  CHECK(resize(p, SIZE_MAX / 2 + 1, 2) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(resize(p, (size_t)1 << 32, (size_t)1 << 33) == NULL && errno == ENOMEM);
  CHECK(filled(p, 100, 2));
  p = resize(p, 30, 100);
  CHECK(p != NULL && mi_usable_size(p) >= 3000 && filled(p, 100, 2));
  mi_free(p);
}

static void test_mi_reallocn(void) {
  check_resize(resize_reallocn, mi_malloc, 16, 0);
  check_resize_overflow(mi_reallocn);
}

static void test_mi_reallocarray(void) {
  check_resize(resize_reallocarray, mi_malloc, 16, 0);
  check_resize_overflow(mi_reallocarray);
}

static void test_mi_reallocf(void) {
  check_resize(mi_reallocf, mi_malloc, 16, FREES_ON_FAILURE);
  for (size_t i = 0; i < 1000; i++) {
    char* p = mi_malloc((size_t)16 << 20);
    CHECK(p != NULL);
    p[0] = 1;
    CHECK(mi_reallocf(p, SIZE_MAX / 2) == NULL);
  }
}

static void test_mi_reallocarr(void) {
  void* p = NULL;
  errno = 4321;
  CHECK(mi_reallocarr(&p, 10, 10) == 0 && p != NULL);
  fill(p, 100, 1);
  void* before = p;
  CHECK(mi_reallocarr(&p, SIZE_MAX, 2) == ENOMEM && p == before);
  CHECK(mi_reallocarr(&p, SIZE_MAX / 4, 1) == ENOMEM && p == before && filled(p, 100, 1));
  CHECK(mi_reallocarr(NULL, 1, 1) == EINVAL);
  CHECK(mi_reallocarr(&p, 1000, 100) == 0 && filled(p, 100, 1) && mi_usable_size(p) >= 100000);
  CHECK(errno == 4321);
  mi_free(p);
}

static void check_expand(void* (*expand)(void* p, size_t size), bool sets_errno) {
  for (const size_t* size = sizes; *size != 0; size++) {
    context("a block of %zu", *size);
    char* p = mi_malloc(*size);
    size_t all = mi_usable_size(p);
    fill(p, *size, 4);
    errno = 4321;
    CHECK(expand(p, *size) == p && expand(p, all) == p);
    size_t less = *size - *size / 16;
    CHECK(expand(p, less) == p && errno == 4321);
    CHECK(filled(p, *size < 100000 ? less : 100, 4));
    CHECK(expand(p, *size) == p);
    errno = 4321;
    CHECK(expand(p, *size * 2 + 200000) == NULL && errno == (sets_errno ? ENOMEM : 4321));
    errno = 4321;
    CHECK(expand(p, SIZE_MAX) == NULL && errno == (sets_errno ? ENOMEM : 4321));
    CHECK(filled(p, *size < 100000 ? less : 100, 4));
    mi_free_size(p, *size);
  }
  errno = 4321;
  CHECK(expand(NULL, 10) == NULL && errno == (sets_errno ? ENOMEM : 4321));
}

static void test_mi_expand(void) {
  check_expand(mi_expand, false);
}

static void test_mi__expand(void) {
  check_expand(mi__expand, true);
}

static void test_mi_rezalloc(void) {
  check_resize(mi_rezalloc, mi_zalloc, 16, ZEROED);
}

static void test_mi_recalloc(void) {
  check_resize(resize_recalloc, make_calloc, 16, ZEROED);
  check_resize_overflow(mi_recalloc);
}

static void test_mi_realloc_aligned(void) {
  check_aligned(aligned_realloc, 0);
  check_resize(resize_realloc_aligned, make_malloc_128, 128, 0);
}

static void test_mi_rezalloc_aligned(void) {
  check_aligned(aligned_rezalloc, ZEROED);
  check_resize(resize_rezalloc_aligned, make_zalloc_128, 128, ZEROED);
}

static void* recalloc_128(void* p, size_t count, size_t size) {
  return mi_recalloc_aligned(p, count, size, 128);
}

static void test_mi_recalloc_aligned(void) {
  check_aligned(aligned_recalloc, ZEROED);
  check_resize(resize_recalloc_aligned, make_zalloc_128, 128, ZEROED);
  check_resize_overflow(recalloc_128);
}

static void test_mi_aligned_recalloc(void) {
  check_resize(resize_aligned_recalloc, make_zalloc_128, 128, ZEROED);
}

typedef void* resize_at_t(void* p, size_t size, size_t alignment, size_t offset);

static void check_resize_at(resize_at_t* resize, bool zero) {
  for (size_t alignment = 16; alignment <= 65536; alignment *= 2) {
    for (size_t offset = 8; offset < 5000; offset *= 5) {
      char* p = NULL;
      size_t had = 0;
      for (size_t size = offset + 1; size < 400000; had = size, size = size * 3) {
        context("%zu to %zu, alignment %zu, offset %zu", had, size, alignment, offset);
        p = resize(p, size, alignment, offset);
        CHECK(p != NULL && ((uintptr_t)p + offset) % alignment == 0);
        CHECK(filled(p, had, 7));
        if (zero) CHECK(all_zero(p + had, size - had));
        fill(p, size, 7);
        if (size > 260000) break;
      }
      CHECK(resize(p, 10, 3, 0) == NULL && errno == EINVAL);
      mi_free(p);
    }
  }
}

static void* at_recalloc(void* p, size_t size, size_t alignment, size_t offset) {
  return mi_recalloc_aligned_at(p, 1, size, alignment, offset);
}

static void* at_offset_recalloc(void* p, size_t size, size_t alignment, size_t offset) {
  return mi_aligned_offset_recalloc(p, size, 1, alignment, offset);
}

static void test_mi_realloc_aligned_at(void) {
  check_resize(resize_realloc_at, mi_malloc, 16, 0);
  check_resize_at(mi_realloc_aligned_at, false);
}

static void test_mi_rezalloc_aligned_at(void) {
  check_resize(resize_rezalloc_at, mi_zalloc, 16, ZEROED);
  check_resize_at(mi_rezalloc_aligned_at, true);
}

static void test_mi_recalloc_aligned_at(void) {
  check_resize(resize_recalloc_at, mi_zalloc, 16, ZEROED);
  check_resize_at(at_recalloc, true);
}

static void test_mi_aligned_offset_recalloc(void) {
  check_resize(resize_offset_recalloc, mi_zalloc, 16, ZEROED);
  check_resize_at(at_offset_recalloc, true);
}

// ---- with the block size --------------------------------------------------------------------------------------------

#define CHECK_USIZE(call, failing) \
  for (const size_t* size = sizes; *size != 0; size++) { \
    context("size %zu", *size); \
    size_t told = 77; \
    void* p = call; \
    CHECK(p != NULL && told >= *size && told == mi_usable_size(p)); \
    mi_free(p); \
  } \
  size_t told = 77; \
  CHECK(failing == NULL && told == 0)

static void test_mi_umalloc(void) {
  check_make(make_umalloc, 0);
  CHECK_USIZE(mi_umalloc(*size, &told), mi_umalloc(SIZE_MAX, &told));
}

static void test_mi_ucalloc(void) {
  CHECK_USIZE(mi_ucalloc(*size, 1, &told), mi_ucalloc(SIZE_MAX, 2, &told));
}

static void test_mi_umalloc_small(void) {
  CHECK_USIZE(mi_umalloc_small(*size, &told), mi_umalloc_small(SIZE_MAX, &told));
}

static void test_mi_uzalloc_small(void) {
  CHECK_USIZE(mi_uzalloc_small(*size, &told), mi_uzalloc_small(SIZE_MAX, &told));
}

static void test_mi_umalloc_aligned(void) {
  check_aligned(aligned_umalloc, 0);
  CHECK_USIZE(mi_umalloc_aligned(*size, 64, &told), mi_umalloc_aligned(10, 3, &told));
}

static void test_mi_uzalloc_aligned(void) {
  check_aligned(aligned_uzalloc, ZEROED);
  CHECK_USIZE(mi_uzalloc_aligned(*size, 64, &told), mi_uzalloc_aligned(SIZE_MAX, 64, &told));
}

static void test_mi_urealloc(void) {
  check_resize(resize_urealloc, mi_malloc, 16, 0);
  size_t before = 77, after = 77;
  void* p = mi_urealloc(NULL, 100, &before, &after);
  CHECK(p != NULL && before == 0 && after == mi_usable_size(p));
  size_t had = after;
  p = mi_urealloc(p, 5000, &before, &after);
  CHECK(before == had && after == mi_usable_size(p) && after >= 5000);
  CHECK(mi_urealloc(p, SIZE_MAX, &before, &after) == NULL && before >= 5000 && after == 0);
  mi_free(p);
}

static void test_mi_ufree(void) {
  for (const size_t* size = sizes; *size != 0; size++) {
    void* p = mi_malloc(*size);
    size_t all = mi_usable_size(p), told = 77;
    mi_ufree(p, &told);
    CHECK(told == all);
    mi_ufree(mi_malloc(*size), NULL);
  }
  size_t told = 77;
  mi_ufree(NULL, &told);
  CHECK(told == 0);
}

// ---- strings --------------------------------------------------------------------------------------------------------

static void test_mi_strdup(void) {
  char* copy = mi_strdup("some text");
  CHECK(copy != NULL && strcmp(copy, "some text") == 0);
  mi_free(copy);
  copy = mi_strdup("");
  CHECK(copy != NULL && *copy == 0);
  mi_free(copy);
  CHECK(mi_strdup(NULL) == NULL);
}

static void test_mi_strndup(void) {
  static const char bytes[4] = {'a', 'b', 'c', 'd'};  // not ended
  char* copy = mi_strndup(bytes, 4);
  CHECK(copy != NULL && strcmp(copy, "abcd") == 0);
  mi_free(copy);
  copy = mi_strndup("ab", 100);
  CHECK(copy != NULL && strcmp(copy, "ab") == 0);
  mi_free(copy);
  copy = mi_strndup("ab", 0);
  CHECK(copy != NULL && *copy == 0);
  mi_free(copy);
  CHECK(mi_strndup(NULL, 3) == NULL);
}

static void test_mi_realpath(void) {
  char* path = mi_realpath("/usr/../usr/./", NULL);
  CHECK(path != NULL && strcmp(path, "/usr") == 0 && mi_usable_size(path) >= 5);
  mi_free(path);
  static char buffer[PATH_MAX];
  CHECK(mi_realpath("/usr/..", buffer) == buffer && strcmp(buffer, "/") == 0);
  errno = 0;
  CHECK(mi_realpath("/no/such/file", NULL) == NULL && errno == ENOENT);
}

static void test_mi_wcsdup(void) {
  wchar_t* copy = mi_wcsdup(L"wide \x20ac");
  CHECK(copy != NULL && wcscmp(copy, L"wide \x20ac") == 0);
  mi_free(copy);
  CHECK(mi_wcsdup(NULL) == NULL);
}

static void test_mi_mbsdup(void) {
  unsigned char* copy = mi_mbsdup((const unsigned char*)"\xc3\xa4");
  CHECK(copy != NULL && strcmp((char*)copy, "\xc3\xa4") == 0);
  mi_free(copy);
  CHECK(mi_mbsdup(NULL) == NULL);
}

static void test_mi_dupenv_s(void) {
  char* value = NULL;
  size_t size = 77;
  CHECK(setenv("CONFORMANCE_X", "some value", 1) == 0);
  CHECK(mi_dupenv_s(&value, &size, "CONFORMANCE_X") == 0);
  CHECK(value != NULL && strcmp(value, "some value") == 0 && size == 10);
  mi_free(value);
  CHECK(mi_dupenv_s(&value, NULL, "CONFORMANCE_X") == 0 && value != NULL);
  mi_free(value);
  size = 77;
  CHECK(mi_dupenv_s(&value, &size, "CONFORMANCE_NOT_THERE") == 0 && value == NULL && size == 0);
  CHECK(mi_dupenv_s(NULL, &size, "X") == EINVAL && mi_dupenv_s(&value, &size, NULL) == EINVAL);
}

static void test_mi_wdupenv_s(void) {
  wchar_t* value = (wchar_t*)&value;
  size_t size = 77;
  CHECK(mi_wdupenv_s(&value, &size, L"PATH") == EINVAL && value == NULL && size == 0);
  CHECK(mi_wdupenv_s(NULL, NULL, L"PATH") == EINVAL);
}

// One a line, as CMakeLists.txt reads them.
// clang-format off
const case_t cases[] = {
  CASE_OOM(mi_realloc, make_realloc)
  CASE(mi_reallocn)
  CASE(mi_reallocarray)
  CASE(mi_reallocf)
  CASE(mi_reallocarr)
  CASE(mi_expand)
  CASE(mi__expand)
  CASE_OOM(mi_rezalloc, make_rezalloc)
  CASE(mi_recalloc)
  CASE(mi_realloc_aligned)
  CASE(mi_rezalloc_aligned)
  CASE(mi_recalloc_aligned)
  CASE(mi_aligned_recalloc)
  CASE(mi_realloc_aligned_at)
  CASE(mi_rezalloc_aligned_at)
  CASE(mi_recalloc_aligned_at)
  CASE(mi_aligned_offset_recalloc)
  CASE_OOM(mi_umalloc, make_umalloc)
  CASE(mi_ucalloc)
  CASE(mi_umalloc_small)
  CASE(mi_uzalloc_small)
  CASE(mi_umalloc_aligned)
  CASE(mi_uzalloc_aligned)
  CASE(mi_urealloc)
  CASE(mi_ufree)
  CASE(mi_strdup)
  CASE(mi_strndup)
  CASE(mi_realpath)
  CASE(mi_wcsdup)
  CASE(mi_mbsdup)
  CASE(mi_dupenv_s)
  CASE(mi_wdupenv_s)
  {NULL, NULL, NULL}
};
// clang-format on
