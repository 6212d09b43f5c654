// Arenas, heaps in them, subprocesses, and the pages of ended threads.
#define _GNU_SOURCE
#include "listen.h"
#include "mi.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

// ---- arenas ---------------------------------------------------------------------------------------------------------

// Everything a heap bound to the arena hands out lies in it, up to when the arena is full: then NULL and ENOMEM.
static void check_heap_in(mi_arena_id_t id) {
  size_t size = 0;
  char* start = mi_arena_area(id, &size);
  mi_heap_t* heap = mi_heap_new_in_arena(id);
  CHECK(start != NULL && size > 0 && heap != NULL);
  static const size_t requests[] = {10, 100, 1000, 5000, 70000, 300000, 2000000};
  size_t total = 0;
  for (size_t round = 0;; round++) {
    size_t request = requests[round % COUNT_OF(requests)];
    errno = 0;
    char* p = mi_heap_malloc(heap, request);
    if (p == NULL) break;
    context("block %zu of %zu in arena %d", round, request, id);
    CHECK(p >= start && p + request <= start + size && mi_arena_contains(id, p));
    fill(p, request, (unsigned)round);
    total += request;
  }
  context("%zu of %zu bytes used", total, size);
  CHECK(errno == ENOMEM && total > size / 4);
  void* elsewhere = mi_malloc(2000000);  // the others are not concerned
  CHECK(elsewhere != NULL);
  mi_free(elsewhere);
  mi_heap_destroy(heap);
  heap = mi_heap_new_in_arena(id);
  CHECK(mi_heap_malloc(heap, 2000000) != NULL);
  mi_heap_destroy(heap);
}

static void check_area(mi_arena_id_t id, size_t least) {
  size_t size = 0;
  char* start = mi_arena_area(id, &size);
  context("arena %d: %zu bytes", id, size);
  CHECK(start != NULL && size >= least && mi_arena_area(id, NULL) == start);
  CHECK(mi_arena_contains(id, start) && mi_arena_contains(id, start + size - 1));
  CHECK(!mi_arena_contains(id, start - 1) && !mi_arena_contains(id, start + size) && !mi_arena_contains(id, NULL));
}

static void test_mi_reserve_os_memory(void) {
  CHECK(mi_reserve_os_memory(100 * MIB, false, false) == 0);
  CHECK(mi_reserve_os_memory(10 * MIB, true, true) == 0);
  CHECK(mi_reserve_os_memory((size_t)1 << 50, false, false) == ENOMEM);
  CHECK(mi_reserve_os_memory(SIZE_MAX, false, false) == ENOMEM);
  check_make(mi_malloc, 0);
}

static atomic_bool stop;

static void* reserve_in_vain(void* arg) {
  (void)arg;
  while (!stop) CHECK(mi_reserve_os_memory((size_t)1 << 50, false, false) == ENOMEM);
  return NULL;
}

// A child can reserve memory, whatever other threads of its parent were doing meanwhile.
static void check_forks(void) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, reserve_in_vain, NULL) == 0);
  for (int i = 0; i < 100; i++) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      alarm(20);
      _exit(mi_reserve_os_memory(MIB, false, false) == 0 ? 0 : 1);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    context("child %d: status %x", i, (unsigned)status);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  stop = true;
  CHECK(pthread_join(thread, NULL) == 0);
}

static void test_mi_reserve_os_memory_ex(void) {
  check_forks();
  mi_arena_id_t first = -7, second = -7;
  CHECK(mi_reserve_os_memory_ex(100 * MIB, false, false, true, &first) == 0);
  CHECK(mi_reserve_os_memory_ex(33 * MIB, true, false, false, &second) == 0);
  CHECK(first != second && first > 0 && second > 0);
  check_area(first, 100 * MIB);
  check_area(second, 33 * MIB);
  check_heap_in(first);
  check_heap_in(second);
  for (int i = 0; i < 3000; i++) {  // nobody else is let into the exclusive one
    void* p = mi_malloc(100000);
    CHECK(!mi_arena_contains(first, p));
    if (i % 100 != 0) mi_free(p);
  }
  mi_arena_id_t none = -7;
  CHECK(mi_reserve_os_memory_ex((size_t)1 << 50, false, false, false, &none) == ENOMEM);
  CHECK(mi_reserve_os_memory_ex(MIB, false, false, false, NULL) == 0);
}

