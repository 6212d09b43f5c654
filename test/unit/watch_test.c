// The tables that tools read from outside (watch.h): whole, named, each within what it describes, and nowhere near a key.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "watch.h"

static void for_each(void (*act)(const watch_table_t* table, const watch_t* entry)) {
  const watch_table_t* const* lists[] = {mim_watch.core, mim_watch.layer};
  for (size_t list = 0; list < 2; list++) {
    for (const watch_table_t* const* table = lists[list]; *table != NULL; table++) {
      for (size_t i = 0; i < (*table)->count; i++) act(*table, &(*table)->entries[i]);
    }
  }
}

static const char* names[512];
static size_t count;

static void entry_is_named(const watch_table_t* table, const watch_t* entry) {
  (void)table;
  assert_non_null(memchr(entry->name, 0, sizeof(entry->name)));
  assert_true(entry->name[0] != 0);
  for (size_t i = 0; i < count; i++) assert_string_not_equal(names[i], entry->name);
  assert_true(count < sizeof(names) / sizeof(names[0]));
  names[count++] = entry->name;
}

static void test_names(void** state) {
  (void)state;
  for_each(entry_is_named);
  assert_true(count > 60);
  assert_int_equal(mim_watch.version, MI_MALLOC_VERSION);
  assert_int_equal(mim_watch.entry_bytes, sizeof(watch_t));
  assert_int_equal(mim_watch.layer[0] != NULL, MIM_SECURE);
}

static bool overlap(uintptr_t a, size_t a_size, uintptr_t b, size_t b_size) {
  return a < b + b_size && b < a + a_size;
}

// What may be known of a page and a thread: not the layer's part, and not which block comes next.
static void member_is_public(const watch_table_t* table, const watch_t* entry) {
  if (table->base != NULL || entry->size == 0) return;
  if (strncmp(entry->name, "page.", 5) == 0) {
    assert_true(entry->at + entry->size <= sizeof(page_t));
    size_t secret = offsetof(page_t, hook);
    assert_false(overlap(entry->at, entry->size, secret, offsetof(page_t, kind) - secret));
    assert_false(overlap(entry->at, entry->size, offsetof(page_t, free), 2 * sizeof(uintptr_t)));
  } else if (strncmp(entry->name, "thread.", 7) == 0) {
    assert_true(entry->at + entry->size <= sizeof(tld_t));
    assert_false(overlap(entry->at, entry->size, offsetof(tld_t, hook), sizeof(hook_thread_t)));
  } else if (strncmp(entry->name, "stats.", 6) == 0) {
    assert_true(entry->at + entry->size <= sizeof(stats_t));
  }
}

static void place_is_public(const watch_table_t* table, const watch_t* entry) {
  if (table->base == NULL || entry->size == 0) return;
  uintptr_t at = (uintptr_t)table->base + entry->at, process = (uintptr_t)&mim_process;
  if (!overlap(at, entry->size, process, sizeof(mim_process))) return;
  assert_true(entry->size <= sizeof(uintptr_t));
#if MIM_SECURE
  assert_false(overlap(at, entry->size, (uintptr_t)mim_process.hook.root_key, sizeof(mim_process.hook.root_key)));
#endif
}

static void test_no_secrets(void** state) {
  (void)state;
  for_each(member_is_public);
  for_each(place_is_public);
}

// What a tool does: from the name to the place to the number.
static const watch_table_t* found_table;
static const watch_t* found;
static const char* wanted;

static void seek(const watch_table_t* table, const watch_t* entry) {
  if (strcmp(entry->name, wanted) != 0) return;
  found_table = table;
  found = entry;
}

static void find(const char* name) {
  found = NULL;
  wanted = name;
  for_each(seek);
  assert_non_null(found);
}

static uint64_t number_at(const char* name) {
  find(name);
  uint64_t number = 0;
  assert_true(found->size <= sizeof(number));
  memcpy(&number, (const char*)found_table->base + found->at, found->size);
  return number;
}

static void test_places(void** state) {
  (void)state;
  void* volatile p = mi_malloc(100);
  region_info_t info;
  mim_region_info(&info);
  assert_int_equal(number_at("region.committed"), info.committed);
  assert_int_equal(number_at("region.purged_total"), info.purged_total);
  assert_int_equal(number_at("meta.committed"), mim_meta_committed());
  assert_int_equal(number_at("process.slots"), mim_process.slots);
  tld_t* all = (tld_t*)(uintptr_t)number_at("threads.all");
  assert_ptr_equal(all, mim_tls.tld);
  find("thread.number");
  assert_memory_equal((char*)all + found->at, &mim_tls.tld->thread_id, sizeof(uint32_t));
  mi_free(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_no_secrets),
                                     cmocka_unit_test(test_places)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
