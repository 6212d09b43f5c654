// Planted misuse. Each operation misuses the block of its slot and then does what must notice it: the report has to come
// at that moment, with the right fault, and what was not misused must stay as it is. A miss is a crash for the fuzzer.
//
// Only deterministic mechanisms are asked for: overwritten bytes always change. With on_violation=report the program goes
// on, so one run plants many. In fuzz_corrupt the same misuse happens in a heap that was scribbled on, and only its
// having no effect counts.
#include <stdlib.h>
#include <string.h>

#include "memcheck.h"
#include "model.h"

static bool is_strict(void) {
  return model.target == FOR_MISUSE;
}

static slot_t* slot_full(uint8_t number) {
  slot_t* slot = slot_take(number);
  if (slot == NULL || slot->block.p != NULL) return slot;
  slot_give(slot);
  return NULL;
}

// The report that must have come.
static void expect(mi_fault_t fault, const void* address) {
  if (is_strict()) {
    must(model.notice.count > 0, "missed: %s at %p", mi_fault_name(fault), address);
    must(model.notice.first == fault, "%s at %p was reported as %s", mi_fault_name(fault), address,
         mi_fault_name(model.notice.first));
    must(address == NULL || model.notice.address == address, "%s at %p was reported at %p", mi_fault_name(fault),
         address, model.notice.address);
  }
  notice_reset();
}

// Some fault of a free, where which one hangs on what has become of the page.
static void expect_free_fault(const void* address) {
  if (is_strict()) {
    must(model.notice.count > 0, "missed: a free of %p, which is no live block", address);
    must(is_free_fault(model.notice.first), "a free of %p, which is no live block, was reported as %s", address,
         mi_fault_name(model.notice.first));
  }
  notice_reset();
}

static bool is_live(const void* p) {
  if (model.fresh && (uintptr_t)p - model.low < model.high - model.low) return true;
  if (block_at(p) != NULL) return true;
  for (const worker_t* worker = me; worker != NULL; worker = worker->waits) {
    for (size_t i = 0; i < PILES; i++) {
      for (size_t k = 0; k < worker->piles[i].count; k++) {
        if (worker->piles[i].blocks[k] == p) return true;
      }
    }
  }
  return false;
}

// Everything that takes a block, for a pointer that is none: no effect but the report.
static void misuse(uint8_t* p, uint8_t how, size_t size) {
  switch (how % 12) {
    case 1:
      must(mi_realloc(p, size) == NULL, "realloc of %p, which is no live block, succeeds", (void*)p);
      break;
    case 2:
      must(mi_usable_size(p) == 0, "%p, which is no live block, has bytes", (void*)p);
      break;
    case 3:
      must(mi_expand(p, size) == NULL, "expand of %p, which is no live block, succeeds", (void*)p);
      break;
    case 4:
      mi_free_size(p, size);
      break;
    case 5:
      must(mi_rezalloc(p, size) == NULL, "rezalloc of %p, which is no live block, succeeds", (void*)p);
      break;
    case 6:
      must(mi_realloc_aligned(p, size, 64) == NULL, "realloc of %p, which is no live block, succeeds", (void*)p);
      break;
    case 7:
      must(mi_heap_realloc(heap_now(), p, size) == NULL, "realloc of %p, no live block, succeeds", (void*)p);
      break;
    case 8:
      must(mi_reallocf(p, size) == NULL, "reallocf of %p, which is no live block, succeeds", (void*)p);
      break;
    case 9:
      mi_delete(p);
      break;
    case 10:
      mi_delete_array_size(p, size);
      break;
    case 11:
      mi_free_aligned(p, 1);
      break;
    default:
      mi_free(p);
      break;
  }
}

// ---- frees ----------------------------------------------------------------------------------------------------------

static void free_twice(const op_t* op, uint8_t how) {
  slot_t* slot = slot_full(op->slot);
  if (slot == NULL) return;
  uint8_t* p = slot->block.p;
  free_by(slot, op->a, op->b);
  if (is_strict()) notice_none();
  bool lives = probe_page_lives(p);
  misuse(p, how, size_of_code(op->d, op->b));
  if (lives) {
    expect(MI_FAULT_DOUBLE_FREE, p);
  } else {
    expect_free_fault(p);
  }
  slot_give(slot);
}

void op_double_free(const op_t* op) {
  free_twice(op, op->c % 2 == 0 ? 0 : 4);
}

