// The library in the process: options, callbacks, text, statistics, collection, and the questions of mimalloc-secure.h.
#define _GNU_SOURCE
#include "conform.h"

#include <limits.h>
#include <pthread.h>
#include <unistd.h>

#include "mimalloc-secure.h"
#include "mimalloc-stats.h"
#include "mimalloc.h"

release_t* const release = mi_free;

size_t usable(const void* p) {
  return mi_usable_size(p);
}

// What the library says, and how often it said it.
static char said[200000];
static size_t said_length, said_pieces;
static void* said_arg;

static void listen_to(const char* text, void* arg) {
  size_t length = strlen(text);
  if (said_length + length < sizeof(said)) memcpy(said + said_length, text, length + 1);
  said_length += length;
  said_pieces++;
  said_arg = arg;
}

static void forget(void) {
  said_length = said_pieces = 0;
  said[0] = 0;
  said_arg = NULL;
}

void prepare(void) {
  forget();
}

static bool has(const char* text) {
  return strstr(said, text) != NULL;
}

// ---- options --------------------------------------------------------------------------------------------------------

static void test_mi_option_get(void) {
  for (int i = 0; i < _mi_option_last; i++) CHECK(mi_option_get((mi_option_t)i) >= -1);
  CHECK(mi_option_get(mi_option_purge_delay) == 10 && mi_option_get(mi_option_max_errors) == 32);
  CHECK(mi_option_get(mi_option_large_os_pages) == mi_option_get(mi_option_allow_large_os_pages));
  CHECK(mi_option_get(_mi_option_last) == 0 && mi_option_get((mi_option_t)-1) == 0);
  CHECK(mi_option_get((mi_option_t)INT_MAX) == 0);
}

// Names kept without effect keep their values too.
static void test_mi_option_set(void) {
  mi_option_set(mi_option_purge_delay, 25);
  CHECK(mi_option_get(mi_option_purge_delay) == 25);
  mi_option_set(mi_option_purge_delay, -1);
  CHECK(mi_option_get(mi_option_purge_delay) == -1);
  mi_option_set(mi_option_eager_commit, 0);
  CHECK(mi_option_get(mi_option_eager_commit) == 0);
  mi_option_set(mi_option_os_tag, 240);
  CHECK(mi_option_get(mi_option_os_tag) == 240);
  mi_register_output(listen_to, NULL);
  forget();
  mi_option_set(mi_option_purge_delay, -2);
  CHECK(mi_option_get(mi_option_purge_delay) == -1);
  context("it said: %s", said);
  CHECK(said_pieces == 1 && has("'purge_delay'") && has("-2") && has("-1 to 86400000"));
  forget();
  mi_option_set(_mi_option_last, 1);
  mi_option_set((mi_option_t)-5, 1);
  CHECK(said_pieces == 2 && has("-5 is not an option"));
}

static void test_mi_option_set_default(void) {
  mi_option_set_default(mi_option_purge_delay, 30);
  CHECK(mi_option_get(mi_option_purge_delay) == 30);
  mi_option_set_default(mi_option_purge_delay, 40);
  CHECK(mi_option_get(mi_option_purge_delay) == 40);
  mi_option_set(mi_option_purge_delay, 50);
  mi_option_set_default(mi_option_purge_delay, 60);  // set already
  CHECK(mi_option_get(mi_option_purge_delay) == 50);
}

static void test_mi_option_is_enabled(void) {
  CHECK(mi_option_is_enabled(mi_option_purge_delay) && !mi_option_is_enabled(mi_option_show_stats));
  CHECK(!mi_option_is_enabled(_mi_option_last) && !mi_option_is_enabled((mi_option_t)-1));
}

static void test_mi_option_enable(void) {
  mi_option_enable(mi_option_show_errors);
  CHECK(mi_option_is_enabled(mi_option_show_errors) && mi_option_get(mi_option_show_errors) == 1);
}

