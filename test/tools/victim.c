// Frees a block twice, two calls deep, for mimalloc-report to name the places. With an argument: reads beyond a block.
#include <stdlib.h>

static void* volatile kept;

__attribute__((noinline)) static void culprit(int faults) {
  char* volatile p = malloc(300000);
  kept = p;
  if (faults) {
    kept = (void*)(size_t)p[300000];  // LINE OF THE FAULT
  }
  free(kept);
  free(kept);  // LINE OF THE SECOND FREE
  kept = NULL;
}

__attribute__((noinline)) static void accomplice(int faults) {
  culprit(faults);
  kept = NULL;
}

int main(int argc, char** argv) {
  (void)argv;
  accomplice(argc > 1);
  return 0;
}