void op_use_freed(const op_t* op) {
  free_twice(op, (uint8_t)(1 + op->c % 11));
}

void op_stale_free(const op_t* op) {
  const block_t* grave = grave_pick(op->slot);
  if (grave == NULL || is_live(grave->p)) return;
  uint8_t* p = grave->p;
  misuse(p, op->c, size_of_code(op->a, op->b));
  expect_free_fault(p);
}

void op_interior_free(const op_t* op) {
  slot_t* slot = slot_full(op->slot);
  if (slot == NULL) return;
  block_t* block = &slot->block;
  if (block->size > 1) {
    size_t at = 1 + (size_t)(op->a * 251u + op->b) % (block->size - 1);
    if (op->d % 2 == 0 && block->size > 16) at = at < 16 ? 16 : at & ~(size_t)15;
    uint8_t* p = block->p + at;
    misuse(p, op->c, 100);
    expect(((uintptr_t)p & 15) != 0 ? MI_FAULT_UNALIGNED_FREE : MI_FAULT_INTERIOR_FREE, p);
    contents_check(block->p, block, block->size);
  }
  slot_give(slot);
}

static int some_global;
static _Alignas(64) uint8_t global_bytes[256];

void op_foreign_free(const op_t* op) {
  _Alignas(64) uint8_t local_bytes[256];
  static uint8_t* libc_block;
  if (libc_block == NULL) libc_block = malloc(100);
  if (mi_option_get(mi_option_foreign) == MI_FOREIGN_LIBC) {  // libc would not survive the others
    mi_free(malloc(op->b));
    return;
  }
  size_t region_size;
  uintptr_t region = probe_region(&region_size);
  uint8_t* p;
  switch (op->a % 9) {
    case 0:
      p = local_bytes + op->b % 2 * 16;
      break;
    case 1:
      p = global_bytes + op->b % 2 * 64;
      break;
    case 2:
      p = libc_block;
      break;
    case 3:
      p = (uint8_t*)&some_global;
      break;
    case 4:
      p = (uint8_t*)(uintptr_t)(0x10u * (op->b + 1u));
      break;
    case 5:
      p = (uint8_t*)(region + region_size + 16u * op->b);
      break;
    case 6:
      p = (uint8_t*)(region - 16u * (op->b + 1u));
      break;
    case 7:
      p = (uint8_t*)(0xFFFF800000000000u + (uintptr_t)op->b * 4096);
      break;
    default:
      p = (uint8_t*)heap_now();
      break;  // metadata
  }
  misuse(p, op->c, 100);
  expect(MI_FAULT_FOREIGN_FREE, p);
}

void op_wild_free(const op_t* op) {
  size_t region_size, used = probe_region_used();
  if (used == 0) return;
  uintptr_t region = probe_region(&region_size);
  uintptr_t at = (uintptr_t)(model_random() % used);
  if (op->d % 4 == 1) at &= ~(uintptr_t)15;
  if (op->d % 4 == 2) at &= ~(uintptr_t)0xFFFF;
  if (op->d % 4 == 3) at = used + model_random() % (region_size - used);
  uint8_t* p = (uint8_t*)(region + at);
  if (is_live(p)) return;
  misuse(p, op->c, 100);
  expect_free_fault(p);
}

// ---- overwritten bytes ----------------------------------------------------------------------------------------------

// A byte that is not the one there: now and then 0, as an off-by-one terminator writes it.
static uint8_t other_byte(uint8_t byte, const op_t* op) {
  if (op->b % 3 == 0 && byte != 0) return 0;
  return (uint8_t)(byte ^ (1u + op->c % 255u));
}

