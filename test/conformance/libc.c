// libc's names: what C23, POSIX and the manuals of glibc and the BSDs say of each. The program knows nothing of the
// library under test: it is preloaded, or linked in front of the C library.
#define _GNU_SOURCE
#include "symbol.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

// ---- malloc, calloc, free -------------------------------------------------------------------------------------------

static make_t* chosen_make;
static make_aligned_t* chosen_aligned;

static void test_malloc(void) {
  check_make(malloc, 0);
}

static void test___libc_malloc(void) {
  check_make((make_t*)symbol("__libc_malloc"), 0);
}

static void* (*calloc_under_test)(size_t, size_t) = calloc;

static void* calloc_one(size_t size) {
  return calloc_under_test(1, size);
}

static void* calloc_bytes(size_t size) {
  return calloc_under_test(size, 1);
}

static void* calloc_words(size_t size) {
  return size % 8 == 0 ? calloc_under_test(size / 8, 8) : calloc_under_test(1, size);
}

static void check_calloc(void) {
  check_make(calloc_one, ZEROED);
  check_make(calloc_bytes, ZEROED);
  check_make(calloc_words, ZEROED);
  static const size_t overflows[][2] = {
      {SIZE_MAX, 2},        {2, SIZE_MAX},           {SIZE_MAX / 2 + 1, 2}, {(size_t)1 << 32, (size_t)1 << 32},
      {(size_t)3 << 62, 4}, {SIZE_MAX / 16 + 1, 16}, {SIZE_MAX, SIZE_MAX},  {(size_t)1 << 63, 2}};
  for (size_t i = 0; i < COUNT_OF(overflows); i++) {
    context("calloc(%zu, %zu)", overflows[i][0], overflows[i][1]);
    errno = 0;
    CHECK(calloc_under_test(hide_size(overflows[i][0]), hide_size(overflows[i][1])) == NULL);
    CHECK(errno == ENOMEM);
  }
  context("calloc of nothing");
  void* p = calloc_under_test(0, 100);
  void* q = calloc_under_test(100, 0);
  CHECK(p != NULL && q != NULL && p != q);
  free(p);
  free(q);
}

static void test_calloc(void) {
  check_calloc();
}

static void test___libc_calloc(void) {
  calloc_under_test = (void* (*)(size_t, size_t))symbol("__libc_calloc");
  check_calloc();
}

static void* free_elsewhere(void* p) {
  free(p);
  return NULL;
}

static void check_free(release_t* under_test) {
  enum { COUNT = 2000 };
  static void* blocks[COUNT];
  context("free keeps errno");
  for (size_t round = 0; round < 3; round++) {
    for (size_t i = 0; i < COUNT; i++) blocks[i] = malloc(1 + i * 97 % 9000);
    for (size_t i = 0; i < COUNT; i++) {
      errno = 4321;
      under_test(blocks[(i * 7 + round) % COUNT]);
      CHECK(errno == 4321);
    }
  }
  context("free(NULL)");
  errno = 4321;
  under_test(NULL);
  CHECK(errno == 4321);
  context("free of large blocks gives the memory back for use");
  for (size_t i = 0; i < 200; i++) {
    char* p = malloc((size_t)64 << 20);
    CHECK(p != NULL);
    p[0] = p[((size_t)64 << 20) - 1] = 1;
    under_test(p);
  }
  context("free by another thread");
  for (size_t i = 0; i < 50; i++) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, free_elsewhere, malloc(i * 100 + 1)) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
  }
}

static void test_free(void) {
  check_free(free);
}

static void test_cfree(void) {
  check_free((release_t*)symbol("cfree"));
}

static void test_vfree(void) {
  check_free((release_t*)symbol("vfree"));
}

static void test___libc_free(void) {
  check_free((release_t*)symbol("__libc_free"));
}

static void test___libc_cfree(void) {
  check_free((release_t*)symbol("__libc_cfree"));
}

// Says the right size and alignment; wrong ones are in the misuse tests.
static void test_free_sized(void) {
  LOOK_UP(void, free_sized, void*, size_t);
  for (const size_t* size = sizes; *size != 0; size++) {
    context("size %zu", *size);
    errno = 4321;
    free_sized_(malloc(*size), *size);
    free_sized_(calloc(1, *size), *size);
    free_sized_(realloc(malloc(10), *size), *size);
    CHECK(errno == 4321);
  }
  free_sized_(malloc(0), 0);
  free_sized_(NULL, 0);
  free_sized_(NULL, 100);
}

