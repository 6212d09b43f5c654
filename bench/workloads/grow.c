/* grow.c - arrays that grow by realloc.
 *
 * The habit of interpreters, parsers and network code that Vo ("Vmalloc: A General and Efficient Memory
 * Allocator", 1996) counts among those that decide an allocator's worth: buffers grow a little at a time,
 * many side by side. Strings are extended by a few bytes with a realloc each; vectors grow by half; a few
 * buffers grow to megabytes by a page or two at a time. It pays to grow in place, to know the slack of
 * a block, and not to copy large blocks where their pages can be moved.
 */
#include "common.h"

enum { STRINGS = 2000, STRING_MAX = 3000, VECTORS = 300, VECTOR_MAX = 200000, BIG = 4, BIG_MAX = 6 << 20 };

typedef struct buffer_s {
  unsigned char* start;
  size_t size;            // bytes in use
  size_t capacity;
} buffer_t;

static uint64_t finish(buffer_t* b) {
  uint64_t sum = 0;
  for (size_t i = 0; i < b->size; i += 61) sum = bench_mix(sum, b->start[i]);
  free(b->start);
  memset(b, 0, sizeof(*b));
  return sum;
}

/* Makes room for `more` bytes and writes them. A capacity of exactly what is needed if `exact`. */
static void append(buffer_t* b, size_t more, int exact) {
  size_t need = b->size + more;
  if (need > b->capacity) {
    b->capacity = exact || need > b->capacity + b->capacity / 2 ? need : b->capacity + b->capacity / 2;
    b->start = bench_checked(realloc(b->start, b->capacity));
  }
  memset(b->start + b->size, (int)(b->size & 0xFF), more);
  b->size = need;
}

/* `operations` appends to random buffers; a buffer at its limit is checked, freed and begins again. */
static uint64_t grow(bench_random_t* random, size_t buffers, size_t step, size_t limit, int exact,
                     size_t operations) {
  uint64_t sum = 0;
  buffer_t* all = bench_checked(calloc(buffers, sizeof(buffer_t)));
  for (size_t n = 0; n < operations; n++) {
    buffer_t* b = &all[bench_below(random, buffers)];
    if (b->size >= limit) sum = bench_mix(sum, finish(b));
    append(b, 1 + bench_below(random, step), exact);
  }
  for (size_t i = 0; i < buffers; i++) sum = bench_mix(sum, finish(&all[i]));
  free(all);
  return sum;
}

int main(int argc, char** argv) {
  bench_t bench = bench_arguments(argc, argv);
  bench_random_t random = bench_seed(1996);
  uint64_t sum = grow(&random, STRINGS, 40, STRING_MAX, 1, bench_scaled(&bench, 5e6));
  sum = bench_mix(sum, grow(&random, VECTORS, 400, VECTOR_MAX, 0, bench_scaled(&bench, 2e6)));
  sum = bench_mix(sum, grow(&random, BIG, 8192, BIG_MAX, 1, bench_scaled(&bench, 2e4)));
  return bench_end(sum);
}
