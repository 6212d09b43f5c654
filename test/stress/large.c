/* large: blocks from 32 KiB to 1 GiB, from several threads, freed by others.

   Every OS page of a block gets a word that depends on block and page, verified before free and after realloc.
   calloc must be zero in every page, also where a block was used before. Resident memory must follow what is
   live: after everything is freed and trimmed it falls back, and over many rounds it levels off. */
#include "support.h"

#define THREADS 3
#define SLOTS 24
#define PAGE (4 * KIB)

typedef struct span_s {
  unsigned char* p;
  size_t size;
} span_t;

static span_t shared[SLOTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static watch_t watch;

/* Blocks above 16 MiB are marked at their ends only: the machine may be small. */
static size_t step_of(size_t size) { return size > 16 * MIB ? size / 64 : PAGE; }

static void mark_one(unsigned char* p, size_t at, size_t token) {
  const uint64_t word = mix(token + at);
  memcpy(p + at, &word, 8);
}

static void check_one(const unsigned char* p, size_t at, size_t token, const char* when) {
  const uint64_t expected = mix(token + at);
  uint64_t word;
  memcpy(&word, p + at, 8);
  REQUIRE(word == expected, "%s: block %p of %zu bytes holds %016llx at offset %zu", when, (const void*)p, token,
          (unsigned long long)word, at);
}

static void mark(const span_t* span) {
  const size_t step = step_of(span->size);
  for (size_t at = 0; at + 8 <= span->size; at += step) mark_one(span->p, at, span->size);
  mark_one(span->p, span->size - 8, span->size);
}

static void check(const span_t* span, const char* when) {
  const size_t step = step_of(span->size);
  for (size_t at = 0; at + 8 <= span->size - 8; at += step) check_one(span->p, at, span->size, when);
  check_one(span->p, span->size - 8, span->size, when);
}

static size_t large_size(rng_t* rng) {
  const size_t size = 32 * KIB + rng_size(rng, rng_below(rng, 50) == 0 ? 200 * MIB : 4 * MIB);
  return rng_below(rng, 3) == 0 ? (size + PAGE) & ~(PAGE - 1) : size;
}

static span_t span_new(rng_t* rng) {
  span_t span = { NULL, large_size(rng) };
  const size_t way = rng_below(rng, 4);
  size_t alignment = 16;
  if (way == 0) {
    span.p = (unsigned char*)calloc(1, span.size);
    const size_t step = step_of(span.size);
    for (size_t at = 0; span.p != NULL && at + 64 <= span.size; at += step) verify_zero(span.p + at, 64);
    if (span.p != NULL) verify_zero(span.p + span.size - 64, 64);
  } else if (way == 1) {
    alignment = PAGE << rng_below(rng, 12); /* up to 8 MiB */
    void* p = NULL;
    if (posix_memalign(&p, alignment, span.size) == 0) span.p = (unsigned char*)p;
  } else {
    span.p = (unsigned char*)malloc(span.size);
  }
  REQUIRE(span.p != NULL, "%zu bytes: %s", span.size, strerror(errno));
  verify_alignment(span.p, alignment, span.size, "large block");
  mark(&span);
  return span;
}

static void span_resize(rng_t* rng, span_t* span) {
  const size_t size = large_size(rng);
  const size_t step = step_of(span->size);
  check(span, "before realloc");
  unsigned char* p = (unsigned char*)realloc(span->p, size);
  REQUIRE(p != NULL, "realloc to %zu bytes: %s", size, strerror(errno));
  for (size_t at = 0; at + 8 <= span->size - 8 && at + 8 <= size; at += step) {
    check_one(p, at, span->size, "after realloc");
  }
  span->p = p;
  span->size = size;
  mark(span);
}

static void* run(void* arg) {
  rng_t rng = rng_new((uint64_t)(uintptr_t)arg);
  const size_t rounds = scaled(4000);
  for (size_t i = 0; i < rounds; i++) {
    span_t span = span_new(&rng);
    if (rng_below(&rng, 3) == 0) span_resize(&rng, &span);
    const size_t place = rng_below(&rng, SLOTS);
    pthread_mutex_lock(&lock);
    const span_t old = shared[place];
    shared[place] = span;
    if (i % 10 == 0) watch_sample(&watch);
    pthread_mutex_unlock(&lock);
    if (old.p == NULL) continue;
    check(&old, "made by another thread");
    free(old.p);
  }
  return NULL;
}

/* One GiB in a single block, touched here and there; then many sizes, one after the other. */
static void alone(void) {
  span_t huge = { (unsigned char*)malloc(1024 * MIB), 1024 * MIB };
  REQUIRE(huge.p != NULL, "1 GiB: %s", strerror(errno));
  mark(&huge);
  check(&huge, "1 GiB");
  free(huge.p);
  for (size_t size = 32 * KIB; size < 64 * MIB; size += size / 5) {
    for (size_t i = 0; i < 3; i++) {
      span_t span = { (unsigned char*)malloc(size + i), size + i };
      REQUIRE(span.p != NULL, "%zu bytes: %s", span.size, strerror(errno));
      mark(&span);
      check(&span, "alone");
      free(span.p);
    }
  }
}

int main(int argc, char** argv) {
  pthread_t threads[THREADS];
  stress_begin(argc, argv);
  alone();
  const size_t before = rss_kib();
  for (size_t i = 0; i < THREADS; i++) threads[i] = thread_start(run, (void*)(uintptr_t)i, 0);
  for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  for (size_t i = 0; i < SLOTS; i++) {
    if (shared[i].p == NULL) continue;
    check(&shared[i], "at the end");
    free(shared[i].p);
  }
  watch_plateau(&watch, 256 * KIB, "large blocks");
  watch_limit(&watch, 512 * KIB, "large blocks"); /* 24 blocks of at most 16 MiB touched, usually below 2 */
  if (!STRESS_SANITIZED) {
    malloc_trim(0);
    size_t after = rss_kib();
    for (size_t i = 0; i < 200 && after > before + 256 * KIB; i++) { /* memory may be given back a little later */
      free(malloc(64 * KIB));
      usleep(10000);
      after = rss_kib();
    }
    REQUIRE(after <= before + 256 * KIB, "%zu KiB are resident after all is freed, %zu before", after, before);
  }
  return stress_end();
}
