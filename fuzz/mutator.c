// A mutator that keeps operations whole: it inserts, removes, repeats, exchanges and splices operations and changes single
// arguments, so that what a sequence did before and after the change keeps its meaning. For AFL++ it is a custom mutator
// (built as a shared object, AFL_CUSTOM_MUTATOR_LIBRARY), for libFuzzer LLVMFuzzerCustomMutator.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ops.h"

typedef struct sequence_s {
  uint8_t* data;
  size_t size, most;  // bytes
  uint64_t random;
} sequence_t;

#define OP_CODE(code, name, targets) code,
static const uint8_t codes[] = {OP_TABLE(OP_CODE)};
#undef OP_CODE

static uint32_t roll(sequence_t* s, uint32_t below) {
  s->random ^= s->random << 13;
  s->random ^= s->random >> 7;
  s->random ^= s->random << 17;
  return (uint32_t)(((s->random >> 32) * below) >> 32);
}

static size_t count_of(const sequence_t* s) {
  return s->size < SEED_BYTES ? 0 : (s->size - SEED_BYTES) / OP_BYTES;
}

static uint8_t* op_of(sequence_t* s, size_t index) {
  return s->data + SEED_BYTES + index * OP_BYTES;
}

// Room for `count` operations at `index`; false: there is none.
static int open_gap(sequence_t* s, size_t index, size_t count) {
  size_t bytes = count * OP_BYTES;
  if (s->size + bytes > s->most || count_of(s) + count > OPS_MAX) return 0;
  uint8_t* at = op_of(s, index);
  memmove(at + bytes, at, s->size - (size_t)(at - s->data));
  s->size += bytes;
  return 1;
}

static void random_op(sequence_t* s, uint8_t* op) {
  for (int i = 0; i < OP_BYTES; i++) op[i] = (uint8_t)roll(s, 256);
  // half of them allocate or free, or nothing much happens
  op[0] = roll(s, 2) == 0 ? (uint8_t)(1 + roll(s, 19)) : codes[roll(s, sizeof(codes))];
}

static void insert(sequence_t* s) {
  size_t index = roll(s, (uint32_t)count_of(s) + 1), count = 1 + roll(s, 4);
  if (!open_gap(s, index, count)) return;
  for (size_t i = 0; i < count; i++) random_op(s, op_of(s, index + i));
}

static void remove_some(sequence_t* s) {
  size_t count = count_of(s);
  if (count < 2) return;
  size_t index = roll(s, (uint32_t)count), gone = 1 + roll(s, (uint32_t)(count - index > 8 ? 8 : count - index));
  if (index + gone > count) gone = count - index;
  memmove(op_of(s, index), op_of(s, index + gone), s->size - (size_t)(op_of(s, index + gone) - s->data));
  s->size -= gone * OP_BYTES;
}

// A few operations once more, now and then on the next slots.
static void repeat(sequence_t* s) {
  size_t count = count_of(s);
  if (count == 0) return;
  size_t from = roll(s, (uint32_t)count), length = 1 + roll(s, 6), times = 1 + roll(s, 6);
  uint8_t copy[6 * OP_BYTES];
  if (length > count - from) length = count - from;
  memcpy(copy, op_of(s, from), length * OP_BYTES);
  uint8_t step = (uint8_t)roll(s, 3);
  for (size_t i = 0; i < times; i++) {
    if (!open_gap(s, from + length, length)) return;
    for (size_t k = 0; k < length; k++) copy[k * OP_BYTES + 1] = (uint8_t)(copy[k * OP_BYTES + 1] + step);
    memcpy(op_of(s, from + length), copy, length * OP_BYTES);
  }
}

static void change_argument(sequence_t* s) {
  size_t count = count_of(s);
  if (count == 0) return;
  uint8_t* byte = op_of(s, roll(s, (uint32_t)count)) + roll(s, OP_BYTES);
  switch (roll(s, 4)) {
    case 0: *byte = (uint8_t)roll(s, 256); break;
    case 1: *byte = (uint8_t)(*byte + 1 + roll(s, 4)); break;
    case 2: *byte = (uint8_t)(*byte - 1 - roll(s, 4)); break;
    default: *byte ^= (uint8_t)(1u << roll(s, 8)); break;
  }
}

