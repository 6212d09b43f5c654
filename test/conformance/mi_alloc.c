// The mi_ functions that allocate from the thread's heap, free, and tell sizes, against the comments of the public
// headers. Linked with the library, so that libc's malloc may be the library's or not.
#include "mi.h"

#include <unistd.h>

// ---- adaptors: every allocating function as one of a size, or of a size and an alignment ----------------------------

MAKE(calloc, mi_calloc(1, size))
MAKE(calloc_bytes, mi_calloc(size, 1))
MAKE(mallocn, mi_mallocn(1, size))
MAKE(malloc_aligned, mi_malloc_aligned(size, 64))
MAKE(zalloc_aligned, mi_zalloc_aligned(size, 64))
MAKE(malloc_aligned_at, mi_malloc_aligned_at(size, 64, 0))
MAKE(memalign, mi_memalign(256, size))
MAKE(aligned_alloc, mi_aligned_alloc(32, size))
MAKE_ALIGNED(calloc_aligned, mi_calloc_aligned(1, size, alignment))
MAKE_ALIGNED(memalign, mi_memalign(alignment, size))
MAKE_ALIGNED(aligned_alloc, mi_aligned_alloc(alignment, size))

// ---- standard and extended ------------------------------------------------------------------------------------------

static void test_mi_malloc(void) {
  check_make(mi_malloc, 0);
}

static void test_mi_malloc_small(void) {
  check_make(mi_malloc_small, 0);
}

static void test_mi_zalloc(void) {
  check_make(mi_zalloc, ZEROED);
}

static void test_mi_zalloc_small(void) {
  check_make(mi_zalloc_small, ZEROED);
}

typedef void* count_size_t(size_t count, size_t size);

static void check_overflow(count_size_t* make) {
  static const size_t pairs[][2] = {{SIZE_MAX, 2},         {2, SIZE_MAX},         {(size_t)1 << 32, (size_t)1 << 32},
                                    {SIZE_MAX / 2 + 1, 2}, {SIZE_MAX / 8 + 1, 8}, {(size_t)1 << 63, (size_t)1 << 63}};
  for (size_t i = 0; i < COUNT_OF(pairs); i++) {
    context("%zu times %zu", pairs[i][0], pairs[i][1]);
    errno = 0;
    CHECK(make(hide_size(pairs[i][0]), hide_size(pairs[i][1])) == NULL && errno == ENOMEM);
  }
  context("nothing");
  void* p = make(0, 8);
  CHECK(p != NULL);
  mi_free(p);
}

static void test_mi_calloc(void) {
  check_make(make_calloc, ZEROED);
  check_make(make_calloc_bytes, ZEROED);
  check_overflow(mi_calloc);
}

static void test_mi_mallocn(void) {
  check_make(make_mallocn, 0);
  check_overflow(mi_mallocn);
}

static void check_frees(release_t* under_test) {
  for (size_t round = 0; round < 3; round++) {
    for (const size_t* size = sizes; *size != 0; size++) {
      context("a block of %zu", *size);
      void* p = mi_malloc(*size);
      void* q = mi_malloc_aligned(*size, 4096);
      errno = 4321;
      under_test(p);
      under_test(q);
      under_test(NULL);
      CHECK(errno == 4321);
    }
  }
}

// Also of what operator new gave: mi_free takes every family.
static void test_mi_free(void) {
  check_frees(mi_free);
  for (const size_t* size = sizes; *size != 0; size++) {
    mi_free(mi_new(*size));
    mi_free(mi_new_array(*size));
    mi_free(mi_new_aligned(*size, 256));
    mi_free(mi_heap_malloc(mi_heap_get_default(), *size));
  }
}

static void test_mi_free_small(void) {
  check_frees(mi_free_small);
}

static void test_mi_cfree(void) {
  check_frees(mi_cfree);
  int local = 1;
  static int global;
  mi_cfree(&local);  // not ours: left alone
  mi_cfree(&global);
  mi_cfree((void*)hide_size(16));
  CHECK(local == 1);
}

static void test_mi_free_size(void) {
  for (const size_t* size = sizes; *size != 0; size++) {
    context("size %zu", *size);
    mi_free_size(mi_malloc(*size), *size);
    mi_free_size(mi_realloc(mi_malloc(5), *size), *size);
    mi_free_size(mi_new(*size), *size);
  }
  mi_free_size(NULL, 10);
}