static void test_free_aligned_sized(void) {
  LOOK_UP(void, free_aligned_sized, void*, size_t, size_t);
  for (size_t alignment = 16; alignment <= 65536; alignment *= 2) {
    for (size_t size = 0; size < 100000; size = size * 3 + 1) {
      context("alignment %zu, size %zu", alignment, size);
      errno = 4321;
      free_aligned_sized_(aligned_alloc(alignment, size), alignment, size);
      CHECK(errno == 4321);
    }
  }
  free_aligned_sized_(NULL, 64, 100);
}

// ---- realloc --------------------------------------------------------------------------------------------------------

static void test_realloc(void) {
  check_resize(realloc, malloc, 16, ZERO_FREES);
}

static void test___libc_realloc(void) {
  check_resize((resize_t*)symbol("__libc_realloc"), malloc, 16, ZERO_FREES);
}

static void* (*reallocarray_under_test)(void*, size_t, size_t);

static void* reallocarray_bytes(void* p, size_t size) {
  return reallocarray_under_test(p, size, 1);
}

static void test_reallocarray(void) {
  reallocarray_under_test = (void* (*)(void*, size_t, size_t))symbol("reallocarray");
  check_resize(reallocarray_bytes, malloc, 16, ZERO_FREES);
  context("overflow");
  char* p = malloc(100);
  fill(p, 100, 1);
  errno = 0;
  CHECK(reallocarray_under_test(p, SIZE_MAX / 2 + 1, 2) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(reallocarray_under_test(p, 16, SIZE_MAX / 8) == NULL && errno == ENOMEM);
  CHECK(filled(p, 100, 1));
  p = reallocarray_under_test(p, 1000, 10);
  CHECK(p != NULL && filled(p, 100, 1) && usable(p) >= 10000);
  free(p);
}

static int (*reallocarr_under_test)(void*, size_t, size_t);

static void* reallocarr_bytes(void* p, size_t size) {
  void* q = p;
  int error = reallocarr_under_test(&q, size, 1);
  CHECK(error == 0 || (error == ENOMEM && q == p));
  return error == 0 ? q : NULL;
}

static void test_reallocarr(void) {
  reallocarr_under_test = (int (*)(void*, size_t, size_t))symbol("reallocarr");
  context("reallocarr");
  void* p = NULL;
  CHECK(reallocarr_under_test(&p, 10, 10) == 0 && p != NULL);
  fill(p, 100, 1);
  void* before = p;
  errno = 4321;
  CHECK(reallocarr_under_test(&p, SIZE_MAX, 2) == EOVERFLOW && p == before && filled(p, 100, 1));
  CHECK(reallocarr_under_test(NULL, 1, 1) == EINVAL);
  CHECK(errno == 4321);
  CHECK(reallocarr_under_test(&p, 0, 10) == 0 && p == NULL);
  for (const size_t* size = sizes; *size != 0; size++) {
    context("size %zu", *size);
    void* q = reallocarr_bytes(malloc(8), *size);
    CHECK(q != NULL && usable(q) >= *size);
    free(q);
  }
  p = malloc(8);
  before = p;
  CHECK(reallocarr_under_test(&p, SIZE_MAX / 4, 1) == ENOMEM && p == before);
  free(p);
}

static void test_reallocf(void) {
  check_resize((resize_t*)symbol("reallocf"), malloc, 16, ZERO_FREES | FREES_ON_FAILURE);
  LOOK_UP(void*, reallocf, void*, size_t);
  context("reallocf frees the block when it fails");
  for (size_t i = 0; i < 1000; i++) {  // of a megabyte each: they would not fit otherwise
    char* p = malloc((size_t)16 << 20);
    CHECK(p != NULL);
    memset(p, 1, 100);
    errno = 0;
    CHECK(reallocf_(p, SIZE_MAX / 2) == NULL && errno == ENOMEM);
  }
}

// ---- aligned --------------------------------------------------------------------------------------------------------

static void* swapped(size_t size, size_t alignment) {
  return ((void* (*)(size_t, size_t))chosen_aligned)(alignment, size);
}

static void check_alignment_first(const char* name) {
  chosen_aligned = (make_aligned_t*)symbol(name);
  check_make_aligned(swapped, 1, 0);
  check_bad_alignments(swapped);
}

static void test_aligned_alloc(void) {
  check_alignment_first("aligned_alloc");
}

static void test_memalign(void) {
  check_alignment_first("memalign");
}

static void test___libc_memalign(void) {
  check_alignment_first("__libc_memalign");
}

static void test__aligned_malloc(void) {
  make_aligned_t* under_test = (make_aligned_t*)symbol("_aligned_malloc");
  check_make_aligned(under_test, 1, 0);
  check_bad_alignments(under_test);
}

static int (*posix_memalign_under_test)(void**, size_t, size_t);

static void* posix_memalign_block(size_t size, size_t alignment) {
  void* marker = &marker;
  void* p = marker;
  int error = posix_memalign_under_test(&p, alignment, size);
  CHECK(error == 0 || (error == ENOMEM && p == marker));
  return error == 0 ? p : NULL;
}

static void check_posix_memalign(const char* name) {
  posix_memalign_under_test = (int (*)(void**, size_t, size_t))symbol(name);
  check_make_aligned(posix_memalign_block, sizeof(void*), RETURNS_ERROR);
  static const size_t bad[] = {0, 1, 2, 3, 4, 12, 24, 4095, 4097, SIZE_MAX};
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    context("%s with alignment %zu", name, bad[i]);
    void* p = &p;
    errno = 4321;
    CHECK(posix_memalign_under_test(&p, bad[i], 100) == EINVAL);
    CHECK(p == &p && errno == 4321);
  }
  context("%s of an impossible size", name);
  void* p = &p;
  errno = 4321;
  CHECK(posix_memalign_under_test(&p, 64, SIZE_MAX - 100) == ENOMEM && p == &p && errno == 4321);
  CHECK(posix_memalign_under_test(NULL, 64, 10) == EINVAL);
}

