// Matching of simple patterns; pattern.h says what they mean. Plain recursion: patterns are short and written by us.
#include "pattern.h"

#include <ctype.h>
#include <string.h>

static bool match(const char* p, const char* end, const char* t, const char* text_end);

static bool is_word(const char* start, const char* end, const char* word) {
  return (size_t)(end - start) == strlen(word) && memcmp(start, word, strlen(word)) == 0;
}

// As many digits as there are, then fewer, until the rest fits.
static bool match_digits(const char* rest, const char* end, const char* t, const char* text_end, bool hex) {
  const char* stop = t;
  while (stop < text_end && (hex ? isxdigit((unsigned char)*stop) : isdigit((unsigned char)*stop))) stop++;
  for (; stop > t; stop--) {
    if (match(rest, end, stop, text_end)) return true;
  }
  return false;
}

static bool match_brace(const char* p, const char* end, const char* t, const char* text_end) {
  const char* close = memchr(p, '}', (size_t)(end - p));
  if (close == NULL) return false;
  const char* rest = close + 1;
  if (is_word(p + 1, close, "dec")) return match_digits(rest, end, t, text_end, false);
  if (is_word(p + 1, close, "hex")) {
    return text_end - t > 2 && t[0] == '0' && t[1] == 'x' && match_digits(rest, end, t + 2, text_end, true);
  }
  for (const char* word = p + 1; word <= close;) {
    const char* stop = word;
    while (*stop != '|' && stop < close) stop++;
    size_t length = (size_t)(stop - word);
    if ((size_t)(text_end - t) >= length && memcmp(t, word, length) == 0 &&
        match(rest, end, t + length, text_end)) {
      return true;
    }
    word = stop + 1;
  }
  return false;
}

static bool match(const char* p, const char* end, const char* t, const char* text_end) {
  for (; p < end; p++, t++) {
    if (*p == '*') {
      for (; t <= text_end; t++) {
        if (match(p + 1, end, t, text_end)) return true;
      }
      return false;
    }
    if (*p == '{') return match_brace(p, end, t, text_end);
    if (t == text_end) return false;
    if (*p == '?') continue;
    if (*p == '\\' && p + 1 < end) p++;
    if (*p != *t) return false;
  }
  return t == text_end;
}

bool pattern_matches(const char* pattern, const char* text, size_t length) {
  return match(pattern, pattern + strlen(pattern), text, text + length);
}
