// Wiping at every size a block can have: all of it, nothing beside it; and every byte is verified.
#include "child.h"

#include "secure.h"

enum { MOST = 4096, AROUND = 64 };

static uint8_t memory[AROUND + MOST + AROUND] __attribute__((aligned(64)));
static uint8_t* const block = memory + AROUND;

static const fence_bytes_t zero = {0};

static fence_bytes_t tail_of(uint8_t last) {
  fence_bytes_t bytes = {0};
  bytes[15] = last;
  return bytes;
}

static void check_size(size_t size, fence_bytes_t tail) {
  memset(memory, 0xEE, sizeof(memory));
  wipe_bytes(block, size, tail);
  for (size_t i = 0; i < sizeof(memory); i++) {
    bool inside = i >= AROUND && i < AROUND + size;
    uint8_t wanted = !inside ? 0xEE : i == AROUND + size - 1 ? tail[15] : 0;
    if (memory[i] != wanted) fail_msg("size %zu: byte %zd is %#x", size, (ptrdiff_t)i - AROUND, memory[i]);
  }
  assert_true(wipe_holds(block, size, tail));
  for (size_t i = 0; i < size; i++) {
    block[i] ^= 0x40;
    if (wipe_holds(block, size, tail)) fail_msg("size %zu: byte %zu is not verified", size, i);
    block[i] ^= 0x40;
  }
  assert_true(wipe_holds(block, size, tail));
}

static void test_every_size(void** state) {
  (void)state;
  for (size_t size = 16; size <= MOST; size += 16) {
    check_size(size, zero);
    check_size(size, tail_of(0x93));
  }
}

// Through malloc and free: nothing of what a block held is left, neither while it is free nor when it comes back.
static void test_nothing_left(void** state) {
  (void)state;
  if (BY_ASAN || !(mim_process.hook.mechanisms & SEC_WIPE)) skip();  // AddressSanitizer may know of freed blocks
  for (size_t size = 1; size <= 960; size += 13) {
    uint8_t* volatile p = mi_malloc(size);
    memset(p, 0xEE, size);
    bool sampled = (mim_page_of(p)->kind & KIND_SAMPLED) != 0;
    uint8_t* volatile gone = p;
    mi_free(p);
    for (size_t i = 0; !sampled && i < size; i++) assert_int_equal(gone[i], 0);
    for (int k = 0; k < 100; k++) {
      p = mi_malloc(size);
      for (size_t i = 0; i < size; i++) assert_int_equal(p[i], 0);
      if (k % 2 == 0) memset(p, 0xEE, size);
      if (k % 2 == 0) mi_free(p);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_size),
      cmocka_unit_test(test_nothing_left),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
