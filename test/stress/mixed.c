/* mixed: every way to allocate, resize and free, in random order, from several threads.

   realloc keeps contents while it grows and shrinks by any amount, also of blocks made by the aligned forms and
   of blocks other threads made; calloc is zero where it was not used before and where it was; every alignment
   from 8 to 1 MiB is honoured; sizes that cannot be are refused with ENOMEM and leave the old block alone; errno
   survives success; malloc_usable_size covers the request and those bytes can be written. */
#include "support.h"

#define THREADS 4
#define SLOTS 200
#define POOL 128

static block_t pool[POOL]; /* blocks on their way from one thread to another */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static __thread void* volatile sink; /* keeps the compiler from reasoning about impossible sizes */

static block_t accept(void* p, size_t size, size_t alignment, const char* by) {
  REQUIRE(p != NULL, "%s of %zu bytes, alignment %zu, returned NULL: %s", by, size, alignment, strerror(errno));
  verify_alignment(p, alignment, size, by);
  const size_t usable = malloc_usable_size(p);
  REQUIRE(usable >= size, "%s: malloc_usable_size is %zu for a block of %zu bytes", by, usable, size);
  const block_t block = { p, size, key_of(p, size) };
  fill(p, size, block.key);
  return block;
}

static block_t make(rng_t* rng, size_t size) {
  const size_t alignment = (size_t)8 << rng_below(rng, rng_below(rng, 50) == 0 ? 18 : 10);
  void* p = NULL;
  int error;
  switch (rng_below(rng, 8)) {
    case 0:
      p = calloc(size / 8 + 1, 8);
      if (p != NULL) verify_zero(p, (size / 8 + 1) * 8);
      return accept(p, (size / 8 + 1) * 8, natural_alignment(size), "calloc");
    case 1:
      error = posix_memalign(&p, alignment, size);
      REQUIRE(error == 0, "posix_memalign(%zu, %zu): %s", alignment, size, strerror(error));
      return accept(p, size, alignment, "posix_memalign");
    case 2:
      return accept(aligned_alloc(alignment, (size + alignment - 1) & ~(alignment - 1)),
                    (size + alignment - 1) & ~(alignment - 1), alignment, "aligned_alloc");
    case 3: return accept(memalign(alignment, size), size, alignment, "memalign");
    case 4: return accept(realloc(NULL, size), size, natural_alignment(size), "realloc(NULL)");
    case 5: return accept(reallocarray(NULL, size, 2), size * 2, natural_alignment(size), "reallocarray(NULL)");
    default: return accept(malloc(size), size, natural_alignment(size), "malloc");
  }
}

static void resize(rng_t* rng, block_t* block, size_t size) {
  const block_t old = *block;
  verify(old.p, old.size, old.key, "before realloc");
  size = size == 0 ? 1 : size;
  void* p = rng_below(rng, 4) == 0 ? reallocarray(old.p, 1, size) : realloc(old.p, size);
  REQUIRE(p != NULL, "realloc from %zu to %zu returned NULL: %s", old.size, size, strerror(errno));
  verify(p, old.size < size ? old.size : size, old.key, "after realloc");
  *block = accept(p, size, natural_alignment(size), "realloc");
}

static void refuse(block_t* block) {
  static const size_t impossible[] = { SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 15, SIZE_MAX - 4096, (size_t)PTRDIFF_MAX + 1 };
  for (size_t i = 0; i < sizeof(impossible) / sizeof(impossible[0]); i++) {
    volatile size_t size = impossible[i];
    errno = 0;
    sink = malloc(size);
    REQUIRE(sink == NULL && errno == ENOMEM, "malloc(%zu) returned %p, errno %d", size, sink, errno);
    errno = 0;
    sink = calloc(size / 2, 3);
    REQUIRE(sink == NULL && errno == ENOMEM, "calloc(%zu, 3) returned %p, errno %d", size / 2, sink, errno);
    if (block->p == NULL) continue;
    errno = 0;
    sink = realloc(block->p, size);
    REQUIRE(sink == NULL && errno == ENOMEM, "realloc(p, %zu) returned %p, errno %d", size, sink, errno);
    errno = 0;
    sink = reallocarray(block->p, size, 16);
    REQUIRE(sink == NULL && errno == ENOMEM, "reallocarray(p, %zu, 16) returned %p, errno %d", size, sink, errno);
    verify(block->p, block->size, block->key, "after a refused realloc");
  }
}

