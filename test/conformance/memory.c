// The memory and string functions that the secure product's shared object checks: as the C library's, in results and in
// what they write and leave alone, for blocks and for other memory. That they stop at the end of a block is for the
// misuse tests. With the plain product, and linked statically, they are the C library's own.
#define _GNU_SOURCE
#include "symbol.h"

enum { ROOM = 300 };
static char source[ROOM], local[ROOM];

// The name, which must be the library's where it has it; each kind of function is called as another type.
static void* find(const char* name) {
  void* found = dlsym(RTLD_DEFAULT, name);
  Dl_info info;
  context("looking up %s", name);
  CHECK(found != NULL && dladdr(found, &info) != 0);
  bool shared = strstr(info.dli_fname, "libmimalloc-secure") != NULL;
  void* ours = dlsym(RTLD_DEFAULT, "mi_is_secure");
  CHECK(dladdr(ours, &info) != 0);
  bool preloaded = strstr(info.dli_fname, "libmimalloc") != NULL;
  context("%s is%s the library's", name, shared ? "" : " not");
  CHECK(shared == (is_secure() && preloaded));
  return found;
}

enum { CHECKED = 1, AT_END = 2 };  // called with the room as well; returns the end of what was written

typedef char* copy_t(char* to, const void* from, size_t n);
typedef char* copy_checked_t(char* to, const void* from, size_t n, size_t room);
typedef char* text_t(char* to, const char* from);
typedef char* text_checked_t(char* to, const char* from, size_t room);
typedef char* fill_t(char* to, int value, size_t n);
typedef char* fill_checked_t(char* to, int value, size_t n, size_t room);

static char* call_copy(void* function, int flags, char* to, const void* from, size_t n) {
  return flags & CHECKED ? ((copy_checked_t*)function)(to, from, n, ROOM) : ((copy_t*)function)(to, from, n);
}

static void copy_in(const char* name, int flags, char* to) {
  void* function = find(name);
  for (size_t n = 0; n < ROOM; n += 1 + n / 9) {
    context("%s of %zu bytes", name, n);
    fill(source, ROOM, 1);
    fill(to, ROOM, 2);
    char* end = call_copy(function, flags, to, source, n);
    CHECK(end == (flags & AT_END ? to + n : to) && filled(to, n, 1));
    fill(source, ROOM, 2);
    CHECK(memcmp(to + n, source + n, ROOM - n) == 0);
  }
}

static void overlap(const char* name, int flags) {
  void* function = find(name);
  for (int shift = -9; shift <= 9; shift++) {
    fill(local, ROOM, 3);
    fill(source, ROOM, 3);
    CHECK(call_copy(function, flags, local + 10 + shift, local + 10, 200) == local + 10 + shift);
    CHECK(memcmp(local + 10 + shift, source + 10, 200) == 0);
  }
}

static void fill_in(const char* name, int flags, char* to) {
  void* function = find(name);
  for (size_t n = 0; n < ROOM; n += 1 + n / 9) {
    fill(to, ROOM, 2);
    fill(source, ROOM, 2);
    char* end = flags & CHECKED ? ((fill_checked_t*)function)(to, 0x1F5, n, ROOM) : ((fill_t*)function)(to, 0x1F5, n);
    CHECK(end == to);
    for (size_t i = 0; i < n; i++) CHECK((unsigned char)to[i] == 0xF5);
    CHECK(memcmp(to + n, source + n, ROOM - n) == 0);
  }
}

// Copies a text, behind `before` when it is to be added.
static void text_in(const char* name, int flags, char* to, bool adds) {
  void* function = find(name);
  for (size_t n = 0; n < 200; n += 1 + n / 9) {
    context("%s of %zu characters", name, n);
    fill(to, ROOM, 2);
    strcpy(to, adds ? "before" : "x");
    size_t old = adds ? 6 : 0;
    memset(source, 'a', n);
    source[n] = 0;
    char after = to[old + n + 1];
    char* end = flags & CHECKED ? ((text_checked_t*)function)(to, source, ROOM) : ((text_t*)function)(to, source);
    CHECK(end == (flags & AT_END ? to + n : to));
    CHECK(strlen(to) == old + n && strcmp(to + old, source) == 0 && (!adds || memcmp(to, "before", 6) == 0));
    if (old + n + 1 > 7) CHECK(to[old + n + 1] == after);
  }
}

