// Checked memory and string functions: memcpy, memmove, mempcpy, memset, strcpy, stpcpy, strncpy, stpncpy, strcat and
// strncat do not leave the block they begin in, neither to write nor to read. With SEC_CHECKED_MEMORY (profiles strict
// and fuzz, or MIMALLOC_CHECKED_MEMORY); override_memory.c puts them in libc's place.
//
// How much room there is from an address on is told by the state of its block (entry.h). No lock is taken: while a
// block is live, what is read here to find its end was written before the block was handed out, and does not change
// until it is freed; so a program that may use the block reads what is true, on any thread and in signal handlers.
//
// Stops: overflows and over-reads by these functions, before the first byte is written, however far they would go, also
// over fences and guards, and into live neighbours; their use of freed blocks. Exact to the byte.
// Does not stop: what compilers expand in place (copies of small constant sizes); functions of libc that write by
// themselves (snprintf, read, fgets, wide strings); ranges that begin outside of blocks, on the stack say; an overflow
// of one member of a structure into the next.
// Costs: one jump a call where it is off; see docs/mechanisms/checked-memory.md.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "secure.h"

#include "memory.h"

#ifdef __GLIBC__
extern void __chk_fail(void) __attribute__((noreturn));  // "buffer overflow detected", and abort
#endif

// ---- room -----------------------------------------------------------------------------------------------------------

typedef struct range_s {
  uintptr_t start, end;
} range_t;

// The live block that `p` is in, as far as was asked for; {0, 0}: it is in none.
static range_t live_block(const page_t* page, const void* p) {
  if (mim_unlikely(page->reciprocal == 0)) return (range_t){0, 0};
  uintptr_t index = page_place(page, p).index;
  bool large = (page->kind & KIND_LARGE) != 0;
  if (mim_unlikely(large && index != 1)) return (range_t){0, 0};
  uint16_t state = state_get(page, index);
  if (mim_unlikely(!state_is_live(state))) return (range_t){0, 0};
  uintptr_t start = page->origin + (large ? (uintptr_t)1 << LARGE_STRIDE_SHIFT : index * page->stride);
  return (range_t){start, start + (large ? page->large_request : page->block_size - (state & STATE_SLACK_MASK))};
}

// Bytes from `p` to the end of its block; SIZE_MAX: it is not ours; 0: it is in no live block, or behind the request.
mim_inline size_t room_at(const void* p) {
  const page_t* page = mim_page_find(p);
  if (mim_likely(page == NULL)) return SIZE_MAX;
  range_t block = live_block(page, p);
  return (uintptr_t)p < block.end ? block.end - (uintptr_t)p : 0;
}

// ---- violations -----------------------------------------------------------------------------------------------------

enum { READ = 0, WRITE = 1 };

// `size` bytes from `p` on are not in one live block.
static mim_cold void outside(const void* p, size_t size, int access, const char* name) {
  static const char* const details[] = {"it would have been read", "it would have been written to"};
  if (!(mim_process.hook.mechanisms & SEC_CHECKED_MEMORY)) return;  // before the table is set (override_memory.c)
  page_t* page = mim_page_find(p);
  sec_report_t report = {.address = p, .operation = name, .detail = details[access], .access_size = size};
  range_t block = live_block(page, p);
  if (block.start != 0) {
    report.page = page;
    report.index = page_place(page, p).index;
    report.block = (const void*)block.start;
    report.block_size = (page->kind & KIND_LARGE) ? page->large_size : page->block_size;
    report.request = block.end - block.start;
    report.offset = (ptrdiff_t)((uintptr_t)p - block.start);
  } else {
    sec_fault_describe(&report);
  }
  if (report.fault != MI_FAULT_USE_AFTER_FREE) report.fault = MI_FAULT_MEMORY_RANGE;
  sec_violation(&report, (sec_severity_t)mim_process.hook.memory_severity);
}

mim_inline void check(const void* p, size_t size, int access, const char* name) {
  if (mim_unlikely(size > room_at(p))) outside(p, size, access, name);
}

// The length of a string that has to end in its block, and before `limit` bytes; `limit` if it is longer. What lies
// behind the block is not looked at, unless the violation was only reported.
static size_t length(const char* s, size_t limit, const char* name) {
  size_t room = min_size(room_at(s), limit);
  size_t found = room == SIZE_MAX ? strlen(s) : strnlen(s, room);
  if (mim_likely(found < room || found == limit)) return found;
  outside(s, room + 1, READ, name);
  return strnlen(s, limit);
}

// What the compiler of a fortified program knows of the destination; SIZE_MAX: nothing.
mim_inline void check_fortified(size_t size, size_t room) {
#ifdef __GLIBC__
  if (mim_unlikely(size > room)) __chk_fail();
#else
  (void)size;
  (void)room;
#endif
}