void op_overflow(const op_t* op) {
  slot_t* slot = slot_full(op->slot);
  if (slot == NULL) return;
  block_t* block = &slot->block;
  size_t slack = probe_room(block->p) - block->size;
  if (slack == 0) {
    slot_give(slot);
    return;
  }
  uint8_t saved[16];
  size_t width = slack < sizeof(saved) ? slack : sizeof(saved), count = 1 + op->a % width;
  uint8_t* end = block->p + block->size;
  track_allow(end, slack);
  memcpy(saved, end, width);
  uint8_t last = end[slack - 1];
  for (size_t i = 0; i < count; i++) end[i] = other_byte(end[i], op);
  if (!is_strict() && op->b % 4 == 0) {  // the far end of the slack, which is filled where a block is sampled
    memcpy(end, saved, width);
    end[slack - 1] = other_byte(end[slack - 1], op);
  }
  uint8_t* p = block->p;
  size_t size = block->size + 1 + op->c % 64u;
  switch (op->d % 4) {
    case 1:
      p = mi_realloc(block->p, size);
      break;
    case 2:
      p = mi_expand(block->p, size);
      if (p == NULL) memcpy(end, saved, width), end[slack - 1] = last;
      break;
    default:
      free_by(slot, op->d >> 2, op->b);
      break;
  }
  expect(MI_FAULT_OVERFLOW, end);
  if (slot->block.p != NULL && p != NULL) {  // it lives on, in another size
    block_bury(slot);
    mi_free(p);
    if (is_strict()) notice_none();
  }
  slot_give(slot);
}

void op_underflow(const op_t* op) {
  slot_t* slot = slot_full(op->slot);
  if (slot == NULL) return;
  uint8_t* p = slot->block.p;
  track_allow(p - 256, 256);
  if (probe_underflow_shows(p)) {
    uint8_t saved = p[-1];
    p[-1] = other_byte(saved, op);
    free_by(slot, op->d, op->b);
    expect(MI_FAULT_UNDERFLOW, p - 1);
    p[-1] = saved;  // it is the block's before
  } else if (!is_strict() && probe_index(p) == 0 && probe_access(p - 1)) {
    p[-1 - (probe_access(p - 1 - op->b) ? op->b : 0)] ^= 1;
    free_by(slot, op->d, op->b);
    expect(MI_FAULT_UNDERFLOW, p - 1);
  }
  slot_give(slot);
}

// Allocates as the block was, so that its place is handed out again at last.
static uint8_t* allocate_like(const block_t* block) {
  mi_heap_t* heap = block->heap != NULL ? block->heap : me->heaps[0];
  if (block->align <= 16 && block->offset == 0) return mi_heap_malloc(heap, block->size);
  return mi_heap_malloc_aligned_at(heap, block->size, block->align, block->offset);
}

void op_write_after_free(const op_t* op) {
  enum { MOST = 9000 };
  static uint8_t* taken[MOST];
  slot_t* slot = slot_full(op->slot);
  if (slot == NULL) return;
  block_t block = slot->block;
  size_t room = probe_room(block.p), blocks = probe_page_blocks(block.p);
  // With the last block its page may go, and where its memory turns up next is not to be foreseen.
  if (!probe_page_wiped(block.p) || room == 0 || probe_page_used(block.p) < 2 || !model_room(room * blocks * 2)) {
    slot_give(slot);
    return;
  }
  free_by(slot, op->d, op->b);
  uint8_t* bad = block.p + (size_t)(op->a << 8 | op->b) % (room - 1);  // the last byte is fence
  track_allow(bad, 1);
  must(*bad == 0, "byte %zu of the freed block at %p is %02x", (size_t)(bad - block.p), (void*)block.p, *bad);
  *bad = (uint8_t)(1 + op->c % 255u);
  size_t count = 0, limit = 2 * blocks + 64 < MOST ? 2 * blocks + 64 : MOST;
  bool back = false;
  while (count < limit && !back) {
    uint8_t* p = allocate_like(&block);
    if (p == NULL) break;
    taken[count++] = p;
    back = p == block.p;
    // One that was in quarantine is noticed when it leaves that.
    if (is_strict() && model.notice.count > 0) break;
  }
  if (back || (is_strict() && model.notice.count > 0)) {
    expect(MI_FAULT_WRITE_AFTER_FREE, bad);
    if (back) zero_check(block.p, block.size, "handed out after a write to a freed block");
  } else {
    *bad = 0;
  }
  while (count > 0) mi_free(taken[--count]);
  slot_give(slot);
}

// ---- claims ---------------------------------------------------------------------------------------------------------

// After a report that was outlived the block is freed or left alone: either way it is not the program's any more.
static void claimed_wrongly(slot_t* slot, mi_fault_t fault) {
  uint8_t* p = slot->block.p;
  expect(fault, p);
  bool left = mi_malloc_object_size(p) == slot->block.size && slot->block.size != 0;
  if (left && is_live(p) && mi_usable_size(p) == slot->block.size) mi_free(p);
  notice_reset();
  block_bury(slot);
  slot_give(slot);
}