static void pass_on(rng_t* rng, block_t* block) {
  const size_t place = rng_below(rng, POOL);
  pthread_mutex_lock(&lock);
  const block_t other = pool[place];
  pool[place] = *block;
  *block = other;
  pthread_mutex_unlock(&lock);
}

static void* run(void* arg) {
  rng_t rng = rng_new((uint64_t)(uintptr_t)arg);
  static __thread block_t slots[SLOTS];
  const size_t rounds = scaled(60000);
  for (size_t i = 0; i < rounds; i++) {
    block_t* block = &slots[rng_below(&rng, SLOTS)];
    const size_t max = rng_below(&rng, 400) == 0 ? 4 * MIB : rng_below(&rng, 20) == 0 ? 64 * KIB : 2 * KIB;
    const size_t size = rng_size(&rng, max);
    const size_t what = rng_below(&rng, 100);
    errno = EDOM;
    if (block->p == NULL) {
      *block = make(&rng, size);
    } else if (what < 40) {
      resize(&rng, block, rng_below(&rng, 3) == 0 ? block->size + rng_below(&rng, 40) : size);
    } else if (what < 50) {
      pass_on(&rng, block);
    } else if (what < 51) {
      refuse(block);
      continue;
    } else {
      block_free(block, "freeing");
    }
    REQUIRE(STRESS_SANITIZED || errno == EDOM, "a call that succeeded set errno to %d (%s)", errno, strerror(errno));
  }
  for (size_t i = 0; i < SLOTS; i++) block_free(&slots[i], "at the end");
  return NULL;
}

/* One block that grows byte by byte, then in larger steps up to 64 MiB, and shrinks again. */
static void grow_and_shrink(void) {
  block_t block = { NULL, 0, 0 };
  block = accept(malloc(1), 1, 8, "malloc");
  rng_t rng = rng_new(12);
  for (size_t size = 1; size < 5000; size++) resize(&rng, &block, size);
  for (size_t size = 5000; size < 64 * MIB; size += size / 3) resize(&rng, &block, size);
  for (size_t size = 64 * MIB; size > 1; size -= size / 4 + 1) resize(&rng, &block, size);
  block_free(&block, "after shrinking");
}

static void corner_cases(void) {
  block_t none = { NULL, 0, 0 };
  free(NULL);
  REQUIRE(malloc_usable_size(NULL) == 0, "malloc_usable_size(NULL) is not 0");
  refuse(&none);
  void* a = malloc(0);
  void* b = malloc(0);
  REQUIRE(a != NULL && b != NULL && a != b, "malloc(0) gave %p and %p: not two addresses", a, b);
  free(a);
  free(b);
  void* p = NULL;
  REQUIRE(posix_memalign(&p, 3, 10) == EINVAL, "posix_memalign accepts an alignment of 3");
  REQUIRE(posix_memalign(&p, 4, 10) == EINVAL, "posix_memalign accepts an alignment of 4");
  for (size_t size = 1; size < 3000; size++) { /* every small size, to its last byte */
    block_t block = accept(malloc(size), size, natural_alignment(size), "malloc");
    block_free(&block, "small sizes");
  }
}

int main(int argc, char** argv) {
  pthread_t threads[THREADS];
  stress_begin(argc, argv);
  corner_cases();
  grow_and_shrink();
  for (size_t i = 0; i < THREADS; i++) threads[i] = thread_start(run, (void*)(uintptr_t)i, 0);
  for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  for (size_t i = 0; i < POOL; i++) block_free(&pool[i], "at the end");
  return stress_end();
}
