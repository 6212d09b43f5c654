// What the options do that can be seen from the outside. Each case is run in a process of its own, some with options in
// the environment (see CMakeLists.txt); which options have no effect is for the test of the option table.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../cases.h"
#include "mimalloc-stats.h"
#include "mimalloc.h"

#define MIB ((size_t)1 << 20)
#define CHECK(condition) \
  ((condition) ? (void)0 : (void)(fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition), _exit(1)))

static mi_stats_t numbers(void) {
  mi_stats_t_decl(stats);
  CHECK(mi_stats_get(&stats));
  return stats;
}

static mi_arena_id_t new_arena(size_t size, bool exclusive) {
  mi_arena_id_t id = 0;
  CHECK(mi_reserve_os_memory_ex(size, false, false, exclusive, &id) == 0 && id > 0);
  return id;
}

// Fills the memory that is in no arena until blocks come from the arena; a few of them.
static bool ever_in_arena(mi_arena_id_t id) {
  enum { COUNT = 200 };
  void* blocks[COUNT];
  bool found = false;
  for (int i = 0; i < COUNT; i++) {
    blocks[i] = mi_malloc(MIB);
    if (blocks[i] != NULL) found |= mi_arena_contains(id, blocks[i]);
  }
  for (int i = 0; i < COUNT; i++) mi_free(blocks[i]);
  return found;
}

static void case_reserve(void) {  // MIMALLOC_RESERVE_OS_MEMORY=64M
  size_t size = 0;
  CHECK(mi_arena_area(1, &size) != NULL && size >= 64 * MIB);
  CHECK(ever_in_arena(1));
}

static void case_no_reserve(void) {
  CHECK(mi_arena_area(1, NULL) == NULL);
}

// Whether or not the machine has such pages, the program runs.
static void case_runs(void) {
  void* p = mi_malloc(10 * MIB);
  CHECK(p != NULL);
  memset(p, 1, 10 * MIB);
  mi_free(p);
}

static void case_disallow_os(void) {
  mi_option_enable(mi_option_disallow_os_alloc);
  int failed = 0;
  for (int i = 0; i < 100; i++) failed += mi_malloc(8 * MIB) == NULL;  // 800 MiB of one segment of 32 MiB
  CHECK(failed >= 90);
  mi_arena_id_t id = new_arena(64 * MIB, false);
  void* p = mi_malloc(8 * MIB);
  CHECK(p != NULL && mi_arena_contains(id, p));
  mi_option_disable(mi_option_disallow_os_alloc);
  for (int i = 0; i < 100; i++) CHECK(mi_malloc(8 * MIB) != NULL);
}

static void case_disallow_arena(void) {
  mi_arena_id_t id = new_arena(64 * MIB, false);
  mi_option_enable(mi_option_disallow_arena_alloc);
  CHECK(!ever_in_arena(id));
  mi_heap_t* heap = mi_heap_new_in_arena(id);
  CHECK(mi_arena_contains(id, mi_heap_malloc(heap, 1000)));
  mi_heap_destroy(heap);
  mi_option_disable(mi_option_disallow_arena_alloc);
  CHECK(ever_in_arena(id));
}

// Frees many pages and lets the generic path run when they have been free for two times a short purge delay.
static int64_t purged_after_use(size_t size) {
  enum { COUNT = 2000 };
  static void* blocks[COUNT];
  for (int i = 0; i < COUNT; i++) blocks[i] = memset(mi_malloc(size), 1, size);
  int64_t before = numbers().purged.total;
  for (int i = 0; i < COUNT; i++) mi_free(blocks[i]);
  mi_collect(false);  // empty pages that are kept for a while are released
  for (int i = 0; i < 2; i++) {
    usleep(50000);
    mi_collect(false);
  }
  return numbers().purged.total - before;
}

static void case_purge_delay(void) {
  mi_option_set(mi_option_purge_delay, -1);
  CHECK(purged_after_use(5000) == 0);
  mi_option_set(mi_option_purge_delay, 1);
  CHECK(purged_after_use(5000) > 4000000);
  mi_option_set(mi_option_purge_delay, 0);
  CHECK(purged_after_use(5000) > 4000000);
}

static uint64_t clock_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

