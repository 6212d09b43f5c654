// Checked memory and string functions: what memory.c (the checks) and override_memory.c (libc's names) share, and the
// list of the functions. Tests and fuzzers call the sec_checked_ forms directly.
#ifndef SEC_MEMORY_H
#define SEC_MEMORY_H

#include <stddef.h>

// X(result, name, (parameters), (arguments))
#define SEC_MEMORY_FUNCTIONS(X)                                                                                \
  X(void*, memcpy, (void* to, const void* from, size_t size), (to, from, size))                                \
  X(void*, memmove, (void* to, const void* from, size_t size), (to, from, size))                               \
  X(void*, mempcpy, (void* to, const void* from, size_t size), (to, from, size))                               \
  X(void*, memset, (void* to, int byte, size_t size), (to, byte, size))                                        \
  X(char*, strcpy, (char* to, const char* from), (to, from))                                                   \
  X(char*, stpcpy, (char* to, const char* from), (to, from))                                                   \
  X(char*, strncpy, (char* to, const char* from, size_t size), (to, from, size))                               \
  X(char*, stpncpy, (char* to, const char* from, size_t size), (to, from, size))                               \
  X(char*, strcat, (char* to, const char* from), (to, from))                                                   \
  X(char*, strncat, (char* to, const char* from, size_t size), (to, from, size))

// What programs compiled with _FORTIFY_SOURCE call; `room` is what the compiler knows of the destination.
#define SEC_FORTIFIED_FUNCTIONS(X)                                                                             \
  X(void*, __memcpy_chk, (void* to, const void* from, size_t size, size_t room), (to, from, size, room))       \
  X(void*, __memmove_chk, (void* to, const void* from, size_t size, size_t room), (to, from, size, room))      \
  X(void*, __mempcpy_chk, (void* to, const void* from, size_t size, size_t room), (to, from, size, room))      \
  X(void*, __memset_chk, (void* to, int byte, size_t size, size_t room), (to, byte, size, room))               \
  X(char*, __strcpy_chk, (char* to, const char* from, size_t room), (to, from, room))                          \
  X(char*, __stpcpy_chk, (char* to, const char* from, size_t room), (to, from, room))                          \
  X(char*, __strncpy_chk, (char* to, const char* from, size_t size, size_t room), (to, from, size, room))      \
  X(char*, __stpncpy_chk, (char* to, const char* from, size_t size, size_t room), (to, from, size, room))      \
  X(char*, __strcat_chk, (char* to, const char* from, size_t room), (to, from, room))                          \
  X(char*, __strncat_chk, (char* to, const char* from, size_t size, size_t room), (to, from, size, room))

// sec_checked_NAME: reports if NAME would leave a block, then does what NAME does. errno is kept.
#define DECLARE(result, name, parameters, arguments) result sec_checked_##name parameters;
SEC_MEMORY_FUNCTIONS(DECLARE)
#ifdef __GLIBC__
SEC_FORTIFIED_FUNCTIONS(DECLARE)
#endif
#undef DECLARE

#endif