static void test_mi_free_size_aligned(void) {
  for (size_t alignment = 16; alignment <= 65536; alignment *= 2) {
    for (size_t size = 1; size < 200000; size = size * 5 + 3) {
      context("size %zu, alignment %zu", size, alignment);
      mi_free_size_aligned(mi_malloc_aligned(size, alignment), size, alignment);
    }
  }
  mi_free_size_aligned(NULL, 10, 16);
}

static void test_mi_free_aligned(void) {
  for (size_t alignment = 1; alignment <= 1 << 20; alignment *= 2) {
    context("alignment %zu", alignment);
    mi_free_aligned(mi_malloc_aligned(300, alignment), alignment);
  }
  mi_free_aligned(NULL, 16);
}

typedef size_t size_of_t(const void* p);

static void check_size_of(size_of_t* size_of) {
  CHECK(size_of(NULL) == 0);
  for (const size_t* size = sizes; *size != 0; size++) {
    context("a block of %zu", *size);
    void* p = mi_malloc(*size);
    size_t all = size_of(p);
    CHECK(all >= *size && (!mi_is_secure() || all == *size));
    fill(p, all, 1);
    p = mi_realloc(p, all * 2 + 1);
    CHECK(filled(p, all < 100000 ? all : 100, 1));
    mi_free(p);
  }
}

static void test_mi_usable_size(void) {
  check_size_of(mi_usable_size);
}

static void test_mi_malloc_size(void) {
  check_size_of(mi_malloc_size);
}

static void test_mi_malloc_usable_size(void) {
  check_size_of(mi_malloc_usable_size);
}

static void check_good_size(size_t (*good_size)(size_t size)) {
  for (const size_t* size = sizes; *size != 0; size++) {
    context("size %zu", *size);
    size_t good = good_size(*size);
    CHECK(good >= *size && good_size(good) == good);
    void* p = mi_malloc(*size);
    CHECK(mi_is_secure() || mi_usable_size(p) == good);
    mi_free(p);
  }
  CHECK(good_size(SIZE_MAX) == SIZE_MAX && good_size(SIZE_MAX - 1) == SIZE_MAX - 1);
}

static void test_mi_good_size(void) {
  check_good_size(mi_good_size);
}

static void test_mi_malloc_good_size(void) {
  check_good_size(mi_malloc_good_size);
}

// ---- aligned --------------------------------------------------------------------------------------------------------

static void test_mi_malloc_aligned(void) {
  check_aligned(mi_malloc_aligned, 0);
}

static void test_mi_zalloc_aligned(void) {
  check_aligned(mi_zalloc_aligned, ZEROED);
}

static void* calloc_64(size_t count, size_t size) {
  return mi_calloc_aligned(count, size, 64);
}

static void test_mi_calloc_aligned(void) {
  check_aligned(aligned_calloc_aligned, ZEROED);
  check_overflow(calloc_64);
}

static void test_mi_memalign(void) {
  check_aligned(aligned_memalign, 0);
}

static void test_mi_aligned_alloc(void) {
  check_aligned(aligned_aligned_alloc, 0);
}

typedef void* make_at_t(size_t size, size_t alignment, size_t offset);

// p + offset is aligned, blocks do not overlap, and are of their size.
static void check_make_at(make_at_t* make, int flags) {
  static const size_t offsets[] = {0, 1, 2, 8, 15, 16, 17, 24, 64, 100, 128, 255, 1000, 4095, 4096, 5000, 70000};
  static const size_t some[] = {1, 30, 100, 500, 1024, 3000, 5001, 66000, 80000, 2000000};
  for (size_t alignment = 1; alignment <= (size_t)1 << 21; alignment *= 2) {
    for (size_t i = 0; i < COUNT_OF(some); i++) {
      for (size_t k = 0; k < COUNT_OF(offsets) && offsets[k] < some[i]; k++) {
        void* blocks[3];
        for (unsigned n = 0; n < 3; n++) {
          context("size %zu, alignment %zu, offset %zu", some[i], alignment, offsets[k]);
          errno = 4321;
          char* p = make(some[i], alignment, offsets[k]);
          CHECK(p != NULL && errno == 4321 && mi_usable_size(p) >= some[i]);
          CHECK(((uintptr_t)p + offsets[k]) % alignment == 0);
          if (flags & ZEROED) CHECK(all_zero(p, mi_usable_size(p)));
          fill(p, mi_usable_size(p), n);
          blocks[n] = p;
        }
        for (unsigned n = 0; n < 3; n++) CHECK(filled(blocks[n], mi_usable_size(blocks[n]), n));
        for (unsigned n = 0; n < 3; n++) mi_free(blocks[n]);
      }
    }
  }
  context("what cannot be");
  errno = 0;
  CHECK(make(100, 3, 1) == NULL && errno == EINVAL);
  errno = 0;
  CHECK(make(100, 0, 0) == NULL && errno == EINVAL);
  errno = 0;
  CHECK(make(SIZE_MAX - 10, 64, 8) == NULL && errno == ENOMEM);
}