static void test_mi_option_disable(void) {
  mi_option_disable(mi_option_allow_thp);
  CHECK(!mi_option_is_enabled(mi_option_allow_thp));
}

static void test_mi_option_set_enabled(void) {
  mi_option_set_enabled(mi_option_visit_abandoned, true);
  CHECK(mi_option_get(mi_option_visit_abandoned) == 1);
  mi_option_set_enabled(mi_option_visit_abandoned, false);
  CHECK(mi_option_get(mi_option_visit_abandoned) == 0);
}

static void test_mi_option_set_enabled_default(void) {
  mi_option_set_enabled_default(mi_option_visit_abandoned, true);
  CHECK(mi_option_get(mi_option_visit_abandoned) == 1);
  mi_option_set(mi_option_visit_abandoned, 0);
  mi_option_set_enabled_default(mi_option_visit_abandoned, true);
  CHECK(mi_option_get(mi_option_visit_abandoned) == 0);
}

static void test_mi_option_get_clamp(void) {
  mi_option_set(mi_option_purge_delay, 500);
  CHECK(mi_option_get_clamp(mi_option_purge_delay, 0, 100) == 100);
  CHECK(mi_option_get_clamp(mi_option_purge_delay, 1000, 2000) == 1000);
  CHECK(mi_option_get_clamp(mi_option_purge_delay, 0, 1000) == 500);
  CHECK(mi_option_get_clamp(_mi_option_last, 3, 5) == 3);
}

static void test_mi_option_get_size(void) {
  mi_option_set(mi_option_arena_reserve, 64);
  CHECK(mi_option_get_size(mi_option_arena_reserve) == 64 * 1024);
  mi_option_set(mi_option_purge_delay, 77);
  CHECK(mi_option_get_size(mi_option_purge_delay) == 77);
  mi_option_set(mi_option_purge_delay, -1);
  CHECK(mi_option_get_size(mi_option_purge_delay) == 0 && mi_option_get_size((mi_option_t)-3) == 0);
}

// The hardening of the secure build is fixed once it runs.
static void check_fixed(void) {
  long before = mi_option_get(mi_option_on_violation);
  mi_option_set(mi_option_on_violation, MI_SEVERITY_REPORT);
  CHECK(mi_option_get(mi_option_on_violation) == (mi_is_secure() ? before : MI_SEVERITY_REPORT));
}

static void check_options_text(void) {
  CHECK(has("option 'verbose': 0 (default)") && has("option 'purge_delay': 33 (program)"));
  CHECK(has("option 'os_tag': 100 (default; no effect)") && has("option 'arena_reserve': 1048576 KiB"));
  CHECK(has(mi_is_secure() ? "profile default" : "profile none"));
}

static void test_mi_options_print(void) {
  mi_option_set(mi_option_purge_delay, 33);
  mi_register_output(listen_to, &said_pieces);
  forget();
  mi_options_print();
  CHECK(said_pieces > _mi_option_last && said_arg == &said_pieces);
  check_options_text();
  check_fixed();
}

static void test_mi_options_print_out(void) {
  mi_option_set(mi_option_purge_delay, 33);
  mi_options_print_out(listen_to, &said_length);
  CHECK(said_arg == &said_length);
  check_options_text();
}

// ---- output and errors ----------------------------------------------------------------------------------------------

static int pipe_in, kept_stderr;

static void catch_stderr(void) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  kept_stderr = dup(2);
  CHECK(kept_stderr >= 0 && dup2(ends[1], 2) == 2 && close(ends[1]) == 0);
  pipe_in = ends[0];
}

static size_t caught(char* text, size_t size) {
  CHECK(dup2(kept_stderr, 2) == 2);
  size_t length = 0;
  for (ssize_t got; (got = read(pipe_in, text + length, size - 1 - length)) > 0;) length += (size_t)got;
  text[length] = 0;
  return length;
}

