// For the programs that are linked with the library and call its mi_ functions: blocks are theirs; and adaptors, which
// make every allocating function one of a size, or of a size and an alignment, and every reallocating one of a size.
#ifndef MI_H
#define MI_H

#include "conform.h"

#include "mimalloc-secure.h"
#include "mimalloc.h"

release_t* const release = mi_free;

size_t usable(const void* p) {
  return mi_usable_size(p);
}

#define MAKE(name, call) \
  static void* make_##name(size_t size) { \
    return call; \
  }
#define MAKE_ALIGNED(name, call) \
  static void* aligned_##name(size_t size, size_t alignment) { \
    return call; \
  }
#define RESIZE(name, call) \
  static void* resize_##name(void* p, size_t size) { \
    return call; \
  }

#define MIB ((size_t)1 << 20)

// More than a few pages of every size.
enum { MANY = 100000 };
static void* many[MANY];

static inline void use_and_free(size_t size) {
  for (size_t i = 0; i < MANY; i++) many[i] = memset(mi_malloc(size), 1, size);
  for (size_t i = 0; i < MANY; i++) mi_free(many[i]);
}

#endif
