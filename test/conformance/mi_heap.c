// First-class heaps: their life, the functions that allocate from a named heap, and looking at heaps.
#include "mi.h"

#include <limits.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static mi_heap_t* heap;

void prepare(void) {
  heap = mi_heap_new();
  CHECK(heap != NULL);
}

MAKE(malloc, mi_heap_malloc(heap, size))
MAKE(zalloc, mi_heap_zalloc(heap, size))
MAKE(calloc, mi_heap_calloc(heap, size, 1))
MAKE(mallocn, mi_heap_mallocn(heap, 1, size))
MAKE(malloc_small, mi_heap_malloc_small(heap, size))
MAKE(zalloc_small, mi_heap_zalloc_small(heap, size))
MAKE(realloc, mi_heap_realloc(heap, NULL, size))
MAKE(malloc_aligned, mi_heap_malloc_aligned(heap, size, 256))
MAKE(malloc_128, mi_heap_malloc_aligned(heap, size, 128))
MAKE(zalloc_128, mi_heap_zalloc_aligned(heap, size, 128))
MAKE(alloc_new, mi_heap_alloc_new(heap, size))
MAKE(alloc_new_n, mi_heap_alloc_new_n(heap, size, 1))
MAKE_ALIGNED(malloc, mi_heap_malloc_aligned(heap, size, alignment))
MAKE_ALIGNED(zalloc, mi_heap_zalloc_aligned(heap, size, alignment))
MAKE_ALIGNED(calloc, mi_heap_calloc_aligned(heap, 1, size, alignment))
MAKE_ALIGNED(realloc, mi_heap_realloc_aligned(heap, NULL, size, alignment))
MAKE_ALIGNED(rezalloc, mi_heap_rezalloc_aligned(heap, NULL, size, alignment))
MAKE_ALIGNED(recalloc, mi_heap_recalloc_aligned(heap, NULL, size, 1, alignment))
MAKE_ALIGNED(malloc_at, mi_heap_malloc_aligned_at(heap, size, alignment, 0))
MAKE_ALIGNED(zalloc_at, mi_heap_zalloc_aligned_at(heap, size, alignment, 0))
MAKE_ALIGNED(calloc_at, mi_heap_calloc_aligned_at(heap, size, 1, alignment, 0))
RESIZE(realloc, mi_heap_realloc(heap, p, size))
RESIZE(reallocn, mi_heap_reallocn(heap, p, size, 1))
RESIZE(reallocf, mi_heap_reallocf(heap, p, size))
RESIZE(rezalloc, mi_heap_rezalloc(heap, p, size))
RESIZE(recalloc, mi_heap_recalloc(heap, p, 1, size))
RESIZE(realloc_aligned, mi_heap_realloc_aligned(heap, p, size, 128))
RESIZE(rezalloc_aligned, mi_heap_rezalloc_aligned(heap, p, size, 128))
RESIZE(recalloc_aligned, mi_heap_recalloc_aligned(heap, p, size, 1, 128))
RESIZE(realloc_at, mi_heap_realloc_aligned_at(heap, p, size, 128, 0))
RESIZE(rezalloc_at, mi_heap_rezalloc_aligned_at(heap, p, size, 128, 0))
RESIZE(recalloc_at, mi_heap_recalloc_aligned_at(heap, p, 1, size, 128, 0))

// The block is in the named heap and in no other.
static void check_is_in_heap(void* p) {
  CHECK(p != NULL && mi_heap_of(p) == heap && mi_heap_contains_block(heap, p));
  CHECK(!mi_heap_contains_block(mi_heap_get_backing(), p));
  mi_free(p);
}

// ---- allocation -----------------------------------------------------------------------------------------------------

#define TEST_MAKE(name, make, flags) \
  static void test_mi_heap_##name(void) { \
    check_make(make, flags); \
    check_is_in_heap(make(100)); \
    check_is_in_heap(make(100000)); \
  }
#define TEST_ALIGNED(name, make, flags) \
  static void test_mi_heap_##name(void) { \
    check_aligned(make, flags); \
    check_is_in_heap(make(100, 64)); \
    check_is_in_heap(make(100, 1 << 17)); \
  }
