// Ends with blocks in use: as many of 3000 bytes as it is told, and two large ones.
#include <stdlib.h>

#include "mimalloc.h"

int main(int argc, char** argv) {
  static void* volatile kept;
  for (int i = argc == 2 ? atoi(argv[1]) : 0; i > 0; i--) kept = mi_malloc(3000);
  for (int i = 0; i < 2; i++) kept = mi_malloc(300000);
  for (int i = 0; i < 100; i++) mi_free(mi_malloc(3000));
  return kept == NULL;
}
