// Frees of addresses that are no block: inside of blocks, beside them, on the stack, in globals, in foreign mappings,
// and plain nonsense. The danger: memory that belongs to someone else is handed out ("house of spirit").
#define _GNU_SOURCE
#include "misuse.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static verdict_t free_at(size_t size, ptrdiff_t offset) {
  char* p = crowd_choose(crowd(size), offset);
  if (crowd_has(p + offset)) return NOT_HERE;  // no place at this distance is wrong
  memset(p, 0, size);
  about(p + offset, 1);
  at(MISUSE);
  free(hide(p + offset));
  return handed_out(size, p, size);
}

static verdict_t interior_1(size_t size) { return free_at(size, 1); }
static verdict_t interior_8(size_t size) { return free_at(size, 8); }
static verdict_t interior_16(size_t size) { return free_at(size, 16); }
static verdict_t interior_middle(size_t size) { return free_at(size, (ptrdiff_t)(size / 2 & ~(size_t)15)); }
static verdict_t interior_last(size_t size) { return free_at(size, (ptrdiff_t)size - 1); }
static verdict_t one_past_end(size_t size) { return free_at(size, (ptrdiff_t)size); }
static verdict_t before_1(size_t size) { return free_at(size, -1); }
static verdict_t before_8(size_t size) { return free_at(size, -8); }
static verdict_t before_16(size_t size) { return free_at(size, -16); }
static verdict_t page_after(size_t size) { return free_at(size, (ptrdiff_t)(size / 4096 * 4096 + 4096)); }
static verdict_t far_after(size_t size) { return free_at(size, (ptrdiff_t)1 << 36); }

// The block holds what looks like a header of some allocators right before the address that is freed.
static verdict_t interior_forged(size_t size) {
  char* p = crowd(size);
  memset(p, 0, size);
  size_t looks_like[2] = {0, 0x41};
  memcpy(p, looks_like, sizeof(looks_like));
  if (size >= 0x40 + 32) memcpy(p + 0x40, looks_like, sizeof(looks_like));
  at(MISUSE);
  free(hide(p + 16));
  at(REUSE);
  for (int i = 0; i < 20; i++) {
    char* q = hide(malloc(0x30));
    if (q >= p && q < p + size) return MISSED;
  }
  return IGNORED;
}

static verdict_t interior_of_aligned(size_t size) {
  char* p = NULL;
  if (posix_memalign((void**)&p, 1024, size) != 0) return SET_UP_FAILED;
  about(p, size);
  at(MISUSE);
  free(hide(p + 16));
  return handed_out(size, p, size);
}

static verdict_t interior_of_freed(size_t size) {
  char* p = crowd(size);
  free(p);
  at(MISUSE);
  free(hide(p + 16));
  return handed_out(size, NULL, 0);
}

// A place in the page where no block was ever handed out: one of the gaps between the blocks that are there.
static verdict_t never_allocated(size_t size) {
  char* p = crowd(size);
  char* others[128];
  size_t count = 0, stride = SIZE_MAX;
  for (char* q; count < 128 && (q = crowd_take()) != NULL;) others[count++] = q;
  for (size_t i = 0; i < count; i++) {
    size_t distance = (size_t)(others[i] > p ? others[i] - p : p - others[i]);
    if (distance < stride) stride = distance;
  }
  for (size_t k = 1; k < 4096; k++) {
    char* place = p + k * stride;
    bool taken = false;
    for (size_t i = 0; i < count; i++) taken = taken || (place >= others[i] && place < others[i] + stride);
    if (taken) continue;
    about(place, size);
    at(MISUSE);
    free(hide(place));
    return handed_out(size, NULL, 0);
  }
  return SET_UP_FAILED;
}

// Fills the area with what looks like headers of some allocators, and frees an address in it.
static verdict_t free_foreign(size_t size, char* area, size_t room) {
  size_t words[2] = {0, ((size + 23) & ~(size_t)15) | 1};
  size_t end = 64 + ((size + 23) & ~(size_t)15);
  memcpy(area + 48, words, sizeof(words));
  words[1] = 0x21;
  if (end + 16 <= room) memcpy(area + end - 16, words, sizeof(words));
  about(area + 64, size);
  at(MISUSE);
  free(hide(area + 64));
  return handed_out(size, area, room);
}

