// Statistics: text, structure and JSON, and that their numbers add up.
#define _GNU_SOURCE
#include "listen.h"
#include "mi.h"

#include <pthread.h>

#include "mimalloc-stats.h"

// ---- statistics -----------------------------------------------------------------------------------------------------

static void check_stats_text(void) {
  static const char* const words[] = {"heap stats:", "peak",      "total",      "freed",    "current",
                                      "unit",        "reserved:", "committed:", "purged:",  "segments:",
                                      "pages:",      "mmaps:",    "threads:",   "elapsed:", "process:"};
  for (size_t i = 0; i < COUNT_OF(words); i++) {
    context("looking for '%s'", words[i]);
    CHECK(has(words[i]));
  }
}

static void test_mi_stats_print(void) {
  mi_register_output(listen_to, NULL);
  mi_stats_print(NULL);
  check_stats_text();
}

static void test_mi_stats_print_out(void) {
  mi_stats_print_out(listen_to, &said);
  CHECK(said_arg == &said);
  check_stats_text();
}

static void test_mi_thread_stats_print_out(void) {
  use_and_free(100);
  mi_thread_stats_print_out(listen_to, &said);
  CHECK(said_arg == &said && has("heap stats:") && has("pages:") && !has("process:"));
}

static size_t page_bin_sum(const mi_stats_t* stats) {
  int64_t sum = 0;
  for (size_t bin = 0; bin < stats->bin_count; bin++) sum += stats->page_bins[bin].current;
  return (size_t)sum;
}

static void* hold_pages(void* arg) {
  (void)arg;
  for (size_t i = 0; i < MANY; i++) many[i] = mi_malloc(100);
  return NULL;
}

static void test_mi_stats_get(void) {
  mi_stats_t_decl(before);
  mi_stats_t_decl(full);
  mi_stats_t_decl(after);
  CHECK(mi_stats_get(&before));
  use_and_free(100);
  void* large = mi_malloc((size_t)10 << 20);
  mi_heap_t* heap = mi_heap_new();
  hold_pages(NULL);
  CHECK(mi_stats_get(&full));
  for (size_t i = 0; i < MANY; i++) mi_free(many[i]);
  mi_free(large);
  mi_heap_delete(heap);
  mi_collect(true);
  CHECK(mi_stats_get(&after));
  CHECK(full.size == sizeof(full) && full.version == MI_STAT_VERSION && full.bin_count > 80);
  context("pages: %ld then %ld then %ld", (long)before.pages.current, (long)full.pages.current,
          (long)after.pages.current);
  CHECK(full.pages.current >= before.pages.current + MANY * 100 / 65536 && after.pages.current < full.pages.current);
  CHECK(full.pages.total >= full.pages.current && full.pages.peak >= full.pages.current);
  CHECK(page_bin_sum(&full) == (size_t)full.pages.current && page_bin_sum(&after) == (size_t)after.pages.current);
  context("large: %ld then %ld", (long)full.malloc_large.current, (long)after.malloc_large.current);
  CHECK(full.malloc_large.current - before.malloc_large.current >= 10 << 20);
  int64_t sampled = mi_is_secure() ? 1 << 20 : 0;  // guarded blocks count as large, and rest a while when freed
  CHECK(after.malloc_large.current <= before.malloc_large.current + sampled && after.malloc_large.peak >= 10 << 20);
  CHECK(full.committed.current > after.committed.current && full.committed.peak >= full.committed.current);
  CHECK(full.reserved.current >= full.committed.current && full.segments.current >= 1);
  CHECK(full.heaps.current == before.heaps.current + 1 && after.heaps.current == before.heaps.current);
  CHECK(full.threads.current == 1 && after.purged.total > 0 && after.purge_calls.total > 0);
  CHECK(full.generic_calls.total > 0 && full.pages_extended.total > 0);
  if (full.malloc_requested.total > 0) {  // a debug build counts blocks
    int64_t held = 0, kept = 0, bytes = 0;
    for (size_t bin = 0; bin < full.bin_count; bin++) {
      held += full.malloc_bins[bin].current - before.malloc_bins[bin].current;
      kept += after.malloc_bins[bin].current - before.malloc_bins[bin].current;
      bytes += full.malloc_bins[bin].current * (int64_t)mi_stats_get_bin_size(bin);
    }
    context("blocks: %ld more, then %ld more", (long)held, (long)kept);
    CHECK(held == MANY + 1 && kept >= 0 && kept < 50 && (mi_is_secure() || kept == 0));
    CHECK(bytes == full.malloc_normal.current);
    CHECK(full.malloc_requested.total - before.malloc_requested.total == (int64_t)MANY * 200 + (10 << 20));
  }
  CHECK(full.arenas.current == 0 && mi_reserve_os_memory(1, false, false) == 0);
  CHECK(mi_stats_get(&after) && after.arenas.current == 1 && after.arenas.total == 1);
  // Not a structure of this version, or too small, or larger than this library's.
  full.version = MI_STAT_VERSION + 1;
  CHECK(!mi_stats_get(&full) && !mi_stats_get(NULL));
  struct {
    mi_stats_t stats;
    char more[100];
  } larger;
  memset(&larger, 7, sizeof(larger));
  larger.stats.size = sizeof(larger);
  larger.stats.version = MI_STAT_VERSION;
  CHECK(mi_stats_get(&larger.stats) && all_zero(larger.more, sizeof(larger.more)));
  memset(&larger, 7, sizeof(larger));
  larger.stats.size = offsetof(mi_stats_t, pages);
  larger.stats.version = MI_STAT_VERSION;
  CHECK(mi_stats_get(&larger.stats) && larger.stats.malloc_large.current >= 0);
  CHECK(((char*)&larger.stats.pages)[0] == 7 && larger.more[0] == 7);
}

