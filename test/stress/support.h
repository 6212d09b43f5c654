/* support.h: what all stress programs share. Header only, so that each program is one file to compile.

   A program begins with stress_begin() and ends with stress_end(). Everything random comes from rng_t with
   fixed seeds, so a run differs from another by the schedule of its threads alone. Every block is filled with
   a pattern keyed by its address and size and verified before it is freed or after it moved: two blocks that
   overlap, and contents that get lost, are noticed as wrong bytes. stress_fail() says what is wrong, where,
   and ends the process with status 1; a watchdog ends one that hangs with SIGABRT (so that a debugger or a
   core shows where).

   Arguments of every program: [-s PERCENT] scales the work (100), [-r SEED] changes the seed (1), [-q] says
   nothing on success. Environment: STRESS_LIBRARY names the file malloc must come from, so that a preload
   that was ignored cannot pass for a success. */
#ifndef STRESS_SUPPORT_H
#define STRESS_SUPPORT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define STRESS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define STRESS_SANITIZED 1
#endif
#endif
#ifndef STRESS_SANITIZED
#define STRESS_SANITIZED 0
#endif

#define STRESS_SKIPPED 77 /* the exit status CTest takes for "skipped" */
#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

typedef struct stress_s {
  const char* name;
  unsigned int percent;
  uint64_t seed;
  bool quiet;
  double start;
} stress_t;

static stress_t stress;

/* ---- failing ---- */

/* Formats on the stack and writes with one system call: works in a child of a threaded process too. */
__attribute__((noreturn, noinline, format(printf, 3, 4), unused))
static void stress_fail(const char* file, int line, const char* format, ...) {
  char text[512];
  va_list list;
  int n = snprintf(text, sizeof(text), "%s: FAILED at %s:%d (process %d, seed %llu): ", stress.name, file, line,
                   (int)getpid(), (unsigned long long)stress.seed);
  va_start(list, format);
  n += vsnprintf(text + n, sizeof(text) - (size_t)n - 1, format, list);
  va_end(list);
  if (n > (int)sizeof(text) - 2) n = (int)sizeof(text) - 2;
  text[n++] = '\n';
  if (write(STDERR_FILENO, text, (size_t)n) < 0) _exit(2);
  _exit(1);
}

#define FAIL(...) stress_fail(__FILE__, __LINE__, __VA_ARGS__)
#define REQUIRE(condition, ...) do { if (!(condition)) FAIL(__VA_ARGS__); } while (0)

__attribute__((unused)) static void stress_hung(int signal_number) {
  (void)signal_number;
  static const char text[] = ": HUNG (the watchdog ends it)\n";
  if (write(STDERR_FILENO, stress.name, strlen(stress.name)) < 0) _exit(3);
  if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0) _exit(3);
  signal(SIGABRT, SIG_DFL);
  abort();
}

/* Alarms are not inherited over fork: children call it again, with less. */
__attribute__((unused)) static void stress_watchdog(unsigned int seconds) {
  struct sigaction action;
  memset(&action, 0, sizeof(action));
  action.sa_handler = stress_hung;
  sigaction(SIGALRM, &action, NULL);
  alarm(STRESS_SANITIZED ? seconds * 10 : seconds);
}

/* ---- numbers ---- */

typedef struct rng_s {
  uint64_t state;
} rng_t;

