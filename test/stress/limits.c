/* limits: programs whose address space is limited (ulimit -v), from the very start.

   The program runs itself again under RLIMIT_AS of 8 GiB, 2 GiB and 512 MiB, since an allocator decides at its
   first use how much address space it reserves. There it works with threads, then allocates until there is no
   more: NULL and ENOMEM, never a crash; most of the limit must have been usable (a quarter, to be generous);
   what was allocated stays intact; and when it is freed it can be had again by another
   thread, and an eighth of the limit in one piece. */
#include "support.h"

#include <sys/resource.h>
#include <sys/wait.h>

#define MOST 16384

static void* held[MOST];

static void* work(void* arg) {
  rng_t rng = rng_new((uint64_t)(uintptr_t)arg);
  work_alone(&rng, 200, scaled(20000), 16 * KIB);
  return NULL;
}

static void with_threads(size_t count) {
  pthread_t threads[4];
  for (size_t i = 0; i < count; i++) threads[i] = thread_start(work, (void*)(uintptr_t)i, 256 * KIB);
  work((void*)(uintptr_t)99);
  for (size_t i = 0; i < count; i++) pthread_join(threads[i], NULL);
}

/* Allocates blocks of `size` until there are no more; only their ends are touched. */
static size_t exhaust(size_t size) {
  size_t count = 0;
  errno = 0;
  while (count < MOST) {
    unsigned char* p = (unsigned char*)malloc(size);
    if (p == NULL) break;
    memcpy(p, &count, sizeof(count));
    memcpy(p + size - sizeof(count), &count, sizeof(count));
    held[count++] = p;
  }
  REQUIRE(count == MOST || errno == ENOMEM, "malloc of %zu bytes failed with errno %d (%s)", size, errno,
          strerror(errno));
  return count;
}

static void release(size_t count, size_t size) {
  for (size_t i = 0; i < count; i++) {
    const unsigned char* p = (const unsigned char*)held[i];
    REQUIRE(memcmp(p, &i, sizeof(i)) == 0 && memcmp(p + size - sizeof(i), &i, sizeof(i)) == 0,
            "block %zu of %zu bytes has changed while memory was exhausted", i, size);
    free(held[i]);
  }
}

static void* allocate_again(void* arg) {
  const size_t count = exhaust((size_t)(uintptr_t)arg);
  release(count, (size_t)(uintptr_t)arg);
  return (void*)(uintptr_t)count;
}

static void use_up(size_t size, size_t limit) {
  const size_t first = exhaust(size);
  REQUIRE(first * size >= limit / 4 || first == MOST, "only %zu blocks of %zu bytes fit into %zu MiB", first, size,
          limit / MIB);
  REQUIRE(first < MOST || MOST * size < limit, "%zu blocks of %zu bytes fit into %zu MiB", first, size, limit / MIB);
  errno = 0;
  void* volatile more = first == MOST ? NULL : malloc(limit);
  REQUIRE(more == NULL, "a block as large as the limit was had");
  release(first, size);
  void* result = NULL;
  pthread_join(thread_start(allocate_again, (void*)(uintptr_t)size, 256 * KIB), &result);
  const size_t second = (size_t)(uintptr_t)result;
  REQUIRE(second >= first - first / 4, "after %zu blocks of %zu bytes were freed, only %zu could be had again", first,
          size, second);
}

static int run_limited(size_t limit) {
  struct rlimit set;
  getrlimit(RLIMIT_AS, &set);
  REQUIRE(set.rlim_cur == limit, "the limit is not in force");
  with_threads(4);
  use_up(1 * MIB, limit);
  use_up(3 * MIB + 5, limit);
  use_up(48 * KIB, limit);
  unsigned char* piece = (unsigned char*)malloc(limit / 8);
  REQUIRE(piece != NULL, "an eighth of the limit in one piece could not be had: %s", strerror(errno));
  piece[0] = piece[limit / 8 - 1] = 1;
  free(piece);
  with_threads(4);
  return 0;
}

int main(int argc, char** argv) {
  static const size_t limits[] = { 8192 * MIB, 2048 * MIB, 512 * MIB };
  const char* limited = getenv("STRESS_LIMIT");
  stress_begin(argc, argv);
  if (limited != NULL) return run_limited(strtoull(limited, NULL, 10));
  for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
    const pid_t pid = fork();
    REQUIRE(pid >= 0, "fork: %s", strerror(errno));
    if (pid == 0) {
      char text[32];
      const struct rlimit set = { limits[i], limits[i] };
      snprintf(text, sizeof(text), "%zu", limits[i]);
      setenv("STRESS_LIMIT", text, 1);
      REQUIRE(setrlimit(RLIMIT_AS, &set) == 0, "setrlimit: %s", strerror(errno));
      execv("/proc/self/exe", argv);
      FAIL("cannot run itself: %s", strerror(errno));
    }
    int status = 0;
    REQUIRE(waitpid(pid, &status, 0) == pid, "waitpid: %s", strerror(errno));
    REQUIRE(status == 0, "with %zu MiB of address space: wait status %#x", limits[i] / MIB, (unsigned int)status);
  }
  return stress_end();
}
