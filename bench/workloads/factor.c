/* factor.c - an integer factoriser in the way of cfrac.
 *
 * Follows "A Method of Factoring and the Factorization of F7" (Morrison and Brillhart, Mathematics of
 * Computation 29, 1975), the continued fraction method, on numbers of any length in the manner of the
 * program cfrac by Dave Barrett that Grunwald, Zorn and Henderson brought into allocator research
 * ("Improving the Cache Locality of Memory Allocation", PLDI 1993): a number is a small immutable block
 * with a reference count, every operation allocates its result and drops what it used up. Nearly all
 * blocks have 16 to 48 bytes and live for a few operations: short-lived small objects, one thread.
 */
#include "common.h"

typedef struct number_s {
  uint32_t references;
  uint32_t length;        // digits, without leading zeros: zero has none
  uint32_t digits[];      // base 2^32, the lowest first
} number_t;

static number_t* number_new(size_t length) {
  number_t* n = bench_checked(malloc(sizeof(number_t) + length * sizeof(uint32_t)));
  n->references = 1;
  n->length = (uint32_t)length;
  return n;
}

static number_t* keep(number_t* n) {
  n->references++;
  return n;
}

static void drop(number_t* n) {
  if (--n->references == 0) free(n);
}

static number_t* trim(number_t* n) {
  while (n->length > 0 && n->digits[n->length - 1] == 0) n->length--;
  return n;
}

static number_t* number_of(uint64_t value) {
  number_t* n = number_new(2);
  n->digits[0] = (uint32_t)value;
  n->digits[1] = (uint32_t)(value >> 32);
  return trim(n);
}

static int compare(const number_t* a, const number_t* b) {
  if (a->length != b->length) return a->length < b->length ? -1 : 1;
  for (size_t i = a->length; i-- > 0;) {
    if (a->digits[i] != b->digits[i]) return a->digits[i] < b->digits[i] ? -1 : 1;
  }
  return 0;
}

static number_t* add(const number_t* a, const number_t* b) {
  if (a->length < b->length) return add(b, a);
  number_t* sum = number_new(a->length + 1u);
  uint64_t carry = 0;
  for (size_t i = 0; i < a->length; i++) {
    carry += (uint64_t)a->digits[i] + (i < b->length ? b->digits[i] : 0);
    sum->digits[i] = (uint32_t)carry;
    carry >>= 32;
  }
  sum->digits[a->length] = (uint32_t)carry;
  return trim(sum);
}

/* a - b, where a is not the smaller. */
static number_t* subtract(const number_t* a, const number_t* b) {
  number_t* difference = number_new(a->length);
  int64_t borrow = 0;
  for (size_t i = 0; i < a->length; i++) {
    borrow += (int64_t)a->digits[i] - (i < b->length ? b->digits[i] : 0);
    difference->digits[i] = (uint32_t)borrow;
    borrow >>= 32;
  }
  return trim(difference);
}

static number_t* multiply(const number_t* a, const number_t* b) {
  number_t* product = number_new((size_t)a->length + b->length);
  memset(product->digits, 0, product->length * sizeof(uint32_t));
  for (size_t i = 0; i < a->length; i++) {
    uint64_t carry = 0;
    for (size_t j = 0; j < b->length; j++) {
      carry += (uint64_t)a->digits[i] * b->digits[j] + product->digits[i + j];
      product->digits[i + j] = (uint32_t)carry;
      carry >>= 32;
    }
    product->digits[i + b->length] = (uint32_t)carry;
  }
  return trim(product);
}

static number_t* divide_digit(const number_t* a, uint32_t b, number_t** rest) {
  number_t* quotient = number_new(a->length);
  uint64_t remainder = 0;
  for (size_t i = a->length; i-- > 0;) {
    remainder = remainder << 32 | a->digits[i];
    quotient->digits[i] = (uint32_t)(remainder / b);
    remainder %= b;
  }
  *rest = number_of(remainder);
  return trim(quotient);
}

