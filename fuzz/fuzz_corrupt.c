// fuzz_corrupt: an attacker who writes to whatever the program can reach. Blocks that overlap or lie elsewhere, an abort
// or a fault in the allocator is a crash. Secure build only.
#include "model.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return run_single(FOR_CORRUPT, data, size);
}
