// Writes past the end of a block by functions of the C library and by the kernel, as they happen in real programs.
#define _GNU_SOURCE
#include "misuse.h"

#include <stdio.h>
#include <unistd.h>

// A string of that length, outside of the heap.
static char* long_string(size_t length) {
  memset(elsewhere, 's', length);
  elsewhere[length] = 0;
  return hide(elsewhere);
}

static void* (*volatile copy_memory)(void*, const void*, size_t) = memcpy;
static void* (*volatile move_memory)(void*, const void*, size_t) = memmove;
static void* (*volatile set_memory)(void*, int, size_t) = memset;
static char* (*volatile copy_string)(char*, const char*) = strcpy;
static char* (*volatile copy_string_end)(char*, const char*) = stpcpy;
static char* (*volatile copy_string_n)(char*, const char*, size_t) = strncpy;
static char* (*volatile append_string)(char*, const char*) = strcat;
static int (*volatile print_string)(char*, const char*, ...) = sprintf;
static int (*volatile print_string_n)(char*, size_t, const char*, ...) = snprintf;

static verdict_t memcpy_by(size_t size, size_t more) {
  char* p = crowd(size);
  memset(elsewhere, 'm', size + more);
  at(MISUSE);
  copy_memory(p, elsewhere, size + more);
  return settle(p, size);
}

static verdict_t memcpy_1(size_t size) { return memcpy_by(size, 1); }
static verdict_t memcpy_16(size_t size) { return memcpy_by(size, 16); }
static verdict_t memcpy_n(size_t size) { return memcpy_by(size, size); }
static verdict_t memcpy_64k(size_t size) { return memcpy_by(size, 65536); }

// A length that became negative: the copy runs until something stops it.
static verdict_t memcpy_negative(size_t size) {
  char* p = crowd(size);
  at(MISUSE);
  copy_memory(p, elsewhere, hide_number((uintptr_t)-(intptr_t)size - 1));
  return settle(p, size);
}

static verdict_t memmove_1(size_t size) {
  char* p = crowd(size);
  memset(elsewhere, 'm', size + 1);
  at(MISUSE);
  move_memory(p, elsewhere, size + 1);
  return settle(p, size);
}

// Making room for one element in a full array.
static verdict_t memmove_inside(size_t size) {
  char* p = crowd(size);
  fill(p, size);
  at(MISUSE);
  move_memory(p + 1, p, size);
  return settle(p, size);
}

static verdict_t memset_1(size_t size) {
  char* p = crowd(size);
  at(MISUSE);
  set_memory(p, 0, size + 1);
  return settle(p, size);
}

// sizeof of the wrong thing: much too much is cleared.
static verdict_t memset_4k(size_t size) {
  char* p = crowd(size);
  at(MISUSE);
  set_memory(p, 0, size + 4096);
  return settle(p, size);
}

static verdict_t strcpy_terminator(size_t size) {
  char* p = crowd(size);
  char* string = long_string(size);
  at(MISUSE);
  copy_string(p, string);
  return settle(p, size);
}

static verdict_t strcpy_long(size_t size) {
  char* p = crowd(size);
  char* string = long_string(size + 40);
  at(MISUSE);
  copy_string(p, string);
  return settle(p, size);
}

static verdict_t stpcpy_terminator(size_t size) {
  char* p = crowd(size);
  char* string = long_string(size);
  at(MISUSE);
  copy_string_end(p, string);
  return settle(p, size);
}

// strncpy fills up to the length it is told, with zeros.
static verdict_t strncpy_padding(size_t size) {
  char* p = crowd(size);
  at(MISUSE);
  copy_string_n(p, "x", size + 8);
  return settle(p, size);
}

static verdict_t strcat_terminator(size_t size) {
  char* p = crowd(size);
  char* string = long_string(size);
  p[0] = 0;
  at(MISUSE);
  append_string(p, string);
  return settle(p, size);
}

static verdict_t sprintf_terminator(size_t size) {
  char* p = crowd(size);
  char* string = long_string(size);
  at(MISUSE);
  print_string(p, "%s", string);
  return settle(p, size);
}

// The length given to snprintf is that of another buffer.
static verdict_t snprintf_wrong_size(size_t size) {
  char* p = crowd(size);
  char* string = long_string(size + 20);
  at(MISUSE);
  print_string_n(p, size * 2 + 64, "%s", string);
  return settle(p, size);
}

// The kernel writes past the end: read(2) with the wrong length.
static verdict_t read_too_much(size_t size) {
  char* p = crowd(size);
  FILE* file = tmpfile();
  if (file == NULL || ftruncate(fileno(file), (off_t)size + 32) != 0) return SET_UP_FAILED;
  at(MISUSE);
  ssize_t got = read(fileno(file), p, size + 32);
  if (got < (ssize_t)size + 32) {
    settle(p, size);
    return PREVENTED;  // the kernel noticed that the memory ends
  }
  return settle(p, size);
}

static const kind_t kinds[] = {
  {"memcpy-1", memcpy_1, "memcpy of one byte too many", 0},
  {"memcpy-16", memcpy_16, "memcpy of 16 bytes too many", 0},
  {"memcpy-n", memcpy_n, "memcpy of twice the size", 0},
  {"memcpy-64k", memcpy_64k, "memcpy of 64 KiB too many", 0},
  {"memcpy-negative", memcpy_negative, "memcpy with a length that became negative", 0},
  {"memmove-1", memmove_1, "memmove of one byte too many", 0},
  {"memmove-inside", memmove_inside, "memmove of the contents up by one byte", 0},
  {"memset-1", memset_1, "memset of one byte too many, to zero", 0},
  {"memset-4k", memset_4k, "memset of 4 KiB too many, to zero", 0},
  {"strcpy-terminator", strcpy_terminator, "strcpy of n characters: the terminator does not fit", 0},
  {"strcpy-long", strcpy_long, "strcpy of n + 40 characters", 0},
  {"stpcpy-terminator", stpcpy_terminator, "stpcpy of n characters", 0},
  {"strncpy-padding", strncpy_padding, "strncpy told n + 8, pads with zeros", 0},
  {"strcat-terminator", strcat_terminator, "strcat that makes n characters", 0},
  {"sprintf-terminator", sprintf_terminator, "sprintf of n characters", 0},
  {"snprintf-wrong-size", snprintf_wrong_size, "snprintf told twice the size", 0},
  {"read-too-much", read_too_much, "read(2) of n + 32 bytes", 0},
};
const group_t copy_group = {"copy", KINDS(kinds)};