static void test_mi_register_output(void) {
  static char text[10000];
  catch_stderr();
  mi_option_set(mi_option_purge_delay, -7);  // before: goes to standard error
  CHECK(caught(text, sizeof(text)) > 0 && strstr(text, "-7") != NULL);
  mi_register_output(listen_to, &said);  // and is told again
  CHECK(has("-7 is not accepted") && said_arg == &said);
  CHECK(strcmp(text, said) == 0);
  catch_stderr();
  forget();
  mi_option_set(mi_option_purge_delay, -8);
  CHECK(has("-8 is not accepted") && !has("-7"));
  CHECK(strncmp(said, "mimalloc: warning: ", 19) == 0 && said[said_length - 1] == '\n');
  mi_register_output(listen_to, &said_length);  // told only once
  CHECK(!has("-7"));
  mi_option_set(mi_option_purge_delay, -9);
  CHECK(said_arg == &said_length);
  CHECK(caught(text, sizeof(text)) == 0);
  catch_stderr();
  mi_register_output(NULL, NULL);
  forget();
  mi_option_set(mi_option_purge_delay, -10);
  CHECK(caught(text, sizeof(text)) > 0 && strstr(text, "-10") != NULL && said_pieces == 0);
  // No more than max_warnings.
  mi_register_output(listen_to, NULL);
  forget();
  for (int i = 0; i < 100; i++) mi_option_set(mi_option_purge_delay, -20);
  CHECK(said_pieces == 32 - 4);
}

static int error_count, last_error;
static void* error_arg;

static void told_error(int error, void* arg) {
  error_count++;
  last_error = error;
  error_arg = arg;
  // Misbehaves: the library must neither call it again nor fall over.
  CHECK(mi_malloc(hide_size(SIZE_MAX)) == NULL);
}

static void test_mi_register_error(void) {
  mi_option_enable(mi_option_show_errors);
  mi_register_output(listen_to, NULL);
  mi_register_error(told_error, &said);
  forget();
  errno = 0;
  CHECK(mi_malloc(hide_size(SIZE_MAX - 5)) == NULL && errno == ENOMEM);
  CHECK(error_count == 1 && last_error == EOVERFLOW && error_arg == &said);
  context("it said: %s", said);
  CHECK(has("mimalloc: error: ") && has("18446744073709551610"));
  CHECK(mi_malloc_aligned(10, 3) == NULL && error_count == 2 && last_error == EINVAL);
  CHECK(mi_malloc((size_t)1 << 47) == NULL && error_count == 3 && last_error == ENOMEM);
  mi_register_error(NULL, NULL);
  CHECK(mi_malloc(hide_size(SIZE_MAX)) == NULL && error_count == 3);
  // No more than max_errors, however many there are.
  forget();
  for (int i = 0; i < 100; i++) CHECK(mi_malloc(hide_size(SIZE_MAX)) == NULL);
  CHECK(said_pieces < 32);
  mi_option_disable(mi_option_show_errors);
  mi_option_set(mi_option_max_errors, 0);
  forget();
  CHECK(mi_malloc(hide_size(SIZE_MAX)) == NULL && said_pieces == 0);
  mi_option_enable(mi_option_show_errors);
  for (int i = 0; i < 100; i++) CHECK(mi_malloc(hide_size(SIZE_MAX)) == NULL);
  CHECK(said_pieces == 100);
}

// ---- deferred free and collection -----------------------------------------------------------------------------------

static size_t deferred_calls, forced_calls;
static unsigned long long last_beat;
static void* deferred_list;

static void deferred(bool force, unsigned long long heartbeat, void* arg) {
  CHECK(arg == &deferred_list && heartbeat > last_beat);
  last_beat = heartbeat;
  deferred_calls++;
  forced_calls += force;
  for (int i = 0; (force || i < 10) && deferred_list != NULL; i++) {
    void* next = *(void**)deferred_list;
    mi_free(deferred_list);
    deferred_list = next;
  }
  mi_free(mi_malloc(100));  // allowed
}

