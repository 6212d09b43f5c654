// mimalloc-override.h: each name it rewrites gives a block of this library, with the order of parameters of
// the original, as C and as C++. Linked with the library and run.
#include "mimalloc-override.h"

// Included again after the macros: these must not be disturbed by them.
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define check(condition)                                            \
  do {                                                              \
    if (!(condition)) {                                             \
      fprintf(stderr, "line %d: not so: %s\n", __LINE__, #condition); \
      exit(1);                                                      \
    }                                                               \
  } while (0)

static void* ours(void* p, size_t alignment, size_t size) {
  check(mi_is_in_heap_region(p));
  check((uintptr_t)p % alignment == 0);
  check(mi_usable_size(p) >= size);
  return p;
}

int main(void) {
  free(ours(malloc(100), 16, 100));
  char* zero = (char*)ours(calloc(10, 10), 16, 100);
  for (size_t i = 0; i < 100; i++) check(zero[i] == 0);
  zero = (char*)ours(realloc(zero, 1000), 16, 1000);
  zero = (char*)ours(reallocarray(zero, 20, 100), 16, 2000);
  check(reallocarr(&zero, 30, 100) == 0);
  zero = (char*)ours(reallocf(zero, 50), 16, 50);
  zero = (char*)ours(_recalloc(zero, 6, 10), 16, 60);
  check(malloc_usable_size(zero) >= 60 && malloc_size(zero) >= 60 && _msize(zero) >= 60);
  check(malloc_good_size(60) >= 60);
  check(_expand(zero, 1u << 30) == NULL);
  cfree(zero);

  free(ours(aligned_alloc(256, 100), 256, 100));
  free(ours(memalign(512, 100), 512, 100));
  void* p = NULL;
  check(posix_memalign(&p, 1024, 100) == 0);
  free_aligned_sized(ours(p, 1024, 100), 1024, 100);
  check(posix_memalign(&p, 3, 100) == EINVAL);
  free(ours(valloc(100), 4096, 100));
  free(ours(pvalloc(100), 4096, 4096));
  free_sized(ours(malloc(77), 16, 77), 77);

  char* text = (char*)ours(strdup("text"), 1, 5);
  check(strcmp(text, "text") == 0);
  free(text);
  text = (char*)ours(strndup("text", 2), 1, 3);
  check(strcmp(text, "te") == 0);
  free(text);
  text = (char*)ours(_strdup("text"), 1, 5);
  free(text);
  wchar_t* wide = (wchar_t*)ours(wcsdup(L"wide"), 4, 5 * sizeof(wchar_t));
  check(wcscmp(wide, L"wide") == 0);
  free(wide);
  text = (char*)ours(realpath("/usr/..", NULL), 1, 2);
  check(strcmp(text, "/") == 0);
  free(text);
  text = NULL;
  size_t length = 0;
  check(_dupenv_s(&text, &length, "PATH") == 0 && text != NULL && length == strlen(text));
  free(ours(text, 1, length + 1));

  void* a = ours(_aligned_malloc(100, 128), 128, 100);
  a = ours(_aligned_realloc(a, 200, 128), 128, 200);
  a = ours(_aligned_recalloc(a, 3, 100, 128), 128, 300);
  check(_aligned_msize(a, 128, 0) >= 300);
  _aligned_free(a);
  char* b = (char*)ours(_aligned_offset_malloc(100, 128, 16), 16, 100);
  check((uintptr_t)(b + 16) % 128 == 0);
  b = (char*)_aligned_offset_realloc(b, 200, 128, 16);
  b = (char*)_aligned_offset_recalloc(b, 3, 100, 128, 16);
  check((uintptr_t)(b + 16) % 128 == 0);
  _aligned_free(b);
  return 0;
}
