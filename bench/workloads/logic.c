/* logic.c - two-level logic minimisation in the way of espresso.
 *
 * Follows "Logic Minimization Algorithms for VLSI Synthesis" (Brayton, Hachtel, McMullen and
 * Sangiovanni-Vincentelli, Kluwer 1984): expand, irredundant and reduce over covers of cubes until the
 * cost stands still, complement and tautology by the unate recursive paradigm. espresso came into
 * allocator research with Zorn and Grunwald ("Empirical Measurements of Six Allocation-Intensive C
 * Programs", 1992). A cube is a block of its own, a cover an array of pointers that grows by realloc;
 * each step of a recursion copies cofactors into new covers and frees them behind it. Small blocks of a
 * few sizes, stack-like lifetimes, arrays of all sizes between them; one thread.
 */
#include "common.h"

/* A cube has two bits a variable: 01 the complement, 10 the variable, 11 both, 00 never. */
typedef struct cube_s {
  uint32_t literals;      // variables that are not 11
  uint32_t words;
  uint64_t bits[];        // 32 variables a word
} cube_t;

typedef struct cover_s {
  size_t count, capacity;
  cube_t** cubes;
} cover_t;

enum { BOTH = 3 };

static unsigned variables;
static const uint64_t LOW_BITS = 0x5555555555555555u;

static size_t cube_words(void) { return (variables + 31) / 32; }

/* Bits behind the last variable are ones, so that they count as "both" everywhere. */
static cube_t* cube_full(void) {
  cube_t* c = bench_checked(malloc(sizeof(cube_t) + cube_words() * sizeof(uint64_t)));
  c->literals = 0;
  c->words = (uint32_t)cube_words();
  memset(c->bits, 0xFF, c->words * sizeof(uint64_t));
  return c;
}

static cube_t* cube_copy(const cube_t* from) {
  size_t size = sizeof(cube_t) + from->words * sizeof(uint64_t);
  return memcpy(bench_checked(malloc(size)), from, size);
}

static unsigned get(const cube_t* c, unsigned v) {
  return (unsigned)(c->bits[v / 32] >> (v % 32 * 2)) & BOTH;
}

static void set(cube_t* c, unsigned v, unsigned value) {
  unsigned shift = v % 32 * 2;
  c->literals += (uint32_t)((get(c, v) == BOTH) - (value == BOTH));
  c->bits[v / 32] = (c->bits[v / 32] & ~((uint64_t)BOTH << shift)) | (uint64_t)value << shift;
}

static int cubes_meet(const cube_t* a, const cube_t* b) {
  for (size_t i = 0; i < a->words; i++) {
    uint64_t both = a->bits[i] & b->bits[i];
    if (~(both | both >> 1) & LOW_BITS) return 0;
  }
  return 1;
}

static int cube_covers(const cube_t* a, const cube_t* b) {
  for (size_t i = 0; i < a->words; i++) {
    if (b->bits[i] & ~a->bits[i]) return 0;
  }
  return 1;
}

static cover_t* cover_new(size_t capacity) {
  cover_t* f = bench_checked(malloc(sizeof(*f)));
  f->count = 0;
  f->capacity = capacity < 4 ? 4 : capacity;
  f->cubes = bench_checked(malloc(f->capacity * sizeof(cube_t*)));
  return f;
}

static void cover_free(cover_t* f) {
  for (size_t i = 0; i < f->count; i++) free(f->cubes[i]);
  free(f->cubes);
  free(f);
}

static void cover_push(cover_t* f, cube_t* c) {
  if (f->count == f->capacity) {
    f->capacity += f->capacity / 2;
    f->cubes = bench_checked(realloc(f->cubes, f->capacity * sizeof(cube_t*)));
  }
  f->cubes[f->count++] = c;
}

static void cover_remove(cover_t* f, size_t i) {
  free(f->cubes[i]);
  f->cubes[i] = f->cubes[--f->count];
}