#define TEST_RESIZE(name, resize, make, alignment, flags) \
  static void test_mi_heap_##name(void) { \
    check_resize(resize, make, alignment, flags); \
    check_is_in_heap(resize(NULL, 100)); \
    check_is_in_heap(resize(mi_zalloc(100), 5000)); \
  }

TEST_MAKE(malloc, make_malloc, 0)
TEST_MAKE(zalloc, make_zalloc, ZEROED)
TEST_MAKE(calloc, make_calloc, ZEROED)
TEST_MAKE(mallocn, make_mallocn, 0)
TEST_MAKE(malloc_small, make_malloc_small, 0)
TEST_MAKE(zalloc_small, make_zalloc_small, ZEROED)
TEST_MAKE(alloc_new, make_alloc_new, THROWS)
TEST_MAKE(alloc_new_n, make_alloc_new_n, THROWS)
TEST_ALIGNED(malloc_aligned, aligned_malloc, 0)
TEST_ALIGNED(zalloc_aligned, aligned_zalloc, ZEROED)
TEST_ALIGNED(calloc_aligned, aligned_calloc, ZEROED)
TEST_ALIGNED(malloc_aligned_at, aligned_malloc_at, 0)
TEST_ALIGNED(zalloc_aligned_at, aligned_zalloc_at, ZEROED)
TEST_ALIGNED(calloc_aligned_at, aligned_calloc_at, ZEROED)
TEST_RESIZE(realloc, resize_realloc, make_malloc, 16, 0)
TEST_RESIZE(reallocn, resize_reallocn, make_malloc, 16, 0)
TEST_RESIZE(reallocf, resize_reallocf, make_malloc, 16, FREES_ON_FAILURE)
TEST_RESIZE(rezalloc, resize_rezalloc, make_zalloc, 16, ZEROED)
TEST_RESIZE(recalloc, resize_recalloc, make_zalloc, 16, ZEROED)
TEST_RESIZE(realloc_aligned_at, resize_realloc_at, make_malloc_128, 128, 0)
TEST_RESIZE(rezalloc_aligned_at, resize_rezalloc_at, make_zalloc_128, 128, ZEROED)
TEST_RESIZE(recalloc_aligned_at, resize_recalloc_at, make_zalloc_128, 128, ZEROED)

#define TEST_RESIZE_ALIGNED(name, resize, aligned, make, flags) \
  static void test_mi_heap_##name(void) { \
    check_aligned(aligned, flags); \
    check_resize(resize, make, 128, flags); \
    check_is_in_heap(resize(mi_zalloc(100), 5000)); \
  }
TEST_RESIZE_ALIGNED(realloc_aligned, resize_realloc_aligned, aligned_realloc, make_malloc_128, 0)
TEST_RESIZE_ALIGNED(rezalloc_aligned, resize_rezalloc_aligned, aligned_rezalloc, make_zalloc_128, ZEROED)
TEST_RESIZE_ALIGNED(recalloc_aligned, resize_recalloc_aligned, aligned_recalloc, make_zalloc_128, ZEROED)

static void test_mi_heap_strdup(void) {
  char* copy = mi_heap_strdup(heap, "some text");
  CHECK(copy != NULL && strcmp(copy, "some text") == 0);
  check_is_in_heap(copy);
  CHECK(mi_heap_strdup(heap, NULL) == NULL);
}

static void test_mi_heap_strndup(void) {
  static const char bytes[3] = {'a', 'b', 'c'};
  char* copy = mi_heap_strndup(heap, bytes, 3);
  CHECK(copy != NULL && strcmp(copy, "abc") == 0);
  check_is_in_heap(copy);
  CHECK(mi_heap_strndup(heap, NULL, 1) == NULL);
}

static void test_mi_heap_realpath(void) {
  char* path = mi_heap_realpath(heap, "/usr/.././", NULL);
  CHECK(path != NULL && strcmp(path, "/") == 0);
  check_is_in_heap(path);
  static char buffer[PATH_MAX];
  CHECK(mi_heap_realpath(heap, "/", buffer) == buffer && strcmp(buffer, "/") == 0);
  errno = 0;
  CHECK(mi_heap_realpath(heap, "/no/such/file", NULL) == NULL && errno == ENOENT);
}

// ---- life -----------------------------------------------------------------------------------------------------------