static void test_mi_register_deferred_free(void) {
  mi_register_deferred_free(deferred, &deferred_list);
  enum { COUNT = 100000 };
  static void* blocks[COUNT];
  for (size_t i = 0; i < COUNT; i++) blocks[i] = mi_malloc(100);
  size_t calls = deferred_calls;
  context("%zu calls for %d allocations", calls, COUNT);
  CHECK(calls >= COUNT / 1000 && forced_calls == 0);
  for (size_t i = 0; i < COUNT; i++) mi_free(blocks[i]);
  CHECK(deferred_calls == calls);  // by allocation alone
  for (int i = 0; i < 1000; i++) {
    void** p = mi_malloc(64);
    *p = deferred_list;
    deferred_list = p;
  }
  mi_collect(true);
  CHECK(deferred_list == NULL && forced_calls == 1);
  mi_register_deferred_free(NULL, NULL);
  calls = deferred_calls;
  for (size_t i = 0; i < COUNT; i++) blocks[i] = mi_malloc(100);
  CHECK(deferred_calls == calls);
}

static size_t committed(void) {
  size_t current = 0;
  mi_process_info(NULL, NULL, NULL, NULL, NULL, &current, NULL, NULL);
  return current;
}

static size_t resident(void) {
  size_t current = 0;
  mi_process_info(NULL, NULL, NULL, &current, NULL, NULL, NULL, NULL);
  return current;
}

enum { MANY = 100000 };
static void* many[MANY];

static void use_and_free(size_t size) {
  for (size_t i = 0; i < MANY; i++) many[i] = memset(mi_malloc(size), 1, size);
  for (size_t i = 0; i < MANY; i++) mi_free(many[i]);
}

static void test_mi_collect(void) {
  mi_option_set(mi_option_purge_delay, 1000000);
  use_and_free(500);
  size_t before = resident();
  mi_collect(false);
  CHECK(resident() > before - before / 2);
  mi_collect(true);
  size_t after = resident();
  context("resident %zu before, %zu after", before, after);
  CHECK(after + (size_t)MANY * 500 * 3 / 4 < before);
  use_and_free(500);
}

static void test_mi_collect_reduce(void) {
  mi_option_set(mi_option_purge_delay, 1000000);
  for (size_t i = 0; i < MANY; i++) many[i] = memset(mi_malloc(500), 1, 500);
  for (size_t i = 0; i < MANY; i++) {
    if (i % 10000 != 0) mi_free(many[i]);
  }
  size_t before = committed();
  mi_collect_reduce((size_t)1 << 40);
  CHECK(committed() + ((size_t)1 << 20) > before);
  mi_collect_reduce(0);
  CHECK(committed() <= before);
  for (size_t i = 0; i < MANY; i += 10000) mi_free(many[i]);
  mi_collect_reduce(0);
  context("committed %zu before, %zu after", before, committed());
  CHECK(committed() < before / 4 + ((size_t)4 << 20));
}

// ---- process and threads --------------------------------------------------------------------------------------------

static void test_mi_version(void) {
  CHECK(mi_version() == MI_MALLOC_VERSION && mi_version() >= 100);
}

static void test_mi_process_init(void) {
  mi_process_init();
  mi_process_init();
  mi_free(mi_malloc(100));
}

static void test_mi_process_done(void) {
  mi_option_enable(mi_option_show_stats);
  mi_register_output(listen_to, NULL);
  void* p = mi_malloc(100);
  mi_process_done();
  CHECK(has("heap stats:") && has("process:"));
  forget();
  mi_process_done();  // once
  CHECK(said_pieces == 0);
  mi_free(p);
  mi_free(mi_malloc(1000));  // allocation goes on working
}

static void* thread_body(void* arg) {
  void (*call)(void) = *(void (**)(void))arg;
  void* p = mi_malloc(100);
  for (int i = 0; i < 100; i++) {
    call();
    void* q = mi_malloc(200);
    fill(q, 200, (unsigned)i);
    mi_free(p);
    CHECK(filled(q, 200, (unsigned)i));
    p = q;
  }
  mi_free(p);
  return NULL;
}

