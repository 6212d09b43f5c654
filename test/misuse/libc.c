// Misuse by way of the C library, which allocates and frees on behalf of the program: streams closed twice, buffers
// freed under a stream, results of functions that are not to be freed, and those that do not hold enough.
#define _GNU_SOURCE
#include "misuse.h"

#include <dirent.h>
#include <malloc.h>
#include <netdb.h>
#include <regex.h>
#include <stdio.h>
#include <unistd.h>

static char* long_string(size_t length) {
  memset(elsewhere, 's', length);
  elsewhere[length] = 0;
  return hide(elsewhere);
}

static verdict_t fclose_twice(size_t size) {
  FILE* file = fopen("/dev/zero", "r");
  crowd(size);
  if (file == NULL || fclose(file) != 0) return SET_UP_FAILED;
  about(file, sizeof(FILE));
  at(MISUSE);
  fclose(hide(file));
  return handed_out(sizeof(FILE), NULL, 0);
}

static verdict_t closedir_twice(size_t size) {
  DIR* directory = opendir("/");
  crowd(size);
  if (directory == NULL || closedir(directory) != 0) return SET_UP_FAILED;
  about(directory, 32768);
  at(MISUSE);
  closedir(hide(directory));
  return handed_out(size, NULL, 0);
}

static verdict_t freeaddrinfo_twice(size_t size) {
  struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
  struct addrinfo* found = NULL;
  crowd(size);
  if (getaddrinfo("127.0.0.1", "80", &hints, &found) != 0) return SET_UP_FAILED;
  freeaddrinfo(found);
  about(found, sizeof(*found));
  at(MISUSE);
  freeaddrinfo(hide(found));
  return handed_out(sizeof(struct addrinfo), NULL, 0);
}

// A copy of the structure is freed as well.
static verdict_t regfree_copy(size_t size) {
  regex_t expression, copy;
  crowd(size);
  if (regcomp(&expression, "a(b|c)*d", REG_EXTENDED) != 0) return SET_UP_FAILED;
  copy = expression;
  regfree(&expression);
  about(NULL, 0);
  at(MISUSE);
  regfree(&copy);
  return handed_out(size, NULL, 0);
}

// The line buffer was freed, and getline enlarges it.
static verdict_t getline_freed(size_t size) {
  char* line = crowd(size);
  size_t room = size;
  FILE* file = fmemopen(long_string(size * 2 + 200), size * 2 + 200, "r");
  if (file == NULL) return SET_UP_FAILED;
  free(hide(line));
  at(MISUSE);
  if (getline(&line, &room, file) < 0) return PREVENTED;  // realloc refused
  return handed_out(size, NULL, 0);
}

static verdict_t getline_stack(size_t size) {
  char area[64] = {0};
  char* line = hide(area + 16);
  size_t room = 16;
  FILE* file = fmemopen(long_string(size + 200), size + 200, "r");
  if (file == NULL) return SET_UP_FAILED;
  at(MISUSE);
  if (getline(&line, &room, file) < 0) return PREVENTED;  // realloc refused
  return handed_out(size, area, sizeof(area));
}

// The program freed the buffer it had given to a stream, and goes on writing to the stream.
static verdict_t stream_buffer_freed(size_t size) {
  char* buffer = crowd(size);
  FILE* file = fopen("/dev/null", "w");
  if (file == NULL || setvbuf(file, buffer, _IOFBF, size) != 0) return SET_UP_FAILED;
  free(hide(buffer));
  at(MISUSE);
  for (size_t i = 0; i < size; i++) fputc('W', file);
  at(REUSE);
  churn(size);
  return MISSED;
}

// The stream was told that its buffer is larger than it is.
static verdict_t stream_buffer_too_small(size_t size) {
  char* buffer = crowd(size);
  FILE* file = fopen("/dev/null", "w");
  if (file == NULL || setvbuf(file, buffer, _IOFBF, size + 64) != 0) return SET_UP_FAILED;
  at(MISUSE);
  for (size_t i = 0; i < size + 64; i++) fputc('W', file);
  return settle(buffer, size);
}

// The program frees what open_memstream gave it while the stream is still open; closing it writes there.
static verdict_t memstream_freed(size_t size) {
  char* buffer = NULL;
  size_t length = 0;
  FILE* file = open_memstream(&buffer, &length);
  if (file == NULL) return SET_UP_FAILED;
  for (size_t i = 0; i < size; i++) fputc('m', file);
  fflush(file);
  about(buffer, length);
  free(hide(buffer));
  at(MISUSE);
  for (size_t i = 0; i < size * 2 + 100; i++) fputc('W', file);
  fclose(file);
  return handed_out(size, NULL, 0);
}