enum { COUNT = 3000 };
static char* blocks[COUNT];

static size_t size_of_block(size_t i) {
  return 1 + i * 37 % 3000 + (i % 500 == 0 ? 100000 : 0);
}

static void make_blocks(mi_heap_t* from) {
  for (size_t i = 0; i < COUNT; i++) {
    blocks[i] = mi_heap_malloc(from, size_of_block(i));
    CHECK(blocks[i] != NULL);
    fill(blocks[i], size_of_block(i), (unsigned)i);
  }
}

static bool blocks_hold(size_t step) {
  for (size_t i = 0; i < COUNT; i += step) {
    if (!filled(blocks[i], size_of_block(i), (unsigned)i)) return false;
  }
  return true;
}

static void free_blocks(size_t first, size_t step) {
  for (size_t i = first; i < COUNT; i += step) mi_free(blocks[i]);
}

enum { TOLD = 42 };

static void on_error(int error, void* arg) {
  (void)arg;
  _exit(error == EINVAL ? TOLD : 1);
}

// Is a call on a heap that is gone told as an error? In a process of its own, which the secure product would abort.
static bool is_told(void* (*call)(mi_heap_t* gone)) {
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    close(STDERR_FILENO);
    mi_heap_t* gone = mi_heap_new();
    mi_heap_destroy(gone);
    mi_register_error(on_error, NULL);
    hide(call(gone));
    _exit(0);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) && WEXITSTATUS(status) == TOLD;
}

#define GONE(name, call) \
  static void* gone_##name(mi_heap_t* gone) { \
    return call; \
  }
GONE(malloc, mi_heap_malloc(gone, 100))
GONE(large, mi_heap_malloc(gone, 1000000))
GONE(aligned, mi_heap_malloc_aligned(gone, 100, 64))
GONE(aligned_large, mi_heap_malloc_aligned(gone, 100, 1 << 20))
GONE(aligned_at, mi_heap_malloc_aligned_at(gone, 100, 64, 8))
GONE(realloc, mi_heap_realloc(gone, NULL, 100))
GONE(realloc_aligned, mi_heap_realloc_aligned(gone, NULL, 100, 64))

static void check_gone(void) {
  CHECK(is_told(gone_malloc) && is_told(gone_large));
  CHECK(is_told(gone_aligned) && is_told(gone_aligned_large) && is_told(gone_aligned_at));
  CHECK(is_told(gone_realloc) && is_told(gone_realloc_aligned));
}

static void test_mi_heap_new(void) {
  mi_heap_t* heaps[50];
  for (size_t i = 0; i < COUNT_OF(heaps); i++) {
    heaps[i] = mi_heap_new();
    CHECK(heaps[i] != NULL && heaps[i] != heap && heaps[i] != mi_heap_get_default());
    blocks[i] = mi_heap_malloc(heaps[i], 100);
    fill(blocks[i], 100, (unsigned)i);
  }
  for (size_t i = 0; i < COUNT_OF(heaps); i++) {
    CHECK(mi_heap_of(blocks[i]) == heaps[i] && filled(blocks[i], 100, (unsigned)i));
    mi_heap_destroy(heaps[i]);
  }
}

static void test_mi_heap_new_ex(void) {
  mi_heap_t* tagged = mi_heap_new_ex(7, false, -1);
  CHECK(tagged != NULL);
  make_blocks(tagged);
  mi_heap_destroy(tagged);  // may not be destroyed: deleted
  CHECK(blocks_hold(1));
  free_blocks(0, 1);
  errno = 0;
  CHECK(mi_heap_new_ex(-1, true, -1) == NULL && errno == EINVAL);
  errno = 0;
  CHECK(mi_heap_new_ex(256, true, -1) == NULL && errno == EINVAL);
  errno = 0;
  CHECK(mi_heap_new_ex(0, true, 12345) == NULL && errno == EINVAL);
}

static void test_mi_heap_delete(void) {
  for (int round = 0; round < 20; round++) {
    mi_heap_t* other = mi_heap_new();
    make_blocks(other);
    free_blocks(0, 3);
    mi_heap_delete(other);
    for (size_t i = 1; i < COUNT; i += 3) CHECK(filled(blocks[i], size_of_block(i), (unsigned)i));
    CHECK(mi_heap_contains_block(mi_heap_get_backing(), blocks[1]));
    free_blocks(1, 3);
    free_blocks(2, 3);
  }
  mi_heap_delete(NULL);
  mi_heap_delete(mi_heap_get_backing());
  mi_free(mi_malloc(10));
}

