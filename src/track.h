// What tools that look at every access are told of blocks: -DMI_TRACK=valgrind by client requests, -DMI_TRACK=asan by
// poisoning. Included by hooks.h, which owns all places where a block changes hands (track_hooks.h tells them); without
// MI_TRACK both are empty.
//
// To the program a block is accessible from its first byte to the last one it asked for, from when it is handed out to
// when it is freed; slack, free blocks and what lies around blocks are not. The library itself reads and writes all of
// it (links, fences, wiping), which is no error: its accesses are not instrumented by AddressSanitizer (CMakeLists.txt),
// and Valgrind's reports are off while a hook runs. In the plain product the request is not written down anywhere: the
// usable size of a block is what the tool says is accessible of it.
//
// Threads: blocks that others free are told of at once, while they are still in the mail.
#ifndef MIM_TRACK_H
#define MIM_TRACK_H

#if MIM_TRACK_VALGRIND || MIM_TRACK_ASAN

#if MIM_TRACK_VALGRIND
#include <valgrind/memcheck.h>
#define TRACK_OFF() VALGRIND_DISABLE_ERROR_REPORTING
#define TRACK_ON() VALGRIND_ENABLE_ERROR_REPORTING

mim_inline void track_none(const void* p, size_t size) {
  if (size > 0) (void)VALGRIND_MAKE_MEM_NOACCESS(p, size);
}

mim_inline void track_defined(const void* p, size_t size) {
  (void)VALGRIND_MAKE_MEM_DEFINED(p, size);
}

mim_inline void track_made(const void* p, size_t size, bool zero) {
  VALGRIND_MALLOCLIKE_BLOCK(p, size, 0, zero);
}

mim_inline void track_freed(const void* p, size_t room) {
  (void)room;
  VALGRIND_FREELIKE_BLOCK(p, 0);
}

mim_inline void track_resized(const void* p, size_t old_size, size_t new_size, size_t room) {
  (void)room;
  VALGRIND_RESIZEINPLACE_BLOCK(p, old_size, new_size, 0);
}

// The accessible bytes of a block, from its start: by steps of a hundred, and then one by one.
static inline size_t track_size(const void* p, size_t room) {
  unsigned char bits[100];
  size_t size = 0;
  if (!RUNNING_ON_VALGRIND) return room;
  for (size_t step = sizeof(bits); step > 0; step = step > 1 ? 1 : 0) {
    while (size + step <= room && VALGRIND_GET_VBITS((const char*)p + size, bits, step) != 3) size += step;
  }
  return size;
}

#else
#include <sanitizer/asan_interface.h>
#define TRACK_OFF() (void)0
#define TRACK_ON() (void)0

mim_inline void track_none(const void* p, size_t size) {
  __asan_poison_memory_region(p, size);
}

mim_inline void track_defined(const void* p, size_t size) {
  (void)p;
  (void)size;
}

mim_inline void track_made(const void* p, size_t size, bool zero) {
  (void)zero;
  __asan_unpoison_memory_region(p, size);
}

mim_inline void track_freed(const void* p, size_t room) {
  __asan_poison_memory_region(p, room);
}

mim_inline void track_resized(const void* p, size_t old_size, size_t new_size, size_t room) {
  (void)old_size;
  __asan_unpoison_memory_region(p, new_size);
  if (room > new_size) __asan_poison_memory_region((const char*)p + new_size, room - new_size);
}

static inline size_t track_size(const void* p, size_t room) {
  const char* end = room == 0 ? NULL : __asan_region_is_poisoned((void*)(uintptr_t)p, room);
  return end == NULL ? room : (size_t)(end - (const char*)p);
}
#endif

// The tools watch these too, wherever they are called from.
static inline void* track_set(void* p, int value, size_t size) {
  TRACK_OFF();
  for (volatile unsigned char* at = p; size > 0; size--) *at++ = (unsigned char)value;
  TRACK_ON();
  return p;
}

static inline void* track_copy(void* to, const void* from, size_t size) {
  TRACK_OFF();
  volatile unsigned char* at = to;
  for (const volatile unsigned char* source = from; size > 0; size--) *at++ = *source++;
  TRACK_ON();
  return to;
}

#ifndef MIM_TRACK_KEEP_NAMES  // for files that define these
#define memset(p, value, size) track_set(p, value, size)
#define memcpy(to, from, size) track_copy(to, from, size)
#endif

#else
#define track_defined(p, size) ((void)0)
#define track_freed(p, room) ((void)0)
#endif

#endif