static void* foreign_on_stack(void* argument) {
  size_t size = *(size_t*)argument;
  size_t room = size + 256;
  char* area = __builtin_alloca(room + 64);
  area = (char*)(((uintptr_t)area + 63) & ~(uintptr_t)63);
  memset(area, 0, room);
  return (void*)(uintptr_t)free_foreign(size, hide(area), room);
}

// In a thread with a stack that is large enough.
static verdict_t stack_forged(size_t size) {
  pthread_attr_t attr;
  pthread_t thread;
  void* verdict = NULL;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, ((size + (1 << 20)) | 4095) + 1);
  if (pthread_create(&thread, &attr, foreign_on_stack, &size) != 0) return SET_UP_FAILED;
  pthread_join(thread, &verdict);
  return (verdict_t)(uintptr_t)verdict;
}

static verdict_t stack_plain(size_t size) {
  char area[256] = {0};
  free(get(size));
  about(area + 64, 1);
  at(MISUSE);
  free(hide(area + 64));
  return handed_out(size, hide(area), sizeof(area));
}

static verdict_t stack_unaligned(size_t size) {
  char area[256] = {0};
  free(get(size));
  about(area + 61, 1);
  at(MISUSE);
  free(hide(area + 61));
  return handed_out(size, hide(area), sizeof(area));
}

static verdict_t global_forged(size_t size) {
  free(get(size));
  return free_foreign(size, elsewhere, size + 256);
}

static verdict_t global_plain(size_t size) {
  free(get(size));
  about(elsewhere + 4096, 1);
  at(MISUSE);
  free(hide(elsewhere + 4096));
  return handed_out(size, elsewhere, ELSEWHERE_SIZE);
}

static char* map_room(size_t room) {
  void* p = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return p == MAP_FAILED ? NULL : hide(p);
}

static verdict_t mapping_forged(size_t size) {
  free(get(size));
  char* area = map_room(size + 4096);
  return area == NULL ? SET_UP_FAILED : free_foreign(size, area, size + 4096);
}

static verdict_t mapping_start(size_t size) {
  free(get(size));
  char* area = map_room(size + 4096);
  if (area == NULL) return SET_UP_FAILED;
  about(area, 1);
  at(MISUSE);
  free(area);
  return handed_out(size, area, size + 4096);
}

static verdict_t mapping_gone(size_t size) {
  free(get(size));
  char* area = map_room(size + 4096);
  if (area == NULL || munmap(area, size + 4096) != 0) return SET_UP_FAILED;
  about(area + 16, 1);
  at(MISUSE);
  free(area + 16);
  return handed_out(size, NULL, 0);
}

static verdict_t break_memory(size_t size) {
  free(get(size));
  char* area = sbrk((intptr_t)(size + 4096));
  if (area == (void*)-1) return SET_UP_FAILED;
  area = (char*)(((uintptr_t)area + 63) & ~(uintptr_t)63);
  return free_foreign(size, hide(area), size + 1024);
}

static verdict_t free_number(size_t size, uintptr_t number) {
  crowd(size);
  about((void*)number, 1);
  at(MISUSE);
  free((void*)hide_number(number));
  return handed_out(size, NULL, 0);
}

static verdict_t small_number(size_t size) { return free_number(size, size); }
static verdict_t minus_size(size_t size) { return free_number(size, -size); }
static verdict_t letters(size_t size) { return free_number(size, 0x4141414141414141u); }
static verdict_t wild(size_t size) { return free_number(size, 0x123456789000u + size * 16); }

static verdict_t flipped(size_t size, uintptr_t mask) {
  void* p = crowd(size);
  about((void*)((uintptr_t)p ^ mask), 1);
  at(MISUSE);
  free((void*)hide_number((uintptr_t)p ^ mask));
  return handed_out(size, p, size);
}

static verdict_t bit_44_flipped(size_t size) { return flipped(size, (uintptr_t)1 << 44); }
static verdict_t bit_30_flipped(size_t size) { return flipped(size, (uintptr_t)1 << 30); }
static verdict_t bit_62_flipped(size_t size) { return flipped(size, (uintptr_t)1 << 62); }
static verdict_t tagged_low_bits(size_t size) { return flipped(size, 7); }

