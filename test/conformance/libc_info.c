// glibc's functions that look at the heap and steer it: what they say must be about this heap, and true.
#define _GNU_SOURCE
#include "symbol.h"

#include <limits.h>
#include <unistd.h>

// ---- looking at and steering the heap -------------------------------------------------------------------------------

static void churn(size_t count, size_t size) {
  void** blocks = malloc(count * sizeof(void*));
  for (size_t i = 0; i < count; i++) blocks[i] = memset(malloc(size), 1, size);
  for (size_t i = 0; i < count; i++) free(blocks[i]);
  free(blocks);
}

static void test_malloc_trim(void) {
  LOOK_UP(int, malloc_trim, size_t);
  churn(200000, 100);
  context("memory that was freed goes back");
  CHECK(malloc_trim_(0) == 1);
  context("all of it was given back already");
  CHECK(malloc_trim_(0) == 0);
  churn(200000, 100);
  CHECK(malloc_trim_(1 << 20) == 1);
}

static void test_mallopt(void) {
  LOOK_UP(int, mallopt, int, int);
  static const int known[] = {M_MXFAST,         M_NLBLKS,   M_GRAIN,        M_KEEP,    M_TRIM_THRESHOLD, M_TOP_PAD,
                              M_MMAP_THRESHOLD, M_MMAP_MAX, M_CHECK_ACTION, M_PERTURB, M_ARENA_TEST,     M_ARENA_MAX};
  for (size_t i = 0; i < COUNT_OF(known); i++) {
    context("mallopt(%d, 1)", known[i]);
    CHECK(mallopt_(known[i], 1) == 1);
  }
  CHECK(mallopt_(0, 1) == 0 && mallopt_(99, 1) == 0 && mallopt_(-9, 1) == 0 && mallopt_(INT_MIN, 1) == 0);
}

static void test_mallinfo2(void) {
  LOOK_UP(struct mallinfo2, mallinfo2, void);
  enum { COUNT = 10000, SIZE = 1000 };
  static void* blocks[COUNT];
  struct mallinfo2 before = mallinfo2_();
  for (size_t i = 0; i < COUNT; i++) blocks[i] = malloc(SIZE);
  void* large = malloc((size_t)5 << 20);
  struct mallinfo2 full = mallinfo2_();
  for (size_t i = 0; i < COUNT; i++) free(blocks[i]);
  free(large);
  struct mallinfo2 after = mallinfo2_();
  // In the secure build a few requests are met by guarded blocks, which are large ones for a while.
  size_t sampled = is_secure() ? (size_t)1 << 20 : 0;
  size_t in_use = full.uordblks + full.hblkhd - before.uordblks - before.hblkhd;
  context("in use: %zu, %zu, %zu", before.uordblks + before.hblkhd, full.uordblks + full.hblkhd,
          after.uordblks + after.hblkhd);
  CHECK(in_use >= (size_t)COUNT * SIZE + ((size_t)5 << 20));
  CHECK(in_use <= ((size_t)COUNT * SIZE + ((size_t)5 << 20)) * 5 / 4 + sampled);
  CHECK(after.uordblks + after.hblkhd <= before.uordblks + before.hblkhd + sampled);
  CHECK(is_secure() || after.uordblks == before.uordblks);
  context("large: %zu of %zu bytes", full.hblks, full.hblkhd);
  CHECK(full.hblks > before.hblks && full.hblkhd >= before.hblkhd + ((size_t)5 << 20));
  CHECK(is_secure() || (full.hblks == before.hblks + 1 && after.hblks == before.hblks));
  context("sums: %zu = %zu + %zu", full.arena, full.uordblks, full.fordblks);
  CHECK(full.arena == full.uordblks + full.fordblks && after.arena == after.uordblks + after.fordblks);
  CHECK(full.arena + sampled >= (size_t)COUNT * SIZE);
}

static void test_mallinfo(void) {
  LOOK_UP(struct mallinfo, mallinfo, void);
  void* small = malloc(100);
  void* p = malloc((size_t)1 << 20);
  struct mallinfo info = mallinfo_();
  context("in use: %d, large: %d of %d bytes", info.uordblks, info.hblks, info.hblkhd);
  CHECK(info.uordblks > 0 && info.arena == info.uordblks + info.fordblks);
  CHECK(info.hblks >= 1 && info.hblkhd >= 1 << 20);
  void* huge = malloc((size_t)3 << 30);  // more than an int can say; not touched
  if (huge != NULL) CHECK(mallinfo_().hblkhd == INT_MAX);
  free(huge);
  free(p);
  free(small);
}

// The text; that it is XML is checked by the test conformance.xml.
static void test_malloc_info(void) {
  LOOK_UP(int, malloc_info, int, FILE*);
  char* text = NULL;
  size_t length = 0;
  FILE* file = open_memstream(&text, &length);
  CHECK(file != NULL && malloc_info_(0, file) == 0 && fclose(file) == 0);
  context("malloc_info: %.60s", text);
  CHECK(strncmp(text, "<malloc version=\"", 17) == 0 && strcmp(text + length - 10, "</malloc>\n") == 0);
  CHECK(strstr(text, "<system type=\"current\" size=\"") != NULL);
  free(text);
  errno = 0;
  CHECK(malloc_info_(1, stdout) != 0 && errno == EINVAL);
  CHECK(malloc_info_(0, stdout) == 0);
}

static void test_malloc_stats(void) {
  LOOK_UP(void, malloc_stats, void);
  int ends[2];
  CHECK(pipe(ends) == 0);
  int kept = dup(2);
  CHECK(kept >= 0 && dup2(ends[1], 2) == 2);
  malloc_stats_();
  CHECK(dup2(kept, 2) == 2 && close(ends[1]) == 0);
  static char text[20000];
  size_t length = 0;
  for (ssize_t got; (got = read(ends[0], text + length, sizeof(text) - 1 - length)) > 0;) length += (size_t)got;
  context("malloc_stats printed %zu bytes", length);
  CHECK(strstr(text, "heap stats:") != NULL && strstr(text, "committed:") != NULL && strstr(text, "process:") != NULL);
}

// One a line, as CMakeLists.txt reads them.
// clang-format off
const case_t cases[] = {
  CASE(malloc_trim)
  CASE(mallopt)
  CASE(mallinfo)
  CASE(mallinfo2)
  CASE(malloc_info)
  CASE(malloc_stats)
  {NULL, NULL, NULL}
};
// clang-format on