/* One step of Knuth's algorithm D: takes the quotient digit at `place` out of u. */
static uint32_t divide_step(uint32_t* u, const number_t* v, size_t place) {
  size_t n = v->length;
  uint64_t head = (uint64_t)u[place + n] << 32 | u[place + n - 1];
  uint64_t digit = head / v->digits[n - 1], remainder = head % v->digits[n - 1];
  while (digit >> 32 || digit * v->digits[n - 2] > (remainder << 32 | u[place + n - 2])) {
    digit--;
    remainder += v->digits[n - 1];
    if (remainder >> 32) break;
  }
  int64_t borrow = 0;
  uint64_t carry = 0;
  for (size_t i = 0; i < n; i++) {
    carry += digit * v->digits[i];
    borrow += (int64_t)u[place + i] - (int64_t)(uint32_t)carry;
    u[place + i] = (uint32_t)borrow;
    borrow >>= 32;
    carry >>= 32;
  }
  borrow += (int64_t)u[place + n] - (int64_t)carry;
  u[place + n] = (uint32_t)borrow;
  if (borrow >= 0) return (uint32_t)digit;
  carry = 0;
  for (size_t i = 0; i < n; i++) {
    carry += (uint64_t)u[place + i] + v->digits[i];
    u[place + i] = (uint32_t)carry;
    carry >>= 32;
  }
  u[place + n] += (uint32_t)carry;
  return (uint32_t)digit - 1;
}

static number_t* shifted(const number_t* a, unsigned bits, size_t extra) {
  number_t* n = number_new(a->length + extra);
  uint64_t carry = 0;
  for (size_t i = 0; i < n->length; i++) {
    carry |= (uint64_t)(i < a->length ? a->digits[i] : 0) << bits;
    n->digits[i] = (uint32_t)carry;
    carry >>= 32;
  }
  return n;
}

static number_t* divide(const number_t* a, const number_t* b, number_t** rest) {
  if (b->length == 1) return divide_digit(a, b->digits[0], rest);
  if (compare(a, b) < 0) {
    *rest = shifted(a, 0, 0);
    return number_of(0);
  }
  unsigned bits = (unsigned)__builtin_clz(b->digits[b->length - 1]);
  number_t* u = shifted(a, bits, 1);
  number_t* v = shifted(b, bits, 0);
  number_t* quotient = number_new(a->length - b->length + 1u);
  for (size_t place = quotient->length; place-- > 0;) {
    quotient->digits[place] = divide_step(u->digits, v, place);
  }
  number_t* remainder = number_new(b->length);
  for (size_t i = 0; i < b->length; i++) {
    uint64_t two = (uint64_t)u->digits[i + 1] << 32 | u->digits[i];
    remainder->digits[i] = (uint32_t)(two >> bits);
  }
  drop(u);
  drop(v);
  *rest = trim(remainder);
  return trim(quotient);
}

static number_t* modulo(const number_t* a, const number_t* b) {
  number_t* rest;
  drop(divide(a, b, &rest));
  return rest;
}

/* Multiplies, reduces, and drops the first factor. */
static number_t* multiply_into(number_t* a, const number_t* b, const number_t* modulus) {
  number_t* product = multiply(a, b);
  number_t* reduced = modulo(product, modulus);
  drop(product);
  drop(a);
  return reduced;
}

static number_t* greatest_divisor(number_t* a, number_t* b) {
  keep(a);
  keep(b);
  while (b->length > 0) {
    number_t* rest = modulo(a, b);
    drop(a);
    a = b;
    b = rest;
  }
  drop(b);
  return a;
}

static number_t* square_root(const number_t* n) {
  number_t* x = number_new(n->length / 2 + 2u);    // above the root
  memset(x->digits, 0, x->length * sizeof(uint32_t));
  x->digits[x->length - 1] = 1;
  for (;;) {
    number_t* rest;
    number_t* quotient = divide(n, x, &rest);
    number_t* sum = add(x, quotient);
    drop(rest);
    drop(quotient);
    number_t* next = divide_digit(sum, 2, &rest);
    drop(rest);
    drop(sum);
    if (compare(next, x) >= 0) {
      drop(next);
      return x;
    }
    drop(x);
    x = next;
  }
}

static number_t* number_parse(const char* text) {
  number_t* n = number_of(0);
  number_t* ten = number_of(10);
  for (; *text != 0; text++) {
    number_t* product = multiply(n, ten);
    number_t* digit = number_of((uint64_t)(*text - '0'));
    drop(n);
    n = add(product, digit);
    drop(product);
    drop(digit);
  }
  drop(ten);
  return n;
}

