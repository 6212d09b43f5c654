// Isolation: slices that held blocks of one size do not hold another one later, while the region has others; when it is
// used up they do, and that is counted. Each case is the program started anew, with a profile and a region of its own.
#include "child.h"

#include "secure.h"

static child_t child;

#define PAGES 64
#define EACH 1200  // bytes: at most 54 to a page
#define BLOCKS (PAGES * 54)

static uintptr_t slice_of(const void* p) {
  return (uintptr_t)p >> SLICE_SHIFT;
}

static int by_address(const void* a, const void* b) {
  uintptr_t x = *(const uintptr_t*)a, y = *(const uintptr_t*)b;
  return x < y ? -1 : x > y;
}

static size_t take_all(size_t size, uintptr_t* slices) {
  static void* blocks[BLOCKS];
  for (size_t i = 0; i < BLOCKS; i++) {
    blocks[i] = mi_malloc(size);
    if (blocks[i] == NULL) return 0;
    slices[i] = slice_of(blocks[i]);
  }
  for (size_t i = 0; i < BLOCKS; i++) mi_free(blocks[i]);
  mi_collect(true);
  qsort(slices, BLOCKS, sizeof(*slices), by_address);
  return BLOCKS;
}

static size_t in_both(const uintptr_t* a, const uintptr_t* b) {
  size_t count = 0;
  for (size_t i = 0; i < BLOCKS; i++) count += bsearch(&a[i], b, BLOCKS, sizeof(*b), by_address) != NULL;
  return count;
}

static int role_sizes(void) {
  static uintptr_t first[BLOCKS], other[BLOCKS], again[BLOCKS];
  if (take_all(EACH, first) == 0 || take_all(2 * EACH, other) == 0 || take_all(EACH, again) == 0) return 1;
  printf("other size %zu, same size %zu of %d, given up %zu\n", in_both(other, first), in_both(again, first), BLOCKS,
         sec_isolate_given_up());
  return 0;
}

// Uses a small region up by large blocks that nobody touches, frees them, and asks for small ones.
static int role_used_up(void) {
  static const size_t sizes[] = {4 << 20, 512 << 10, 70000};  // what one leaves over the next takes
  void** blocks = mi_malloc(4096 * sizeof(void*));
  size_t count = 0;
  for (size_t i = 0; i < 3; i++) {
    while (count < 4096 && (blocks[count] = mi_malloc(sizes[i])) != NULL) count++;
  }
  printf("%s\n", count > 8 && count < 4096 ? "used up" : "not used up");
  while (count > 0) mi_free(blocks[--count]);
  mi_collect(true);
  size_t had = 0;
  for (; had < 20000 && mi_malloc(EACH) != NULL; had++) {
  }
  printf("small blocks %zu, given up %s\n", had, sec_isolate_given_up() > 0 ? "some" : "none");
  return 0;
}

static void run(const char* role, const char* profile, const char* setting) {
  again_t again = {.role = role, .env = {profile, setting}};
  child_again(&child, again);
  if (!child_exited(&child, 0)) fail_msg("%s: %s", role, child.text);
}

static void shows(const char* text) {
  if (strstr(child.text, text) == NULL) fail_msg("expected \"%s\" in: %s", text, child.text);
}

static void test_strict(void** state) {
  (void)state;
  run("sizes", "MIMALLOC_PROFILE=strict", NULL);
  shows("other size 0, ");
  shows("given up 0\n");
  unsigned same = 0;
  assert_int_equal(sscanf(strstr(child.text, "same size"), "same size %u", &same), 1);
  assert_true(same > BLOCKS / 2);  // its own slices come first
}

// Without it the slices do meet another size: the test above can fail.
static void test_default(void** state) {
  (void)state;
  if (mi_profile() > MI_PROFILE_DEFAULT) skip();
  run("sizes", "MIMALLOC_PROFILE=default", NULL);
  assert_null(strstr(child.text, "other size 0, "));
}

static void test_used_up(void** state) {
  (void)state;
  if (BY_ASAN || BY_TSAN) skip();  // their regions have other sizes
  run("used-up", "MIMALLOC_PROFILE=strict", "MIMALLOC_MAX_VABITS=31");
  shows("\nsmall blocks 20000, given up some");
  shows("used up\n");
  assert_null(strstr(child.text, "not used up"));
}

int main(int argc, char** argv) {
  if (argc > 1 && strcmp(argv[1], "sizes") == 0) return role_sizes();
  if (argc > 1 && strcmp(argv[1], "used-up") == 0) return role_used_up();
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_strict), cmocka_unit_test(test_default),
                                     cmocka_unit_test(test_used_up)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
