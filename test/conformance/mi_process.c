// The library in the process: deferred work, collection, threads, facts, and the questions of mimalloc-secure.h.
#define _GNU_SOURCE
#include "listen.h"
#include "mi.h"

#include <pthread.h>
#include <unistd.h>

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

// One a line, as CMakeLists.txt reads them.
// clang-format off
const case_t cases[] = {
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
  CASE(mi_is_secure)
  CASE(mi_profile)
  CASE(mi_profile_name)
  CASE(mi_malloc_object_size)
  CASE(mi_register_violation)
  CASE(mi_fault_name)
  {NULL, NULL, NULL}
};
// clang-format on
