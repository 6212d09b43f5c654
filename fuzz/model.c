// The shadow model: patterns, checks of every promise about a block, and how a failure ends. See model.h.
#include "model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

model_t model = {.standard_error = STDERR_FILENO};
__thread worker_t* me;

// ---- failing --------------------------------------------------------------------------------------------------------

static void write_all(const char* text, size_t length) {
  while (length > 0) {
    ssize_t written = write(model.standard_error, text, length);
    if (written <= 0) return;
    text += written;
    length -= (size_t)written;
  }
}

void model_say(const char* format, ...) {
  char line[512];
  va_list args;
  va_start(args, format);
  int length = vsnprintf(line, sizeof(line), format, args);
  va_end(args);
  if (length > 0) write_all(line, (size_t)length < sizeof(line) ? (size_t)length : sizeof(line) - 1);
}

void model_fail(const char* format, ...) {
  char line[512];
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof(line), format, args);
  va_end(args);
  model_say("fuzz: operation %zu (%s), thread %d: %s\n", model.op_number, model.op_name == NULL ? "end" : model.op_name,
            me == NULL ? -1 : me->number, line);
  if (model.failed != NULL) *model.failed = true;
  abort();
}

static uint64_t random_next(uint64_t* state) {
  *state += 0x9E3779B97F4A7C15u;  // splitmix64
  uint64_t z = *state;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

uint64_t model_random(void) {
  return random_next(&model.random);
}

// ---- contents -------------------------------------------------------------------------------------------------------

// Blocks up to WHOLE bytes are filled throughout; of larger ones both ends and some places between, so that a run does
// not spend its time on page faults.
#define WHOLE 1100u
#define END 256u
#define MIDDLE 8u

// Random bytes, which a block holds from the place on that its `fill` chooses. As they are a prime number, what is
// displaced by any power of two is noticed.
#define PATTERN 4093u
static uint8_t pattern[PATTERN];

void model_start(void) {
  uint64_t state = 0;
  for (size_t i = 0; i < PATTERN; i++) pattern[i] = (uint8_t)random_next(&state);
}

// What byte `i` of a block and those after it hold: as many of `count` as lie together.
static const uint8_t* pattern_at(uint32_t fill, size_t i, size_t* count) {
  size_t at = ((size_t)fill * 1021u + i) % PATTERN;
  if (*count > PATTERN - at) *count = PATTERN - at;
  return pattern + at;
}

typedef void(range_fun)(uint8_t* p, size_t from, size_t to, const block_t* block);

static void fill_range(uint8_t* p, size_t from, size_t to, const block_t* block) {
  for (size_t i = from, count; i < to; i += count) {
    count = to - i;
    const uint8_t* bytes = pattern_at(block->fill, i, &count);
    memcpy(p + i, bytes, count);
  }
}

static void check_range(uint8_t* p, size_t from, size_t to, const block_t* block) {
  for (size_t i = from, count; i < to; i += count) {
    count = to - i;
    const uint8_t* bytes = pattern_at(block->fill, i, &count);
    if (memcmp(p + i, bytes, count) == 0) continue;
    size_t bad = 0;
    while (p[i + bad] == bytes[bad]) bad++;
    model_fail("byte %zu of the block at %p of %zu bytes is %02x, not %02x", i + bad, (void*)p, block->size,
               p[i + bad], bytes[bad]);
  }
}

// The ranges that are filled in a block of `size` bytes, up to `limit`.
static void ranges(uint8_t* p, size_t size, size_t limit, const block_t* block, range_fun* act) {
  if (size <= WHOLE || (model.slow && size <= 65536)) {
    act(p, 0, limit, block);
    return;
  }
  act(p, 0, limit < END ? limit : END, block);
  for (size_t part = 1; part < MIDDLE; part++) {
    size_t from = END + (size - 2 * END) / MIDDLE * part;
    if (from + 8 <= limit) act(p, from, from + 8, block);
  }
  if (limit > size - END) act(p, size - END, limit, block);
}

void block_fill(block_t* block) {
  block->fill = ++me->fills * 4u + (uint32_t)me->number;
  ranges(block->p, block->size, block->size, block, fill_range);
}

void contents_check(const uint8_t* p, const block_t* was, size_t size) {
  if (model.target == FOR_CORRUPT) return;
  size_t limit = size < was->size ? size : was->size;
  ranges((uint8_t*)(uintptr_t)p, was->size, limit, was, check_range);
}

static void zero_range(const uint8_t* p, size_t from, size_t to, const char* what) {
  unsigned seen = 0;
  for (size_t i = from; i < to; i++) seen |= p[i];
  if (seen == 0) return;
  while (p[from] == 0) from++;
  model_fail("%s: byte %zu of the block at %p is %02x, not zero", what, from, (const void*)p, p[from]);
}

void zero_check(const uint8_t* p, size_t size, const char* what) {
  if (model.target == FOR_CORRUPT) return;
  if (size <= 8192 || (model.slow && size <= (1u << 20))) {
    zero_range(p, 0, size, what);
    return;
  }
  zero_range(p, 0, END, what);
  for (size_t part = 1; part < MIDDLE; part++) {
    size_t from = size / MIDDLE * part;
    zero_range(p, from, from + 8, what);
  }
  zero_range(p, size - END, size, what);
}

// ---- slots and blocks -----------------------------------------------------------------------------------------------

slot_t* slot_take(uint8_t number) {
  slot_t* slot = &model.slots[number % SLOTS];
  return atomic_exchange_explicit(&slot->taken, true, memory_order_acquire) ? NULL : slot;
}

void slot_give(slot_t* slot) {
  atomic_store_explicit(&slot->taken, false, memory_order_release);
}

// Memory of large blocks comes by page faults, thousands in a run, if nothing limits it: a run has half a MiB of it, and
// one block of any size. Piles are for filling pages: more than that is time.
#define HEAVY ((size_t)32 << 10)
#define HEAVY_BYTES ((size_t)512 << 10)

bool model_room(size_t size) {
  if (size >= HEAVY) {
    if (atomic_load_explicit(&model.heavy_bytes, memory_order_relaxed) > HEAVY_BYTES) return false;
    atomic_fetch_add_explicit(&model.heavy_bytes, size, memory_order_relaxed);
  }
  return atomic_load_explicit(&model.live_bytes, memory_order_relaxed) + size <= LIVE_BYTES_MAX;
}

#define PILE_BYTES ((size_t)256 << 10)
#define PILED_MAX 4352u

size_t model_pile_room(size_t count, size_t size) {
  size_t most = size == 0 ? count : PILE_BYTES / size + 1;
  size_t piled = atomic_load_explicit(&model.piled, memory_order_relaxed);
  size_t left = piled < PILED_MAX ? PILED_MAX - piled : 0;
  if (most > left) most = left;
  if (count > most) count = most;
  atomic_fetch_add_explicit(&model.piled, count, memory_order_relaxed);
  return count;
}

// Texts are long, and no coverage comes of them (deny.txt): one in eight is written, and one in a run.
bool model_text_room(const op_t* op) {
  return op->d % 8 == 0 && atomic_fetch_add_explicit(&model.texts, 1, memory_order_relaxed) == 0;
}

mi_heap_t* heap_now(void) {
  return me->heaps[me->default_heap];
}

static bool overlaps(const uint8_t* p, size_t size, const block_t* other) {
  size_t mine = size == 0 ? 1 : size, its = other->size == 0 ? 1 : other->size;
  return p < other->p + its && other->p < p + mine;
}

static void check_alone(const block_t* block) {
  if (model.parallel) return;  // contents tell
  for (size_t i = 0; i < SLOTS; i++) {
    const block_t* other = &model.slots[i].block;
    if (other == block || other->p == NULL) continue;
    must(!overlaps(block->p, block->size, other), "%p of %zu bytes overlaps the live block %p of %zu bytes in slot %zu",
         (void*)block->p, block->size, (void*)other->p, other->size, i);
  }
}

static void check_size(const block_t* block) {
  size_t usable = mi_usable_size(block->p);
  if (mi_is_secure()) {
    must(usable == block->size, "the usable size of %p is %zu, not the %zu bytes that were asked for", (void*)block->p,
         usable, block->size);
  } else {
    must(usable >= block->size, "the usable size of %p is %zu, less than the %zu bytes asked for", (void*)block->p,
         usable, block->size);
  }
}

void block_check(const block_t* block) {
  uintptr_t address = (uintptr_t)block->p;
  must(probe_in_region(block->p, block->size), "%p of %zu bytes is not in the allocator's memory", (void*)block->p,
       block->size);
  if (block->align > 1) {
    must((address + block->offset) % block->align == 0, "%p at offset %zu is not aligned to %zu", (void*)block->p,
         block->offset, block->align);
  }
  if (block->offset % 16 == 0 || block->align < 2) must(address % 16 == 0, "%p is not aligned to 16", (void*)block->p);
  check_alone(block);
  check_size(block);
}

void block_born(slot_t* slot, block_t block, bool zero) {
  must(block.p != NULL, "no memory for %zu bytes", block.size);
  slot->block = block;
  block_check(&slot->block);
  if (zero) zero_check(block.p, mi_is_secure() ? block.size : mi_usable_size(block.p), "zero-initialised");
  slot->block.zeroed = zero;
  atomic_fetch_add_explicit(&model.live_bytes, block.size, memory_order_relaxed);
  block_fill(&slot->block);
}

void block_dies(slot_t* slot) {
  contents_check(slot->block.p, &slot->block, slot->block.size);
}

void block_bury(slot_t* slot) {
  atomic_fetch_sub_explicit(&model.live_bytes, slot->block.size, memory_order_relaxed);
  if (!model.parallel) model.graves[model.grave_next++ % GRAVES] = slot->block;
  slot->block.p = NULL;
}

slot_t* block_at(const void* p) {
  for (size_t i = 0; i < SLOTS; i++) {
    if (model.slots[i].block.p == p && p != NULL) return &model.slots[i];
  }
  return NULL;
}

const block_t* grave_pick(uint8_t number) {
  size_t count = model.grave_next < GRAVES ? model.grave_next : GRAVES;
  return count == 0 ? NULL : &model.graves[number % count];
}

// ---- violations -----------------------------------------------------------------------------------------------------

void notice_reset(void) {
  model.notice = (notice_t){0};
}

void notice_none(void) {
  must(model.notice.count == 0, "a violation was reported for nothing: %s at %p", mi_fault_name(model.notice.first),
       model.notice.address);
}

bool is_free_fault(mi_fault_t fault) {
  return fault >= MI_FAULT_DOUBLE_FREE && fault <= MI_FAULT_INVALID_FREE;
}