static void exchange(sequence_t* s) {
  size_t count = count_of(s);
  if (count < 2) return;
  uint8_t* one = op_of(s, roll(s, (uint32_t)count));
  uint8_t* other = op_of(s, roll(s, (uint32_t)count));
  uint8_t copy[OP_BYTES];
  memcpy(copy, one, OP_BYTES);
  memmove(one, other, OP_BYTES);
  memcpy(other, copy, OP_BYTES);
}

// One operation on the slot of another, so that they meet.
static void same_slot(sequence_t* s) {
  size_t count = count_of(s);
  if (count < 2) return;
  op_of(s, roll(s, (uint32_t)count))[1] = op_of(s, roll(s, (uint32_t)count))[1];
}

// A run of operations of another input.
static void splice(sequence_t* s, const uint8_t* other, size_t other_size) {
  size_t others = other_size < SEED_BYTES ? 0 : (other_size - SEED_BYTES) / OP_BYTES;
  if (others == 0) return;
  size_t from = roll(s, (uint32_t)others), length = 1 + roll(s, (uint32_t)(others - from));
  size_t index = roll(s, (uint32_t)count_of(s) + 1);
  if (open_gap(s, index, length)) memmove(op_of(s, index), other + SEED_BYTES + from * OP_BYTES, length * OP_BYTES);
}

static size_t mutate(uint8_t* data, size_t size, size_t most, const uint8_t* other, size_t other_size, uint64_t seed) {
  sequence_t s = {data, size, most, seed * 0x9E3779B97F4A7C15u | 1};
  roll(&s, 2);
  if (size < SEED_BYTES) {
    if (most < SEED_BYTES) return size;
    memset(data + size, 0, SEED_BYTES - size);
    s.size = SEED_BYTES;
  }
  s.size = SEED_BYTES + count_of(&s) * OP_BYTES;
  for (uint32_t left = 1 + roll(&s, 6); left > 0; left--) {
    switch (roll(&s, 16)) {
      case 0:
      case 1:
      case 2: insert(&s); break;
      case 3:
      case 4: remove_some(&s); break;
      case 5:
      case 6: repeat(&s); break;
      case 7: exchange(&s); break;
      case 8:
      case 9: same_slot(&s); break;
      case 10:
      case 11: splice(&s, other, other_size); break;
      case 12: data[roll(&s, SEED_BYTES)] = (uint8_t)roll(&s, 256); break;
      default: change_argument(&s); break;
    }
  }
  return s.size;
}

// ---- libFuzzer ------------------------------------------------------------------------------------------------------

size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  return mutate(data, size, max_size, data, size, seed);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t* one, size_t one_size, const uint8_t* other, size_t other_size,
                                 uint8_t* out, size_t max_out, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t* one, size_t one_size, const uint8_t* other, size_t other_size,
                                 uint8_t* out, size_t max_out, unsigned seed) {
  size_t size = one_size < max_out ? one_size : max_out;
  memcpy(out, one, size);
  return mutate(out, size, max_out, other, other_size, seed);
}

// ---- AFL++ ----------------------------------------------------------------------------------------------------------

typedef struct afl_mutator_s {
  uint64_t random;
  uint8_t* buf;
  size_t room;
} afl_mutator_t;

void* afl_custom_init(void* afl, unsigned seed);
void* afl_custom_init(void* afl, unsigned seed) {
  (void)afl;
  afl_mutator_t* mutator = calloc(1, sizeof(*mutator));
  if (mutator != NULL) mutator->random = seed;
  return mutator;
}

size_t afl_custom_fuzz(afl_mutator_t* mutator, uint8_t* buf, size_t size, uint8_t** out, uint8_t* add, size_t add_size,
                       size_t most);
size_t afl_custom_fuzz(afl_mutator_t* mutator, uint8_t* buf, size_t size, uint8_t** out, uint8_t* add, size_t add_size,
                       size_t most) {
  if (mutator->room < most) {
    uint8_t* grown = realloc(mutator->buf, most);
    if (grown == NULL) {
      *out = buf;
      return size;
    }
    mutator->buf = grown;
    mutator->room = most;
  }
  if (size > most) size = most;
  memcpy(mutator->buf, buf, size);
  *out = mutator->buf;
  return mutate(mutator->buf, size, most, add == NULL ? buf : add, add == NULL ? size : add_size, ++mutator->random);
}

void afl_custom_deinit(afl_mutator_t* mutator);
void afl_custom_deinit(afl_mutator_t* mutator) {
  free(mutator->buf);
  free(mutator);
}
