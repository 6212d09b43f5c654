// Rows of unwind tables, kept by program counter, so that the second trace through a call takes a sixth of the time, or less.
//
// Rules: no allocation, no lock; any thread, signal handlers too. A place is four words that are read and written one by
// one; the first is a sum of the others and of what they are for, so that a place that two threads write at once, or
// that was never written, is taken for one that holds something else (R. Hyatt, T. Mann, "A lock-less transposition
// table implementation", 2002). The sum knows the object as well: another library may come to the same addresses.
// Whoever overwrites this memory makes traces wrong, as by a smashed stack; what a trace reads stays bounded (trace.c).
// Costs: 16 KiB, touched where traces are made.
#include "row.h"

typedef struct kept_s {
  _Atomic(uint64_t) sum;
  _Atomic(uint64_t) words[3];
} kept_t;

// Two places for each hash; a new row goes into the first, and what was there into the second.
#define PAIR_BITS 8
static kept_t pairs[(size_t)1 << PAIR_BITS][2];

#if defined(__x86_64__)
const uint8_t sec_row_kept[ROW_KEPT] = {3, 6, 12, 13, 14, 15, TRACE_RETURN};
#else
const uint8_t sec_row_kept[ROW_KEPT] = {19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, TRACE_RETURN};
#endif

static kept_t* pair_of(uintptr_t pc) {
  return pairs[pc * 0x9E3779B97F4A7C15u >> (64 - PAIR_BITS)];
}

static uint64_t sum_of(uintptr_t pc, const sec_object_t* object, const sec_row_t* row) {
  uint64_t sum = pc;
  const uint64_t parts[] = {object->start, object->end,   (uintptr_t)object->frames,
                            row->words[0], row->words[1], row->words[2]};
  for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) sum = (sum ^ parts[i]) * 0xD1342543DE82EF95u;
  return ~sum;
}

static uint64_t kept_get(const kept_t* kept, uint64_t* words) {
  for (size_t i = 0; i < 3; i++) words[i] = atomic_load_explicit(&kept->words[i], memory_order_relaxed);
  return atomic_load_explicit(&kept->sum, memory_order_relaxed);
}

static void kept_put(kept_t* kept, uint64_t sum, const uint64_t* words) {
  for (size_t i = 0; i < 3; i++) atomic_store_explicit(&kept->words[i], words[i], memory_order_relaxed);
  atomic_store_explicit(&kept->sum, sum, memory_order_relaxed);
}

bool sec_row_find(uintptr_t pc, const sec_object_t* object, sec_row_t* row) {
  const kept_t* pair = pair_of(pc);
  if (mim_likely(kept_get(&pair[0], row->words) == sum_of(pc, object, row))) return true;
  return kept_get(&pair[1], row->words) == sum_of(pc, object, row);
}

void sec_row_keep(uintptr_t pc, const sec_object_t* object, const sec_row_t* row) {
  kept_t* pair = pair_of(pc);
  uint64_t words[3];
  uint64_t sum = kept_get(&pair[0], words);
  kept_put(&pair[1], sum, words);
  kept_put(&pair[0], sum_of(pc, object, row), row->words);
}
