// The driver for AFL++: persistent mode, input through shared memory. One process runs RUNS inputs; the library starts
// before the first one, so that forking comes after it.
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define RUNS 10000

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
void fuzz_has_threads(void) __attribute__((weak));  // defined by a target that starts threads with its first input

// The macros of AFL++ convert between sizes of integers.
#pragma clang diagnostic ignored "-Wconversion"

__AFL_FUZZ_INIT();

int main(void) {
  static const uint8_t first[64];
  if (fuzz_has_threads == NULL) LLVMFuzzerTestOneInput(first, sizeof(first));  // fork leaves threads behind
  __AFL_INIT();
  const uint8_t* data = __AFL_FUZZ_TESTCASE_BUF;
  while (__AFL_LOOP(RUNS)) LLVMFuzzerTestOneInput(data, (size_t)__AFL_FUZZ_TESTCASE_LEN);
  return 0;
}
