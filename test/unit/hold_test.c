// Freed large blocks: inaccessible at once, cleared when their memory is used again, never the next one handed out; how
// much of them stays warm; blocks that grow in place keep their contents and their guard.
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "secure.h"

static char* take(size_t size) {
  char* volatile p = mi_malloc(size);
  assert_non_null(p);
  return p;
}

static void give(void* p) {
  void* volatile q = p;
  mi_free(q);
}

// The kernel's answer, without a fault.
static bool is_readable(const void* p) {
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  bool readable = write(ends[1], p, 1) == 1;
  close(ends[0]);
  close(ends[1]);
  return readable;
}

static bool is_zero(const char* p, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (p[i] != 0) return false;
  }
  return true;
}

static const size_t sizes[] = {70000, 100000, 128 * 1024, 500000, 900000, 3 << 20};
#define COUNT (sizeof(sizes) / sizeof(sizes[0]))

static void test_inaccessible(void** state) {
  (void)state;
  for (size_t i = 0; i < COUNT; i++) {
    char* p = take(sizes[i]);
    memset(p, 0x5A, sizes[i]);
    assert_true(is_readable(p) && is_readable(p + sizes[i] - 1));
    give(p);
    assert_false(is_readable(p) || is_readable(p + sizes[i] / 2) || is_readable(p + sizes[i] - 1));
  }
}

static void test_not_the_next(void** state) {
  (void)state;
  for (size_t i = 0; i < COUNT; i++) {
    for (int round = 0; round < 100; round++) {
      char* p = take(sizes[i]);
      memset(p, 1, sizes[i]);
      give(p);
      char* q = take(sizes[i]);
      assert_ptr_not_equal(p, q);
      give(q);
    }
  }
}

// Whether warm or cold: what was in a block is not in another.
static void test_cleared(void** state) {
  (void)state;
  for (size_t i = 0; i < COUNT; i++) {
    char* kept[6];
    for (int round = 0; round < 50; round++) {
      for (int k = 0; k < 6; k++) {
        size_t size = sizes[i] - (size_t)(round * 37 % 4000);
        kept[k] = take(size);
        assert_true(is_zero(kept[k], size));
        memset(kept[k], 0xA5, size);
      }
      for (int k = 0; k < 6; k++) give(kept[k]);
    }
  }
}

// 0 where a sanitizer's own memory counts in.
static size_t resident(void) {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  return 0;
#endif
  char text[200] = {0};
  int fd = open("/proc/self/statm", O_RDONLY);
  assert_true(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
  close(fd);
  size_t total, pages;
  assert_int_equal(sscanf(text, "%zu %zu", &total, &pages), 2);
  return pages * (size_t)getpagesize();
}

// 200 freed blocks of 500,000 bytes keep at most 4 MiB, and nothing once all is collected.
static void test_bounded(void** state) {
  (void)state;
  static char* kept[200];
  mi_collect(true);
  size_t before = resident();
  for (int k = 0; k < 200; k++) memset(kept[k] = take(500000), 7, 500000);
  for (int k = 0; k < 200; k++) give(kept[k]);
  assert_true(resident() < before + 6 * 1024 * 1024);
  mi_collect(true);
  assert_true(resident() < before + 2 * 1024 * 1024);
}

// Blocks of which hardly anything was touched do not become resident by being used again.
static void test_sparse(void** state) {
  (void)state;
  mi_collect(true);
  size_t before = resident();
  static char* kept[64];
  for (int round = 0; round < 40; round++) {
    for (int k = 0; k < 64; k++) *(kept[k] = take(900000)) = 1;
    for (int k = 0; k < 64; k++) give(kept[k]);
  }
  for (int k = 0; k < 64; k++) *(kept[k] = take(900000)) = 1;
  assert_true(resident() < before + 8 * 1024 * 1024);
  for (int k = 0; k < 64; k++) give(kept[k]);
}

static void test_grows(void** state) {
  (void)state;
  char* p = take(100000);
  memset(p, 1, 100000);
  size_t size = 100000;
  size_t moves = 0;
  while (size < 8000000) {
    size_t more = size + 5000;
    char* volatile q = mi_realloc(p, more);
    assert_non_null(q);
    moves += q != p;
    p = q;
    assert_true(is_zero(p + size, more - size));
    memset(p + size, 1, more - size);
    size = more;
  }
  for (size_t i = 0; i < size; i++) assert_int_equal(p[i], 1);
  assert_true(moves < 12);  // as often as it doubles, and some
  assert_int_equal(mi_usable_size(p), size);
  const char* behind = p + size;
  while ((uintptr_t)behind % (uintptr_t)getpagesize() != 0) behind++;
  assert_false(is_readable(behind));
  give(p);
  assert_false(is_readable(p));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_inaccessible), cmocka_unit_test(test_not_the_next), cmocka_unit_test(test_cleared),
      cmocka_unit_test(test_bounded),      cmocka_unit_test(test_sparse),       cmocka_unit_test(test_grows),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
