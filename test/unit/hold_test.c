// Freed large blocks: inaccessible at once, cleared when their memory is used again, never the next one handed out; how
// much of them stays warm; blocks that grow in place keep their contents and their guard.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "mimalloc-stats.h"
#include "secure.h"

// The library's system calls come through here: those that open memory fail when a test wants it.
static bool no_mappings;
static int refused;

long syscall(long number, ...) {
  static long (*libc_syscall)(long number, ...);
  if (libc_syscall == NULL) libc_syscall = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
  va_list args;
  long a[6];
  va_start(args, number);
  for (int i = 0; i < 6; i++) a[i] = va_arg(args, long);
  va_end(args);
  if (no_mappings && number == SYS_mprotect && a[2] == (PROT_READ | PROT_WRITE)) {
    refused++;
    errno = ENOMEM;
    return -1;
  }
  return libc_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

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

// Blocks are kept warm with lightweight guards only.
static bool is_warm_kept(void) {
  return mim_process.hook.guard_kind == SEC_GUARD_LIGHT;
}

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

// So is what goes with its heap, also when the address is one that its thread, or another one, could get next.
static void test_destroyed(void** state) {
  (void)state;
  for (size_t i = 0; i < COUNT; i++) {
    mi_heap_t* heap = mi_heap_new();
    assert_non_null(heap);
    char* volatile p = mi_heap_malloc(heap, sizes[i]);
    assert_non_null(p);
    memset(p, 0x5A, sizes[i]);
    mi_heap_destroy(heap);
    char* q = take(sizes[i]);
    assert_false(is_readable(p) || is_readable(p + sizes[i] / 2) || is_readable(p + sizes[i] - 1));
    assert_true(is_zero(q, sizes[i]));
    give(q);
  }
}

static mi_stats_t numbers(void) {
  mi_stats_t_decl(stats);
  assert_true(mi_stats_get(&stats));
  return stats;
}

// Freed is freed, also while addresses are kept: held blocks count as held, not as in use, and once.
static void test_counted(void** state) {
  (void)state;
  mi_collect(true);
  mi_stats_t before = numbers();
  char* blocks[COUNT];
  int64_t bytes = 0;
  for (size_t round = 0; round < 20; round++) {  // warm ones are used again, and grow cold
    for (size_t i = 0; i < COUNT; i++) blocks[i] = take(sizes[i]);
    mi_stats_t now = numbers();
    assert_int_equal(now.pages.current, before.pages.current + (int64_t)COUNT);
    assert_int_equal(now.page_bins[now.bin_count - 1].current,
                     before.page_bins[now.bin_count - 1].current + (int64_t)COUNT);
    bytes = now.malloc_large.current - before.malloc_large.current;
    int64_t held = now.held.current;
    for (size_t i = 0; i < COUNT; i++) give(blocks[i]);
    now = numbers();
    assert_int_equal(now.malloc_large.current, before.malloc_large.current);
    assert_int_equal(now.pages.current, before.pages.current);
    assert_true(round > 0 || now.held.current - held == bytes);  // later, others make room
    assert_true(now.held.current > 0 && now.held.peak >= now.held.current && now.held.total >= now.held.peak);
  }
  mi_collect(true);
  for (page_t* page; (page = sec_hold_out()) != NULL;) mim_page_give_up(mim_tls.heap, page);
  assert_int_equal(numbers().held.current, 0);
  assert_int_equal(numbers().malloc_large.current, before.malloc_large.current);
  assert_int_equal(numbers().pages.current, before.pages.current);
}

// Nor do the three before it come back.
static void test_not_the_next(void** state) {
  (void)state;
  char* last[4] = {NULL};
  for (int round = 0; round < 400; round++) {
    char* p = take(200000);
    memset(p, 1, 200000);
    for (int k = 1; k < 4; k++) assert_ptr_not_equal(p, last[(round - k) & 3]);
    give(last[round & 3] = p);
  }
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

// Of 200 freed blocks of 500,000 bytes the last 48, 24 MiB, keep their memory, and none once all is collected.
static void test_bounded(void** state) {
  (void)state;
  static char* kept[200];
  mi_collect(true);
  size_t before = resident();
  for (int k = 0; k < 200; k++) memset(kept[k] = take(500000), 7, 500000);
  for (int k = 0; k < 200; k++) give(kept[k]);
  assert_true(resident() < before + 26 * 1024 * 1024);
  mi_collect(true);
  assert_true(resident() < before + 2 * 1024 * 1024);
}

// At most 32 MiB do, also of few large ones after many small ones; and one that is larger than is needed serves, if by a quarter at most.
static void test_sizes(void** state) {
  (void)state;
  static char* kept[32];
  mi_collect(true);
  size_t before = resident();
  for (int k = 0; k < 32; k++) memset(kept[k] = take(300000), 7, 300000);
  for (int k = 0; k < 32; k++) give(kept[k]);
  for (int k = 0; k < 8; k++) memset(kept[k] = take(5 << 20), 7, 5 << 20);
  for (int k = 0; k < 8; k++) give(kept[k]);
  assert_true(resident() < before + 34 * 1024 * 1024);
  mi_collect(true);
  for (int k = 0; k < 8; k++) memset(kept[k] = take(1000000), 7, 1000000);
  for (int k = 0; k < 8; k++) give(kept[k]);
  char* much_smaller = take(500000);
  char* smaller = take(900000);
  bool reused = false;
  for (int k = 0; k < 8; k++) {
    assert_false(much_smaller >= kept[k] && much_smaller < kept[k] + 1000000);
    reused |= smaller >= kept[k] && smaller < kept[k] + 1000000;
  }
  assert_true((reused || !is_warm_kept()) && is_zero(smaller, 900000));
  give(smaller);
  give(much_smaller);
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

// A freed block that cannot be opened again stays what it is; others are made instead, and later it is used after all.
static void test_no_mapping(void** state) {
  (void)state;
  if (!is_warm_kept()) skip();
  enum { FREED = 8, SIZE = 300000 };
  char* freed[FREED];
  mi_collect(true);
  char* spare = take(SIZE);  // whatever else a fresh block needs is open
  for (int k = 0; k < FREED; k++) memset(freed[k] = take(SIZE), 1, SIZE);
  for (int k = 0; k < FREED; k++) give(freed[k]);
  no_mappings = true;
  refused = 0;
  char* p = mi_malloc(SIZE);
  no_mappings = false;
  assert_true(refused > 0);
  for (int k = 0; k < FREED; k++) assert_false(p == freed[k] || is_readable(freed[k]));
  if (p != NULL) {
    assert_true(is_zero(p, SIZE));
    give(p);
  }
  bool again = false;
  for (int k = 0; k < FREED; k++) {
    char* q = take(SIZE);
    for (int i = 0; i < FREED; i++) again |= q == freed[i];
    assert_true(is_zero(q, SIZE));
    memset(q, 2, SIZE);
    give(q);
  }
  assert_true(again);
  give(spare);
}

// So does one that is to become cold. Once it can be opened, its addresses are fit for use like all others.
static void test_no_mapping_to_cool(void** state) {
  (void)state;
  if (!is_warm_kept()) skip();
  enum { FREED = 8, SIZE = 300000, ROUNDS = 400 };
  char* freed[FREED];
  mi_collect(true);
  for (int k = 0; k < FREED; k++) memset(freed[k] = take(SIZE), 1, SIZE);
  for (int k = 0; k < FREED; k++) give(freed[k]);
  no_mappings = true;
  refused = 0;
  mi_collect(true);
  no_mappings = false;
  assert_true(refused > 0);
  for (int k = 0; k < FREED; k++) assert_false(is_readable(freed[k]));
  bool again = false;
  for (int round = 0; round < ROUNDS; round++) {  // more than are held
    mi_collect(true);
    char* p = take(SIZE);
    for (int k = 0; k < FREED; k++) again |= p == freed[k];
    assert_true(is_zero(p, SIZE));
    memset(p, 3, SIZE);
    give(p);
  }
  assert_true(again);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_inaccessible), cmocka_unit_test(test_destroyed),
      cmocka_unit_test(test_counted),      cmocka_unit_test(test_not_the_next),
      cmocka_unit_test(test_cleared),      cmocka_unit_test(test_bounded),
      cmocka_unit_test(test_sizes),
      cmocka_unit_test(test_sparse),       cmocka_unit_test(test_grows),
      cmocka_unit_test(test_no_mapping),   cmocka_unit_test(test_no_mapping_to_cool),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