/* ---- the continued fraction method ---- */

enum { BASE = 180, RELATIONS = BASE + 12, WORDS = (BASE + RELATIONS + 64) / 64 };

typedef struct relation_s {
  number_t* a;                    // a^2 = plus or minus the product of the primes (mod n)
  uint8_t exponents[BASE + 1];    // of -1 and of the primes of the base
} relation_t;

typedef struct factoriser_s {
  number_t* n;
  number_t* primes[BASE];
  relation_t* relations[RELATIONS];
  size_t found;
} factoriser_t;

static uint64_t power_modulo(uint64_t base, uint64_t exponent, uint64_t modulus) {
  uint64_t result = 1;
  for (base %= modulus; exponent != 0; exponent >>= 1, base = base * base % modulus) {
    if (exponent & 1) result = result * base % modulus;
  }
  return result;
}

/* The primes of which n is a square: no other divides a Q of the expansion. */
static void make_base(factoriser_t* f) {
  size_t count = 0;
  for (uint32_t p = 2; count < BASE; p++) {
    int prime = 1;
    for (uint32_t d = 2; d * d <= p && prime; d++) prime = p % d != 0;
    if (!prime) continue;
    number_t* rest;
    drop(divide_digit(f->n, p, &rest));
    uint64_t residue = rest->length == 0 ? 0 : rest->digits[0];
    drop(rest);
    if (p == 2 || power_modulo(residue, (p - 1) / 2, p) == 1) f->primes[count++] = number_of(p);
  }
}

/* Trial division, all of it in numbers; gives up early where the rest stays large. */
static int smooth(factoriser_t* f, number_t* q, uint8_t* exponents) {
  keep(q);
  for (size_t i = 0; i < BASE; i++) {
    for (;;) {
      number_t* rest;
      number_t* quotient = divide(q, f->primes[i], &rest);
      int divides = rest->length == 0;
      drop(rest);
      if (!divides) {
        drop(quotient);
        break;
      }
      drop(q);
      q = quotient;
      exponents[i + 1]++;
    }
    if (i == 40 && q->length > 1 && q->digits[1] >> 10) break;
  }
  int whole = q->length == 1 && q->digits[0] == 1;
  drop(q);
  return whole;
}

static void add_relation(factoriser_t* f, number_t* a, const uint8_t* exponents) {
  relation_t* relation = bench_checked(malloc(sizeof(*relation)));
  relation->a = keep(a);
  memcpy(relation->exponents, exponents, sizeof(relation->exponents));
  f->relations[f->found++] = relation;
}

/* Expands sqrt(n) until there are more relations than primes. */
static void collect(factoriser_t* f) {
  number_t* root = square_root(f->n);
  number_t* square = multiply(root, root);
  number_t* p = keep(root);
  number_t* q_before = number_of(1);
  number_t* q = subtract(f->n, square);
  number_t* a_before = number_of(1);
  number_t* a = keep(root);
  drop(square);
  for (int negative = 1; f->found < RELATIONS && q->length > 0; negative = !negative) {
    uint8_t exponents[BASE + 1] = { 0 };
    exponents[0] = (uint8_t)negative;
    if (smooth(f, q, exponents)) add_relation(f, a, exponents);
    number_t* sum = add(root, p);
    number_t* rest;
    number_t* term = divide(sum, q, &rest);
    number_t* p_next = subtract(root, rest);
    number_t* product = multiply(term, a);
    number_t* a_sum = add(product, a_before);
    number_t* a_next = modulo(a_sum, f->n);
    number_t* p_square = multiply(p_next, p_next);
    number_t* difference = subtract(f->n, p_square);
    drop(sum);
    drop(rest);
    drop(term);
    drop(product);
    drop(a_sum);
    drop(p_square);
    drop(q_before);
    q_before = q;
    q = divide(difference, q, &rest);
    drop(rest);
    drop(difference);
    drop(p);
    p = p_next;
    drop(a_before);
    a_before = a;
    a = a_next;
  }
  drop(root);
  drop(p);
  drop(q_before);
  drop(q);
  drop(a_before);
  drop(a);
}

static int bit(const uint64_t* row, size_t i) { return (int)(row[i / 64] >> (i % 64) & 1); }