static void* free_every_fourth(void* arg) {
  (void)arg;
  free_blocks(0, 4);
  return NULL;
}

// Also of blocks that another thread has freed, and again and again: memory must not grow.
static void test_mi_heap_destroy(void) {
  check_gone();
  size_t rss[2] = {0, 0};
  for (int round = 0; round < 60; round++) {
    mi_heap_t* other = mi_heap_new();
    make_blocks(other);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, free_every_fourth, NULL) == 0 && pthread_join(thread, NULL) == 0);
    for (size_t i = 1; i < COUNT; i += 4) CHECK(filled(blocks[i], size_of_block(i), (unsigned)i));
    mi_heap_destroy(other);
    if (round == 9 || round == 59) mi_process_info(NULL, NULL, NULL, &rss[round > 9], NULL, NULL, NULL, NULL);
  }
  context("resident memory %zu, later %zu", rss[0], rss[1]);
#if !defined(MIM_SANITIZE_ADDRESS) && !defined(MIM_SANITIZE_THREAD)  // whose shadow memory grows with new addresses
  CHECK(rss[1] < rss[0] + ((size_t)16 << 20));
#endif
  mi_heap_destroy(NULL);
  char* kept = mi_malloc(100);
  fill(kept, 100, 1);
  mi_heap_destroy(mi_heap_get_backing());  // never: its blocks stay
  CHECK(filled(kept, 100, 1));
  mi_free(kept);
}

static void test_mi_heap_collect(void) {
  make_blocks(heap);
  mi_heap_collect(heap, false);
  free_blocks(0, 2);
  mi_heap_collect(heap, true);
  for (size_t i = 1; i < COUNT; i += 2) CHECK(filled(blocks[i], size_of_block(i), (unsigned)i));
  free_blocks(1, 2);
  mi_heap_collect(heap, true);
  mi_heap_collect(NULL, true);
  make_blocks(heap);
  CHECK(blocks_hold(1));
  mi_heap_destroy(heap);
}

static void test_mi_heap_set_default(void) {
  mi_heap_t* backing = mi_heap_get_backing();
  CHECK(mi_heap_set_default(heap) == backing);
  CHECK(mi_heap_get_default() == heap && mi_heap_get_backing() == backing);
  void* p = mi_malloc(100);
  CHECK(mi_heap_of(p) == heap);
  void* q = mi_malloc_aligned(100, 512);
  CHECK(mi_heap_of(q) == heap);
  CHECK(mi_heap_set_default(backing) == heap);
  void* r = mi_malloc(100);
  CHECK(mi_heap_of(r) == backing);
  mi_free(r);
  mi_heap_set_default(heap);
  mi_heap_delete(heap);  // the default one: the backing heap takes its place
  CHECK(mi_heap_get_default() == backing);
  mi_free(p);
  mi_free(q);
}

static void* heaps_of_thread(void* arg) {
  mi_heap_t** out = arg;
  out[0] = mi_heap_get_default();
  out[1] = mi_heap_get_backing();
  return NULL;
}

static void check_backing(mi_heap_t* (*get)(void)) {
  mi_heap_t* mine = get();
  mi_heap_t* other[2] = {NULL, NULL};
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, heaps_of_thread, other) == 0 && pthread_join(thread, NULL) == 0);
  CHECK(mine != NULL && other[0] != NULL && other[0] == other[1] && other[0] != mine);
  void* p = mi_malloc(100);
  CHECK(mi_heap_of(p) == mine);
  mi_free(p);
}

static void test_mi_heap_get_default(void) {
  check_backing(mi_heap_get_default);
}

static void test_mi_heap_get_backing(void) {
  check_backing(mi_heap_get_backing);
}

static void test_mi_heap_main(void) {
  check_backing(mi_heap_main);
}

// ---- looking at heaps -----------------------------------------------------------------------------------------------