static void check_thread_call(void (*call)(void)) {
  for (int i = 0; i < 20; i++) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, thread_body, &call) == 0 && pthread_join(thread, NULL) == 0);
  }
  thread_body(&call);
}

static void test_mi_thread_init(void) {
  check_thread_call(mi_thread_init);
}

static void test_mi_thread_done(void) {
  check_thread_call(mi_thread_done);
}

static void test_mi_is_redirected(void) {
  void* p = malloc(10);
  CHECK(mi_is_redirected() == mi_is_in_heap_region(p));
  free(p);
}

static void test_mi_process_info(void) {
  size_t v[8] = {0};
  enum { ELAPSED, USER, SYSTEM, RSS, RSS_PEAK, COMMIT, COMMIT_PEAK, FAULTS };
  use_and_free(1000);
  usleep(30000);
  mi_process_info(&v[ELAPSED], &v[USER], &v[SYSTEM], &v[RSS], &v[RSS_PEAK], &v[COMMIT], &v[COMMIT_PEAK], &v[FAULTS]);
  context("%zu %zu %zu %zu %zu %zu %zu %zu", v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]);
  CHECK(v[ELAPSED] >= 30 && v[ELAPSED] < 1000000 && v[USER] + v[SYSTEM] > 0);
  CHECK(v[RSS] > 1000000 && v[RSS_PEAK] >= (size_t)MANY * 1000 && v[RSS_PEAK] >= v[RSS] - v[RSS] / 8);
  CHECK(v[COMMIT] > 0 && v[COMMIT_PEAK] >= (size_t)MANY * 1000 && v[COMMIT_PEAK] >= v[COMMIT]);
  mi_process_info(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
}

static void check_process_text(void) {
  CHECK(has("elapsed:") && has("process: user: ") && has("system: ") && has("faults: ") && has("rss: "));
}

static void test_mi_process_info_print(void) {
  mi_register_output(listen_to, NULL);
  mi_process_info_print();
  check_process_text();
}

static void test_mi_process_info_print_out(void) {
  mi_process_info_print_out(listen_to, &forget);
  check_process_text();
  CHECK(said_arg == (void*)&forget);
}

// ---- statistics -----------------------------------------------------------------------------------------------------

static void check_stats_text(void) {
  static const char* const words[] = {"heap stats:", "peak", "total", "freed", "current", "unit", "reserved:", "committed:",
                                      "purged:", "segments:", "pages:", "mmaps:", "threads:", "elapsed:", "process:"};
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
  context("pages: %ld then %ld then %ld", (long)before.pages.current, (long)full.pages.current, (long)after.pages.current);
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
  CHECK(stats.pages.total == 0 && stats.pages.current == 0 && stats.purged.total == 0 && stats.generic_calls.total == 0);
  use_and_free(1000);
  CHECK(mi_stats_get(&stats) && stats.pages.total > 0 && stats.committed.current > 0);
}

