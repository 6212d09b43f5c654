// For the programs that talk to libc's names: blocks are libc's, and every name is looked up at run time, so that those
// the C library does not have can be called too. It must come from the library under test.
#ifndef SYMBOL_H
#define SYMBOL_H

#include "conform.h"

#include <dlfcn.h>
#include <malloc.h>

static void free_block(void* p) {
  free(p);
}
release_t* const release = free_block;

size_t usable(const void* p) {
  return malloc_usable_size((void*)(uintptr_t)p);
}

// The name under test is the library's, not the C library's.
static inline void* symbol(const char* name) {
  void* found = dlsym(RTLD_DEFAULT, name);
  context("looking up %s", name);
  CHECK(found != NULL);
  Dl_info info;
  CHECK(dladdr(found, &info) != 0);
  context("%s comes from %s", name, info.dli_fname);
  CHECK(strstr(info.dli_fname, "libmimalloc") != NULL || strstr(info.dli_fname, "conform") != NULL);
  return found;
}

void prepare(void) {
  symbol("malloc");
}

#define LOOK_UP(result, name, ...) result (*name##_)(__VA_ARGS__) = (result(*)(__VA_ARGS__))symbol(#name)

static inline bool is_secure(void) {
  bool (*secure)(void) = (bool (*)(void))dlsym(RTLD_DEFAULT, "mi_is_secure");
  return secure != NULL && secure();
}

#endif
