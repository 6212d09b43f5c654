// Programs with one error each, in memory of the mi_ functions, that Valgrind and AddressSanitizer must report when the
// library was built with MI_TRACK; and one without any, which must pass in silence.
#include <mimalloc.h>

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cases.h"

static volatile unsigned char sink;

static char* made(size_t size) {
  char* p = mi_malloc(size);
  if (p == NULL) abort();
  memset(p, 1, size);
  return p;
}

static void write_at(char* p, size_t i) {
  ((volatile char*)p)[i] = 7;
}

static void read_at(char* p, size_t i) {
  sink = ((volatile unsigned char*)p)[i];
}

// ---- errors ---------------------------------------------------------------------------------------------------------

static void overflow(void) {
  write_at(made(100), 100);
}

static void overread(void) {
  read_at(made(100), 100);
}

static void overflow_large(void) {
  write_at(made(300000), 300000);
}

static void overflow_aligned(void) {
  char* p = mi_malloc_aligned(100, 256);
  write_at(p, 100);
}

static void overflow_zeroed(void) {
  write_at(mi_calloc(10, 10), 100);
}

static void overflow_shrunk(void) {
  write_at(mi_realloc(made(100), 90), 90);
}

static void overflow_grown(void) {
  write_at(mi_realloc(made(90), 100), 100);
}

static void overflow_heap(void) {
  write_at(mi_heap_malloc(mi_heap_new(), 100), 100);
}

static void overflow_nothing(void) {
  write_at(mi_malloc(0), 0);
}

static void freed_write(void) {
  char* p = made(100);
  mi_free(p);
  write_at(p, 50);
}

static void freed_read(void) {
  char* p = made(100);
  mi_free(p);
  read_at(p, 0);
}

static void freed_large(void) {
  char* p = made(300000);
  made(10);
  mi_free(p);
  write_at(p, 1000);
}

static void freed_by_realloc(void) {
  char* p = made(100);
  char* q = mi_realloc(p, 100000);
  if (q == p) abort();
  write_at(p, 0);
}

static void freed_with_heap(void) {
  mi_heap_t* heap = mi_heap_new();
  char* p = mi_heap_malloc(heap, 100);
  memset(p, 1, 100);
  mi_heap_destroy(heap);
  write_at(p, 0);
}

static void freed_with_heap_large(void) {
  mi_heap_t* heap = mi_heap_new();
  char* p = mi_heap_malloc(heap, 300000);
  memset(p, 1, 300000);
  mi_heap_destroy(heap);
  write_at(p, 1000);
}

static void* free_it(void* p) {
  mi_free(p);
  return NULL;
}

static void freed_by_thread(void) {
  char* p = made(100);
  pthread_t thread;
  if (pthread_create(&thread, NULL, free_it, p) != 0 || pthread_join(thread, NULL) != 0) abort();
  read_at(p, 0);
}

static void uninitialised(void) {  // Valgrind only
  volatile unsigned char* p = mi_malloc(100);
  if (p[5] == 3) sink = 1;
}

static void leak(void) {  // Valgrind only
  char* volatile p = NULL;
  for (int i = 0; i < 3; i++) p = made(1234);  // the library itself points to the first of a page
  p = NULL;
  (void)p;
}

// ---- none -----------------------------------------------------------------------------------------------------------

static uint32_t next_random(void) {
  static uint32_t state = 12345;
  state = state * 1664525 + 1013904223;
  return state >> 8;
}

static void* churn(void* arg) {
  enum { COUNT = 300, STEPS = 6000 };
  char* blocks[COUNT] = {0};
  size_t sizes[COUNT] = {0};
  (void)arg;
  for (int step = 0; step < STEPS; step++) {
    uint32_t i = next_random() % COUNT;
    size_t size = next_random() % (step % 50 == 0 ? 200000 : 2000);
    for (size_t k = 0; k < sizes[i]; k += 100) sink = (unsigned char)blocks[i][k];
    switch (next_random() % 5) {
      case 0:
        mi_free(blocks[i]);
        blocks[i] = mi_calloc(1, size);
        for (size_t k = 0; k < size; k++) {
          if (blocks[i][k] != 0) abort();
        }
        break;
      case 1:
        mi_free(blocks[i]);
        blocks[i] = mi_malloc_aligned(size, (size_t)16 << next_random() % 10);
        break;
      case 2:
        blocks[i] = mi_rezalloc(blocks[i], size);
        break;
      default:
        blocks[i] = mi_realloc(blocks[i], size);
    }
    if (blocks[i] == NULL) abort();
    sizes[i] = mi_usable_size(blocks[i]);
    if (sizes[i] < size) abort();
    memset(blocks[i], step, sizes[i]);
  }
  for (int i = 0; i < COUNT; i++) mi_free(blocks[i]);
  return NULL;
}

static void none(void) {
  churn(NULL);
  pthread_t thread;
  if (pthread_create(&thread, NULL, churn, NULL) != 0 || pthread_join(thread, NULL) != 0) abort();
  mi_heap_t* heap = mi_heap_new();
  for (size_t size = 0; size < 5000; size += 7) {
    char* p = mi_heap_zalloc(heap, size);
    for (size_t k = 0; k < size; k += 9) {
      if (p[k] != 0) abort();
    }
    if (size % 2 == 0) mi_free(p);
  }
  for (int i = 0; i < 5; i++) memset(mi_heap_malloc(heap, 300000), 1, 300000);  // no leak when the heap is destroyed
  mi_heap_destroy(heap);
  for (int i = 0; i < 200; i++) mi_free(made(5000));
  mi_collect(true);
}

static const named_case_t cases[] = {
    {"none", none},
    {"overflow", overflow},
    {"overread", overread},
    {"overflow-large", overflow_large},
    {"overflow-aligned", overflow_aligned},
    {"overflow-zeroed", overflow_zeroed},
    {"overflow-shrunk", overflow_shrunk},
    {"overflow-grown", overflow_grown},
    {"overflow-heap", overflow_heap},
    {"overflow-nothing", overflow_nothing},
    {"freed-write", freed_write},
    {"freed-read", freed_read},
    {"freed-large", freed_large},
    {"freed-by-realloc", freed_by_realloc},
    {"freed-with-heap", freed_with_heap},
    {"freed-with-heap-large", freed_with_heap_large},
    {"freed-by-thread", freed_by_thread},
    {"uninitialised", uninitialised},
    {"leak", leak},
    {NULL, NULL},
};

int main(int argc, char** argv) {
  return run_case(cases, argc, argv);
}