static verdict_t memstream_freed_twice(size_t size) {
  char* buffer = NULL;
  size_t length = 0;
  FILE* file = open_memstream(&buffer, &length);
  if (file == NULL) return SET_UP_FAILED;
  for (size_t i = 0; i < size; i++) fputc('m', file);
  fclose(file);
  about(buffer, length);
  free(hide(buffer));
  at(MISUSE);
  free(hide(buffer));
  return handed_out(size, NULL, 0);
}

static verdict_t strdup_twice(size_t size) {
  char* copy = hide(strdup(long_string(size)));
  about(copy, size + 1);
  free(copy);
  at(MISUSE);
  free(copy);
  return handed_out(size + 1, NULL, 0);
}

// A character is appended to a copy that has no room for it.
static verdict_t strdup_append(size_t size) {
  char* copy = hide(strdup(long_string(size)));
  about(copy, size + 1);
  at(MISUSE);
  poke(copy, (ptrdiff_t)size, '/');
  poke(copy, (ptrdiff_t)size + 1, 0);
  return settle(copy, size + 1);
}

static verdict_t asprintf_append(size_t size) {
  char* text = NULL;
  if (asprintf(&text, "%s", long_string(size)) < 0) return SET_UP_FAILED;
  about(text, size + 1);
  at(MISUSE);
  strcat(hide(text), "!");
  return settle(text, size + 1);
}

static verdict_t realpath_twice(size_t size) {
  crowd(size);
  char* path = hide(realpath("/proc/self", NULL));
  about(path, 1);
  free(path);
  at(MISUSE);
  free(path);
  return handed_out(strlen("/proc/1234567") + 1, NULL, 0);
}

static verdict_t getenv_freed(size_t size) {
  crowd(size);
  char* value = getenv("PATH");
  if (value == NULL) return SET_UP_FAILED;
  about(value, 1);
  at(MISUSE);
  free(hide(value));
  return handed_out(size, value, strlen(value));
}

// The environment refers to a block that is freed, and its former owner writes into it.
static verdict_t putenv_freed(size_t size) {
  char* setting = crowd(size + 8);
  memcpy(setting, "MISUSE=", 8);
  memset(setting + 7, 'e', size);
  setting[size + 7] = 0;
  if (putenv(setting) != 0) return SET_UP_FAILED;
  free(hide(setting));
  at(MISUSE);
  char* value = getenv("MISUSE");
  return value != NULL && (size == 0 || *value == 'e') ? MISSED : PREVENTED;
}

static verdict_t usable_size_ignored(size_t size) {
  char* p = crowd(size);
  size_t usable = malloc_usable_size(p);
  at(MISUSE);
  poke_run(p, (ptrdiff_t)usable, 1, 0);
  return settle(p, size);
}

static const kind_t kinds[] = {
  {"fclose-twice", fclose_twice, "a stream is closed twice", 0},
  {"closedir-twice", closedir_twice, "a directory is closed twice", 0},
  {"freeaddrinfo-twice", freeaddrinfo_twice, "addresses are given back twice", 0},
  {"regfree-copy", regfree_copy, "a regular expression and its copy are given back", 0},
  {"getline-freed", getline_freed, "getline gets a buffer that was freed", 1},
  {"getline-stack", getline_stack, "getline gets a buffer on the stack", 0},
  {"stream-buffer-freed", stream_buffer_freed, "the buffer of an open stream was freed", 1},
  {"stream-buffer-too-small", stream_buffer_too_small, "the buffer of a stream is 64 bytes too small", 1},
  {"memstream-freed", memstream_freed, "the buffer of an open memory stream was freed", 0},
  {"memstream-freed-twice", memstream_freed_twice, "the buffer of a closed memory stream is freed twice", 0},
  {"strdup-twice", strdup_twice, "the result of strdup is freed twice", 0},
  {"strdup-append", strdup_append, "a character is appended to the result of strdup", 0},
  {"asprintf-append", asprintf_append, "strcat to the result of asprintf", 0},
  {"realpath-twice", realpath_twice, "the result of realpath is freed twice", 0},
  {"getenv-freed", getenv_freed, "the result of getenv is freed", 0},
  {"putenv-freed", putenv_freed, "a block is freed that is part of the environment", 0},
  {"past-usable-size", usable_size_ignored, "the byte behind what malloc_usable_size allows becomes 0", 0},
};
const group_t libc_group = {"libc", KINDS(kinds)};
