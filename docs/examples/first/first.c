// The first program with this library: what runs, and a heap of its own that goes away at once.
#include <mimalloc-secure.h>
#include <mimalloc.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
  char* name = malloc(32);  // an ordinary malloc is the library's too
  snprintf(name, 32, "version %d, %s", mi_version(), mi_is_secure() ? mi_profile_name() : "not hardened");

  mi_heap_t* heap = mi_heap_new();
  for (int i = 0; i < 1000; i++) {
    if (mi_heap_malloc(heap, 100) == NULL) return 1;
  }
  mi_heap_destroy(heap);  // all 1,000

  puts(name);
  free(name);
  return 0;
}
