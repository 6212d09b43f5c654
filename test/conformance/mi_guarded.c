// Heaps whose allocations are guarded blocks, sampled: the secure build's; in the plain build the calls have no effect.
// What guarded blocks catch is for the misuse tests; here they must be blocks like any other.
#include "mi.h"

static mi_heap_t* guarded;
static void* make_guarded(size_t size) {
  return mi_heap_malloc(guarded, size);
}

static void test_mi_heap_guarded_set_sample_rate(void) {
  guarded = mi_heap_new();
  mi_heap_guarded_set_sample_rate(guarded, 10, 0);
  check_make(make_guarded, 0);
  mi_heap_guarded_set_sample_rate(guarded, 0, 0);
  check_make(make_guarded, 0);
  mi_heap_guarded_set_sample_rate(NULL, 1, 1);
}

static void test_mi_heap_guarded_set_size_bound(void) {
  guarded = mi_heap_new();
  mi_heap_guarded_set_size_bound(guarded, 100, 1000);
  mi_heap_guarded_set_sample_rate(guarded, 5, 1);
  check_make(make_guarded, 0);
  mi_heap_guarded_set_size_bound(NULL, 1, 1);
}

// One a line, as CMakeLists.txt reads them.
// clang-format off
const case_t cases[] = {
  CASE(mi_heap_guarded_set_sample_rate)
  CASE(mi_heap_guarded_set_size_bound)
  {NULL, NULL, NULL}
};
// clang-format on