static void test_mi_arena_area(void) {
  mi_arena_id_t id;
  CHECK(mi_reserve_os_memory_ex(64 * MIB, false, false, false, &id) == 0);
  check_area(id, 64 * MIB);
  size_t size = 77;
  CHECK(mi_arena_area(12345, &size) == NULL && size == 0 && mi_arena_area(-1, NULL) == NULL);
}

static void test_mi_arena_contains(void) {
  mi_arena_id_t id;
  CHECK(mi_reserve_os_memory_ex(64 * MIB, false, false, true, &id) == 0);
  check_area(id, 64 * MIB);
  int local = 0;
  void* p = mi_malloc(100);
  CHECK(!mi_arena_contains(id, &local) && !mi_arena_contains(id, p) && !mi_arena_contains(12345, p));
  mi_free(p);
}

static void test_mi_heap_new_in_arena(void) {
  mi_arena_id_t id;
  CHECK(mi_reserve_os_memory_ex(64 * MIB, false, false, true, &id) == 0);
  check_heap_in(id);
  errno = 0;
  CHECK(mi_heap_new_in_arena(12345) == NULL && errno == EINVAL);
}

static void test_mi_arena_min_alignment(void) {
  size_t alignment = mi_arena_min_alignment();
  CHECK(alignment >= 4096 && (alignment & (alignment - 1)) == 0 && alignment <= (size_t)1 << 30);
}

static void test_mi_arena_min_size(void) {
  CHECK(mi_arena_min_size() >= 4096 && mi_arena_min_size() <= (size_t)1 << 30);
}

