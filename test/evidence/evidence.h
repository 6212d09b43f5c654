// What the evidence programs share: a source of random numbers of their own, tail probabilities, checks that print one
// line of a table each.
//
// Every check states what it expects of chance, and fails only when what was seen had a probability below LIMIT. A run
// makes a few hundred checks, so a sound build fails once in some millions of runs.
#ifndef TEST_EVIDENCE_H
#define TEST_EVIDENCE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT 1e-9
#define SKIPPED 77

static unsigned checks_failed;

// ---- random numbers, not those of the allocator ---------------------------------------------------------------------

static uint64_t chance_state[2];

// xoroshiro128+ (D. Blackman, S. Vigna, 2018).
static inline uint64_t chance(void) {
  uint64_t a = chance_state[0], b = chance_state[1], sum = a + b;
  b ^= a;
  chance_state[0] = ((a << 24) | (a >> 40)) ^ b ^ (b << 16);
  chance_state[1] = (b << 37) | (b >> 27);
  return sum;
}

static inline uint64_t chance_below(uint64_t limit) {
  return (uint64_t)(((unsigned __int128)chance() * limit) >> 64);
}

static inline void chance_seed(void) {
  if (getrandom(chance_state, sizeof(chance_state), 0) != sizeof(chance_state)) {
    perror("getrandom");
    exit(2);
  }
}

// ---- tails ----------------------------------------------------------------------------------------------------------

// The upper tail of a chi-square distribution: the regularised incomplete gamma function, by its series below the mean
// and by its continued fraction above (Abramowitz and Stegun, 6.5.29 and 6.5.31).
static inline double chi_square_tail(double x, double freedom) {
  double a = freedom / 2, z = x / 2;
  if (x <= 0) return 1;
  double scale = exp(a * log(z) - z - lgamma(a));
  if (z < a + 1) {
    double term = 1 / a, sum = term;
    for (double n = a + 1; term > sum * 1e-15; n++) {
      term *= z / n;
      sum += term;
    }
    return 1 - sum * scale;
  }
  double b = z + 1 - a, c = 1e300, d = 1 / b, h = d;
  for (int i = 1; i < 10000; i++) {
    double factor = -i * (i - a);
    b += 2;
    d = 1 / (factor * d + b);
    c = b + factor / c;
    h *= d * c;
    if (fabs(d * c - 1) < 1e-14) break;
  }
  return h * scale;
}

static inline double relative_entropy(double q, double p) {
  double sum = 0;
  if (q > 0) sum += q * log(q / p);
  if (q < 1) sum += (1 - q) * log((1 - q) / (1 - p));
  return sum;
}

// Bounds (Chernoff) of the probability of at least, and of at most, `seen` of `trials` with probability p each.
static inline double at_least_bound(double seen, double trials, double p) {
  if (p <= 0) return seen > 0 ? 0 : 1;
  if (p >= 1 || seen <= trials * p) return 1;
  return exp(-trials * relative_entropy(seen / trials, p));
}

static inline double at_most_bound(double seen, double trials, double p) {
  if (p >= 1) return seen < trials ? 0 : 1;
  if (p <= 0 || seen >= trials * p) return 1;
  return exp(-trials * relative_entropy(seen / trials, p));
}

// ---- checks ---------------------------------------------------------------------------------------------------------

static inline const char* verdict(bool holds) {
  if (!holds) checks_failed++;
  return holds ? "holds" : "FAILS";
}

static inline int evidence_end(void) {
  if (checks_failed > 0)
    printf("%u checks failed; each does so by chance with a probability below %g\n", checks_failed, LIMIT);
  return checks_failed > 0;
}

// Percent of the usual work, from the command line.
static inline size_t scale_argument(const char* program, const char* text) {
  char* end;
  unsigned long value = strtoul(text, &end, 10);
  if (end == text || *end != 0 || value < 1 || value > 10000) {
    fprintf(stderr, "%s: scale '%s': expected a percentage from 1 to 10000\n", program, text);
    exit(2);
  }
  return value;
}

#endif