static void test_mi_stats_merge(void) {
  mi_stats_t_decl(before);
  mi_stats_t_decl(after);
  mi_free(mi_malloc(100));
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, hold_pages, NULL) == 0 && pthread_join(thread, NULL) == 0);
  CHECK(mi_stats_get(&before));
  mi_stats_merge();
  mi_stats_merge();
  CHECK(mi_stats_get(&after));
  context("pages: %ld then %ld", (long)before.pages.current, (long)after.pages.current);
  CHECK(before.pages.current == after.pages.current && before.pages.total == after.pages.total);
  CHECK(before.pages.current >= MANY * 100 / 65536);  // of the thread that has ended
  context("threads: %ld, %ld in all", (long)before.threads.current, (long)before.threads.total);
  CHECK(before.threads.total >= 2 && before.threads.current == 1);
  mi_thread_stats_print_out(listen_to, NULL);  // nothing since then
  CHECK(!has("blocks of 112"));
  for (size_t i = 0; i < MANY; i++) mi_free(many[i]);
}

static void test_mi_stats_reset(void) {
  use_and_free(1000);
  mi_collect(true);
  mi_stats_reset();
  mi_stats_t_decl(stats);
  CHECK(mi_stats_get(&stats));
  CHECK(stats.pages.total == 0 && stats.pages.current == 0 && stats.purged.total == 0 &&
        stats.generic_calls.total == 0);
  use_and_free(1000);
  CHECK(mi_stats_get(&stats) && stats.pages.total > 0 && stats.committed.current > 0);
}

static void check_json(const char* json) {
  CHECK(json != NULL && json[0] == '{' && strcmp(json + strlen(json) - 2, "}\n") == 0);
  static const char* const names[] = {"\"version\": ", "\"page_bins\": [",
                                      "\"committed\": {\"total\": ", "\"violations\": {"};
  for (size_t i = 0; i < COUNT_OF(names); i++) {
    context("looking for %s", names[i]);
    CHECK(strstr(json, names[i]) != NULL);
  }
  int depth = 0;
  for (const char* c = json; *c != 0; c++) {
    depth += *c == '{' || *c == '[';
    depth -= *c == '}' || *c == ']';
    CHECK(depth > 0 || strcmp(c, "}\n") == 0 || strcmp(c, "\n") == 0);
  }
  CHECK(depth == 0);
}

