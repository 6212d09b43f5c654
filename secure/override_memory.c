// libc's memory and string functions under their own names, for the shared secure library: each is one jump through a
// table, to libc's own function or, where the policy has SEC_CHECKED_MEMORY, to its checked form (memory.c).
//
//   program --> memcpy --> `go` ------------------------> libc's memcpy             (default)
//                           `----> sec_checked_memcpy --> `next` --> libc's memmove (checked)
//   this library ---------> __wrap_memcpy --------------> `next` --> libc's memmove (always)
//
// The library's own calls must not be checked: it wipes freed blocks. The linker directs them past the exported names
// (--wrap, cmake/Product.cmake). Calls from inside libc do not come here.
//
// The table is filled in by a constructor of the library and then sealed: what a program's copies jump through must not
// be writable. Before that, when the loader runs constructors of other libraries, the checked forms serve (which report
// nothing while the policy does not say so), on plain loops. Not by an IFUNC, which would save the jump: a resolver runs
// before it may read anything (the policy, libc's functions), and the loader prints a warning for each library that
// binds to one which is relocated later.
//
// memcpy is memmove here, as in every libc that programs are run with: those linked before glibc 2.14 rely on it, and
// their memcpy and today's are one name for the loader.
#undef _FORTIFY_SOURCE
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>

#include "secure.h"

#include "memory.h"

#ifdef __GLIBC__
#define FUNCTIONS(X) SEC_MEMORY_FUNCTIONS(X) SEC_FORTIFIED_FUNCTIONS(X)
#else
#define FUNCTIONS(X) SEC_MEMORY_FUNCTIONS(X)
#endif

// ---- until the table is filled in -----------------------------------------------------------------------------------

// Volatile: a loop that the compiler recognises becomes a call of what it is.
static void* early_memmove(void* to, const void* from, size_t size) {
  volatile char* target = to;
  const volatile char* source = from;
  if ((uintptr_t)to - (uintptr_t)from >= size) {
    for (size_t i = 0; i < size; i++) target[i] = source[i];
  } else {
    while (size-- > 0) target[size] = source[size];
  }
  return to;
}

static void* early_memset(void* to, int byte, size_t size) {
  volatile char* target = to;
  for (size_t i = 0; i < size; i++) target[i] = (char)byte;
  return to;
}

// ---- the table ------------------------------------------------------------------------------------------------------

typedef struct calls_s {
#define MEMBER(result, name, parameters, arguments) result(*name) parameters;
  FUNCTIONS(MEMBER)
} calls_t;

#define EARLY(result, name, parameters, arguments) .name = sec_checked_##name,

// Has an OS page of its own, to be sealed.
static struct __attribute__((aligned(4096))) {
  calls_t go;  // what the exported names call
  struct {
    void* (*memmove)(void*, const void*, size_t);
    void* (*memset)(void*, int, size_t);
  } next;  // what the library itself calls
} table = {.go = {FUNCTIONS(EARLY)}, .next = {early_memmove, early_memset}};

#define SET(member, function) __atomic_store_n(&(member), function, __ATOMIC_RELAXED)

// libc's function behind ours. dlsym may allocate, and so come back here: the table serves all the while.
#define FIND(result, name, parameters, arguments) \
  if (!checked) { \
    void* found = dlsym(RTLD_NEXT, strcmp(#name, "memcpy") == 0 ? "memmove" : #name); \
    if (found != NULL) SET(table.go.name, (result(*) parameters)(uintptr_t)found); \
  }

static void fill_in(bool checked) {
  void* move = dlsym(RTLD_NEXT, "memmove");
  void* set = dlsym(RTLD_NEXT, "memset");
  if (move != NULL) SET(table.next.memmove, (void* (*)(void*, const void*, size_t))(uintptr_t)move);
  if (set != NULL) SET(table.next.memset, (void* (*)(void*, int, size_t))(uintptr_t)set);
  FUNCTIONS(FIND)
}

__attribute__((constructor(101))) static void memory_constructor(void) {
  int saved = errno;
  mim_process_init();  // the policy
  fill_in((mim_process.hook.mechanisms & SEC_CHECKED_MEMORY) != 0);
  size_t os_page = mim_os_page_size();
  if ((uintptr_t)&table % os_page == 0 && sizeof(table) % os_page == 0) mim_os_seal(&table, sizeof(table));
  errno = saved;
}

// ---- the names ------------------------------------------------------------------------------------------------------

#define EXPORT(result, name, parameters, arguments) \
  MI_EXPORT result name parameters; \
  result name parameters { \
    return table.go.name arguments; \
  }
FUNCTIONS(EXPORT)

// What --wrap makes of the library's own calls.
void* __wrap_memmove(void* to, const void* from, size_t size);
void* __wrap_memcpy(void* to, const void* from, size_t size);
void* __wrap_memset(void* to, int byte, size_t size);

void* __wrap_memmove(void* to, const void* from, size_t size) {
  return table.next.memmove(to, from, size);
}

void* __wrap_memcpy(void* to, const void* from, size_t size) {
  return table.next.memmove(to, from, size);
}

void* __wrap_memset(void* to, int byte, size_t size) {
  return table.next.memset(to, byte, size);
}

#ifdef __GLIBC__
// Other names of theirs, which headers of older releases use.
extern void* __mempcpy(void*, const void*, size_t) __attribute__((alias("mempcpy"), visibility("default")));
extern char* __stpcpy(char*, const char*) __attribute__((alias("stpcpy"), visibility("default")));
extern char* __stpncpy(char*, const char*, size_t) __attribute__((alias("stpncpy"), visibility("default")));
#endif
