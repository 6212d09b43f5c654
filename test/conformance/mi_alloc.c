// The mi_ functions that allocate from the thread's heap, reallocate, free and tell sizes, against the comments of the
// public headers. Linked with the library, so that libc's malloc may be the library's or not.
#include "conform.h"

#include <limits.h>
#include <unistd.h>
#include <wchar.h>

#include "mimalloc-secure.h"
#include "mimalloc.h"

release_t* const release = mi_free;

size_t usable(const void* p) {
  return mi_usable_size(p);
}

void prepare(void) {
}

// ---- adaptors: every allocating function as one of a size, or of a size and an alignment ----------------------------

#define MAKE(name, call) \
  static void* make_##name(size_t size) { return call; }
#define MAKE_ALIGNED(name, call) \
  static void* aligned_##name(size_t size, size_t alignment) { return call; }
#define RESIZE(name, call) \
  static void* resize_##name(void* p, size_t size) { return call; }

MAKE(calloc, mi_calloc(1, size))
MAKE(calloc_bytes, mi_calloc(size, 1))
MAKE(mallocn, mi_mallocn(1, size))
MAKE(malloc_aligned, mi_malloc_aligned(size, 64))
MAKE(zalloc_aligned, mi_zalloc_aligned(size, 64))
MAKE(malloc_aligned_at, mi_malloc_aligned_at(size, 64, 0))
MAKE(memalign, mi_memalign(256, size))
MAKE(aligned_alloc, mi_aligned_alloc(32, size))
MAKE(realloc, mi_realloc(NULL, size))
MAKE(rezalloc, mi_rezalloc(NULL, size))
MAKE(umalloc, mi_umalloc(size, NULL))
MAKE(new_nothrow, mi_new_nothrow(size))
MAKE(new_array_nothrow, mi_new_array_nothrow(size))
MAKE(new_aligned_nothrow, mi_new_aligned_nothrow(size, 64))

MAKE_ALIGNED(calloc_aligned, mi_calloc_aligned(1, size, alignment))
MAKE_ALIGNED(memalign, mi_memalign(alignment, size))
MAKE_ALIGNED(aligned_alloc, mi_aligned_alloc(alignment, size))
MAKE_ALIGNED(umalloc, mi_umalloc_aligned(size, alignment, NULL))
MAKE_ALIGNED(uzalloc, mi_uzalloc_aligned(size, alignment, NULL))
MAKE_ALIGNED(realloc, mi_realloc_aligned(NULL, size, alignment))
MAKE_ALIGNED(rezalloc, mi_rezalloc_aligned(NULL, size, alignment))
MAKE_ALIGNED(recalloc, mi_recalloc_aligned(NULL, 1, size, alignment))
MAKE_ALIGNED(new, mi_new_aligned(size, alignment))
MAKE_ALIGNED(new_array, mi_new_array_aligned(size, alignment))

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
  static const size_t pairs[][2] = {{SIZE_MAX, 2}, {2, SIZE_MAX}, {(size_t)1 << 32, (size_t)1 << 32}, {SIZE_MAX / 2 + 1, 2},
                                    {SIZE_MAX / 8 + 1, 8}, {(size_t)1 << 63, (size_t)1 << 63}};
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

static void check_aligned(make_aligned_t* make, int flags) {
  check_make_aligned(make, 1, flags);
  check_bad_alignments(make);
}

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

#define CHECK_USIZE(call, failing)                                             \
  for (const size_t* size = sizes; *size != 0; size++) {                       \
    context("size %zu", *size);                                                \
    size_t told = 77;                                                          \
    void* p = call;                                                            \
    CHECK(p != NULL && told >= *size && told == mi_usable_size(p));            \
    mi_free(p);                                                                \
  }                                                                            \
  size_t told = 77;                                                            \
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

#define CHECK_DELETES(make, end)                          \
  for (const size_t* size = sizes; *size != 0; size++) {  \
    context("size %zu", *size);                           \
    void* p = make;                                       \
    errno = 4321;                                         \
    end;                                                  \
    CHECK(errno == 4321);                                 \
  }                                                       \
  const size_t zero = 0;                                  \
  const size_t* size = &zero;                             \
  void* p = *size == 0 ? NULL : hide(NULL);               \
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

#define CASE(name) {#name, test_##name, NULL},
#define CASE_OOM(name, make) {#name, test_##name, make},
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
