// Options as the program reads and sets them, and what the library says: output, errors, warnings. Options from the
// environment are tested in CMakeLists.txt.
#define _GNU_SOURCE
#include "listen.h"
#include "mi.h"

#include <limits.h>
#include <unistd.h>

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
  mi_option_set(mi_option_max_warnings, 0);  // no limit
  for (int i = 0; i < _mi_option_last; i++) {  // absurd values of each
    long before = mi_option_get((mi_option_t)i);
    forget();
    mi_option_set((mi_option_t)i, LONG_MIN);
    context("option %d: %s", i, said);
    CHECK(mi_option_get((mi_option_t)i) == before && said_pieces == 1);
    CHECK(has("-9223372036854775808 is not accepted: expected ") && has("it stays "));
  }
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

// One a line, as CMakeLists.txt reads them.
// clang-format off
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
  {NULL, NULL, NULL}
};
// clang-format on