// At most `limit` characters: the rest of the limit is zeroed, or, when it adds, a 0 follows.
static void limited_in(const char* name, int flags, char* to, bool adds) {
  void* function = find(name);
  for (size_t limit = 0; limit < 100; limit += 7) {
    context("%s of at most %zu characters", name, limit);
    fill(to, ROOM, 2);
    if (adds) strcpy(to, "before");
    memset(source, 'a', 50);
    source[50] = 0;
    char* end = call_copy(function, flags, to, source, limit);
    size_t copied = limit < 50 ? limit : 50;
    CHECK(end == (flags & AT_END ? to + copied : to));
    if (adds) {
      CHECK(strlen(to) == 6 + copied && memcmp(to, "before", 6) == 0);
    } else {
      CHECK(memcmp(to, source, copied) == 0 && all_zero(to + copied, limit - copied));
    }
  }
}

#define IN_BOTH(call) \
  { \
    char* to = local; \
    call; \
    to = malloc(ROOM); \
    call; \
    free(to); \
  }
#define TEST(name, call) \
  static void test_##name(void) { \
    IN_BOTH(call) \
  }
TEST(memcpy, copy_in("memcpy", 0, to))
TEST(__memcpy_chk, copy_in("__memcpy_chk", CHECKED, to))
TEST(memmove, (copy_in("memmove", 0, to), overlap("memmove", 0)))
TEST(__memmove_chk, (copy_in("__memmove_chk", CHECKED, to), overlap("__memmove_chk", CHECKED)))
TEST(mempcpy, copy_in("mempcpy", AT_END, to))
TEST(__mempcpy, copy_in("__mempcpy", AT_END, to))
TEST(__mempcpy_chk, copy_in("__mempcpy_chk", AT_END | CHECKED, to))
TEST(memset, fill_in("memset", 0, to))
TEST(__memset_chk, fill_in("__memset_chk", CHECKED, to))
TEST(strcpy, text_in("strcpy", 0, to, false))
TEST(__strcpy_chk, text_in("__strcpy_chk", CHECKED, to, false))
TEST(stpcpy, text_in("stpcpy", AT_END, to, false))
TEST(__stpcpy, text_in("__stpcpy", AT_END, to, false))
TEST(__stpcpy_chk, text_in("__stpcpy_chk", AT_END | CHECKED, to, false))
TEST(strcat, text_in("strcat", 0, to, true))
TEST(__strcat_chk, text_in("__strcat_chk", CHECKED, to, true))
TEST(strncpy, limited_in("strncpy", 0, to, false))
TEST(__strncpy_chk, limited_in("__strncpy_chk", CHECKED, to, false))
TEST(stpncpy, limited_in("stpncpy", AT_END, to, false))
TEST(__stpncpy, limited_in("__stpncpy", AT_END, to, false))
TEST(__stpncpy_chk, limited_in("__stpncpy_chk", AT_END | CHECKED, to, false))
TEST(strncat, limited_in("strncat", 0, to, true))
TEST(__strncat_chk, limited_in("__strncat_chk", CHECKED, to, true))

// One a line, as CMakeLists.txt reads them.
// clang-format off
const case_t cases[] = {
  CASE(memcpy)
  CASE(__memcpy_chk)
  CASE(memmove)
  CASE(__memmove_chk)
  CASE(mempcpy)
  CASE(__mempcpy)
  CASE(__mempcpy_chk)
  CASE(memset)
  CASE(__memset_chk)
  CASE(strcpy)
  CASE(__strcpy_chk)
  CASE(stpcpy)
  CASE(__stpcpy)
  CASE(__stpcpy_chk)
  CASE(strcat)
  CASE(__strcat_chk)
  CASE(strncpy)
  CASE(__strncpy_chk)
  CASE(stpncpy)
  CASE(__stpncpy)
  CASE(__stpncpy_chk)
  CASE(strncat)
  CASE(__strncat_chk)
  {NULL, NULL, NULL}
};
// clang-format on
