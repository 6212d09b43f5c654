// Writes into freed blocks that look like links of the allocator's free list. Where links are kept in the blocks, an
// attacker so gets malloc to return any address he likes ("tcache poisoning"), and then writes there.
//
// The mask some allocators put on links is found as attackers find it: the link of the first block freed leads nowhere,
// so what is read there is the mask itself.
#define _GNU_SOURCE
#include "misuse.h"

// Two free blocks; the second one's link leads to the first.
static uintptr_t* two_freed(size_t size, uintptr_t* mask) {
  uintptr_t* first = crowd(size);
  uintptr_t* second = crowd_take();
  free(hide(first));
  about(second, size);
  at(MISUSE);
  *mask = *(uintptr_t volatile*)first;
  at(SET_UP);
  free(hide(second));
  return second;
}

// Allocates: does the forged address come out, or something that overlaps live blocks?
static verdict_t comes_out(size_t size, const void* target, size_t length) {
  verdict_t verdict = handed_out(size, target, length);
  return verdict == IGNORED ? PREVENTED : verdict;
}

// A place outside of the heap that looks like a block to those who look.
static char* target_for(size_t size) {
  size_t word = ((size + 23) & ~(size_t)15) | 1;
  memset(elsewhere, 0, 4096);
  memcpy(elsewhere + 1024 - 8, &word, sizeof(word));
  return elsewhere + 1024;
}

static verdict_t forge(size_t size, size_t index, bool masked) {
  uintptr_t mask;
  uintptr_t* p = two_freed(size, &mask);
  char* target = target_for(size);
  at(MISUSE);
  *(uintptr_t volatile*)&p[index] = (uintptr_t)target ^ (masked ? mask : 0);
  return comes_out(size, target - 64, size + 128);
}

static verdict_t plain(size_t size) { return forge(size, 0, false); }
static verdict_t masked(size_t size) { return forge(size, 0, true); }
static verdict_t second_word(size_t size) { return forge(size, 1, false); }
static verdict_t last_word(size_t size) { return forge(size, size / 8 - 1, false); }

static verdict_t everywhere(size_t size) {
  uintptr_t mask;
  uintptr_t* p = two_freed(size, &mask);
  char* target = target_for(size);
  at(MISUSE);
  for (size_t i = 0; i < size / 8; i++) *(uintptr_t volatile*)&p[i] = (uintptr_t)target;
  return comes_out(size, target - 64, size + 128);
}

// The link leads to a live block: it gets a second owner.
static verdict_t to_live_block(size_t size) {
  uintptr_t mask;
  void* victim = crowd(size);
  uintptr_t* first = crowd_take();
  uintptr_t* second = crowd_take();
  about(second, size);
  free(hide(first));
  free(hide(second));
  at(MISUSE);
  mask = *(uintptr_t volatile*)first;
  *(uintptr_t volatile*)second = (uintptr_t)victim ^ mask;
  return comes_out(size, victim, size);
}

static verdict_t to_itself(size_t size) {
  uintptr_t mask;
  uintptr_t* p = two_freed(size, &mask);
  at(MISUSE);
  *(uintptr_t volatile*)p = (uintptr_t)p ^ mask;
  return comes_out(size, NULL, 0);
}

// Only the low byte or two of the link change: no address needs to be known, the list only has to go astray.
static verdict_t partial(size_t size, size_t bytes) {
  uintptr_t mask;
  uintptr_t* p = two_freed(size, &mask);
  at(MISUSE);
  for (size_t i = 0; i < bytes; i++) poke(p, (ptrdiff_t)i, peek(p, (ptrdiff_t)i) ^ 0x30);
  return comes_out(size, NULL, 0);
}

static verdict_t low_byte(size_t size) { return partial(size, 1); }
static verdict_t low_two_bytes(size_t size) { return partial(size, 2); }

static verdict_t word(size_t size, uintptr_t value) {
  uintptr_t mask;
  uintptr_t* p = two_freed(size, &mask);
  at(MISUSE);
  *(uintptr_t volatile*)p = value;
  return comes_out(size, NULL, 0);
}

static verdict_t all_ones(size_t size) { return word(size, UINTPTR_MAX); }
static verdict_t letters(size_t size) { return word(size, 0x4141414141414141u); }

// By an overflow out of a live block, from its neighbour: no dangling pointer is needed.
static verdict_t by_overflow(size_t size) {
  char* freed = crowd(size);
  char* before = NULL;
  for (char* q; (q = crowd_take()) != NULL;) {
    if (q < freed && q > before) before = q;
  }
  size_t room = size + size / 4 + 64;
  if (before == NULL || (size_t)(freed - before) > room) return PREVENTED;
  about(before, size);
  char* target = target_for(size);
  free(freed);
  at(MISUSE);
  poke_run(before, (ptrdiff_t)size, (size_t)(freed - before) - size, 'A');
  *(uintptr_t volatile*)hide(freed) = (uintptr_t)target;
  return comes_out(size, target - 64, size + 128);
}

// Both words of a freed block of a doubly linked list: taking it off the list writes to an address of choice.
static verdict_t doubly_linked(size_t size) {
  uintptr_t mask;
  uintptr_t* p = two_freed(size, &mask);
  char* target = target_for(size);
  memset(target, 0, 64);
  at(MISUSE);
  *(uintptr_t volatile*)&p[0] = (uintptr_t)target;
  *(uintptr_t volatile*)&p[1] = (uintptr_t)target + 16;
  verdict_t verdict = comes_out(size, NULL, 0);
  for (int i = 0; i < 64; i++) {
    if (peek(target, i) != 0) return MISSED;
  }
  return verdict;
}

static const kind_t kinds[] = {
  {"plain", plain, "the first word of a freed block becomes an address of choice", 8},
  {"masked", masked, "the same, with the mask that was read from another freed block", 8},
  {"second-word", second_word, "the second word becomes an address of choice", 16},
  {"last-word", last_word, "the last word becomes an address of choice", 8},
  {"everywhere", everywhere, "each word becomes an address of choice", 8},
  {"to-live-block", to_live_block, "the first word leads to a live block, masked", 8},
  {"to-itself", to_itself, "the first word leads to the block itself, masked", 8},
  {"low-byte", low_byte, "two bits of the low byte of the first word change", 1},
  {"low-two-bytes", low_two_bytes, "two bits of each of the low two bytes change", 2},
  {"all-ones", all_ones, "the first word becomes all ones", 8},
  {"letters", letters, "the first word becomes 0x4141414141414141", 8},
  {"by-overflow", by_overflow, "an overflow of the block before writes the first word", 8},
  {"doubly-linked", doubly_linked, "the first two words become addresses to be written to", 16},
};
const group_t forged_link_group = {"forged-link", KINDS(kinds)};
