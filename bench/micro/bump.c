/* bump.c - the floor: the cheapest allocator that keeps the rules in a single-threaded loop.
 *
 * malloc moves a pointer of the thread forward; free counts down, and when a thread has given everything
 * back its pointer returns to the start. No allocator that reuses single blocks can be cheaper than this,
 * so the distance to it is what an allocator's own work costs. Each thread has a range of 4 GiB of its
 * own; a block that another thread frees is simply never used again, and a program that keeps something
 * alive all the time runs through its range and is then stopped with a message: a floor, not an
 * allocator for real programs. It is preloaded like the others.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RANGE ((size_t)4 << 30)
#define EXPORT __attribute__((visibility("default")))

typedef struct bump_s {
  char* next;
  char* end;
  char* start;
  size_t live;
} bump_t;

static __thread __attribute__((tls_model("initial-exec"))) bump_t bump;

/* The first block of a thread, or no room; a size of 0 is one that overflowed when it was rounded. */
static __attribute__((noinline, cold)) void* bump_open(size_t size) {
  static const char spent[] = "bump: the range of a thread is used up\n";
  if (size - 1 >= RANGE) {
    errno = ENOMEM;
    return NULL;
  }
  void* range = bump.start != NULL ? MAP_FAILED
              : mmap(NULL, RANGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (range == MAP_FAILED) {
    if (write(STDERR_FILENO, spent, sizeof(spent) - 1) < 0) _exit(3);
    abort();
  }
  bump.start = range;
  bump.end = bump.start + RANGE;
  bump.next = bump.start + size;
  bump.live = 1;
  return bump.start;
}

EXPORT void* malloc(size_t size) {
  size = (size + 16) & ~(size_t)15;
  char* p = bump.next;
  if (__builtin_expect(size - 1 >= (size_t)(bump.end - p), 0)) return bump_open(size);
  bump.next = p + size;
  bump.live++;
  return p;
}

EXPORT void free(void* p) {
  if (__builtin_expect((size_t)((char*)p - bump.start) >= RANGE, 0)) return;
  if (--bump.live == 0) bump.next = bump.start;
}

/* Memory before the pointer is dirty once it has gone back, so nothing is zero by itself. */
EXPORT void* calloc(size_t count, size_t size) {
  size_t total;
  if (__builtin_mul_overflow(count, size, &total)) total = SIZE_MAX - 16;
  void* p = malloc(total);
  return p == NULL ? NULL : memset(p, 0, total);
}

/* The old size is not known; what lies behind the block is readable as far as the new block's start. */
EXPORT void* realloc(void* old, size_t size) {
  char* p = malloc(size);
  if (p == NULL || old == NULL) return p;
  size_t distance = (size_t)(p - (char*)old);
  memcpy(p, old, distance < size ? distance : size);
  free(old);
  return p;
}

EXPORT void* memalign(size_t alignment, size_t size) {
  char* p = malloc(size + alignment);
  return p == NULL ? NULL : (void*)(((uintptr_t)p + alignment - 1) & ~(uintptr_t)(alignment - 1));
}

EXPORT void* aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

EXPORT int posix_memalign(void** out, size_t alignment, size_t size) {
  *out = memalign(alignment, size);
  return *out == NULL ? ENOMEM : 0;
}
