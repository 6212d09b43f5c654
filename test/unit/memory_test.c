// Checked memory and string functions: the end of live blocks of many sizes, small and large, exactly, from both sides;
// freed blocks; what legal programs do at the edges.
//
// The program runs itself again with the profile strict, where findings are reported and the program goes on. All
// copies that are reported stay within memory that is the test's, or are of a length that is not carried out.
#include "child.h"

#include "secure.h"

#include "memory.h"

static const size_t sizes[] = {1, 2, 15, 16, 17, 63, 64, 100, 1000, 1024, 4096, 30000, 65536, 200000, 1 << 20};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))
#define LARGEST ((size_t)1 << 20)

static char elsewhere[LARGEST + 64];
static mi_fault_t last;  // of the first reports: the handler is not told of more than MIMALLOC_MAX_ERRORS

static void note_fault(const mi_violation_t* violation, void* argument) {
  (void)argument;
  last = violation->fault;
}

// How many violations a call is found to make.
static size_t before;
#define REPORTS(call) (before = sec_violation_count(), (void)(call), sec_violation_count() - before)

// A block of which the compiler knows nothing.
static char* block_of(size_t size) {
  char* volatile p = mi_malloc(size);
  assert_non_null(p);
  return p;
}

static void give_back(char* volatile p) {
  mi_free(p);
}

static void test_legal(void** state) {
  (void)state;
  for (size_t i = 0; i < SIZES; i++) {
    size_t size = sizes[i];
    char* p = block_of(size);
    assert_int_equal(REPORTS(sec_checked_memset(p, 'x', size)), 0);
    assert_int_equal(REPORTS(sec_checked_memcpy(elsewhere, p, size)), 0);
    assert_memory_equal(p, elsewhere, size);
    assert_int_equal(REPORTS(sec_checked_memmove(p, p + size / 2, size - size / 2)), 0);
    assert_int_equal(REPORTS(sec_checked_memcpy(p + size, p + size, 0)), 0);
    assert_int_equal(REPORTS(sec_checked_memcpy(NULL, NULL, 0)), 0);
    assert_ptr_equal(sec_checked_mempcpy(p, elsewhere, size), p + size);
    // not terminated, but not longer than the limit either
    assert_int_equal(REPORTS(sec_checked_strncpy(elsewhere, p, size)), 0);
    assert_ptr_equal(sec_checked_stpncpy(elsewhere, p, size), elsewhere + size);
    elsewhere[0] = 0;
    assert_int_equal(REPORTS(sec_checked_strncat(elsewhere, p, size)), 0);
    assert_int_equal(strlen(elsewhere), size);
    p[size - 1] = 0;
    assert_int_equal(REPORTS(sec_checked_strcpy(elsewhere, p)), 0);
    assert_int_equal(REPORTS(sec_checked_strcpy(p, elsewhere)), 0);
    assert_ptr_equal(sec_checked_stpcpy(p, elsewhere), p + size - 1);
    p[0] = 0;
    elsewhere[size - 1] = 0;
    assert_int_equal(REPORTS(sec_checked_strcat(p, elsewhere)), 0);
    assert_int_equal(strlen(p), size - 1);
    assert_int_equal(REPORTS(sec_checked_strncpy(p, "", size)), 0);
    give_back(p);
  }
}

// One byte too many, written and read, from the start and from the last byte. In `report` mode the function does what
// was asked for, so the byte behind the block is put back.
static void test_one_too_many(void** state) {
  (void)state;
  for (size_t i = 0; i < SIZES; i++) {
    size_t size = sizes[i];
    if (size >= 4096) continue;  // the byte behind may be a guard
    char* p = block_of(size);
    char kept = p[size];
    memset(elsewhere, 'e', size);
    elsewhere[size] = kept;
    assert_int_equal(REPORTS(sec_checked_memcpy(p, elsewhere, size + 1)), 1);
    if (i == 0) assert_int_equal(last, MI_FAULT_MEMORY_RANGE);
    assert_int_equal(REPORTS(sec_checked_memmove(p + size - 1, elsewhere + size - 1, 2)), 1);
    assert_int_equal(REPORTS(sec_checked_memset(p + size, kept, 1)), 1);
    assert_int_equal(REPORTS(sec_checked_memcpy(elsewhere, p, size + 1)), 1);
    assert_int_equal(REPORTS(sec_checked_mempcpy(elsewhere, p + size, 1)), 1);
    memset(elsewhere, 'e', size);
    elsewhere[size] = 0;
    assert_int_equal(REPORTS(sec_checked_strcpy(p, elsewhere)), 1);
    assert_int_equal(REPORTS(sec_checked_stpcpy(p, elsewhere)), 1);
    assert_int_equal(REPORTS(sec_checked_strncpy(p, elsewhere, size + 1)), 1);
    assert_int_equal(REPORTS(sec_checked_stpncpy(p, elsewhere, size + 1)), 1);
    p[0] = 0;
    assert_int_equal(REPORTS(sec_checked_strcat(p, elsewhere)), 1);
    p[0] = 0;
    assert_int_equal(REPORTS(sec_checked_strncat(p, elsewhere, size)), 1);
    p[size] = kept;
    give_back(p);
  }
}

static void test_freed(void** state) {
  (void)state;
  for (size_t i = 0; i < SIZES; i++) {
    if (sizes[i] > 1024) continue;  // larger ones may be inaccessible now
    char* volatile p = block_of(sizes[i]);
    give_back(p);
    assert_int_equal(REPORTS(sec_checked_memcpy(elsewhere, p, sizes[i])), 1);
    assert_int_equal(REPORTS(sec_checked_memset(p, 0, sizes[i])), 1);
  }
}

#ifdef __GLIBC__
// What the compiler knew is looked at as well, and the block's end first.
static void test_fortified(void** state) {
  (void)state;
  char* volatile p = block_of(40);
  char kept = p[40];
  memset(elsewhere, kept, 41);
  assert_int_equal(REPORTS(sec_checked___memcpy_chk(p, elsewhere, 40, 40)), 0);
  assert_int_equal(REPORTS(sec_checked___memcpy_chk(p, elsewhere, 41, SIZE_MAX)), 1);
  give_back(p);
}
#endif

// Outside of blocks nothing is known, and nothing is said.
static void test_elsewhere(void** state) {
  (void)state;
  char local[32];
  assert_int_equal(REPORTS(sec_checked_memset(local, 1, sizeof(local))), 0);
  assert_int_equal(REPORTS(sec_checked_memcpy(elsewhere, local, sizeof(local))), 0);
}

int main(int count, char** arguments) {
  (void)count;
  if (getenv("MIM_TEST_AGAIN") == NULL) {
    setenv("MIM_TEST_AGAIN", "1", 1);
    setenv("MIMALLOC_PROFILE", "strict", 1);
    setenv("MIMALLOC_ON_VIOLATION", "report", 1);
    setenv("MIMALLOC_MAX_ERRORS", "4", 1);
    execv("/proc/self/exe", arguments);
    return 1;
  }
  mi_register_violation(note_fault, NULL);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_legal),     cmocka_unit_test(test_one_too_many), cmocka_unit_test(test_freed),
#ifdef __GLIBC__
      cmocka_unit_test(test_fortified),
#endif
      cmocka_unit_test(test_elsewhere),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
