// Operations on large blocks: growth in steps, which happens in place where there is room, and frees followed by
// allocations of the same size, which the secure build meets with blocks it kept. All of them are legal uses.
//
// The guard behind such a block must be where the block ends, however it came to be there; probe_access tells.
#include <string.h>

#include "model.h"

#define LEAST ((size_t)64 << 10)
#define STEP ((size_t)4096)
#define ROUND 8
#define REUSED ((size_t)768 << 10)
#define MARK ((size_t)64)
#define VERY_LARGE ((size_t)4 << 20)  // what the library clears by giving it back to the OS

static size_t large_size(uint8_t a, uint8_t b) {
  size_t steps = a < 192 ? a % 32u : a % 240u;  // 64 KiB to 192 KiB, now and then up to 1 MiB
  return LEAST + steps * STEP + (b % 4u == 0 ? 0 : b);
}

// In the secure build the byte behind the block's room faults.
static void guard_check(const uint8_t* p) {
  if (!mi_is_secure() || model.target == FOR_CORRUPT || model.lax || probe_index(p) != 0) return;
  const uint8_t* end = p + probe_room(p);
  must(!probe_access(end), "%p can be read: behind the large block at %p", (const void*)end, (const void*)p);
}

// ---- growing --------------------------------------------------------------------------------------------------------

// The block of a slot grows to `size` bytes.
static bool grow_to(slot_t* slot, size_t size, bool zero) {
  block_t old = slot->block;
  uint8_t* p = zero ? mi_rezalloc(old.p, size) : mi_realloc(old.p, size);
  if (p == NULL) {
    must(may_fail((unsigned)me->default_heap), "no memory to reallocate to %zu bytes", size);
    return false;
  }
  contents_check(p, &old, old.size);
  if (zero && old.zeroed) zero_check(p + old.size, size - old.size, "grown by zeroes");
  block_bury(slot);
  if (p == old.p) model.grave_next -= model.parallel ? 0 : 1;  // it was not freed
  slot->block = old;
  slot->block.p = NULL;
  block_t block = {.p = p, .size = size, .fill = old.fill, .family = old.family};
  if (p == old.p) {
    block.heap = old.heap;
  } else {
    block.heap = model.target == FOR_THREADS ? NULL : heap_now();
    block.family = MI_FAMILY_MALLOC;
  }
  block_born(slot, block, false);
  slot->block.zeroed = zero && old.zeroed;
  guard_check(p);
  return true;
}

void op_grow_large(const op_t* op) {
  slot_t* slot = slot_take(op->slot);
  if (slot == NULL) return;
  bool zero = op->d % 2 == 1;
  size_t size = large_size(op->a, op->b);
  if (slot->block.p == NULL && model_room(size)) {
    block_t block = {.p = zero ? mi_zalloc(size) : mi_malloc(size), .size = size};
    block.heap = model.target == FOR_THREADS ? NULL : heap_now();
    if (block.p != NULL || !may_fail((unsigned)me->default_heap)) block_born(slot, block, zero);
  }
  size_t percent = 5u + (op->d >> 1);
  for (unsigned i = 0; slot->block.p != NULL && i <= op->c % ROUND; i++) {
    size = slot->block.size + slot->block.size / 100 * percent + op->b;
    if (size < LEAST || !model_room(size) || !grow_to(slot, size, zero)) break;
  }
  slot_give(slot);
}

// ---- used again -----------------------------------------------------------------------------------------------------

// Marks in each OS page of a block, and at its end: to fill the whole of it takes the time of ten operations.
static void mark(uint8_t* p, size_t size, uint8_t byte) {
  for (size_t at = 0; at + MARK < size; at += STEP) memset(p + at, byte, MARK);
  memset(p + size - MARK, byte, MARK);
}

static void unmarked_check(const uint8_t* p, size_t size) {
  for (size_t at = 0; at + MARK < size; at += STEP) zero_check(p + at, MARK, "a large block that is used again");
  zero_check(p + size - MARK, MARK, "a large block that is used again");
}

static void free_marked(uint8_t* p, size_t size, uint8_t byte) {
  if (model.target != FOR_CORRUPT) {
    size_t middle = size / 2 / STEP * STEP;
    must(p[0] == byte && p[size - 1] == byte && p[middle] == byte, "the large block at %p was written to", (void*)p);
  }
  bool large = probe_index(p) == 0;
  mi_free(p);
  bool sure = large && mi_is_secure() && model.target != FOR_CORRUPT && !model.parallel && !may_fail((unsigned)me->default_heap);
  if (sure) must(!probe_access(p + size / 2), "%p can be read: a large block that was freed", (void*)p);
}

// Blocks of one number of slices are freed and wanted again, somewhat smaller, with zeroes.
void op_reuse_large(const op_t* op) {
  uint8_t* blocks[ROUND] = {NULL};
  size_t size = large_size(op->a, op->b), count = 2 + op->c % (ROUND - 1);
  size_t less = (op->d % 8u) * STEP;
  if (op->d >= 248 && model.target == FOR_PROCESS) size += VERY_LARGE;
  while (count > 2 && size * count > REUSED) count--;
  if (!model_room(2 * size * count)) return;
  for (size_t i = 0; i < count; i++) {
    uint8_t* p = blocks[i] = mi_malloc(size);
    if (p == NULL) continue;
    must(probe_in_region(p, size), "%p of %zu bytes is misplaced", (void*)p, size);
    mark(p, size, (uint8_t)(0xA0 + i));
    guard_check(p);
  }
  for (size_t i = 0; i < count; i++) {
    if (blocks[i] != NULL) free_marked(blocks[i], size, (uint8_t)(0xA0 + i));
  }
  for (size_t i = 0; i < count; i++) {
    uint8_t* p = blocks[i] = mi_zalloc(size - less);
    if (p == NULL) continue;
    unmarked_check(p, size - less);
    mark(p, size - less, 0xB0);
    guard_check(p);
  }
  for (size_t i = 0; i < count; i++) {
    if (blocks[i] != NULL) free_marked(blocks[i], size - less, 0xB0);
  }
}