// In a buffer of every length that matters, and in a block.
#define CHECK_JSON_CALL(call) \
  { \
    size_t size = 0; \
    char* buffer = NULL; \
    char* json = call; \
    check_json(json); \
    size_t length = strlen(json); \
    static char room[200000]; \
    buffer = room; \
    static const size_t tried[] = {1, 2, 10, 100, 1000}; \
    for (size_t i = 0; i < COUNT_OF(tried); i++) { \
      size = tried[i]; \
      memset(room, 7, sizeof(room)); \
      context("json of %zu in %zu bytes", length, size); \
      CHECK(call == NULL && room[size] == 7); \
    } \
    size = length + 1000; \
    CHECK(call == room); \
    check_json(room); \
    CHECK(mi_usable_size(json) >= length + 1); \
    mi_free(json); \
  }

static void test_mi_stats_get_json(void) {
  CHECK_JSON_CALL(mi_stats_get_json(size, buffer));
  char* json = mi_stats_get_json(0, NULL);
  CHECK(strstr(json, "\"process\": {\"elapsed_msecs\": ") != NULL);
  fputs(json, stdout);  // the test conformance.json feeds it to a parser
  mi_free(json);
}

static void test_mi_stats_as_json(void) {
  mi_stats_t_decl(stats);
  CHECK(mi_stats_get(&stats));
  CHECK_JSON_CALL(mi_stats_as_json(&stats, size, buffer));
  char* first = mi_stats_as_json(&stats, 0, NULL);
  CHECK(strlen(first) + 1 < 100000);
  char* exact = malloc(strlen(first) + 1);
  CHECK(mi_stats_as_json(&stats, strlen(first) + 1, exact) == exact && strcmp(first, exact) == 0);
  CHECK(mi_stats_as_json(&stats, strlen(first), exact) == NULL);
  fputs(first, stdout);
  free(exact);
  mi_free(first);
  CHECK(mi_stats_as_json(NULL, 0, NULL) == NULL);
  stats.version++;
  CHECK(mi_stats_as_json(&stats, 0, NULL) == NULL);
}

static void test_mi_heap_stats_get_json(void) {
  mi_heap_t* heap = mi_heap_new();
  mi_heap_guarded_set_sample_rate(heap, 0, 0);  // such blocks are counted as large ones
  for (int i = 0; i < 1000; i++) CHECK(mi_heap_malloc(heap, 100) != NULL);
  CHECK(mi_heap_malloc(heap, (size_t)1 << 20) != NULL);
  CHECK_JSON_CALL(mi_heap_stats_get_json(heap, size, buffer));
  char* json = mi_heap_stats_get_json(heap, 0, NULL);
  context("json: %.100s", json);
  CHECK(strstr(json, "\"total\": 1000, \"peak\": 1000, \"current\": 1000") != NULL);
  fputs(json, stdout);
  mi_free(json);
  CHECK(mi_heap_stats_get_json(NULL, 0, NULL) == NULL);
  mi_heap_destroy(heap);
}

static void test_mi_stats_get_bin_size(void) {
  mi_stats_t_decl(stats);
  CHECK(mi_stats_get(&stats));
  size_t before = 0, count = 0;
  for (size_t bin = 1; bin < 81; bin++) {
    size_t size = mi_stats_get_bin_size(bin);
    context("bin %zu: %zu after %zu", bin, size, before);
    if (size == 0) continue;
    CHECK(size > before && size % 16 == 0);
    before = size;
    count++;
  }
  CHECK(count > 70 && before >= 65536 / 2);
  CHECK(mi_stats_get_bin_size(stats.bin_count) == 0 && mi_stats_get_bin_size(SIZE_MAX) == 0);
}

// One a line, as CMakeLists.txt reads them.
// clang-format off
const case_t cases[] = {
  CASE(mi_stats_print)
  CASE(mi_stats_print_out)
  CASE(mi_thread_stats_print_out)
  CASE(mi_stats_get)
  CASE(mi_stats_merge)
  CASE(mi_stats_reset)
  CASE(mi_stats_get_json)
  CASE(mi_stats_as_json)
  CASE(mi_heap_stats_get_json)
  CASE(mi_stats_get_bin_size)
  {NULL, NULL, NULL}
};
// clang-format on
