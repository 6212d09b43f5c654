/* plugin: the library that plugins.c loads and unloads. It allocates in its constructor, frees in its
   destructor, has thread-local memory of its own, and gives blocks away that outlive it. */
#include <pthread.h>

#include "alloc.h"

void* plugin_make(size_t size);
size_t plugin_work(unsigned int seed);

#define PLUGIN_BLOCKS 50

static char* plugin_blocks[PLUGIN_BLOCKS];
static __thread char plugin_scratch[3000];
static __thread size_t plugin_calls;

__attribute__((constructor)) static void plugin_begin(void) {
  for (size_t i = 0; i < PLUGIN_BLOCKS; i++) plugin_blocks[i] = strdup("a string of the plugin");
}

__attribute__((destructor)) static void plugin_end(void) {
  for (size_t i = 0; i < PLUGIN_BLOCKS; i++) {
    if (plugin_blocks[i] == NULL || strcmp(plugin_blocks[i], "a string of the plugin") != 0) abort();
    free(plugin_blocks[i]);
  }
}

void* plugin_make(size_t size) { return malloc(size); }

size_t plugin_work(unsigned int seed) {
  size_t total = 0;
  for (size_t i = 1; i < 300; i++) {
    const size_t size = (i * seed) % 5000 + 1;
    char* p = (char*)malloc(size);
    if (p == NULL) abort();
    memset(p, (int)i, size);
    plugin_scratch[size % sizeof(plugin_scratch)] = p[size - 1];
    total += (unsigned char)p[size / 2] == (unsigned char)i;
    free(p);
  }
  plugin_calls++;
  return total;
}
