/* alloc_test.c - random blocks with few hot and many cold slots.
 *
 * Follows "Testing Memory Allocators: ptmalloc2 vs tcmalloc vs hoard vs jemalloc, While Trying to Simulate
 * Real-World Loads" (Hare, 2018), the program alloc-test: slots of a table are emptied and filled in turn;
 * which slot is drawn from a Pareto-like distribution (a fifth of the slots gets four fifths of the
 * draws), sizes double with halving frequency up to a limit, and blocks are read and written, because a
 * program that never touches its memory is none. Each thread has a table of its own.
 */
#include "common.h"

enum { SLOTS_LOG = 15, SLOTS = 1 << SLOTS_LOG, MAX_SIZE_LOG = 11 };

typedef struct slot_s {
  uint64_t* block;
  size_t words;
} slot_t;

typedef struct table_s {
  slot_t slots[SLOTS];
  bench_random_t random;
  size_t operations;
  uint64_t sum;
} table_t;

/* Four of five draws land in the first fifth, of these again four of five in its first fifth, and so on. */
static size_t draw_slot(bench_random_t* random) {
  double span = SLOTS;
  while (span > 64 && bench_below(random, 5) != 0) span /= 5;
  return bench_below(random, (size_t)span);
}

static size_t draw_size(bench_random_t* random) {
  unsigned log = 4 + (unsigned)__builtin_ctz(bench_random(random) | 1u << (MAX_SIZE_LOG - 4));
  return ((size_t)1 << log) + bench_below(random, (size_t)1 << log);
}

static void* run(void* argument) {
  table_t* table = argument;
  for (size_t n = 0; n < table->operations; n++) {
    slot_t* slot = &table->slots[draw_slot(&table->random)];
    if (slot->block != NULL) {
      for (size_t i = 0; i < slot->words; i += 8) table->sum += slot->block[i];
      free(slot->block);
      slot->block = NULL;
    } else {
      size_t size = draw_size(&table->random);
      slot->words = size / 8;
      slot->block = bench_checked(malloc(size));
      for (size_t i = 0; i < slot->words; i += 8) slot->block[i] = n + i;
    }
  }
  for (size_t i = 0; i < SLOTS; i++) free(table->slots[i].block);
  return NULL;
}

int main(int argc, char** argv) {
  bench_t bench = bench_arguments(argc, argv);
  table_t* tables = bench_checked(calloc(bench.threads, sizeof(*tables)));
  for (unsigned t = 0; t < bench.threads; t++) {
    tables[t].random = bench_seed(t + 11);
    tables[t].operations = bench_scaled(&bench, 20e6);
  }
  bench_threads(bench.threads, run, tables, sizeof(*tables));
  uint64_t sum = 0;
  for (unsigned t = 0; t < bench.threads; t++) sum = bench_mix(sum, tables[t].sum);
  free(tables);
  return bench_end(sum);
}
