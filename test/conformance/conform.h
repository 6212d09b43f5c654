// What the conformance programs share: a program is a table of cases, one for each exported name, and main here runs
// them by name. A case fails by CHECK, which says where and in which context, and ends the program.
//
//   PROGRAM NAME               runs one case
//   PROGRAM all                runs each in a process of its own
//   PROGRAM oom                each case that has a function to allocate with, in a process of little address space
//   PROGRAM --list             the names
//
// The generic checks take the function under test as a parameter and hold for every allocating function: size 0,
// alignment, zeroing, contents kept, errno, impossible sizes, exhaustion.
#ifndef CONFORM_H
#define CONFORM_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void* make_t(size_t size);
typedef void* make_aligned_t(size_t size, size_t alignment);
typedef void* resize_t(void* p, size_t size);
typedef void release_t(void* p);

typedef struct case_s {
  const char* name;
  void (*run)(void);
  make_t* make;  // for exhaustion; NULL when it does not allocate
} case_t;

#ifndef __cplusplus
#define CASE(name) {#name, test_##name, NULL},
#define CASE_OOM(name, make) {#name, test_##name, make},
#endif

// Of each program: its cases, ended by a NULL name; how its blocks are freed and measured; what to do at start, if
// anything.
extern const case_t cases[];
extern release_t* const release;
size_t usable(const void* p);
void prepare(void);

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

void failed(const char* file, int line, const char* what) __attribute__((noreturn));
// What the next checks are about, for the message.
void context(const char* format, ...) __attribute__((format(printf, 1, 2)));
#define CHECK(condition) ((condition) ? (void)0 : failed(__FILE__, __LINE__, #condition))

// Hides a value from the compiler.
void* hide(void* p);
size_t hide_size(size_t size);

// Bytes of a pattern that depends on the seed.
void fill(void* p, size_t size, unsigned seed);
bool filled(const void* p, size_t size, unsigned seed);
bool all_zero(const void* p, size_t size);

extern const size_t sizes[];  // ended by 0, which is not one of them
extern const size_t impossible[];

enum {
  ZEROED = 1,         // blocks are all zero
  RETURNS_ERROR = 2,  // errno is left alone: the adaptor of the test maps the result
  ZERO_FREES = 4,     // resizing to 0 frees and returns NULL
  FREES_ON_FAILURE = 8,
  THROWS = 16,  // impossible sizes are not tried
};

// make(size): blocks of every size, aligned to 16.
void check_make(make_t* make, int flags);
// make(size, alignment): every power of two up to 1 GiB, from `least` on.
void check_make_aligned(make_aligned_t* make, size_t least, int flags);
// Alignments that are none give NULL and EINVAL.
void check_bad_alignments(make_aligned_t* make);
// Both of these, for functions that take every power of two.
void check_aligned(make_aligned_t* make, int flags);
// resize(p, size) of blocks of `make`, which must come zeroed when ZEROED is said: then gained bytes must be zero.
void check_resize(resize_t* resize, make_t* make, size_t alignment, int flags);
// `first` allocates until there is no memory: NULL and ENOMEM, and afterwards it works again.
void check_exhaustion(make_t* make);

#ifdef __cplusplus
}
#endif

#endif