// Memory of our own, aligned as asked for.
static char* map_aligned(size_t size) {
  size_t alignment = mi_arena_min_alignment();
  char* area = mmap(NULL, size + alignment, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(area != MAP_FAILED);
  return (char*)(((uintptr_t)area + alignment - 1) & ~(uintptr_t)(alignment - 1));
}

static void test_mi_manage_os_memory(void) {
  size_t size = 4 * mi_arena_min_size();
  char* mine = map_aligned(size);
  CHECK(mi_manage_os_memory(mine, size, true, false, true, -1));
  check_make(mi_malloc, 0);
  check_make(mi_zalloc, ZEROED);
  CHECK(!mi_manage_os_memory(NULL, size, true, false, true, -1));
  CHECK(!mi_manage_os_memory(map_aligned(size), 4096, true, false, true, -1));
}

static bool count_used(const mi_heap_t* heap, const mi_heap_area_t* area, void* block, size_t block_size, void* arg) {
  (void)heap;
  (void)block_size;
  if (block == NULL) *(size_t*)arg += area->used;
  return true;
}

// Every way of freeing frees a block in memory handed in.
static void check_frees_in(mi_arena_id_t id) {
  static release_t* const frees[] = {mi_free, mi_cfree, mi_free_small};
  mi_heap_t* heap = mi_heap_new_in_arena(id);
  void* blocks[COUNT_OF(frees) + 1];
  for (size_t i = 0; i < COUNT_OF(blocks); i++) {
    blocks[i] = mi_heap_malloc(heap, 100);
    CHECK(blocks[i] != NULL && mi_arena_contains(id, blocks[i]));
  }
  for (size_t i = 0; i < COUNT_OF(frees); i++) {
    frees[i](blocks[i]);
    size_t used = 0;
    CHECK(mi_heap_visit_blocks(heap, false, count_used, &used));
    context("free number %zu: %zu blocks left", i, used);
    CHECK(used == COUNT_OF(frees) - i);
  }
  mi_heap_destroy(heap);
}

// Blocks of an arena that begins at no multiple of their alignment lie in their own memory.
static void check_aligned_in(mi_arena_id_t id) {
  mi_heap_t* heap = mi_heap_new_in_arena(id);
  char* blocks[4];
  for (size_t i = 0; i < COUNT_OF(blocks); i++) {
    size_t size = 1300000 + i * 70000;
    blocks[i] = mi_heap_malloc_aligned(heap, size, i % 2 == 0 ? 8 * MIB : 32 * MIB);
    if (blocks[i] == NULL) continue;
    context("block %zu at %p", i, (void*)blocks[i]);
    CHECK(((uintptr_t)blocks[i] & (8 * MIB - 1)) == 0 && usable(blocks[i]) >= size && mi_arena_contains(id, blocks[i]));
    fill(blocks[i], size, (unsigned)i);
    for (size_t before = 0; before < i; before++) {
      CHECK(blocks[before] == NULL || filled(blocks[before], 1300000 + before * 70000, (unsigned)before));
    }
  }
  CHECK(blocks[0] != NULL);
  mi_heap_destroy(heap);
}

static void test_mi_manage_os_memory_ex(void) {
  size_t size = 2 * mi_arena_min_size() + 32 * MIB;
  char* mine = map_aligned(size);
  memset(mine, 0xA5, size);
  mi_arena_id_t id = -7;
  CHECK(mi_manage_os_memory_ex(mine, size, true, false, false, -1, true, &id) && id > 0);
  check_area(id, mi_arena_min_size());
  size_t used = 0;
  char* start = mi_arena_area(id, &used);
  CHECK(start >= mine && start + used <= mine + size);
  mi_heap_t* heap = mi_heap_new_in_arena(id);
  for (const size_t* each = sizes; *each != 0 && *each < 1000000; each++) {
    context("zeroed block of %zu in memory that is not zero", *each);
    char* p = mi_heap_zalloc(heap, *each);
    CHECK(p != NULL && all_zero(p, *each) && mi_arena_contains(id, p));
  }
  mi_heap_destroy(heap);
  check_frees_in(id);
  check_heap_in(id);
  for (int round = 0; round < 8; round++) {
    char* shifted = map_aligned(48 * MIB) + (size_t)round * MIB;
    CHECK(mi_manage_os_memory_ex(shifted, 40 * MIB, true, false, true, -1, true, &id));
    check_aligned_in(id);
  }
}

static void print_arenas(void (*print)(void)) {
  mi_arena_id_t id;
  CHECK(mi_reserve_os_memory_ex(64 * MIB, false, false, true, &id) == 0);
  mi_register_output(listen_to, NULL);
  print();
  context("it said: %s", said);
  CHECK(has("arena"));
}

static void test_mi_arenas_print(void) {
  print_arenas(mi_arenas_print);
}

static void test_mi_debug_show_arenas(void) {
  print_arenas(mi_debug_show_arenas);
}

// Machines mostly have no huge OS pages set aside: then ENOMEM, soon, and everything goes on.
static void check_huge(int error) {
  context("error %d", error);
  CHECK(error == 0 || error == ENOMEM || error == ETIMEDOUT);
  void* p = mi_malloc(1000000);
  CHECK(p != NULL);
  mi_free(p);
}

static void test_mi_reserve_huge_os_pages_interleave(void) {
  CHECK(mi_reserve_huge_os_pages_interleave(0, 0, 0) == 0);
  check_huge(mi_reserve_huge_os_pages_interleave(1, 0, 500));
  check_huge(mi_reserve_huge_os_pages_interleave(100000, 2, 500));
}

static void test_mi_reserve_huge_os_pages_at(void) {
  check_huge(mi_reserve_huge_os_pages_at(1, -1, 500));
  check_huge(mi_reserve_huge_os_pages_at(1, 0, 500));
}

static void test_mi_reserve_huge_os_pages_at_ex(void) {
  mi_arena_id_t id = -7;
  int error = mi_reserve_huge_os_pages_at_ex(1, -1, 500, true, &id);
  check_huge(error);
  if (error == 0) check_heap_in(id);
}

static void test_mi_reserve_huge_os_pages(void) {
  size_t reserved = 77;
  int error = mi_reserve_huge_os_pages(1, 0.5, &reserved);
  check_huge(error);
  CHECK(reserved == (error == 0));
  check_huge(mi_reserve_huge_os_pages(1, 0.5, NULL));
}

// ---- threads --------------------------------------------------------------------------------------------------------

enum { LEFT = 1000 };
static void* left[LEFT];

static void* leave_blocks(void* arg) {
  if (arg != NULL) mi_subproc_add_current_thread(arg);
  for (size_t i = 0; i < LEFT; i++) {
    left[i] = mi_malloc(100);
    fill(left[i], 100, (unsigned)i);
  }
  return NULL;
}

static void in_thread(void* (*body)(void*), void* arg) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, body, arg) == 0 && pthread_join(thread, NULL) == 0);
}

