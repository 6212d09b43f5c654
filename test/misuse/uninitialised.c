// What a program finds in a block it has not written yet. The danger: secrets of the block's former owner, and the
// allocator's own addresses, go out with whatever the program sends.
#define _GNU_SOURCE
#include "misuse.h"

#include <malloc.h>
#include <pthread.h>

// Fills and frees blocks of `old_size`, then looks into new blocks of `size` for what they held.
static void leave_secrets(size_t old_size) {
  void* p = crowd(old_size);
  fill(p, old_size);
  free(p);
  while ((p = crowd_take()) != NULL) {
    fill(p, old_size);
    free(p);
  }
}

// Four bytes of it in a row, or the whole block where it is smaller: a single byte may be there by chance.
static bool holds_secret(const void* p, size_t size) {
  size_t run = 0, wanted = size < 4 ? size : 4;
  for (size_t i = 0; i < size && run < wanted; i++) run = peek(p, (ptrdiff_t)i) == SECRET ? run + 1 : 0;
  return run == wanted && size > 0;
}

static bool holds_anything(const void* p, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (peek(p, (ptrdiff_t)i) != 0) return true;
  }
  return false;
}

static verdict_t look_into(void* (*allocate)(size_t), size_t size, size_t seen) {
  size_t count = ((size_t)24 << 20) / (size + 16);
  at(MISUSE);
  for (size_t i = 0; i < (count < 1000 ? count : 1000); i++) {
    void* p = hide(allocate(size));
    if (p == NULL) break;
    if (holds_secret(p, seen)) return MISSED;
  }
  return PREVENTED;
}

static void* get_grown(size_t size) {
  char* p = malloc(size / 2);
  memset(hide(p), 'g', size / 2);
  return realloc(p, size);
}

static verdict_t same_size(size_t size) {
  leave_secrets(size);
  return look_into(malloc, size, size);
}

static verdict_t by_calloc(size_t size) {
  leave_secrets(size);
  return look_into(get_zeroed, size, size);
}

static verdict_t by_memalign(size_t size) {
  leave_secrets(size);
  return look_into(get_aligned, size, size);
}

static verdict_t by_realloc(size_t size) {
  leave_secrets(size);
  return look_into(get_grown, size, size);
}

static verdict_t double_size(size_t size) {
  leave_secrets(size);
  return look_into(malloc, size * 2, size * 2);
}

static verdict_t half_size(size_t size) {
  leave_secrets(size);
  return look_into(malloc, size / 2, size / 2);
}

// A single block, freed and allocated again at once: the commonest way a secret gets into a reply.
static verdict_t next_block(size_t size) {
  void* p = get(size);
  fill(p, size);
  free(p);
  at(MISUSE);
  return holds_secret(hide(malloc(size)), size) ? MISSED : PREVENTED;
}

static void* leave_thread(void* argument) {
  leave_secrets(*(size_t*)argument);
  return NULL;
}

static verdict_t of_ended_thread(size_t size) {
  in_thread(leave_thread, &size);
  return look_into(malloc, size, size);
}

// The slack between the size asked for and malloc_usable_size, which many programs use.
static verdict_t usable_slack(size_t size) {
  leave_secrets(size + 8);
  at(MISUSE);
  for (int i = 0; i < 200; i++) {
    void* p = get(size);
    if (holds_secret(p, malloc_usable_size(p))) return MISSED;
    if (i * size > 24 << 20) break;
  }
  return PREVENTED;
}

// Whatever a new block holds that is not zero comes from the allocator, or from a former owner: here, nobody wrote.
static verdict_t allocator_state(size_t size) {
  void* p = crowd(size);
  memset(p, 0, size);
  free(p);
  while ((p = crowd_take()) != NULL) {
    memset(p, 0, size);
    free(hide(p));
  }
  at(MISUSE);
  for (int i = 0; i < 100; i++) {
    if (holds_anything(get(size), size)) return MISSED;
    if (i * size > 24 << 20) break;
  }
  return PREVENTED;
}

static const kind_t kinds[] = {
  {"same-size", same_size, "secrets of freed blocks in new blocks of the size", 1},
  {"next-block", next_block, "the secret of the block freed last, in the next one", 1},
  {"by-calloc", by_calloc, "secrets in blocks from calloc", 1},
  {"by-memalign", by_memalign, "secrets in blocks from memalign", 1},
  {"by-realloc", by_realloc, "secrets in the part that realloc adds", 2},
  {"double-size", double_size, "secrets in new blocks of twice the size", 1},
  {"half-size", half_size, "secrets in new blocks of half the size", 2},
  {"of-ended-thread", of_ended_thread, "secrets of blocks freed by a thread that ended", 1},
  {"usable-slack", usable_slack, "secrets in what malloc_usable_size says may be used", 1},
  {"allocator-state", allocator_state, "anything but zero in new blocks, where nobody wrote anything but zero", 1},
};
const group_t uninitialised_group = {"uninitialised", KINDS(kinds)};
