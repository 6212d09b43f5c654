// The attacker: writes of random bytes to any memory of the region that is accessible, as a program full of overflows
// and stale pointers would make them. The allocator's metadata lies elsewhere and is not written to; that it cannot be
// reached is what the layout is for. Whatever is written, blocks that are handed out must not overlap and must lie in
// the region, and nothing may crash.
#include <string.h>

#include "model.h"

static void scribble(uint8_t* p, const op_t* op) {
  uint8_t bytes[64];
  size_t size = 1 + op->d % sizeof(bytes);
  for (size_t i = 0; i < sizeof(bytes); i += 8) {
    uint64_t random = model_random();
    memcpy(bytes + i, &random, 8);
  }
  if (op->d >= 128) memset(bytes, op->c, sizeof(bytes));
  if (probe_in_region(p, size)) probe_store(p, bytes, size);
}

static ptrdiff_t distance(const op_t* op) {
  static const ptrdiff_t units[] = {1, 16, 256, 65536};
  return (ptrdiff_t)(int16_t)(uint16_t)(op->a << 8 | op->b) * units[op->c % 4];
}

void op_scribble(const op_t* op) {
  const block_t* block = &model.slots[op->slot % SLOTS].block;
  if (block->p != NULL) scribble(block->p + distance(op), op);
}

void op_scribble_freed(const op_t* op) {
  const block_t* grave = grave_pick(op->slot);
  if (grave != NULL) scribble(grave->p + (grave->size == 0 ? 0 : (size_t)(op->a << 8 | op->b) % grave->size), op);
}

void op_scribble_near(const op_t* op) {
  const block_t* block = &model.slots[op->slot % SLOTS].block;
  if (block->p == NULL) return;
  scribble(op->a % 2 == 0 ? block->p - 1 - op->b % 64 : block->p + block->size + op->b % 64, op);
}