static void test_mi_malloc_aligned_at(void) {
  check_make_at(mi_malloc_aligned_at, 0);
}

static void test_mi_zalloc_aligned_at(void) {
  check_make_at(mi_zalloc_aligned_at, ZEROED);
}

static void* at_calloc(size_t size, size_t alignment, size_t offset) {
  return mi_calloc_aligned_at(1, size, alignment, offset);
}

static void* calloc_at_64(size_t count, size_t size) {
  return mi_calloc_aligned_at(count, size, 64, 8);
}

static void test_mi_calloc_aligned_at(void) {
  check_make_at(at_calloc, ZEROED);
  check_overflow(calloc_at_64);
}

static void* make_page_aligned(make_t* make, size_t size) {
  void* p = make(size);
  CHECK((uintptr_t)p % (size_t)sysconf(_SC_PAGESIZE) == 0);
  return p;
}

MAKE(valloc, make_page_aligned(mi_valloc, size))
MAKE(pvalloc, make_page_aligned(mi_pvalloc, size))

static void test_mi_valloc(void) {
  check_make(make_valloc, 0);
}

static void test_mi_pvalloc(void) {
  check_make(make_pvalloc, 0);
  size_t os_page = (size_t)sysconf(_SC_PAGESIZE);
  void* p = mi_pvalloc(1);
  CHECK(mi_usable_size(p) >= os_page);
  mi_free(p);
}

static void test_mi_posix_memalign(void) {
  static const size_t bad[] = {0, 1, 2, 3, 4, 12, 24, 4097, SIZE_MAX};
  void* p = &p;
  errno = 4321;
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    context("alignment %zu", bad[i]);
    CHECK(mi_posix_memalign(&p, bad[i], 10) == EINVAL && p == &p);
  }
  CHECK(mi_posix_memalign(NULL, 64, 10) == EINVAL);
  CHECK(mi_posix_memalign(&p, 64, SIZE_MAX - 3) == ENOMEM && p == &p);
  for (size_t alignment = 8; alignment <= 1 << 22; alignment *= 2) {
    for (const size_t* size = sizes; *size < 2000000 && *size != 0; size++) {
      context("size %zu, alignment %zu", *size, alignment);
      CHECK(mi_posix_memalign(&p, alignment, *size) == 0);
      CHECK((uintptr_t)p % alignment == 0 && mi_usable_size(p) >= *size);
      mi_free(p);
      p = &p;
    }
  }
  CHECK(errno == 4321);
}

// One a line, as CMakeLists.txt reads them.
// clang-format off
const case_t cases[] = {
  CASE_OOM(mi_malloc, mi_malloc)
  CASE_OOM(mi_malloc_small, mi_malloc_small)
  CASE_OOM(mi_zalloc, mi_zalloc)
  CASE_OOM(mi_zalloc_small, mi_zalloc_small)
  CASE_OOM(mi_calloc, make_calloc)
  CASE_OOM(mi_mallocn, make_mallocn)
  CASE(mi_free)
  CASE(mi_free_small)
  CASE(mi_cfree)
  CASE(mi_free_size)
  CASE(mi_free_size_aligned)
  CASE(mi_free_aligned)
  CASE(mi_usable_size)
  CASE(mi_malloc_size)
  CASE(mi_malloc_usable_size)
  CASE(mi_good_size)
  CASE(mi_malloc_good_size)
  CASE_OOM(mi_malloc_aligned, make_malloc_aligned)
  CASE_OOM(mi_zalloc_aligned, make_zalloc_aligned)
  CASE(mi_calloc_aligned)
  CASE_OOM(mi_memalign, make_memalign)
  CASE_OOM(mi_aligned_alloc, make_aligned_alloc)
  CASE_OOM(mi_malloc_aligned_at, make_malloc_aligned_at)
  CASE(mi_zalloc_aligned_at)
  CASE(mi_calloc_aligned_at)
  CASE_OOM(mi_valloc, mi_valloc)
  CASE_OOM(mi_pvalloc, mi_pvalloc)
  CASE(mi_posix_memalign)
  {NULL, NULL, NULL}
};
// clang-format on
