/* wrong: a library that is wrong on purpose, to show that realprog.sh notices. Its realloc flips a bit in what it
   copies, now and then; everything else is libc's. */
#define _GNU_SOURCE
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

extern void* __libc_malloc(size_t size);

void* malloc(size_t size) { return __libc_malloc(size); }

void* realloc(void* p, size_t size) {
  static unsigned int calls;
  const size_t old = p == NULL ? 0 : malloc_usable_size(p);
  void* q = malloc(size);
  if (q == NULL || p == NULL) return q;
  memcpy(q, p, old < size ? old : size);
  calls++;
  if (calls > 200 && calls % 50 == 0 && old < size && old > 0) ((char*)q)[old / 2] ^= 1;
  free(p);
  return q;
}