/* From a set of relations whose product is a square on both sides, a divisor of n. */
static number_t* divisor_of(factoriser_t* f, const uint64_t* row) {
  unsigned exponents[BASE + 1] = { 0 };
  number_t* x = number_of(1);
  number_t* y = number_of(1);
  for (size_t i = 0; i < f->found; i++) {
    if (!bit(row, BASE + 1 + i)) continue;
    x = multiply_into(x, f->relations[i]->a, f->n);
    for (size_t j = 0; j <= BASE; j++) exponents[j] += f->relations[i]->exponents[j];
  }
  for (size_t j = 1; j <= BASE; j++) {
    for (unsigned k = 0; k < exponents[j] / 2; k++) y = multiply_into(y, f->primes[j - 1], f->n);
  }
  number_t* difference = compare(x, y) >= 0 ? subtract(x, y) : subtract(y, x);
  number_t* divisor = greatest_divisor(f->n, difference);
  drop(difference);
  drop(x);
  drop(y);
  return divisor;
}

/* Gaussian elimination over GF(2); each row carries the set of relations that it is the product of. */
static number_t* eliminate(factoriser_t* f) {
  uint64_t* rows[RELATIONS];
  number_t* result = number_of(1);
  for (size_t i = 0; i < f->found; i++) {
    rows[i] = bench_checked(calloc(WORDS, sizeof(uint64_t)));
    for (size_t j = 0; j <= BASE; j++) {
      rows[i][j / 64] |= (uint64_t)(f->relations[i]->exponents[j] & 1) << (j % 64);
    }
    rows[i][(BASE + 1 + i) / 64] |= (uint64_t)1 << ((BASE + 1 + i) % 64);
  }
  size_t done = 0;
  for (size_t column = 0; column <= BASE; column++) {
    size_t pivot = done;
    while (pivot < f->found && !bit(rows[pivot], column)) pivot++;
    if (pivot == f->found) continue;
    uint64_t* row = rows[pivot];
    rows[pivot] = rows[done];
    rows[done++] = row;
    for (size_t i = done; i < f->found; i++) {
      if (!bit(rows[i], column)) continue;
      for (size_t w = 0; w < WORDS; w++) rows[i][w] ^= row[w];
    }
  }
  for (size_t i = done; i < f->found; i++) {
    number_t* divisor = divisor_of(f, rows[i]);
    if (compare(divisor, result) > 0 && compare(divisor, f->n) < 0) {
      drop(result);
      result = keep(divisor);
    }
    drop(divisor);
  }
  for (size_t i = 0; i < f->found; i++) free(rows[i]);
  return result;
}

static uint64_t factorise(const char* text) {
  factoriser_t* f = bench_checked(calloc(1, sizeof(*f)));
  f->n = number_parse(text);
  make_base(f);
  collect(f);
  number_t* divisor = eliminate(f);
  number_t* rest;
  number_t* cofactor = divide(f->n, divisor, &rest);
  if (rest->length != 0 || (divisor->length == 1 && divisor->digits[0] == 1)) bench_fail("no divisor found");
  uint64_t sum = f->found;
  for (size_t i = 0; i < divisor->length; i++) sum = bench_mix(sum, divisor->digits[i]);
  for (size_t i = 0; i < cofactor->length; i++) sum = bench_mix(sum, cofactor->digits[i]);
  drop(divisor);
  drop(cofactor);
  drop(rest);
  for (size_t i = 0; i < f->found; i++) {
    drop(f->relations[i]->a);
    free(f->relations[i]);
  }
  for (size_t i = 0; i < BASE; i++) drop(f->primes[i]);
  drop(f->n);
  free(f);
  return sum;
}

int main(int argc, char** argv) {
  /* Products of two primes of fifteen digits each. */
  static const char* const numbers[] = {
    "740461155426276529977206477081", "387237834777871675667310582259", "244003584177170279701267535863",
    "600429046178982559447229480431", "340295159929593664480666471873", "237228590214985363092284145137",
  };
  bench_t bench = bench_arguments(argc, argv);
  size_t count = bench_scaled(&bench, 6);
  uint64_t sum = 0;
  size_t different = sizeof(numbers) / sizeof(numbers[0]);
  for (size_t i = 0; i < count; i++) sum = bench_mix(sum, factorise(numbers[i % different]));
  return bench_end(sum);
}