// A missing prototype: the address went through an int.
static verdict_t cut_to_32_bits(size_t size) {
  void* p = crowd(size);
  about((void*)(uintptr_t)(uint32_t)(uintptr_t)p, 1);
  at(MISUSE);
  free((void*)hide_number((uint32_t)(uintptr_t)p));
  return handed_out(size, p, size);
}

static verdict_t function_address(size_t size) {
  crowd(size);
  about((void*)(uintptr_t)&function_address, 1);
  at(MISUSE);
  free((void*)hide_number((uintptr_t)&function_address));
  return handed_out(size, NULL, 0);
}

static verdict_t literal(size_t size) {
  crowd(size);
  about(NULL, 0);
  at(MISUSE);
  free(hide("a string literal"));
  return handed_out(size, NULL, 0);
}

static verdict_t thread_local_variable(size_t size) {
  static _Thread_local char area[128];
  crowd(size);
  about(area + 16, 1);
  at(MISUSE);
  free(hide(area + 16));
  return handed_out(size, area, sizeof(area));
}

static verdict_t library_address(size_t size) {
  crowd(size);
  about(stdout, 1);
  at(MISUSE);
  free(hide(stdout));
  return handed_out(size, stdout, sizeof(FILE));
}

static const kind_t kinds[] = {
  {"interior-1", interior_1, "free(p + 1)", 1},
  {"interior-8", interior_8, "free(p + 8)", 9},
  {"interior-16", interior_16, "free(p + 16)", 17},
  {"interior-middle", interior_middle, "an aligned address in the middle of the block", 40},
  {"interior-last", interior_last, "the last byte of the block", 2},
  {"interior-forged", interior_forged, "an inner address, with a forged header in the block before it", 40},
  {"interior-of-aligned", interior_of_aligned, "16 bytes into a block aligned to 1 KiB", 17},
  {"interior-of-freed", interior_of_freed, "16 bytes into a block that was freed", 17},
  {"one-past-end", one_past_end, "free(p + n)", 0},
  {"before-1", before_1, "free(p - 1)", 0},
  {"before-8", before_8, "free(p - 8)", 0},
  {"before-16", before_16, "free(p - 16)", 0},
  {"page-after", page_after, "an address some pages of 4 KiB behind the block's start", 0},
  {"far-after", far_after, "64 GiB behind the block", 0},
  {"never-allocated", never_allocated, "a place for a block of the size that was never handed out", 0},
  {"stack-forged", stack_forged, "an array on the stack, with forged headers", 0},
  {"stack-plain", stack_plain, "an array on the stack", 0},
  {"stack-unaligned", stack_unaligned, "an odd address on the stack", 0},
  {"global-forged", global_forged, "a global array, with forged headers", 0},
  {"global-plain", global_plain, "a global array", 0},
  {"mapping-forged", mapping_forged, "memory from mmap, with forged headers", 0},
  {"mapping-start", mapping_start, "the start of memory from mmap", 0},
  {"mapping-gone", mapping_gone, "memory that was unmapped", 0},
  {"break-memory", break_memory, "memory from sbrk, with forged headers", 0},
  {"small-number", small_number, "the size instead of the address", 1},
  {"minus-size", minus_size, "minus the size", 1},
  {"letters", letters, "0x4141414141414141", 0},
  {"wild", wild, "an address where nothing is", 0},
  {"bit-44-flipped", bit_44_flipped, "the right address with bit 44 changed", 0},
  {"bit-30-flipped", bit_30_flipped, "the right address with bit 30 changed", 0},
  {"bit-62-flipped", bit_62_flipped, "the right address with bit 62 changed", 0},
  {"tagged-low-bits", tagged_low_bits, "the right address with its low three bits set", 0},
  {"cut-to-32-bits", cut_to_32_bits, "the lower half of the address", 0},
  {"function-address", function_address, "the address of a function", 0},
  {"literal", literal, "a string literal", 0},
  {"thread-local", thread_local_variable, "a thread-local variable", 0},
  {"library-address", library_address, "an object of the C library", 0},
};
const group_t invalid_free_group = {"invalid-free", KINDS(kinds)};