/* The cover seen from inside cube c: cubes that meet it, with its literals raised to "both". */
static cover_t* cofactor(const cover_t* f, const cube_t* c) {
  cover_t* result = cover_new(f->count / 2);
  for (size_t i = 0; i < f->count; i++) {
    if (!cubes_meet(f->cubes[i], c)) continue;
    cube_t* copy = cube_copy(f->cubes[i]);
    uint32_t literals = 0;
    for (size_t w = 0; w < copy->words; w++) {
      copy->bits[w] |= ~c->bits[w];
      uint64_t full = copy->bits[w] & copy->bits[w] >> 1 & LOW_BITS;
      literals += 32 - (uint32_t)__builtin_popcountll(full);
    }
    copy->literals = literals;
    cover_push(result, copy);
  }
  return result;
}

typedef struct choice_s {
  unsigned variable;
  int binate;             // appears in both phases
} choice_t;

/* The variable with most literals, among those in both phases if there are any. */
static choice_t choose(const cover_t* f) {
  choice_t best = { 0, 0 };
  unsigned most = 0;
  for (unsigned v = 0; v < variables; v++) {
    unsigned count[4] = { 0 };
    for (size_t i = 0; i < f->count; i++) count[get(f->cubes[i], v)]++;
    int binate = count[1] != 0 && count[2] != 0;
    unsigned literals = count[1] + count[2];
    if (binate > best.binate || (binate == best.binate && literals > most)) {
      best.variable = v;
      best.binate = binate;
      most = literals;
    }
  }
  return best;
}

static int has_full_cube(const cover_t* f) {
  for (size_t i = 0; i < f->count; i++) {
    if (f->cubes[i]->literals == 0) return 1;
  }
  return 0;
}

static cover_t* half(const cover_t* f, unsigned variable, unsigned phase) {
  cube_t* side = cube_full();
  set(side, variable, phase);
  cover_t* result = cofactor(f, side);
  free(side);
  return result;
}

static int tautology(const cover_t* f) {
  if (has_full_cube(f)) return 1;
  if (f->count == 0) return 0;
  choice_t choice = choose(f);
  if (!choice.binate) return 0;    // a unate cover without the full cube leaves something out
  for (unsigned phase = 1; phase <= 2; phase++) {
    cover_t* part = half(f, choice.variable, phase);
    int whole = tautology(part);
    cover_free(part);
    if (!whole) return 0;
  }
  return 1;
}

/* The complement of one cube: a cube for each of its literals. */
static cover_t* complement_cube(const cube_t* c) {
  cover_t* result = cover_new(c->literals);
  for (unsigned v = 0; v < variables; v++) {
    if (get(c, v) == BOTH) continue;
    cube_t* outside = cube_full();
    set(outside, v, get(c, v) ^ BOTH);
    cover_push(result, outside);
  }
  return result;
}

/* Puts both halves together; a cube that is in both keeps no literal of the variable. */
static cover_t* merge(cover_t* a, cover_t* b, unsigned variable) {
  for (size_t i = 0; i < a->count; i++) {
    for (size_t j = 0; j < b->count; j++) {
      if (a->cubes[i]->literals != b->cubes[j]->literals) continue;
      if (memcmp(a->cubes[i]->bits, b->cubes[j]->bits, a->cubes[i]->words * sizeof(uint64_t)) != 0) continue;
      cover_remove(b, j);
      goto next;
    }
    set(a->cubes[i], variable, 1);
  next:;
  }
  for (size_t j = 0; j < b->count; j++) {
    set(b->cubes[j], variable, 2);
    cover_push(a, cube_copy(b->cubes[j]));
  }
  cover_free(b);
  return a;
}

static cover_t* complement(const cover_t* f) {
  if (f->count == 0) {
    cover_t* all = cover_new(1);
    cover_push(all, cube_full());
    return all;
  }
  if (has_full_cube(f)) return cover_new(0);
  if (f->count == 1) return complement_cube(f->cubes[0]);
  choice_t choice = choose(f);
  cover_t* low = half(f, choice.variable, 1);
  cover_t* high = half(f, choice.variable, 2);
  cover_t* low_complement = complement(low);
  cover_t* high_complement = complement(high);
  cover_free(low);
  cover_free(high);
  return merge(low_complement, high_complement, choice.variable);
}

static int meets_any(const cover_t* f, const cube_t* c) {
  for (size_t i = 0; i < f->count; i++) {
    if (cubes_meet(f->cubes[i], c)) return 1;
  }
  return 0;
}

static int by_literals(const void* a, const void* b) {
  const cube_t* x = *(cube_t* const*)a;
  const cube_t* y = *(cube_t* const*)b;
  if (x->literals != y->literals) return x->literals < y->literals ? -1 : 1;
  return memcmp(x->bits, y->bits, x->words * sizeof(uint64_t));
}

