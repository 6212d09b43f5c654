// A fuzz target with the bug that TARGET_BUG names: "simulated" and "real" fail where fuzz/os.h is used and where it is
// not, "seed" fails there for the input alone that the corpus has. Without a name, nothing fails.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const char seed[] = "MIMALLOC_SEED=2718281828459045235\n";
  const char *bug = getenv("TARGET_BUG"), *fast = getenv("FUZZ_FAST");
  if (bug == NULL || fast == NULL || size == 0) return 0;
  const char* here = strcmp(fast, "1") == 0 ? "simulated" : "real";
  if (data[0] == '!') {
    if (strcmp(bug, here) == 0) abort();
  }
  if (strcmp(bug, "seed") == 0 && strcmp(here, "simulated") == 0) {
    if (size == sizeof(seed) - 1 && memcmp(data, seed, size) == 0) abort();
  }
  return 0;
}
