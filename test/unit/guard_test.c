// Guards: where they lie, with lightweight guards and with mprotect; that memory given back and used again has them, and
// is accessible where it should be; that mprotect keeps to its budget of mappings; that locked memory is not taken for
// zeroes.
#include "child.h"

#include <sys/mman.h>

#include "secure.h"

enum { CANNOT = 77 };

static child_t child;

static bool is_readable(const void* p) {
  int ends[2];
  if (pipe(ends) != 0) _exit(90);
  bool readable = write(ends[1], p, 1) == 1;
  close(ends[0]);
  close(ends[1]);
  return readable;
}

static uint8_t* take(size_t size) {
  uint8_t* volatile p;
  do p = mi_malloc(size);
  while ((mim_page_of(p)->kind & KIND_SAMPLED) != 0);
  return p;
}

static int complaints;
static void want(bool holds, const char* what, size_t size) {
  if (holds) return;
  complaints++;
  printf("%s, %zu bytes\n", what, size);
}

// Behind the blocks of each page, behind each block of whole OS pages, behind large blocks.
static void look_around(bool blocks_too) {
  size_t os_page = mim_os_page_size();
  static const size_t sizes[] = {16, 200, 1000, 3000, 4096, 8192, 30000, 65536, 65537, 300000, 40 << 20};
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    size_t size = sizes[i];
    uint8_t* p = take(size);
    const page_t* page = mim_page_of(p);
    uint8_t* end = mim_page_start(page) + ((size_t)page->slices << SLICE_SHIFT);
    memset(p, 0xEE, size);
    want(!is_readable(end - 1), "no guard at the end of the page", size);
    bool own = blocks_too && size % os_page == 0 && size <= MEDIUM_MAX;
    if (own || size > MEDIUM_MAX) want(!is_readable(p + size + 15), "no guard behind the block", size);
    want(is_readable(p + size - 1), "the end cannot be read", size);
    mi_free(p);
    if (size > MEDIUM_MAX) want(!is_readable(p) && !is_readable(p + size - 1), "a freed large block can be read", size);
  }
  uint8_t* empty = take(0);
  want(!is_readable(empty), "a block of 0 bytes can be read", 0);
  mi_free(empty);
}

// The same slices serve pages of one kind after another.
static void churn(void) {
  static uint8_t* kept[400];
  static const size_t sizes[] = {4096, 100, 70000, 16, 8192, 200000, 1000, 60000};
  uint64_t seed = 5;
  for (int i = 0; i < 20000; i++) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    size_t at = (seed >> 33) % 400, size = sizes[(size_t)(i / 2500) % 8];
    mi_free(kept[at]);
    kept[at] = mi_malloc(size);
    if (kept[at] == NULL) _exit(91);
    memset(kept[at], 0xEE, size);
  }
  for (size_t i = 0; i < 400; i++) {
    mi_free(kept[i]);
    kept[i] = NULL;
  }
}

static int role_around(void) {
  bool light = mim_process.hook.guard_kind == SEC_GUARD_LIGHT;
  look_around(light);
  churn();
  look_around(light);
  return complaints > 0;
}

static bool kernel_has_light_guards(void) {
  return mim_process.hook.guard_kind == SEC_GUARD_LIGHT;
}

static void test_around(void** state) {
  (void)state;
  if (BY_ASAN || BY_TSAN || !(mim_process.hook.mechanisms & SEC_PAGE_GUARD)) skip();
  static const char* const ways[] = {NULL, "MIMALLOC_GUARDS=1"};
  for (size_t i = 0; i < 2; i++) {
    child_again(&child, (again_t){.role = "around", .env = {ways[i]}});
    if (!child_exited(&child, 0)) fail_msg("%s: status %#x:\n%s", i == 0 ? "usual" : ways[i], child.status, child.text);
  }
}

static size_t count_mappings(void) {
  FILE* file = fopen("/proc/self/maps", "r");
  size_t lines = 0;
  for (int c; (c = getc(file)) != EOF;) lines += c == '\n';
  fclose(file);
  return lines;
}

// Many pages: lightweight guards take no mappings; mprotect takes some, and stops at its budget.
static int role_many(void) {
  size_t before = count_mappings();
  for (int i = 0; i < 4000; i++) *take(100000) = 1;
  sec_guard_info_t info;
  sec_guard_info(&info);
  printf("mappings %zu used %zu budget %zu\n", count_mappings() - before, info.mappings_used, info.mappings_budget);
  return 0;
}

static void test_mappings(void** state) {
  (void)state;
  if (BY_ASAN || BY_TSAN) skip();
  size_t mappings, used, budget;
  child_again(&child, (again_t){.role = "many", .env = {"MIMALLOC_GUARDS=1"}});
  assert_true(child_exited(&child, 0));
  assert_int_equal(sscanf(child.text, "mappings %zu used %zu budget %zu", &mappings, &used, &budget), 3);
  assert_true(used <= 2 * budget);
  assert_true(used >= 8000 || used + 2 > 2 * budget);  // two for each, or all there are
  assert_true(mappings <= used + 64);
  if (!kernel_has_light_guards()) skip();
  child_again(&child, (again_t){.role = "many"});
  assert_true(child_exited(&child, 0));
  assert_int_equal(sscanf(child.text, "mappings %zu used %zu budget %zu", &mappings, &used, &budget), 3);
  assert_int_equal(used, 0);
  assert_true(mappings < 64);
}

// Memory that is locked keeps its contents: it cannot be given back. What was freed must not be taken for zeroes then.
static int role_locked(void) {
  if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) return CANNOT;
  for (int i = 0; i < 100; i++) {  // 32 MiB, more than what freed blocks are held back for
    size_t size = 100000 + (size_t)(i % 3) * 100000;
    uint8_t* p = mi_malloc(size);
    if (p == NULL) return CANNOT;
    memset(p, 0xEE, size);
    mi_free(p);
    uint8_t* zeroed = mi_calloc(1, size);
    if (zeroed == NULL) return CANNOT;
    for (size_t at = 0; at < size; at++) {
      if (zeroed[at] != 0) {
        printf("block %d of %zu bytes holds %d at %zu\n", i, size, zeroed[at], at);
        return 1;
      }
    }
    mi_free(zeroed);
  }
  return 0;
}

static void test_locked(void** state) {
  (void)state;
  if (BY_ASAN || BY_TSAN) skip();
  static const char* const ways[] = {NULL, "MIMALLOC_GUARDS=1"};
  for (size_t i = 0; i < 2; i++) {
    child_again(&child, (again_t){.role = "locked", .env = {ways[i]}});
    if (child_exited(&child, CANNOT)) skip();
    if (!child_exited(&child, 0)) fail_msg("%s: status %#x:\n%s", i == 0 ? "usual" : ways[i], child.status, child.text);
  }
}

int main(int argc, char** argv) {
  if (argc > 1 && strcmp(argv[1], "locked") == 0) return role_locked();
  if (argc > 1) return strcmp(argv[1], "around") == 0 ? role_around() : strcmp(argv[1], "many") == 0 ? role_many() : 2;
  mi_free(mi_malloc(1));
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_around),
      cmocka_unit_test(test_mappings),
      cmocka_unit_test(test_locked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
