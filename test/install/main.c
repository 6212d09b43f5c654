// A program that uses the installed library as any C program would. It says which library it runs with:
//   main version secure|plain   checks both; exit status 0 when all is as expected.
#include <mimalloc-secure.h>
#include <mimalloc.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  int version = mi_version();
  char text[32];
  snprintf(text, sizeof text, "%d.%d.%d", version / 100, version / 10 % 10, version % 10);
  if (strcmp(text, argv[1]) != 0 || version != MI_MALLOC_VERSION) {
    fprintf(stderr, "the library is version %s, the headers %d, expected %s\n", text, MI_MALLOC_VERSION, argv[1]);
    return 1;
  }
  if (mi_is_secure() != (strcmp(argv[2], "secure") == 0)) {
    fprintf(stderr, "the library is %s, expected %s\n", mi_is_secure() ? "secure" : "plain", argv[2]);
    return 1;
  }
  // libc's names are the library's too
  char* block = malloc(100);
  if (block == NULL || !mi_is_in_heap_region(block)) {
    fprintf(stderr, "malloc is not the library's\n");
    return 1;
  }
  free(block);
  block = strdup("contents");
  if (block == NULL || !mi_is_in_heap_region(block)) {
    fprintf(stderr, "strdup is not the library's\n");
    return 1;
  }
  mi_free(block);
  puts("as expected");
  return 0;
}
