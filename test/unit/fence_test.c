// The fence at every slack and every byte: set, checked, reset, without touching what belongs to the program; and that
// no byte of a pattern can be zero, ASCII or 0xFF.
#include "child.h"

#include "secure.h"

enum { SIZE = 640, AROUND = 64 };

static uint8_t memory[AROUND + SIZE + AROUND] __attribute__((aligned(64)));
static uint8_t* const block = memory + AROUND;

static page_t page_with(uint64_t key) {
  page_t page;
  memset(&page, 0, sizeof(page));
  page.hook.fence = key | 1;
  return page;
}

static bool is_program(size_t at, size_t slack) {
  return at < SIZE - slack;
}

static void fill(void) {
  for (size_t i = 0; i < sizeof(memory); i++) memory[i] = (uint8_t)(i * 7 + 3) & 0x7F;
}

static void assert_untouched(size_t slack) {
  uint8_t now[sizeof(memory)];
  memcpy(now, memory, sizeof(now));
  fill();
  for (size_t i = 0; i < sizeof(now); i++) {
    bool ours = i >= AROUND && i < AROUND + SIZE && !is_program(i - AROUND, slack);
    if (!ours && now[i] != memory[i]) fail_msg("slack %zu: byte %zu changed", slack, i);
  }
  memcpy(memory, now, sizeof(now));
}

// A reset fence holds; it leaves the request and the neighbours alone; each checked byte matters, no other does.
static void test_every_byte(void** state) {
  (void)state;
  page_t page = page_with(0x123456789ABCDEF1u);
  for (size_t slack = 1; slack <= 600; slack++) {
    fill();
    fence_reset(&page, 5, block + SIZE, slack);
    assert_untouched(slack);
    assert_true(fence_holds(&page, 5, block + SIZE, slack));
    for (size_t at = 0; at < SIZE; at++) {
      bool checked = !is_program(at, slack) && (at < SIZE - slack + FENCE_SIZE || at == SIZE - 1);
      block[at] ^= 0x01;
      if (fence_holds(&page, 5, block + SIZE, slack) == checked) fail_msg("slack %zu, byte %zu", slack, at);
      block[at] ^= 0x01;
    }
  }
}

// Another block, another page: another pattern.
static void test_differs(void** state) {
  (void)state;
  page_t page = page_with(0x9E3779B97F4A7C15u), other = page_with(0xD1B54A32D192ED03u);
  fill();
  fence_reset(&page, 9, block + SIZE, 16);
  assert_true(fence_holds(&page, 9, block + SIZE, 16));
  assert_false(fence_holds(&page, 8, block + SIZE, 16));
  assert_false(fence_holds(&page, 10, block + SIZE, 16));
  assert_false(fence_holds(&other, 9, block + SIZE, 16));
}

static void test_range(void** state) {
  (void)state;
  uint64_t key = 88172645463325252u;
  for (int i = 0; i < 20000; i++) {
    key = key * 6364136223846793005u + 1442695040888963407u;
    page_t page = page_with(key);
    fence_bytes_t pattern = fence_pattern(&page, (uintptr_t)i % 4096);
    for (size_t k = 0; k < FENCE_SIZE; k++) assert_in_range(pattern[k], 0x80, 0xBF);
    assert_int_equal(pattern[FENCE_SIZE - 1], fence_last(&page, (uintptr_t)i % 4096));
  }
}

// Growing and shrinking by realloc, free from this thread and another: legal programs do not notice.
static void test_legal(void** state) {
  (void)state;
  size_t before = sec_violation_count();
  for (size_t size = 1; size < 3000; size += 3) {
    uint8_t* p = mi_malloc(size);
    memset(p, 0xEE, size);
    for (size_t other = size + 40; other + 40 > size; other -= 9) {
      p = mi_realloc(p, other);
      memset(p, 0xEE, other);
      if (other < 10) break;
    }
    mi_free(p);
  }
  assert_int_equal(sec_violation_count(), before);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_byte),
      cmocka_unit_test(test_differs),
      cmocka_unit_test(test_range),
      cmocka_unit_test(test_legal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