// ---- memory ---------------------------------------------------------------------------------------------------------

// Of no bytes at all there may be no address either: programs do call these with NULL and 0.
mim_inline void* copy(void* to, const void* from, size_t size, size_t room, const char* name) {
  check(to, size, WRITE, name);
  check(from, size, READ, name);
  check_fortified(size, room);
  return size == 0 ? to : memmove(to, from, size);
}

mim_inline void* fill(void* to, int byte, size_t size, size_t room) {
  check(to, size, WRITE, "memset");
  check_fortified(size, room);
  return size == 0 ? to : memset(to, byte, size);
}

void* sec_checked_memcpy(void* to, const void* from, size_t size) {
  return copy(to, from, size, SIZE_MAX, "memcpy");
}

void* sec_checked_memmove(void* to, const void* from, size_t size) {
  return copy(to, from, size, SIZE_MAX, "memmove");
}

void* sec_checked_mempcpy(void* to, const void* from, size_t size) {
  return (char*)copy(to, from, size, SIZE_MAX, "mempcpy") + size;
}

void* sec_checked_memset(void* to, int byte, size_t size) {
  return fill(to, byte, size, SIZE_MAX);
}

// ---- strings --------------------------------------------------------------------------------------------------------

// The bytes copied are those that were counted, whatever other threads do to the string meanwhile. Returns the end.
static char* copy_string(char* to, const char* from, size_t room, const char* name) {
  size_t size = length(from, SIZE_MAX, name);
  check(to, size + 1, WRITE, name);
  check_fortified(size + 1, room);
  memmove(to, from, size);
  to[size] = 0;
  return to + size;
}

// Writes all of `size` bytes: behind the string, zeros. Returns the end of the string, or of the bytes.
static char* copy_padded(char* to, const char* from, size_t size, size_t room, const char* name) {
  size_t copied = length(from, size, name);
  check(to, size, WRITE, name);
  check_fortified(size, room);
  memmove(to, from, copied);
  memset(to + copied, 0, size - copied);
  return to + copied;
}

static char* append(char* to, const char* from, size_t limit, size_t room, const char* name) {
  size_t present = length(to, SIZE_MAX, name);
  size_t size = length(from, limit, name);
  check(to + present, size + 1, WRITE, name);
  check_fortified(present + size + 1, room);
  memmove(to + present, from, size);
  to[present + size] = 0;
  return to;
}

char* sec_checked_strcpy(char* to, const char* from) {
  copy_string(to, from, SIZE_MAX, "strcpy");
  return to;
}

char* sec_checked_stpcpy(char* to, const char* from) {
  return copy_string(to, from, SIZE_MAX, "stpcpy");
}

char* sec_checked_strncpy(char* to, const char* from, size_t size) {
  copy_padded(to, from, size, SIZE_MAX, "strncpy");
  return to;
}

char* sec_checked_stpncpy(char* to, const char* from, size_t size) {
  return copy_padded(to, from, size, SIZE_MAX, "stpncpy");
}

char* sec_checked_strcat(char* to, const char* from) {
  return append(to, from, SIZE_MAX, SIZE_MAX, "strcat");
}

char* sec_checked_strncat(char* to, const char* from, size_t size) {
  return append(to, from, size, SIZE_MAX, "strncat");
}

// ---- the same for fortified programs --------------------------------------------------------------------------------

#ifdef __GLIBC__

void* sec_checked___memcpy_chk(void* to, const void* from, size_t size, size_t room) {
  return copy(to, from, size, room, "memcpy");
}

void* sec_checked___memmove_chk(void* to, const void* from, size_t size, size_t room) {
  return copy(to, from, size, room, "memmove");
}

void* sec_checked___mempcpy_chk(void* to, const void* from, size_t size, size_t room) {
  return (char*)copy(to, from, size, room, "mempcpy") + size;
}

void* sec_checked___memset_chk(void* to, int byte, size_t size, size_t room) {
  return fill(to, byte, size, room);
}

char* sec_checked___strcpy_chk(char* to, const char* from, size_t room) {
  copy_string(to, from, room, "strcpy");
  return to;
}

char* sec_checked___stpcpy_chk(char* to, const char* from, size_t room) {
  return copy_string(to, from, room, "stpcpy");
}

char* sec_checked___strncpy_chk(char* to, const char* from, size_t size, size_t room) {
  copy_padded(to, from, size, room, "strncpy");
  return to;
}

char* sec_checked___stpncpy_chk(char* to, const char* from, size_t size, size_t room) {
  return copy_padded(to, from, size, room, "stpncpy");
}

char* sec_checked___strcat_chk(char* to, const char* from, size_t room) {
  return append(to, from, SIZE_MAX, room, "strcat");
}

char* sec_checked___strncat_chk(char* to, const char* from, size_t size, size_t room) {
  return append(to, from, size, room, "strncat");
}

#endif