static inline uint64_t mix(uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9u;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

static inline rng_t rng_new(uint64_t stream) {
  rng_t rng = { mix(stress.seed * 0x9e3779b97f4a7c15u + stream + 1) };
  return rng;
}

static inline uint64_t rng_next(rng_t* rng) {
  rng->state += 0x9e3779b97f4a7c15u;
  return mix(rng->state);
}

static inline size_t rng_below(rng_t* rng, size_t n) { return (size_t)(rng_next(rng) % n); }

/* A size from 0 to max, every magnitude about as likely as the next, like the requests of real programs. */
static inline size_t rng_size(rng_t* rng, size_t max) {
  const unsigned int bits = (unsigned int)(8 * sizeof(size_t)) - (unsigned int)__builtin_clzl(max | 1);
  const unsigned int use = (unsigned int)rng_below(rng, bits) + 1;
  const size_t size = rng_below(rng, (size_t)1 << use);
  return size > max ? max : size;
}

static inline double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline size_t scaled(size_t count) {
  const size_t n = count * stress.percent / 100;
  return n == 0 ? 1 : n;
}

/* ---- contents ---- */

static inline uint64_t key_of(const void* p, size_t size) { return mix((uint64_t)(uintptr_t)p ^ (size << 48) ^ size); }

/* Word i of a block with this key; cheap enough to fill megabytes. */
static inline uint64_t word_of(uint64_t key, size_t i) { return (key + i) * 0x9e3779b97f4a7c15u ^ (key >> 7); }

__attribute__((unused)) static void fill(void* block, size_t size, uint64_t key) {
  unsigned char* p = (unsigned char*)block;
  size_t i = 0;
  for (; (i + 1) * 8 <= size; i++) {
    const uint64_t word = word_of(key, i);
    memcpy(p + i * 8, &word, 8);
  }
  const uint64_t word = word_of(key, i);
  if (size % 8 != 0) memcpy(p + i * 8, &word, size % 8);
}

__attribute__((unused)) static void verify(const void* block, size_t size, uint64_t key, const char* when) {
  const unsigned char* p = (const unsigned char*)block;
  for (size_t i = 0; i * 8 < size; i++) {
    const uint64_t word = word_of(key, i);
    const size_t n = size - i * 8 < 8 ? size - i * 8 : 8;
    if (memcmp(p + i * 8, &word, n) == 0) continue;
    uint64_t found = 0;
    memcpy(&found, p + i * 8, n);
    FAIL("%s: block %p of %zu bytes holds %016llx at offset %zu instead of %016llx (%zu bytes)", when, block, size,
         (unsigned long long)found, i * 8, (unsigned long long)word, n);
  }
}

__attribute__((unused)) static void verify_zero(const void* block, size_t size) {
  const unsigned char* p = (const unsigned char*)block;
  for (size_t i = 0; i < size; i++) {
    if (p[i] != 0) FAIL("calloc: block %p of %zu bytes holds %02x at offset %zu", block, size, p[i], i);
  }
}

__attribute__((unused)) static void verify_alignment(const void* block, size_t alignment, size_t size, const char* by) {
  if ((uintptr_t)block % alignment != 0) {
    FAIL("%s: block %p of %zu bytes is not aligned to %zu", by, block, size, alignment);
  }
}

/* ---- blocks ---- */

typedef struct block_s {
  void* p;
  size_t size;
  uint64_t key;
} block_t;

static inline size_t natural_alignment(size_t size) { return size >= 16 ? 16 : 8; }

/* A block by one of the four usual ways, filled. */
__attribute__((unused)) static block_t block_new(rng_t* rng, size_t size) {
  const size_t way = rng_below(rng, 16);
  const char* by = "malloc";
  size_t alignment = natural_alignment(size);
  void* p;
  if (way < 11) {
    p = malloc(size);
  } else if (way < 14) {
    by = "calloc";
    p = calloc(1, size);
    if (p != NULL) verify_zero(p, size);
  } else if (way == 14) {
    by = "posix_memalign";
    alignment = (size_t)16 << rng_below(rng, 3); /* mixed.c has the large ones */
    p = NULL;
    if (posix_memalign(&p, alignment, size) != 0) p = NULL;
  } else {
    by = "realloc";
    p = realloc(malloc(size / 2 + 1), size + 1);
  }
  REQUIRE(p != NULL, "%s of %zu bytes returned NULL: %s", by, size, strerror(errno));
  verify_alignment(p, alignment, size, by);
  const block_t block = { p, size, key_of(p, size) };
  fill(p, size, block.key);
  return block;
}

/* Empty blocks (p == NULL) are fine. */
__attribute__((unused)) static void block_free(block_t* block, const char* when) {
  if (block->p == NULL) return;
  verify(block->p, block->size, block->key, when);
  free(block->p);
  block->p = NULL;
}

/* The plain work of a thread that needs nothing from others: `rounds` replacements in `count` slots. */
__attribute__((unused)) static void work_alone(rng_t* rng, size_t count, size_t rounds, size_t max) {
  block_t slots[256];
  REQUIRE(count <= 256, "work_alone holds 256 slots, not %zu", count);
  memset(slots, 0, sizeof(slots));
  for (size_t i = 0; i < rounds; i++) {
    block_t* slot = &slots[rng_below(rng, count)];
    block_free(slot, "replacing");
    *slot = block_new(rng, rng_size(rng, max));
  }
  for (size_t i = 0; i < count; i++) block_free(&slots[i], "clearing up");
}

/* ---- threads ---- */

__attribute__((unused)) static pthread_t thread_start(void* (*run)(void*), void* arg, size_t stack) {
  pthread_t thread;
  pthread_attr_t attributes;
  REQUIRE(pthread_attr_init(&attributes) == 0, "pthread_attr_init failed");
  if (stack != 0) pthread_attr_setstacksize(&attributes, STRESS_SANITIZED ? stack + 256 * KIB : stack);
  int error = pthread_create(&thread, &attributes, run, arg);
  for (int i = 0; error == EAGAIN && i < 2000; i++) { /* ended threads may not be gone yet */
    usleep(1000);
    error = pthread_create(&thread, &attributes, run, arg);
  }
  REQUIRE(error == 0, "pthread_create: %s", strerror(error));
  pthread_attr_destroy(&attributes);
  return thread;
}

/* ---- memory over time ---- */

typedef struct watch_s {
  size_t count;
  size_t rss[4096]; /* in KiB, one for each call of watch_sample */
} watch_t;

/* Resident memory of this process in KiB. */
__attribute__((unused)) static size_t rss_kib(void) {
  char text[128];
  const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  REQUIRE(fd >= 0, "cannot open /proc/self/statm: %s", strerror(errno));
  const ssize_t n = read(fd, text, sizeof(text) - 1);
  close(fd);
  REQUIRE(n > 0, "cannot read /proc/self/statm: %s", strerror(errno));
  text[n] = 0;
  size_t total = 0;
  size_t resident = 0;
  REQUIRE(sscanf(text, "%zu %zu", &total, &resident) == 2, "/proc/self/statm reads '%s'", text);
  return resident * ((size_t)sysconf(_SC_PAGESIZE) / KIB);
}

__attribute__((unused)) static void watch_sample(watch_t* watch) {
  if (watch->count < sizeof(watch->rss) / sizeof(watch->rss[0])) watch->rss[watch->count++] = rss_kib();
}

static inline size_t watch_peak(const watch_t* watch, size_t from, size_t to) {
  size_t peak = 0;
  for (size_t i = from; i < to; i++) {
    if (watch->rss[i] > peak) peak = watch->rss[i];
  }
  return peak;
}

/* Memory has levelled off when the peak of the second half of the samples is at most half as much again as
   that of the first half, plus `slack_kib`. Programs whose live memory does not grow must reach that with any
   sensible allocator; one that leaks, or cannot reuse what other threads freed, does not. */
__attribute__((unused)) static void watch_plateau(const watch_t* watch, size_t slack_kib, const char* what) {
  if (STRESS_SANITIZED || watch->count < 8) return;
  const size_t first = watch_peak(watch, 0, watch->count / 2);
  const size_t second = watch_peak(watch, watch->count / 2, watch->count);
  REQUIRE(second <= first + first / 2 + slack_kib,
          "%s: memory grows, peak %zu KiB in the first half, %zu KiB in the second (%zu samples)", what, first,
          second, watch->count);
}

__attribute__((unused)) static void watch_limit(const watch_t* watch, size_t limit_kib, const char* what) {
  if (STRESS_SANITIZED) return;
  const size_t peak = watch_peak(watch, 0, watch->count);
  REQUIRE(peak <= limit_kib, "%s: peak resident memory %zu KiB is above %zu KiB", what, peak, limit_kib);
}

/* ---- start and end ---- */

static void stress_usage(const char* wrong) {
  fprintf(stderr, "%s: bad argument '%s'\nusage: %s [-s PERCENT, 1 to 100000] [-r SEED] [-q]\n", stress.name, wrong,
          stress.name);
  exit(2);
}

static unsigned long long stress_number(const char* text, unsigned long long min, unsigned long long max) {
  char* end = NULL;
  if (text == NULL || *text < '0' || *text > '9') stress_usage(text == NULL ? "(missing)" : text);
  const unsigned long long value = strtoull(text, &end, 10);
  if (*end != 0 || value < min || value > max) stress_usage(text);
  return value;
}

static void stress_check_library(void) {
  const char* expected = getenv("STRESS_LIBRARY");
  if (expected == NULL) return;
  Dl_info info;
  void* address = dlsym(RTLD_DEFAULT, "malloc");
  char* real_expected = realpath(expected, NULL);
  REQUIRE(real_expected != NULL, "STRESS_LIBRARY is '%s', which does not exist", expected);
  REQUIRE(address != NULL && dladdr(address, &info) != 0, "cannot find out where malloc comes from");
  char* real_found = realpath(info.dli_fname, NULL);
  REQUIRE(real_found != NULL && strcmp(real_found, real_expected) == 0,
          "malloc comes from '%s' instead of '%s': not preloaded", info.dli_fname, expected);
  (free)(real_found);
  (free)(real_expected);
}

__attribute__((unused)) static void stress_begin(int argc, char** argv) {
  const char* slash = strrchr(argv[0], '/');
  stress.name = slash == NULL ? argv[0] : slash + 1;
  stress.percent = 100;
  stress.seed = 1;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "-q") == 0) {
      stress.quiet = true;
    } else if (strcmp(argv[i], "-s") == 0) {
      stress.percent = (unsigned int)stress_number(argv[++i], 1, 100000);
    } else if (strcmp(argv[i], "-r") == 0) {
      stress.seed = stress_number(argv[++i], 0, ULLONG_MAX);
    } else {
      stress_usage(argv[i]);
    }
  }
  stress_check_library();
  stress_watchdog(60 + stress.percent / 2);
  stress.start = now();
}

__attribute__((unused)) static int stress_end(void) {
  if (!stress.quiet) printf("%s: good, %.2f s, %zu KiB resident\n", stress.name, now() - stress.start, rss_kib());
  return 0;
}

#endif
