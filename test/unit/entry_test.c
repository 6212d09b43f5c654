// Places, states and the magazine: the one multiplication against plain division for every bin and every address; states
// that keep family and slack; magazines that hold each free block once.
#include "child.h"

#include "secure.h"

// Every address in the slices of a page, for every stride a bin has.
static void test_place(void** state) {
  (void)state;
  for (size_t bin = 1; bin < BIN_COUNT; bin++) {
    size_t stride = mim_bins[bin].stride;
    if (stride == 0) continue;
    page_t page;
    memset(&page, 0, sizeof(page));
    page.stride = (uint32_t)stride;
    page.reciprocal = UINT64_MAX / stride + 1;
    page.origin = 0x10000000 - stride;
    size_t bytes = mim_bins[bin].slices * SLICE_SIZE;
    for (size_t offset = stride; offset < bytes + stride; offset++) {
      place_t place = page_place(&page, (void*)(page.origin + offset));
      if (place.index != offset / stride || place.start != (offset % stride == 0)) {
        fail_msg("stride %zu, offset %zu: index %zu, start %d", stride, offset, (size_t)place.index, place.start);
      }
    }
  }
}

static void test_states(void** state) {
  (void)state;
  for (unsigned family = 0; family < 3; family++) {
    for (size_t slack = 0; slack <= SLACK_MAX; slack++) {
      uint16_t live = state_live((family_t)family, slack);
      assert_true(state_is_live(live));
      assert_false(state_is_free(live));
      assert_int_equal(live & STATE_SLACK_MASK, slack);
      assert_int_equal((live >> STATE_FAMILY_SHIFT) & 3, family);
    }
  }
  assert_true(state_is_free(STATE_FREE) && state_is_free(STATE_FRESH));
  uint16_t others[] = {STATE_NEVER, STATE_MAILED, STATE_HELD};
  for (size_t i = 0; i < 3; i++) {
    for (uint16_t fresh = 0; fresh < 2; fresh++) {
      assert_false(state_is_free(others[i] | fresh));
      assert_false(state_is_live(others[i] | fresh));
    }
  }
}

// The page that a heap of its own serves requests of this size from.
static page_t* page_of_size(mi_heap_t* heap, size_t size, void** first) {
  do *first = mi_heap_malloc(heap, size);
  while (mim_page_of(*first)->kind & KIND_LARGE);
  return mim_page_of(*first);
}

static void check_magazine(const page_t* page) {
  bool seen[4096 + 64] = {false};
  for (uintptr_t position = 1; position <= page->free; position++) {
    uint16_t index = magazine_get(page, position);
    assert_in_range(index, 1, page->capacity);
    assert_true(state_is_free(state_get(page, index)));
    assert_false(seen[index]);
    seen[index] = true;
  }
  assert_in_range(page->free, 0, MAGAZINE_ROOM);
}

// Random allocations and frees in one page; after each, every index in the magazine is free, and none is there twice.
static void test_magazine(void** state) {
  (void)state;
  static const size_t sizes[] = {16, 100, 600, 2000, 4096, 20000};
  for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
    mi_heap_t* heap = mi_heap_new();
    void* blocks[256] = {NULL};
    page_t* page = page_of_size(heap, sizes[s], &blocks[0]);
    uint64_t seed = 99;
    for (int i = 0; i < 20000; i++) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      size_t at = 1 + (seed >> 33) % 255;
      if (blocks[at] != NULL) {
        mi_free(blocks[at]);
        blocks[at] = NULL;
      } else {
        blocks[at] = mi_heap_malloc(heap, sizes[s]);
      }
      check_magazine(page);  // the first block stays, and so does the page
    }
    mi_heap_destroy(heap);
  }
}

// The states beyond the blocks say "never": frees there are refused whatever the address.
static void test_beyond(void** state) {
  (void)state;
  mi_heap_t* heap = mi_heap_new();
  void* first;
  page_t* page = page_of_size(heap, 48, &first);
  size_t end = ((size_t)page->slices << SLICE_SHIFT) / page->stride;
  for (size_t index = page->capacity + 1; index <= end; index++) {
    assert_int_equal(state_get(page, index) & ~1, STATE_NEVER);
  }
  assert_int_equal(state_get(page, 0) & ~1, STATE_NEVER);
  mi_heap_destroy(heap);
}

int main(void) {
  mi_free(mi_malloc(1));
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_place),
      cmocka_unit_test(test_states),
      cmocka_unit_test(test_magazine),
      cmocka_unit_test(test_beyond),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
