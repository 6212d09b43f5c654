// The driver for AFL++: persistent mode, input through shared memory. One process runs RUNS inputs; the library starts
// before the first one, so that forking comes after it.
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define RUNS 10000

extern const bool fuzz_driver_is_fast;
const bool fuzz_driver_is_fast = true;
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
bool fuzz_has_threads(void) __attribute__((weak));  // of a target that may start threads with its first input

// The macros of AFL++ convert between sizes of integers.
#pragma clang diagnostic ignored "-Wconversion"

__AFL_FUZZ_INIT();

int main(void) {
  static const uint8_t first[64];
  bool threads = fuzz_has_threads != NULL && fuzz_has_threads();
  if (!threads) LLVMFuzzerTestOneInput(first, sizeof(first));  // fork leaves threads behind
  __AFL_INIT();
  const uint8_t* data = __AFL_FUZZ_TESTCASE_BUF;
  while (__AFL_LOOP(RUNS)) LLVMFuzzerTestOneInput(data, (size_t)__AFL_FUZZ_TESTCASE_LEN);
  return 0;
}