// The first time that memory is purged after it was freed, it stays: it may have been freed a moment before.
static void case_purge_rounds(void) {
  enum { COUNT = 2000, SIZE = 5000, ROUND = 500 };
  static void* blocks[COUNT];
  mi_option_set(mi_option_purge_delay, ROUND / mi_option_get(mi_option_arena_purge_mult));
  for (int i = 0; i < COUNT; i++) blocks[i] = memset(mi_malloc(SIZE), 1, SIZE);
  int64_t before = numbers().purged.total;
  uint64_t start = clock_ms();
  for (int i = 0; i < COUNT; i++) mi_free(blocks[i]);
  mi_collect(false);
  bool first = clock_ms() - start < ROUND;  // otherwise, on a machine that stood still, that was the first time
  usleep((ROUND + 50) * 1000);
  mi_collect(false);
  if (first) CHECK(numbers().purged.total == before);
  usleep((ROUND + 50) * 1000);
  mi_collect(false);
  CHECK(numbers().purged.total - before > 4000000);
}

static void case_minimal_purge_size(void) {
  mi_option_set(mi_option_purge_delay, 1);
  mi_option_set(mi_option_minimal_purge_size, 1 << 20);  // 1 GiB
  CHECK(purged_after_use(5000) == 0);
  mi_option_set(mi_option_minimal_purge_size, 64);
  CHECK(purged_after_use(5000) > 4000000);
}

static int64_t purged_in_arena(mi_arena_id_t id) {
  mi_heap_t* heap = mi_heap_new_in_arena(id);
  int64_t before = numbers().purged.total;
  for (int i = 0; i < 1000; i++) memset(mi_heap_malloc(heap, 5000), 1, 5000);
  mi_heap_destroy(heap);
  mi_collect(false);
  return numbers().purged.total - before;
}

static void case_arena_purge_mult(void) {
  mi_arena_id_t id = new_arena(64 * MIB, true);
  mi_collect(true);
  mi_option_set(mi_option_purge_delay, 1000);
  mi_option_set(mi_option_arena_purge_mult, 1000);
  CHECK(purged_in_arena(id) == 0);
  mi_collect(true);
  mi_option_set(mi_option_arena_purge_mult, 0);
  CHECK(purged_in_arena(id) > 0);
}

static void* use_memory(void* arg) {
  (void)arg;
  static void* blocks[1000];
  for (int i = 0; i < 1000; i++) blocks[i] = memset(mi_malloc(5000), 1, 5000);
  for (int i = 0; i < 1000; i++) mi_free(blocks[i]);
  return NULL;
}

static int64_t purged_by_thread(void) {
  pthread_t thread;
  int64_t before = numbers().purged.total;
  CHECK(pthread_create(&thread, NULL, use_memory, NULL) == 0 && pthread_join(thread, NULL) == 0);
  return numbers().purged.total - before;
}

static void case_abandoned_page_purge(void) {
  mi_collect(true);
  mi_option_set(mi_option_purge_delay, 1000000);
  CHECK(purged_by_thread() == 0);
  mi_option_enable(mi_option_abandoned_page_purge);
  CHECK(purged_by_thread() > 0);
}

// Blocks of four bins.
static void* use_pages(void* arg) {
  static const size_t sizes[] = {100, 4096, 8000, 12000};
  for (size_t i = 0; i < 4; i++) mi_free(memset(mi_malloc(sizes[i]), 1, sizes[i]));
  return arg;
}

// The pages that so many threads, one after the other, need to be made.
static int64_t made_by_threads(int count) {
  int64_t before = numbers().pages.total;
  for (int i = 0; i < count; i++) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, use_pages, NULL) == 0 && pthread_join(thread, NULL) == 0);
  }
  return numbers().pages.total - before;
}

// Empty pages of threads that ended serve the next ones. A few are made all the same, of samples.
static void case_spare_pages(void) {
  mi_option_set(mi_option_purge_delay, 1000000);
  made_by_threads(1);
  mi_collect(true);
  int64_t kept = numbers().pages.current;
  CHECK(made_by_threads(50) < 50);
  CHECK(numbers().pages.current >= kept + 4);
  mi_collect(true);
  CHECK(numbers().pages.current == kept);
  mi_option_set(mi_option_purge_delay, 1);  // a thread that ends gives up those that are too old
  made_by_threads(1);
  CHECK(numbers().pages.current >= kept + 4);
  usleep(2000 * (useconds_t)mi_option_get(mi_option_arena_purge_mult));
  mi_thread_done();
  CHECK(numbers().pages.current <= kept);
  mi_option_set(mi_option_purge_delay, 0);
  CHECK(made_by_threads(50) >= 200);
}

