// fuzz_misuse: legal sequences with misuse planted in them. A misuse that is not reported as what it is, and a report
// without misuse, is a crash. Secure build only.
#include "model.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return run_single(FOR_MISUSE, data, size);
}
