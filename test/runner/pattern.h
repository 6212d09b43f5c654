// Simple patterns for lines of text, so that a test can state a message exactly but for its addresses:
//   *      any characters, also none           ?      one character
//   {hex}  0x and one or more hex digits       {dec}  one or more decimal digits
//   {a|b}  one of the words, tried in order    \      takes the next character as it stands
// Everything else stands for itself. A pattern matches the whole line.
#ifndef TEST_PATTERN_H
#define TEST_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

// `text` need not end in a zero byte. A pattern whose brace is never closed matches nothing.
bool pattern_matches(const char* pattern, const char* text, size_t length);

#endif
