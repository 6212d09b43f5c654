// What tests of reports share: the child that misuses its heap, calls that the compiler does not see through, and looking
// at what the child said.
#ifndef TEST_REPORTED_H
#define TEST_REPORTED_H

#include "child.h"

#include "mimalloc.h"

static child_t child;  // the last one

static inline void assert_says(const char* text) {
  if (strstr(child.text, text) != NULL) return;
  fail_msg("expected \"%s\" in:\n%s", text, child.text);
}

static inline void say(const char* text) {
  if (write(1, text, strlen(text)) < 0) _exit(1);
}

static inline char* take(size_t size) {
  char* volatile p = mi_malloc(size);
  return p;
}

static inline void give(void* p) {
  void* volatile q = p;
  mi_free(q);
}

static inline void touch(const char* p) {
  (void)*(const volatile char*)p;
}

#endif