static void test_mi_heap_of(void) {
  int local = 0;
  static int global;
  CHECK(mi_heap_of(NULL) == NULL && mi_heap_of(&local) == NULL && mi_heap_of(&global) == NULL);
  for (const size_t* size = sizes; *size != 0; size++) {
    context("size %zu", *size);
    void* p = mi_heap_malloc(heap, *size);
    void* q = mi_malloc(*size);
    CHECK(mi_heap_of(p) == heap && mi_heap_of(q) == mi_heap_get_default());
    mi_free(p);
    mi_free(q);
  }
}

static void check_contains(bool (*contains)(mi_heap_t* in, const void* p), bool interior) {
  mi_heap_t* backing = mi_heap_get_backing();
  for (const size_t* size = sizes; *size != 0; size++) {
    context("size %zu", *size);
    char* p = mi_heap_malloc(heap, *size);
    CHECK(contains(heap, p) && !contains(backing, p));
    if (*size > 2) CHECK(contains(heap, p + *size / 2) == interior);
    CHECK(!contains(NULL, p));
    mi_free(p);
  }
  int local = 0;
  CHECK(!contains(heap, &local) && !contains(heap, NULL) && !contains(heap, (void*)hide_size(4096)));
}

static bool contains_v3(mi_heap_t* in, const void* p) {
  return mi_heap_contains(in, p);
}

static void test_mi_heap_contains_block(void) {
  check_contains(mi_heap_contains_block, false);
}

static void test_mi_heap_contains(void) {
  check_contains(contains_v3, false);
}

static void test_mi_heap_check_owned(void) {
  check_contains(mi_heap_check_owned, true);
}

static void test_mi_check_owned(void) {
  char* mine = mi_malloc(100);
  char* other = mi_heap_malloc(heap, 100);
  int local = 0;
  CHECK(mi_check_owned(mine) && mi_check_owned(mine + 50) && !mi_check_owned(other) && !mi_check_owned(&local));
  mi_heap_set_default(heap);
  CHECK(mi_check_owned(other) && !mi_check_owned(mine));
  mi_free(mine);
  mi_free(other);
}

static void check_region(bool (*is_in)(const void* p)) {
  int local = 0;
  static int global;
  CHECK(!is_in(NULL) && !is_in(&local) && !is_in(&global) && !is_in((void*)hide_size(4096)));
  CHECK(!is_in((void*)hide_size(SIZE_MAX)) && !is_in((void*)check_region));
  for (const size_t* size = sizes; *size != 0; size++) {
    context("size %zu", *size);
    char* p = mi_malloc(*size);
    CHECK(is_in(p) && is_in(p + *size - 1));
    mi_free(p);
  }
}

static void test_mi_is_in_heap_region(void) {
  check_region(mi_is_in_heap_region);
}

static void test_mi_any_heap_contains(void) {
  check_region(mi_any_heap_contains);
}

typedef struct visit_s {
  const mi_heap_t* heap;
  size_t areas, found, unknown, used, stop_after;
  int tag;
} visit_t;

static bool visitor(const mi_heap_t* in, const mi_heap_area_t* area, void* block, size_t block_size, void* arg) {
  visit_t* visit = arg;
  CHECK(in == visit->heap && area != NULL);
  CHECK(block_size <= area->block_size && area->block_size <= area->full_block_size);
  if (block == NULL) {
    visit->areas++;
    visit->used += area->used;
    visit->tag = area->heap_tag;
    CHECK(area->committed <= area->reserved && area->blocks != NULL);
    CHECK(area->used * area->full_block_size <= area->committed);
    return visit->stop_after == 0 || visit->areas < visit->stop_after;
  }
  for (size_t i = 0; i < COUNT; i++) {
    if (blocks[i] != block) continue;
    CHECK(mi_usable_size(block) <= block_size && mi_usable_size(block) >= size_of_block(i));
    visit->found++;
    return true;
  }
  visit->unknown++;
  return true;
}