static void check_json(const char* json) {
  CHECK(json != NULL && json[0] == '{' && strcmp(json + strlen(json) - 2, "}\n") == 0);
  static const char* const names[] = {"\"version\": ", "\"page_bins\": [", "\"committed\": {\"total\": ", "\"violations\": {"};
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
#define CHECK_JSON_CALL(call)                                               \
  {                                                                         \
    size_t size = 0;                                                        \
    char* buffer = NULL;                                                    \
    char* json = call;                                                      \
    check_json(json);                                                       \
    size_t length = strlen(json);                                           \
    static char room[200000];                                               \
    buffer = room;                                                          \
    static const size_t tried[] = {1, 2, 10, 100, 1000};                    \
    for (size_t i = 0; i < COUNT_OF(tried); i++) {                          \
      size = tried[i];                                                      \
      memset(room, 7, sizeof(room));                                        \
      context("json of %zu in %zu bytes", length, size);                    \
      CHECK(call == NULL && room[size] == 7);                               \
    }                                                                       \
    size = length + 1000;                                                   \
    CHECK(call == room);                                                    \
    check_json(room);                                                       \
    CHECK(mi_usable_size(json) >= length + 1);                              \
    mi_free(json);                                                          \
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

// ---- mimalloc-secure.h ----------------------------------------------------------------------------------------------

static void test_mi_is_secure(void) {
  CHECK(mi_is_secure() == (mi_profile() != MI_PROFILE_NONE));
}

static void test_mi_profile(void) {
  CHECK(mi_profile() == (mi_is_secure() ? MI_PROFILE_DEFAULT : MI_PROFILE_NONE));
}

static void test_mi_profile_name(void) {
  CHECK(strcmp(mi_profile_name(), mi_is_secure() ? "default" : "none") == 0);
}

static void test_mi_malloc_object_size(void) {
  int local = 0;
  CHECK(mi_malloc_object_size(NULL) == SIZE_MAX && mi_malloc_object_size(&local) == SIZE_MAX);
  for (const size_t* size = sizes; *size != 0; size++) {
    context("size %zu", *size);
    char* p = mi_malloc(*size);
    size_t all = mi_usable_size(p);
    CHECK(mi_malloc_object_size(p) == all);
    CHECK(mi_malloc_object_size(p + all - 1) == 1);
    CHECK(mi_malloc_object_size(p + all / 2) == all - all / 2);
    mi_free(p);
    if (mi_is_secure() && *size < 30000) CHECK(mi_malloc_object_size(hide(p)) == 0);
  }
}

static void told_violation(const mi_violation_t* violation, void* arg) {
  (void)violation;
  (void)arg;
  failed(__FILE__, __LINE__, "there was no violation");
}

// That it is called is for the misuse tests.
static void test_mi_register_violation(void) {
  mi_register_violation(told_violation, NULL);
  use_and_free(100);
  mi_register_violation(NULL, NULL);
}

static void test_mi_fault_name(void) {
  CHECK(strcmp(mi_fault_name(MI_FAULT_NONE), "none") == 0);
  CHECK(strcmp(mi_fault_name(MI_FAULT_DOUBLE_FREE), "double-free") == 0);
  CHECK(strcmp(mi_fault_name(MI_FAULT_NO_ENTROPY), "no-entropy") == 0);
  CHECK(strcmp(mi_fault_name(MI_FAULT_COUNT), "unknown") == 0 && strcmp(mi_fault_name((mi_fault_t)-1), "unknown") == 0);
  for (int i = 0; i < MI_FAULT_COUNT; i++) {
    for (int k = 0; k < i; k++) CHECK(strcmp(mi_fault_name((mi_fault_t)i), mi_fault_name((mi_fault_t)k)) != 0);
  }
}

#define CASE(name) {#name, test_##name, NULL},
const case_t cases[] = {
  CASE(mi_option_get)
  CASE(mi_option_set)
  CASE(mi_option_set_default)
  CASE(mi_option_is_enabled)
  CASE(mi_option_enable)
  CASE(mi_option_disable)
  CASE(mi_option_set_enabled)
  CASE(mi_option_set_enabled_default)
  CASE(mi_option_get_clamp)
  CASE(mi_option_get_size)
  CASE(mi_options_print)
  CASE(mi_options_print_out)
  CASE(mi_register_output)
  CASE(mi_register_error)
  CASE(mi_register_deferred_free)
  CASE(mi_collect)
  CASE(mi_collect_reduce)
  CASE(mi_version)
  CASE(mi_process_init)
  CASE(mi_process_done)
  CASE(mi_thread_init)
  CASE(mi_thread_done)
  CASE(mi_is_redirected)
  CASE(mi_process_info)
  CASE(mi_process_info_print)
  CASE(mi_process_info_print_out)
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
  CASE(mi_is_secure)
  CASE(mi_profile)
  CASE(mi_profile_name)
  CASE(mi_malloc_object_size)
  CASE(mi_register_violation)
  CASE(mi_fault_name)
  {NULL, NULL, NULL}
};
