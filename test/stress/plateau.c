/* plateau: long-running programs whose live memory is bounded stay bounded.

   Four kinds of programs, each sampled at every cycle: one that changes the sizes it uses from cycle to cycle
   (memory of one size must come into use for another), one that frees all but every 50th block each time and lets
   those go a few cycles later (fragmentation), one that builds up in one thread and tears down in another, and a
   cache with random replacement at a fixed total of bytes. The peak of the second half of the cycles must not be
   above one and a half times that of the first half plus a little; and for the whole there is a limit of six
   times what is live plus 64 MiB. */
#include "support.h"

#define MOST 40000
#define LIVE (24 * MIB)

static block_t blocks[MOST];
static watch_t watch;

static void finish(const char* name) {
  watch_plateau(&watch, 16 * KIB, name);
  watch_limit(&watch, 6 * LIVE / KIB + 64 * KIB, name);
  watch.count = 0;
}

/* Fills up to LIVE bytes with sizes from `low` to `high`; returns how many blocks that took. */
static size_t fill_up(rng_t* rng, size_t from, size_t low, size_t high) {
  size_t count = from;
  for (size_t total = 0; total < LIVE && count < MOST; count++) {
    blocks[count] = block_new(rng, low + rng_below(rng, high - low + 1));
    total += blocks[count].size;
  }
  return count;
}

static void changing_sizes(void) {
  rng_t rng = rng_new(1);
  const size_t cycles = scaled(40);
  for (size_t i = 0; i < cycles; i++) {
    const size_t low = (size_t)512 << (i % 9);
    const size_t count = fill_up(&rng, 0, low, low + low / 2);
    watch_sample(&watch);
    for (size_t k = 0; k < count; k++) block_free(&blocks[(k * 7919 + i) % count], "in another order");
    for (size_t k = 0; k < count; k++) block_free(&blocks[k], "the rest");
    watch_sample(&watch);
  }
  finish("changing sizes");
}

static void survivors(void) {
  rng_t rng = rng_new(2);
  static block_t kept[8][MOST / 50 + 1];
  const size_t cycles = scaled(40);
  memset(kept, 0, sizeof(kept));
  for (size_t i = 0; i < cycles; i++) {
    block_t* now_kept = kept[i % 8];
    for (size_t k = 0; k < MOST / 50 + 1; k++) block_free(&now_kept[k], "kept for eight cycles");
    const size_t low = 300 + 200 * (i % 10);
    const size_t count = fill_up(&rng, 0, low, low * 2);
    watch_sample(&watch);
    for (size_t k = 0; k < count; k++) {
      if (k % 50 == 0) {
        now_kept[k / 50] = blocks[k];
        blocks[k].p = NULL;
      } else {
        block_free(&blocks[k], "not kept");
      }
    }
    watch_sample(&watch);
  }
  for (size_t i = 0; i < 8; i++) {
    for (size_t k = 0; k < MOST / 50 + 1; k++) block_free(&kept[i][k], "at the end");
  }
  finish("survivors");
}

static void* tear_down(void* arg) {
  const size_t count = (size_t)(uintptr_t)arg;
  for (size_t k = 0; k < count; k++) block_free(&blocks[k], "in another thread");
  return NULL;
}

static void two_threads(void) {
  rng_t rng = rng_new(3);
  const size_t cycles = scaled(40);
  for (size_t i = 0; i < cycles; i++) {
    const size_t count = fill_up(&rng, 0, 500, 2000);
    watch_sample(&watch);
    pthread_join(thread_start(tear_down, (void*)(uintptr_t)count, 0), NULL);
    watch_sample(&watch);
  }
  finish("two threads");
}

static void cache(void) {
  rng_t rng = rng_new(4);
  size_t total = 0;
  const size_t rounds = scaled(400000);
  for (size_t i = 0; i < rounds; i++) {
    block_t* block = &blocks[rng_below(&rng, MOST)];
    if (block->p != NULL) total -= block->size;
    block_free(block, "replaced");
    *block = block_new(&rng, rng_size(&rng, rng_below(&rng, 10) == 0 ? 8 * KIB : 1 * KIB));
    total += block->size;
    while (total > LIVE) {
      block_t* victim = &blocks[rng_below(&rng, MOST)];
      if (victim->p == NULL) continue;
      total -= victim->size;
      block_free(victim, "evicted");
    }
    if (i % 1000 == 0) watch_sample(&watch);
  }
  for (size_t k = 0; k < MOST; k++) block_free(&blocks[k], "at the end");
  finish("cache");
}

int main(int argc, char** argv) {
  stress_begin(argc, argv);
  changing_sizes();
  survivors();
  two_threads();
  cache();
  return stress_end();
}