/* Drops the literals of each cube that the off-set allows, then the cubes that others now cover. */
static void expand(cover_t* f, const cover_t* off) {
  qsort(f->cubes, f->count, sizeof(cube_t*), by_literals);
  for (size_t i = f->count; i-- > 0;) {
    for (unsigned v = 0; v < variables; v++) {
      unsigned value = get(f->cubes[i], v);
      if (value == BOTH) continue;
      cube_t* raised = cube_copy(f->cubes[i]);
      set(raised, v, BOTH);
      if (meets_any(off, raised)) {
        free(raised);
      } else {
        free(f->cubes[i]);
        f->cubes[i] = raised;
      }
    }
  }
  for (size_t i = f->count; i-- > 0;) {
    for (size_t j = 0; j < f->count; j++) {
      if (i == j || !cube_covers(f->cubes[j], f->cubes[i])) continue;
      cover_remove(f, i);
      break;
    }
  }
}

/* The cover without cube i, seen from inside that cube. */
static cover_t* others(const cover_t* f, size_t i) {
  cover_t rest = { 0, f->count, bench_checked(malloc(f->count * sizeof(cube_t*))) };
  for (size_t j = 0; j < f->count; j++) {
    if (j != i) rest.cubes[rest.count++] = f->cubes[j];
  }
  cover_t* result = cofactor(&rest, f->cubes[i]);
  free(rest.cubes);
  return result;
}

static void irredundant(cover_t* f) {
  for (size_t i = f->count; i-- > 0;) {
    cover_t* rest = others(f, i);
    if (tautology(rest)) cover_remove(f, i);
    cover_free(rest);
  }
}

/* Shrinks each cube to what only it covers: the smallest cube around the complement of the others. */
static void reduce(cover_t* f) {
  for (size_t i = 0; i < f->count; i++) {
    cover_t* rest = others(f, i);
    cover_t* own = complement(rest);
    cover_free(rest);
    if (own->count > 0) {
      cube_t* around = cube_copy(own->cubes[0]);
      for (size_t j = 1; j < own->count; j++) {
        for (size_t w = 0; w < around->words; w++) around->bits[w] |= own->cubes[j]->bits[w];
      }
      for (unsigned v = 0; v < variables; v++) {
        if (get(around, v) != BOTH) set(f->cubes[i], v, get(f->cubes[i], v) & get(around, v));
      }
      free(around);
    }
    cover_free(own);
  }
}

static size_t cost(const cover_t* f) {
  size_t sum = f->count * 1000;
  for (size_t i = 0; i < f->count; i++) sum += f->cubes[i]->literals;
  return sum;
}

static cover_t* random_function(bench_random_t* random, size_t cubes, unsigned literals) {
  cover_t* f = cover_new(0);
  for (size_t i = 0; i < cubes; i++) {
    cube_t* c = cube_full();
    while (c->literals < literals) {
      set(c, (unsigned)bench_below(random, variables), (unsigned)(1 + bench_below(random, 2)));
    }
    cover_push(f, c);
  }
  return f;
}

static uint64_t minimise(bench_random_t* random) {
  cover_t* f = random_function(random, 110 + bench_below(random, 60), 5 + (unsigned)bench_below(random, 3));
  cover_t* off = complement(f);
  size_t before;
  size_t now = cost(f);
  uint64_t sum = off->count;
  do {
    before = now;
    expand(f, off);
    irredundant(f);
    now = cost(f);
    if (now < before) reduce(f);
  } while (now < before);
  qsort(f->cubes, f->count, sizeof(cube_t*), by_literals);
  for (size_t i = 0; i < f->count; i++) sum = bench_mix(sum, f->cubes[i]->bits[0]);
  cover_free(f);
  cover_free(off);
  return sum;
}

int main(int argc, char** argv) {
  bench_t bench = bench_arguments(argc, argv);
  bench_random_t random = bench_seed(1984);
  uint64_t sum = 0;
  size_t functions = bench_scaled(&bench, 60);
  for (size_t i = 0; i < functions; i++) {
    variables = 14 + (unsigned)(i % 4);
    sum = bench_mix(sum, minimise(&random));
  }
  return bench_end(sum);
}
