// Copies its argument into a block of 16 bytes. The C library's allocator lets that pass.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char** argv) {
  char* name = malloc(16);
  strcpy(name, argc > 1 ? argv[1] : "");
  printf("hello %s\n", name);
  fflush(stdout);
  free(name);
  return 0;
}
