// A parser of a small format, with five heap bugs planted in it, for scripts/detect.sh: which tools notice them, and at
// what cost? It is built as any program is; nothing in it knows of the tools.
//
//   file:    records, one behind the other      record:  kind, length (2 bytes, low one first), bytes
//
//   'n'  a name: copied with its terminator                      bug 1: no room for the terminator of a long one
//   'v'  numbers: summed up in a table                           bug 2: the table is written to after 'x' freed it
//   'x'  forgets the table                                       bug 3: twice, if it comes twice after 'd'
//   't'  text: leading blanks are skipped before it is freed     bug 4: by the pointer that was moved
//   'p'  a picture of a width: a row is read                     bug 5: behind its end, if the width is above its bytes
//   'd'  keeps the pointer of a table that is forgotten
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t* table;
static int keeps;
static volatile unsigned sum;

static void name(const uint8_t* bytes, size_t length) {
  char* copy = malloc(length < 24 ? length + 1 : length);
  if (copy == NULL) return;
  for (size_t i = 0; i < length; i++) copy[i] = (char)bytes[i];
  copy[length] = 0;
  sum += (unsigned char)copy[0];
  free(copy);
}

static void numbers(const uint8_t* bytes, size_t length) {
  if (table == NULL) table = calloc(1, 64);
  if (table == NULL) return;
  for (size_t i = 0; i < length; i++) table[bytes[i] % 64] = (uint8_t)(table[bytes[i] % 64] + 1);
}

static void forget(void) {
  free(table);
  if (!keeps) table = NULL;
}

static void text(const uint8_t* bytes, size_t length) {
  char* copy = malloc(length + 1);
  if (copy == NULL) return;
  memcpy(copy, bytes, length);
  copy[length] = 0;
  while (*copy == ' ') copy++;
  sum += (unsigned)strlen(copy);
  free(copy);
}

static void picture(const uint8_t* bytes, size_t length) {
  if (length < 2) return;
  size_t width = (size_t)bytes[0] | (size_t)bytes[1] << 8;
  uint8_t* pixels = malloc(length - 2 + 65536);
  if (pixels == NULL) return;
  memset(pixels, 1, length - 2 + 65536);
  for (size_t i = 0; i < width; i++) sum += pixels[length - 2 + 65536 - 16 + i];
  free(pixels);
}

int main(int argc, char** argv) {
  static uint8_t data[1 << 16];
  FILE* file = argc == 2 ? fopen(argv[1], "rb") : stdin;
  if (file == NULL) return 2;
  size_t size = fread(data, 1, sizeof(data), file);
  for (size_t at = 0; at + 3 <= size;) {
    size_t length = (size_t)data[at + 1] | (size_t)data[at + 2] << 8;
    const uint8_t* bytes = data + at + 3;
    if (length > size - at - 3) break;
    switch (data[at]) {
      case 'n': name(bytes, length); break;
      case 'v': numbers(bytes, length); break;
      case 'x': forget(); break;
      case 't': text(bytes, length); break;
      case 'p': picture(bytes, length); break;
      case 'd': keeps = 1; break;
      default: break;
    }
    at += 3 + length;
  }
  for (int i = 0; i < 256; i++) {  // what a program goes on to do
    void* p = malloc(64);
    sum += p != NULL;
    free(p);
  }
  return 0;
}
