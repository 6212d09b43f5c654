/* pair.c - what one malloc/free pair costs.
 *
 * The loop that all figures of a pair in this project come from: `live` blocks are allocated, then all of
 * them are freed, again and again. The sizes are drawn once from LOW..HIGH; the orders of freeing are
 *
 *   lifo    the last allocated first (what destructors and scopes do),
 *   fifo    the first allocated first (what queues do),
 *   random  in an order drawn once (what a long-lived program does).
 *
 * malloc and free are called through the PLT, as in any program, so LD_PRELOAD decides what is measured.
 * Blocks are not touched unless --touch is given: the figure is that of the allocator alone. The loop
 * itself, two calls of an empty function included, costs what --order none prints.
 *
 * The time is the fastest of the repetitions and their median: the fastest says what the code costs, the
 * median what this machine made of it. "cycles" are those of the time-stamp counter, which ticks at a
 * fixed rate and not at that of the core. With --repeat 1 nothing but the loop depends on --pairs, so two
 * lengths under callgrind give the exact number of instructions (instructions.sh).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

typedef enum order_e { ORDER_LIFO, ORDER_FIFO, ORDER_RANDOM, ORDER_NONE } order_t;
static const char* const order_names[] = { "lifo", "fifo", "random", "none" };

enum { MAX_LIVE = 1 << 20, MAX_REPEAT = 1000 };

typedef struct setting_s {
  size_t low, high;       // sizes, both included
  size_t live;            // blocks at a time
  size_t pairs;           // a repetition
  size_t repeat;
  order_t order;
  int touch;
} setting_t;

/* Static, so that the arrays of the loop never come from the allocator under test. */
static size_t sizes[MAX_LIVE];
static uint32_t places[MAX_LIVE];
static void* blocks[MAX_LIVE];

static uint64_t random_state = 0x9E3779B97F4A7C15u;

static uint64_t random_next(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state;
}

static uint64_t clock_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t clock_cycles(void) {
#if defined(__x86_64__)
  return __rdtsc();
#else
  return clock_ns();
#endif
}

static __attribute__((noinline)) void* empty_malloc(size_t size) {
  __asm__ volatile("" : "+r"(size));
  return (void*)size;
}

static __attribute__((noinline)) void empty_free(void* p) {
  __asm__ volatile("" : "+r"(p));
}

/* Eleven instructions a pair, calls included: six to allocate, five to free. */
static __attribute__((noinline)) void batch_lifo(size_t live) {
  for (size_t i = 0; i < live; i++) blocks[i] = malloc(sizes[i]);
  for (size_t i = live; i-- > 0;) free(blocks[i]);
}

static __attribute__((noinline)) void batch_fifo(size_t live) {
  for (size_t i = 0; i < live; i++) blocks[i] = malloc(sizes[i]);
  for (size_t i = 0; i < live; i++) free(blocks[i]);
}

/* The blocks are put down in their random places, so that this loop frees as cheaply as the others. */
static __attribute__((noinline)) void batch_random(size_t live) {
  for (size_t i = 0; i < live; i++) blocks[places[i]] = malloc(sizes[i]);
  for (size_t i = 0; i < live; i++) free(blocks[i]);
}

static __attribute__((noinline)) void batch_none(size_t live) {
  for (size_t i = 0; i < live; i++) blocks[i] = empty_malloc(sizes[i]);
  for (size_t i = live; i-- > 0;) empty_free(blocks[i]);
}

static __attribute__((noinline)) void batch_touch(size_t live) {
  for (size_t i = 0; i < live; i++) {
    char* p = malloc(sizes[i]);
    p[0] = (char)i;
    p[sizes[i] - 1] = (char)i;
    blocks[places[i]] = p;
  }
  for (size_t i = 0; i < live; i++) free(blocks[i]);
}

static void run(const setting_t* s) {
  size_t batches = s->pairs / s->live;
  for (size_t i = 0; i < batches; i++) {
    if (s->touch) batch_touch(s->live);
    else if (s->order == ORDER_LIFO) batch_lifo(s->live);
    else if (s->order == ORDER_FIFO) batch_fifo(s->live);
    else if (s->order == ORDER_RANDOM) batch_random(s->live);
    else batch_none(s->live);
  }
}