static void test_posix_memalign(void) {
  check_posix_memalign("posix_memalign");
}

static void test___posix_memalign(void) {
  check_posix_memalign("__posix_memalign");
}

static void* chosen_checked(size_t size) {
  void* p = chosen_make(size);
  CHECK((uintptr_t)p % (size_t)sysconf(_SC_PAGESIZE) == 0);
  return p;
}

static void check_valloc(const char* name) {
  chosen_make = (make_t*)symbol(name);
  check_make(chosen_checked, 0);
}

static void test_valloc(void) {
  check_valloc("valloc");
}

static void test___libc_valloc(void) {
  check_valloc("__libc_valloc");
}

static void check_pvalloc(const char* name) {
  check_valloc(name);
  size_t os_page = (size_t)sysconf(_SC_PAGESIZE);
  for (const size_t* size = sizes; *size != 0; size++) {
    context("%s(%zu)", name, *size);
    void* p = chosen_make(*size);
    CHECK(usable(p) >= (*size + os_page - 1) / os_page * os_page);
    free(p);
  }
}

static void test_pvalloc(void) {
  check_pvalloc("pvalloc");
}

static void test___libc_pvalloc(void) {
  check_pvalloc("__libc_pvalloc");
}

// ---- sizes ----------------------------------------------------------------------------------------------------------

static void check_usable_size(const char* name) {
  size_t (*size_of)(const void*) = (size_t(*)(const void*))symbol(name);
  context("%s(NULL)", name);
  CHECK(size_of(NULL) == 0);
  for (const size_t* size = sizes; *size != 0; size++) {
    context("%s of a block of %zu", name, *size);
    unsigned char* p = malloc(*size);
    size_t all = size_of(p);
    CHECK(all >= *size);
    CHECK(!is_secure() || all == *size);
    CHECK(all <= *size + *size / 8 + (*size > 65536 ? 65536 : 16));
    fill(p, all, 3);  // up to the last byte, as programs do
    p = realloc(p, all + 100);
    CHECK(filled(p, all < 100000 ? all : 1000, 3));
    free(p);
  }
}

static void test_malloc_usable_size(void) {
  check_usable_size("malloc_usable_size");
}

static void test_malloc_size(void) {
  check_usable_size("malloc_size");
}