static void test_mi_heap_visit_blocks(void) {
  mi_heap_t* tagged = mi_heap_new_ex(9, true, -1);
  make_blocks(tagged);
  free_blocks(0, 3);
  visit_t visit = {.heap = tagged};
  CHECK(mi_heap_visit_blocks(tagged, true, visitor, &visit));
  context("%zu areas, %zu blocks, %zu unknown, %zu used, tag %d", visit.areas, visit.found, visit.unknown, visit.used,
          visit.tag);
  CHECK(visit.areas > 10 && visit.found == COUNT - COUNT / 3 && visit.unknown == 0 && visit.used == visit.found);
  CHECK(visit.tag == 9);
  visit_t areas = {.heap = tagged};
  CHECK(mi_heap_visit_blocks(tagged, false, visitor, &areas));
  CHECK(areas.areas == visit.areas && areas.found == 0 && areas.used == visit.used);
  visit_t ended = {.heap = tagged, .stop_after = 3};
  CHECK(!mi_heap_visit_blocks(tagged, true, visitor, &ended) && ended.areas == 3);
  CHECK(!mi_heap_visit_blocks(NULL, true, visitor, &ended));
  mi_heap_destroy(tagged);
}

static void test_mi_unsafe_heap_page_is_under_utilized(void) {
  enum { PILE = 20000 };
  for (size_t i = 0; i < PILE; i++) many[i] = mi_heap_malloc(heap, 64);
  size_t full = 0, thin = 0;
  for (size_t i = 0; i < PILE; i++) full += mi_unsafe_heap_page_is_under_utilized(heap, many[i], 10);
  for (size_t i = 0; i < PILE; i++) {
    if (i % 50 != 0) mi_free(many[i]);
  }
  for (size_t i = 0; i < PILE; i += 50) thin += mi_unsafe_heap_page_is_under_utilized(heap, many[i], 50);
  context("%zu blocks of full pages, %zu of thin ones", full, thin);
  CHECK(full < PILE / 10 && thin > PILE / 50 / 2);
  int local = 0;
  CHECK(!mi_unsafe_heap_page_is_under_utilized(heap, &local, 50));
  CHECK(!mi_unsafe_heap_page_is_under_utilized(heap, NULL, 50));
  mi_heap_destroy(heap);
}

// One a line, as CMakeLists.txt reads them.
// clang-format off
const case_t cases[] = {
  CASE(mi_heap_new)
  CASE(mi_heap_new_ex)
  CASE(mi_heap_delete)
  CASE(mi_heap_destroy)
  CASE(mi_heap_collect)
  CASE(mi_heap_set_default)
  CASE(mi_heap_get_default)
  CASE(mi_heap_get_backing)
  CASE(mi_heap_main)
  CASE_OOM(mi_heap_malloc, make_malloc)
  CASE_OOM(mi_heap_zalloc, make_zalloc)
  CASE(mi_heap_calloc)
  CASE(mi_heap_mallocn)
  CASE(mi_heap_malloc_small)
  CASE(mi_heap_zalloc_small)
  CASE_OOM(mi_heap_realloc, make_realloc)
  CASE(mi_heap_reallocn)
  CASE(mi_heap_reallocf)
  CASE(mi_heap_strdup)
  CASE(mi_heap_strndup)
  CASE(mi_heap_realpath)
  CASE_OOM(mi_heap_malloc_aligned, make_malloc_aligned)
  CASE(mi_heap_malloc_aligned_at)
  CASE(mi_heap_zalloc_aligned)
  CASE(mi_heap_zalloc_aligned_at)
  CASE(mi_heap_calloc_aligned)
  CASE(mi_heap_calloc_aligned_at)
  CASE(mi_heap_realloc_aligned)
  CASE(mi_heap_realloc_aligned_at)
  CASE(mi_heap_rezalloc)
  CASE(mi_heap_recalloc)
  CASE(mi_heap_rezalloc_aligned)
  CASE(mi_heap_rezalloc_aligned_at)
  CASE(mi_heap_recalloc_aligned)
  CASE(mi_heap_recalloc_aligned_at)
  CASE(mi_heap_alloc_new)
  CASE(mi_heap_alloc_new_n)
  CASE(mi_heap_of)
  CASE(mi_heap_contains_block)
  CASE(mi_heap_contains)
  CASE(mi_heap_check_owned)
  CASE(mi_check_owned)
  CASE(mi_is_in_heap_region)
  CASE(mi_any_heap_contains)
  CASE(mi_heap_visit_blocks)
  CASE(mi_unsafe_heap_page_is_under_utilized)
  {NULL, NULL, NULL}
};
// clang-format on