static int64_t generic_calls(void) {
  int64_t before = numbers().generic_calls.total;
  for (int i = 0; i < 50; i++) mi_free(mi_malloc(MIB));  // each takes the generic path
  return numbers().generic_calls.total - before;
}

static void case_generic_collect(void) {
  mi_option_set(mi_option_generic_collect, 10);
  CHECK(generic_calls() >= 40);
  mi_option_set(mi_option_generic_collect, 1000000);
  CHECK(generic_calls() == 0);
}

static void case_max_vabits(void) {  // MIMALLOC_MAX_VABITS=36
  CHECK(numbers().reserved.current <= (int64_t)1 << 36);
  case_runs();
}

static void case_all_vabits(void) {
  CHECK(numbers().reserved.current > (int64_t)1 << 36);
}

// The flags of the mapping of a block, from the kernel's book of mappings.
static bool block_has_flag(const char* flag) {
  char* p = mi_malloc(MIB);
  *p = 1;
  FILE* maps = fopen("/proc/self/smaps", "r");
  if (maps == NULL) _exit(77);
  char line[500];
  bool inside = false, found = false;
  while (fgets(line, sizeof(line), maps) != NULL) {
    unsigned long start, end;
    if (sscanf(line, "%lx-%lx ", &start, &end) == 2) inside = (unsigned long)p >= start && (unsigned long)p < end;
    if (inside && strncmp(line, "VmFlags:", 8) == 0) {
      found = true;
      inside = strstr(line, flag) != NULL;
      break;
    }
  }
  fclose(maps);
  if (!found) _exit(77);
  return inside;
}

static void case_no_thp(void) {  // MIMALLOC_ALLOW_THP=0
  CHECK(block_has_flag(" nh"));
}

static void case_large_pages(void) {  // MIMALLOC_ALLOW_LARGE_OS_PAGES=1
  CHECK(block_has_flag(" hg"));
}

static void case_no_advice(void) {
  CHECK(!block_has_flag(" nh") && !block_has_flag(" hg"));
}

// No option: a very large block that was used is not written to be cleared, the OS takes its memory back.
static void case_calloc_large(void) {
  enum { OS_PAGE = 4096, SIZE = 64 << 20 };
  static unsigned char resident[SIZE / OS_PAGE];
  mi_option_set(mi_option_purge_delay, -1);  // what is freed keeps its memory
  char* p = mi_malloc(SIZE);
  CHECK(p != NULL);
  memset(p, 1, SIZE);
  mi_free(p);
  char* q = mi_calloc(1, SIZE);
  CHECK(q != NULL);
  CHECK(mincore((void*)((uintptr_t)q & ~(uintptr_t)(OS_PAGE - 1)), SIZE, resident) == 0);
  size_t count = 0;
  for (size_t i = 0; i < sizeof(resident); i++) count += resident[i] & 1;
  if (count > 100) fprintf(stderr, "%zu of %zu OS pages are resident\n", count, sizeof(resident));
  CHECK(count <= 100);
  for (size_t i = 0; i < SIZE; i += 512) CHECK(q[i] == 0);
  mi_free(q);
}

static const named_case_t cases[] = {
    {"reserve", case_reserve},
    {"no-reserve", case_no_reserve},
    {"runs", case_runs},
    {"disallow-os", case_disallow_os},
    {"disallow-arena", case_disallow_arena},
    {"purge-delay", case_purge_delay},
    {"purge-rounds", case_purge_rounds},
    {"spare-pages", case_spare_pages},
    {"minimal-purge-size", case_minimal_purge_size},
    {"arena-purge-mult", case_arena_purge_mult},
    {"abandoned-page-purge", case_abandoned_page_purge},
    {"generic-collect", case_generic_collect},
    {"max-vabits", case_max_vabits},
    {"all-vabits", case_all_vabits},
    {"no-thp", case_no_thp},
    {"large-pages", case_large_pages},
    {"no-advice", case_no_advice},
    {"calloc-large", case_calloc_large},
    {NULL, NULL},
};

int main(int argc, char** argv) {
  return run_case(cases, argc, argv);
}
