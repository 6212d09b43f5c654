/* early: a library that lifetimes.c is linked to. Its constructor runs before those of a preloaded library and
   its destructor after them, so it allocates before the allocator was told that the process starts, and frees
   after it was told that the process ends. */
#include <stdint.h>

#include "alloc.h"

#define EARLY_BLOCKS 100

int early_check(void);
void early_keep(unsigned int* counter);

static unsigned char* early_blocks[EARLY_BLOCKS];
static unsigned int* early_counter;

__attribute__((constructor)) static void early_begin(void) {
  for (unsigned int i = 0; i < EARLY_BLOCKS; i++) {
    early_blocks[i] = (unsigned char*)malloc(i * 37 + 1);
    if (early_blocks[i] == NULL) abort();
    memset(early_blocks[i], (int)i + 1, i * 37 + 1);
  }
  for (unsigned int i = 0; i < EARLY_BLOCKS; i += 3) {
    free(early_blocks[i]);
    early_blocks[i] = NULL;
  }
}

/* True when every block still holds what the constructor wrote. */
int early_check(void) {
  for (unsigned int i = 0; i < EARLY_BLOCKS; i++) {
    for (unsigned int k = 0; early_blocks[i] != NULL && k < i * 37 + 1; k++) {
      if (early_blocks[i][k] != i + 1) return 0;
    }
  }
  return 1;
}

/* The destructor adds 1 to `counter` when all went well. */
void early_keep(unsigned int* counter) { early_counter = counter; }

__attribute__((destructor)) static void early_end(void) {
  const int good = early_check();
  for (unsigned int i = 0; i < EARLY_BLOCKS; i++) free(early_blocks[i]);
  for (unsigned int i = 1; i < 500; i++) {
    void* p = malloc(i * 11);
    if (p == NULL) return;
    free(p);
  }
  if (good && early_counter != NULL) ++*early_counter;
}
