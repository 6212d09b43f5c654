// fuzz_api: legal sequences. Any report, abort, broken promise or wrong statistic is a crash.
#include "model.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return run_single(FOR_API, data, size);
}
