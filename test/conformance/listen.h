// For the programs about what the library says: a function that can be registered for its output, and keeps the text.
#ifndef LISTEN_H
#define LISTEN_H

#include "conform.h"

static char said[200000];
static size_t said_length, said_pieces;
static void* said_arg;

static inline void listen_to(const char* text, void* arg) {
  size_t length = strlen(text);
  if (said_length + length < sizeof(said)) memcpy(said + said_length, text, length + 1);
  said_length += length;
  said_pieces++;
  said_arg = arg;
}

static inline void forget(void) {
  said_length = said_pieces = 0;
  said[0] = 0;
  said_arg = NULL;
}

static inline bool has(const char* text) {
  return strstr(said, text) != NULL;
}

#endif