/* With --touch the one loop serves all orders, so the places say which. */
static void prepare(const setting_t* s) {
  for (size_t i = 0; i < s->live; i++) {
    sizes[i] = s->low + random_next() % (s->high - s->low + 1);
    places[i] = (uint32_t)(s->order == ORDER_LIFO ? s->live - 1 - i : i);
  }
  if (s->order != ORDER_RANDOM) return;
  for (size_t i = s->live - 1; i > 0; i--) {
    size_t j = random_next() % (i + 1);
    uint32_t other = places[j];
    places[j] = places[i];
    places[i] = other;
  }
}

static int compare_double(const void* a, const void* b) {
  double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

static void usage(void) {
  fputs("usage: pair [--sizes LOW-HIGH|SIZE] [--live N] [--order lifo|fifo|random|none] [--pairs N]\n"
        "            [--repeat N] [--touch]\n"
        "prints: ns and time-stamp cycles a pair, fastest and median of the repetitions\n", stderr);
  exit(2);
}

static size_t parse_number(const char* option, const char* text, size_t low, size_t high) {
  char* end = NULL;
  errno = 0;
  unsigned long long n = strtoull(text, &end, 10);
  if (errno != 0 || end == text || *end != 0 || n < low || n > high) {
    fprintf(stderr, "pair: %s %s: not a number from %zu to %zu\n", option, text, low, high);
    exit(2);
  }
  return (size_t)n;
}

static void parse_sizes(setting_t* s, char* text) {
  char* dash = strchr(text, '-');
  if (dash != NULL) *dash = 0;
  s->low = parse_number("--sizes", text, 1, (size_t)1 << 30);
  s->high = dash != NULL ? parse_number("--sizes", dash + 1, s->low, (size_t)1 << 30) : s->low;
}

static void parse_order(setting_t* s, const char* text) {
  for (size_t i = 0; i < sizeof(order_names) / sizeof(order_names[0]); i++) {
    if (strcmp(text, order_names[i]) == 0) {
      s->order = (order_t)i;
      return;
    }
  }
  fprintf(stderr, "pair: --order %s: not lifo, fifo, random or none\n", text);
  exit(2);
}

static setting_t parse(int argc, char** argv) {
  setting_t s = { 16, 128, 1024, 1024 * 1000, 9, ORDER_LIFO, 0 };
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--touch") == 0) {
      s.touch = 1;
      continue;
    }
    if (i + 1 >= argc) usage();
    char* value = argv[i + 1];
    if (strcmp(argv[i], "--sizes") == 0) parse_sizes(&s, value);
    else if (strcmp(argv[i], "--live") == 0) s.live = parse_number("--live", value, 1, MAX_LIVE);
    else if (strcmp(argv[i], "--order") == 0) parse_order(&s, value);
    else if (strcmp(argv[i], "--pairs") == 0) s.pairs = parse_number("--pairs", value, 1, (size_t)1 << 40);
    else if (strcmp(argv[i], "--repeat") == 0) s.repeat = parse_number("--repeat", value, 1, MAX_REPEAT);
    else usage();
    i++;
  }
  if (s.touch && s.order == ORDER_NONE) usage();
  if (s.pairs < s.live) s.pairs = s.live;
  return s;
}

int main(int argc, char** argv) {
  static double ns[MAX_REPEAT], cycles[MAX_REPEAT];
  setting_t s = parse(argc, argv);
  prepare(&s);
  double pairs = (double)(s.pairs / s.live * s.live);
  for (size_t i = 0; i < s.repeat; i++) {
    uint64_t start_ns = clock_ns(), start_cycles = clock_cycles();
    run(&s);
    cycles[i] = (double)(clock_cycles() - start_cycles) / pairs;
    ns[i] = (double)(clock_ns() - start_ns) / pairs;
  }
  qsort(ns, s.repeat, sizeof(ns[0]), compare_double);
  qsort(cycles, s.repeat, sizeof(cycles[0]), compare_double);
  printf("order=%s sizes=%zu-%zu live=%zu ns_min=%.2f ns_median=%.2f cycles_min=%.2f cycles_median=%.2f\n",
         order_names[s.order], s.low, s.high, s.live, ns[0], ns[s.repeat / 2], cycles[0],
         cycles[s.repeat / 2]);
  return 0;
}