void op_size_mismatch(const op_t* op) {
  slot_t* slot = slot_full(op->slot);
  if (slot == NULL) return;
  block_t* block = &slot->block;
  size_t claimed = op->a % 4 == 0 ? block->size + 1 : size_of_code(op->a, op->b);
  if (op->a % 4 == 1 && block->size > 0) claimed = block->size - 1;
  if (claimed == block->size) claimed ^= 1;
  block_dies(slot);
  switch (op->c % 3) {
    case 0:
      mi_free_size(block->p, claimed);
      break;
    case 1:
      mi_free_size_aligned(block->p, claimed, 1);
      break;
    default:
      if (block->family == MI_FAMILY_NEW) {
        mi_delete_size(block->p, claimed);
      } else if (block->family == MI_FAMILY_NEW_ARRAY) {
        mi_delete_array_size(block->p, claimed);
      } else {
        mi_free_size(block->p, claimed);
      }
      break;
  }
  claimed_wrongly(slot, MI_FAULT_SIZE_MISMATCH);
}

void op_align_mismatch(const op_t* op) {
  slot_t* slot = slot_full(op->slot);
  if (slot == NULL) return;
  block_t* block = &slot->block;
  size_t align = ((uintptr_t)block->p & (0 - (uintptr_t)block->p)) << (1 + op->a % 4);
  block_dies(slot);
  if (op->c % 2 == 0) {
    mi_free_aligned(block->p, align);
  } else {
    mi_free_size_aligned(block->p, block->size, align);
  }
  claimed_wrongly(slot, MI_FAULT_ALIGNMENT_MISMATCH);
}

void op_family_mismatch(const op_t* op) {
  slot_t* slot = slot_full(op->slot);
  if (slot == NULL) return;
  block_t* block = &slot->block;
  bool as_array = block->family == MI_FAMILY_NEW || (block->family == MI_FAMILY_MALLOC && op->a % 2 == 0);
  block_dies(slot);
  if (as_array) {
    op->c % 2 == 0 ? mi_delete_array(block->p) : mi_delete_array_size(block->p, block->size);
  } else {
    op->c % 2 == 0 ? mi_delete(block->p) : mi_delete_size(block->p, block->size);
  }
  claimed_wrongly(slot, MI_FAULT_FAMILY_MISMATCH);
}

// ---- heaps and guards -----------------------------------------------------------------------------------------------

// Blocks of a heap that was destroyed are no blocks any more.
void op_use_dead_heap(const op_t* op) {
  slot_t* slot = slot_full(op->slot);
  if (slot == NULL) return;
  mi_heap_t* heap = slot->block.heap;
  uint8_t* p = slot->block.p;
  slot_give(slot);
  for (unsigned i = 1; i < HEAPS; i++) {
    if (heap == NULL || me->heaps[i] != heap || !me->destroyable[i]) continue;
    op_heap_destroy(&(op_t){.slot = (uint8_t)i});
    notice_none();
    if (op->d % 2 == 0) {
      uint8_t* q = mi_heap_malloc(heap, size_of_code(op->a, op->b));
      expect(MI_FAULT_INVALID_HEAP, heap);
      must(q == NULL || mi_heap_of(q) == heap_now(), "what a heap that was destroyed gives is not of the default heap");
      mi_free(q);
    } else {
      misuse(p, op->c, size_of_code(op->a, op->b));
      expect_free_fault(p);
    }
    return;
  }
}

static void no_access(const uint8_t* p, const char* what) {
  must(!probe_access(p), "%p can be read: %s", (const void*)p, what);
}

void op_access_outside(const op_t* op) {
  slot_t* slot = slot_full(op->slot);
  if (slot == NULL) return;
  block_t block = slot->block;
  size_t room = probe_room(block.p);
  bool large = probe_index(block.p) == 0;
  if (room == 0) no_access(block.p + op->a % 32u, "a block of 0 bytes");
  if (large || probe_guarded(block.p)) no_access(block.p + room + op->a * 16u, "behind a block with a guard");
  if (large && op->d % 2 == 0) {
    free_by(slot, op->b, op->c);
    size_t at = block.size == 0 ? 0 : (size_t)(op->a * 251u + op->b) * 4099u % block.size;
    if (!probe_page_lives(block.p)) no_access(block.p + at, "a large block that was freed");
  }
  slot_give(slot);
}