static void take_blocks_back(void) {
  for (size_t i = 0; i < LEFT; i++) {
    CHECK(filled(left[i], 100, (unsigned)i));
    mi_free(left[i]);
  }
}

static bool count_blocks(const mi_heap_t* heap, const mi_heap_area_t* area, void* block, size_t block_size, void* arg) {
  (void)heap;
  (void)block_size;
  CHECK(area != NULL);
  *(size_t*)arg += block != NULL;
  return true;
}

static void test_mi_abandoned_visit_blocks(void) {
  in_thread(leave_blocks, NULL);
  size_t count = 0;
  CHECK(!mi_abandoned_visit_blocks(mi_subproc_main(), -1, true, count_blocks, &count) && count == 0);
  mi_option_enable(mi_option_visit_abandoned);
  CHECK(mi_abandoned_visit_blocks(mi_subproc_main(), -1, true, count_blocks, &count));
  context("%zu blocks visited", count);
  // Full pages are nobody's too, but in no list; the last one is found.
  CHECK(count > 0 && count < LEFT + 100);
  take_blocks_back();
}

static void test_mi_subproc_main(void) {
  CHECK(mi_subproc_main() == mi_subproc_main());
}

static void test_mi_subproc_new(void) {
  mi_subproc_id_t one = mi_subproc_new(), two = mi_subproc_new();
  CHECK(one != NULL && two != NULL && one != two && one != mi_subproc_main());
  mi_subproc_delete(one);
  mi_subproc_delete(two);
}

// The pages a thread of a subprocess leaves are not taken over by others, but its blocks may be freed by them.
static void test_mi_subproc_add_current_thread(void) {
  mi_subproc_id_t subproc = mi_subproc_new();
  for (int round = 0; round < 20; round++) {
    in_thread(leave_blocks, subproc);
    void* mine[300];
    for (size_t i = 0; i < COUNT_OF(mine); i++) mine[i] = memset(mi_malloc(100), 1, 100);
    take_blocks_back();
    for (size_t i = 0; i < COUNT_OF(mine); i++) mi_free(mine[i]);
  }
  mi_subproc_delete(subproc);
}

static void test_mi_subproc_delete(void) {
  mi_subproc_id_t subproc = mi_subproc_new();
  in_thread(leave_blocks, subproc);
  mi_subproc_delete(subproc);
  take_blocks_back();
  mi_subproc_delete(NULL);
  mi_subproc_delete(mi_subproc_main());
  in_thread(leave_blocks, NULL);
  take_blocks_back();
}

static void* pool_thread(void* arg) {
  mi_thread_set_in_threadpool();
  return leave_blocks(arg);
}

static void test_mi_thread_set_in_threadpool(void) {
  for (int round = 0; round < 20; round++) {
    in_thread(pool_thread, NULL);
    take_blocks_back();
  }
}

// One a line, as CMakeLists.txt reads them.
// clang-format off
const case_t cases[] = {
  CASE(mi_reserve_os_memory)
  CASE(mi_reserve_os_memory_ex)
  CASE(mi_manage_os_memory)
  CASE(mi_manage_os_memory_ex)
  CASE(mi_reserve_huge_os_pages_interleave)
  CASE(mi_reserve_huge_os_pages_at)
  CASE(mi_reserve_huge_os_pages_at_ex)
  CASE(mi_reserve_huge_os_pages)
  CASE(mi_arena_area)
  CASE(mi_arena_contains)
  CASE(mi_arena_min_alignment)
  CASE(mi_arena_min_size)
  CASE(mi_arenas_print)
  CASE(mi_debug_show_arenas)
  CASE(mi_heap_new_in_arena)
  CASE(mi_abandoned_visit_blocks)
  CASE(mi_subproc_main)
  CASE(mi_subproc_new)
  CASE(mi_subproc_add_current_thread)
  CASE(mi_subproc_delete)
  CASE(mi_thread_set_in_threadpool)
  {NULL, NULL, NULL}
};
// clang-format on
