// Two programs as they are written for mimalloc 1 and 2, in C and in C++, unchanged: a cache with a heap for each
// generation and options by their older names, and a server's use of what version 2 added (arenas, statistics, tags,
// subprocesses). They end with 0 when every result is as those versions promise.
#include <mimalloc.h>
#include <mimalloc-stats.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEED(condition) \
  do { \
    if (!(condition)) { \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      exit(1); \
    } \
  } while (0)

// ---- version 1 ------------------------------------------------------------------------------------------------------

typedef struct item_s {
  struct item_s* next;
  char* key;
  double* values;
} item_t;

static item_t* add_item(mi_heap_t* heap, item_t* list, int number) {
  char name[32];
  snprintf(name, sizeof(name), "item %d", number);
  item_t* item = mi_heap_zalloc_tp(heap, item_t);
  item->next = list;
  item->key = mi_heap_strdup(heap, name);
  item->values = mi_heap_calloc_tp(heap, double, 10);
  item->values = mi_heap_recalloc_tp(heap, item->values, double, 20);
  return item;
}

static bool count_block(const mi_heap_t* heap, const mi_heap_area_t* area, void* block, size_t size, void* arg) {
  (void)heap;
  (void)area;
  (void)size;
  if (block != NULL) ++*(size_t*)arg;
  return true;
}

static void put_off(bool force, unsigned long long heartbeat, void* arg) {
  (void)force;
  (void)heartbeat;
  ++*(size_t*)arg;
}

static void say_nothing(const char* text, void* arg) {
  *(size_t*)arg += strlen(text);
}

static void version_1(void) {
  size_t calls = 0, said = 0, blocks = 0;
  mi_register_deferred_free(put_off, &calls);
  mi_register_output(say_nothing, &said);
  mi_option_set_default(mi_option_page_reset, 0);
  mi_option_set_enabled(mi_option_large_os_pages, false);
  mi_option_set(mi_option_reset_delay, 100);
  NEED(mi_option_get(mi_option_purge_delay) == 100);
  mi_heap_t* heap = mi_heap_new();
  item_t* list = NULL;
  for (int i = 0; i < 1000; i++) list = add_item(heap, list, i);
  for (const item_t* item = list; item != NULL; item = item->next) {
    NEED(mi_heap_contains_block(heap, item) && mi_heap_check_owned(heap, item->key) && !mi_check_owned(item->values));
    NEED(item->values[19] == 0);
  }
  NEED(mi_heap_visit_blocks(heap, true, count_block, &blocks) && blocks == 3000);
  mi_heap_t* before = mi_heap_set_default(heap);
  void* p = mi_malloc(50);
  NEED(mi_heap_contains_block(heap, p) && mi_heap_get_default() == heap && mi_heap_get_backing() == before);
  NEED(mi_heap_set_default(before) == heap);
  mi_heap_destroy(heap);
  heap = mi_heap_new();
  char* text = mi_heap_strndup(heap, "some text", 4);
  mi_heap_collect(heap, true);
  mi_heap_delete(heap);  // its blocks stay
  NEED(strcmp(text, "some") == 0 && mi_usable_size(text) >= 5);
  text = (char*)mi_realloc(text, 10000);
  NEED(strcmp(text, "some") == 0 && mi_expand(text, 9000) == text);
  mi_free(text);
  p = mi_malloc_aligned_at(100, 64, 4);
  NEED(((size_t)p + 4) % 64 == 0);
  mi_free_size_aligned(p, 100, 4);
  NEED(mi_posix_memalign(&p, 128, 10) == 0 && mi_good_size(100) >= 100);
  mi_cfree(p);
  mi_collect(true);
  mi_stats_merge();
  mi_stats_print(NULL);
  mi_thread_stats_print_out(say_nothing, &said);
  NEED(calls > 0 && said > 0 && mi_is_in_heap_region(&said) == false);
  mi_register_output(NULL, NULL);
  mi_register_deferred_free(NULL, NULL);
}

// ---- version 2 ------------------------------------------------------------------------------------------------------

static void version_2(void) {
  mi_arena_id_t arena;
  NEED(mi_reserve_os_memory_ex((size_t)64 << 20, false, false, true, &arena) == 0);
  mi_heap_t* heap = mi_heap_new_in_arena(arena);
  size_t size = 0, block_size = 0;
  char* start = (char*)mi_arena_area(arena, &size);
  char* p = (char*)mi_heap_malloc(heap, 1000);
  NEED(p >= start && p + 1000 <= start + size);
  mi_heap_delete(heap);
  mi_free(p);
  mi_heap_t* tagged = mi_heap_new_ex(5, true, 0);
  NEED(mi_heap_zalloc_small(tagged, 32) != NULL);
  mi_heap_destroy(tagged);
  p = (char*)mi_umalloc(100, &block_size);
  NEED(block_size >= 100);
  mi_ufree(p, &block_size);
  mi_free_small(mi_zalloc_small(64));
  NEED(mi_option_get_size(mi_option_arena_reserve) == (size_t)1 << 30);
  mi_option_set(mi_option_purge_delay, 0);
  mi_option_set(mi_option_retry_on_oom, 10);
  NEED(mi_option_get(mi_option_retry_on_oom) == 10);
  mi_subproc_id_t subproc = mi_subproc_new();
  NEED(subproc != mi_subproc_main());
  mi_subproc_delete(subproc);
  mi_stats_t_decl(stats);
  NEED(mi_stats_get(&stats) && stats.committed.current > 0 && stats.pages.peak > 0);
  char* json = mi_stats_get_json(0, NULL);
  NEED(json != NULL && json[0] == '{');
  mi_free(json);
  mi_collect_reduce(0);
  size_t elapsed, user, system, rss, rss_peak, commit, commit_peak, faults;
  mi_process_info(&elapsed, &user, &system, &rss, &rss_peak, &commit, &commit_peak, &faults);
  NEED(rss > 0 && commit > 0 && commit_peak >= commit);
}

int main(void) {
  version_1();
  version_2();
  return 0;
}