static void test_malloc_good_size(void) {
  LOOK_UP(size_t, malloc_good_size, size_t);
  size_t before = 0;
  for (const size_t* size = sizes; *size != 0; size++) {
    context("malloc_good_size(%zu)", *size);
    size_t good = malloc_good_size_(*size);
    CHECK(good >= *size && good >= before);
    CHECK(good <= *size + *size / 8 + (*size > 65536 ? 65536 : 16));
    CHECK(malloc_good_size_(good) == good);
    void* p = malloc(*size);
    CHECK(is_secure() || usable(p) == good);
    free(p);
    before = good;
  }
  CHECK(malloc_good_size_(SIZE_MAX) == SIZE_MAX);
}

// ---- strings --------------------------------------------------------------------------------------------------------

static void test_strdup(void) {
  LOOK_UP(char*, strdup, const char*);
  static char text[70001];
  for (size_t length = 0; length < sizeof(text); length = length * 2 + 1) {
    context("strdup of %zu characters", length);
    memset(text, 'a', length);
    text[length] = 0;
    errno = 4321;
    char* copy = strdup_(text);
    CHECK(copy != NULL && copy != text && strcmp(copy, text) == 0 && usable(copy) >= length + 1 && errno == 4321);
    free(copy);
  }
}

static void test_strndup(void) {
  LOOK_UP(char*, strndup, const char*, size_t);
  // Without a final 0, and with nothing readable behind it.
  size_t os_page = (size_t)sysconf(_SC_PAGESIZE);
  char* area = mmap(NULL, 2 * os_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(area != MAP_FAILED && mprotect(area + os_page, os_page, PROT_NONE) == 0);
  for (size_t length = 0; length < 300; length++) {
    context("strndup of %zu characters", length);
    char* text = area + os_page - length;
    memset(text, 'b', length);
    char* copy = strndup_(text, length);
    CHECK(copy != NULL && strlen(copy) == length && memcmp(copy, text, length) == 0);
    free(copy);
  }
  char* copy = strndup_("short", 100);
  CHECK(copy != NULL && strcmp(copy, "short") == 0);
  free(copy);
  copy = strndup_("longer than that", 6);
  CHECK(copy != NULL && strcmp(copy, "longer") == 0);
  free(copy);
}

// ---- the table ------------------------------------------------------------------------------------------------------

static void* make_realloc(size_t size) {
  return realloc(NULL, size);
}

static void* make_reallocarray(size_t size) {
  return reallocarray(NULL, 1, size);
}

static void* make_memalign(size_t size) {
  return memalign(64, size);
}

static void* make_aligned_alloc(size_t size) {
  return aligned_alloc(4096, size);
}

// Reports the error as others do.
static void* make_posix_memalign(size_t size) {
  void* p = NULL;
  errno = posix_memalign(&p, 128, size);
  return p;
}

static void* make_strdup(size_t size) {
  static char text[600];
  if (size >= sizeof(text)) return malloc(size);
  memset(text, 'x', sizeof(text) - 1);
  return strdup(text);
}

// One a line, as CMakeLists.txt reads them.
// clang-format off
const case_t cases[] = {
  CASE_OOM(malloc, malloc)
  CASE_OOM(calloc, calloc_one)
  CASE_OOM(realloc, make_realloc)
  CASE_OOM(reallocarray, make_reallocarray)
  CASE(reallocarr)
  CASE(reallocf)
  CASE(free)
  CASE(cfree)
  CASE(vfree)
  CASE(free_sized)
  CASE(free_aligned_sized)
  CASE_OOM(posix_memalign, make_posix_memalign)
  CASE_OOM(aligned_alloc, make_aligned_alloc)
  CASE_OOM(memalign, make_memalign)
  CASE_OOM(valloc, valloc)
  CASE_OOM(pvalloc, pvalloc)
  CASE(_aligned_malloc)
  CASE(malloc_usable_size)
  CASE(malloc_size)
  CASE(malloc_good_size)
  CASE_OOM(strdup, make_strdup)
  CASE(strndup)
  CASE(__libc_malloc)
  CASE(__libc_calloc)
  CASE(__libc_realloc)
  CASE(__libc_free)
  CASE(__libc_cfree)
  CASE(__libc_valloc)
  CASE(__libc_pvalloc)
  CASE(__libc_memalign)
  CASE(__posix_memalign)
  {NULL, NULL, NULL}
};
// clang-format on
