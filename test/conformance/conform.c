// The main of the conformance programs, and the checks that hold for every allocating function; see conform.h.
#define _GNU_SOURCE
#include "conform.h"

#include <stdarg.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char about[200];
static const char* running = "";

void context(const char* format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(about, sizeof(about), format, args);
  va_end(args);
}

void failed(const char* file, int line, const char* what) {
  char text[600];
  int length =
      snprintf(text, sizeof(text), "%s: %s:%d: failed: %s (%s; errno %d)\n", running, file, line, what, about, errno);
  ssize_t ignored = write(2, text, (size_t)length);
  (void)ignored;
  _exit(1);
}

void* hide(void* p) {
  __asm__ volatile("" : "+r"(p) : : "memory");
  return p;
}

size_t hide_size(size_t size) {
  __asm__ volatile("" : "+r"(size));
  return size;
}

static unsigned char pattern(size_t i, unsigned seed) {
  return (unsigned char)(i * 31 + (i >> 8) * 7 + seed * 101 + 1);
}

// Blocks of many MiB are filled at both ends and at places between.
#define DENSE ((size_t)1 << 17)
static size_t next_place(size_t i, size_t size) {
  return size <= 2 * DENSE || i < DENSE || i + DENSE >= size ? i + 1 : i + 997;
}

void fill(void* p, size_t size, unsigned seed) {
  unsigned char* bytes = (unsigned char*)p;
  for (size_t i = 0; i < size; i = next_place(i, size)) bytes[i] = pattern(i, seed);
}

// `size` must be that of fill, or small.
bool filled(const void* p, size_t size, unsigned seed) {
  const unsigned char* bytes = (const unsigned char*)p;
  for (size_t i = 0; i < size; i = next_place(i, size)) {
    if (bytes[i] != pattern(i, seed)) return false;
  }
  return true;
}

bool all_zero(const void* p, size_t size) {
  const unsigned char* bytes = (const unsigned char*)p;
  return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

const size_t sizes[] = {
    1,      2,      3,       7,       8,       9,       15,       16,       17,       24,     31,     32,
    33,     47,     48,      49,      63,      64,      65,       80,       100,      127,    128,    129,
    160,    200,    240,     255,     256,     257,     300,      400,      511,      512,    513,    600,
    777,    1000,   1008,    1023,    1024,    1025,    1500,     2000,     2047,     2048,   2049,   2560,
    2561,   3000,   4000,    4080,    4095,    4096,    4097,     5000,     8191,     8192,   8193,   10000,
    16384,  20000,  32768,   40000,   61440,   65520,   65535,    65536,    65537,    100000, 131072, 200000,
    262145, 500000, 1048576, 1048577, 3000000, 4194304, 33554432, 33554433, 40000000, 0};
const size_t impossible[] = {SIZE_MAX,
                             SIZE_MAX - 1,
                             SIZE_MAX - 15,
                             SIZE_MAX - 4095,
                             SIZE_MAX - 65536,
                             SIZE_MAX / 2 + 1,
                             SIZE_MAX / 2,
                             SIZE_MAX / 2 - 4096,
                             (size_t)1 << 62,
                             (size_t)1 << 48,
                             0};

enum { UNTOUCHED = 12345 };

// The block is what was asked for; fills all of it.
static void check_block(void* p, size_t size, size_t alignment, int flags, unsigned seed) {
  CHECK(p != NULL);
  CHECK(errno == UNTOUCHED);
  CHECK((uintptr_t)p % alignment == 0);
  if (size == 0) return;
  CHECK(usable(p) >= size);
  if (flags & ZEROED) CHECK(all_zero(p, usable(p)));
  fill(p, usable(p), seed);
}

enum { ALIVE = 4 };

// Very large blocks are few, for the time it takes to fill them.
static unsigned alive(size_t size) {
  return size > (size_t)4 << 20 ? 1 : size > (size_t)1 << 20 ? 2 : ALIVE;
}

// Several at a time, each filled to its last usable byte: if any two overlapped, one would have lost its pattern. The
// second round gets blocks that were used before.
static void check_size(make_t* make, size_t size, int flags) {
  void* blocks[ALIVE];
  size_t usables[ALIVE];
  const unsigned live = alive(size);
  for (unsigned round = 0; round < 2; round++) {
    context("size %zu, round %u", size, round);
    for (unsigned i = 0; i < live; i++) {
      errno = UNTOUCHED;
      blocks[i] = make(size);
      check_block(blocks[i], size, 16, flags, round * ALIVE + i);
      usables[i] = usable(blocks[i]);
      for (unsigned j = 0; j < i; j++) CHECK(blocks[i] != blocks[j]);
    }
    for (unsigned i = 0; i < live && size > 0; i++) CHECK(filled(blocks[i], usables[i], round * ALIVE + i));
    for (unsigned i = 0; i < live; i++) release(blocks[(i + round) % live]);
  }
}

void check_make(make_t* make, int flags) {
  check_size(make, 0, flags & ~ZEROED);
  for (const size_t* size = sizes; *size != 0; size++) check_size(make, *size, flags);
  for (const size_t* size = impossible; *size != 0 && !(flags & THROWS); size++) {
    context("impossible size %zu", *size);
    errno = 0;
    CHECK(make(hide_size(*size)) == NULL);
    if (!(flags & RETURNS_ERROR)) CHECK(errno == ENOMEM);
  }
}

void check_make_aligned(make_aligned_t* make, size_t least, int flags) {
  static const size_t some[] = {0, 1, 16, 17, 100, 512, 1000, 4096, 5000, 65536, 65537, 300000, 1048576};
  for (size_t alignment = least; alignment <= (size_t)1 << 30; alignment *= 2) {
    bool extreme = alignment > (size_t)1 << 22;
    for (size_t i = 0; i < COUNT_OF(some); i++) {
      if (extreme && i % 4 != 0) continue;
      void* blocks[ALIVE];
      unsigned count = extreme ? 1 : ALIVE;
      for (unsigned k = 0; k < count; k++) {
        context("size %zu, alignment %zu, block %u", some[i], alignment, k);
        errno = UNTOUCHED;
        blocks[k] = make(some[i], alignment);
        check_block(blocks[k], some[i], alignment, flags, k);
      }
      for (unsigned k = 0; k < count && some[i] > 0; k++) CHECK(filled(blocks[k], usable(blocks[k]), k));
      for (unsigned k = 0; k < count; k++) release(blocks[k]);
    }
  }
  for (const size_t* size = impossible; *size != 0 && !(flags & THROWS); size++) {
    context("impossible size %zu, aligned", *size);
    errno = 0;
    CHECK(make(hide_size(*size), 64) == NULL);
    if (!(flags & RETURNS_ERROR)) CHECK(errno == ENOMEM);
    CHECK(make(hide_size(*size), 65536) == NULL);
  }
  // More than any address can be a multiple of, and what the region may or may not have: no more than documented.
  context("alignment 2^62");
  errno = 0;
  if (!(flags & THROWS)) CHECK(make(16, (size_t)1 << 62) == NULL && ((flags & RETURNS_ERROR) || errno == ENOMEM));
  context("alignment 2^40");
  void* p = flags & THROWS ? NULL : make(16, (size_t)1 << 40);
  CHECK(p == NULL || (uintptr_t)p % ((size_t)1 << 40) == 0);
  if (p != NULL) release(p);
}

void check_bad_alignments(make_aligned_t* make) {
  static const size_t bad[] = {0, 3, 5, 12, 24, 48, 1000, 4095, 4097, (size_t)3 << 40, SIZE_MAX, SIZE_MAX / 2};
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    context("alignment %zu", bad[i]);
    errno = 0;
    CHECK(make(100, hide_size(bad[i])) == NULL);
    CHECK(errno == EINVAL);
  }
}

void check_aligned(make_aligned_t* make, int flags) {
  check_make_aligned(make, 1, flags);
  check_bad_alignments(make);
}

// Checks one step of resizing: the old bytes are kept, gained ones are zero if that is promised.
static void* resize_step(resize_t* resize, void* p, size_t old_size, size_t size, size_t alignment, int flags,
                         unsigned seed) {
  context("from %zu to %zu", old_size, size);
  size_t had = p == NULL ? 0 : usable(p);
  CHECK(had >= old_size);
  fill(p, old_size, seed);
  errno = UNTOUCHED;
  p = resize(p, size);
  CHECK(p != NULL);
  CHECK(errno == UNTOUCHED);
  CHECK((uintptr_t)p % alignment == 0);
  CHECK(usable(p) >= size);
  size_t kept = old_size < size ? old_size : size;
  CHECK(filled(p, old_size <= 2 * DENSE || kept < DENSE ? kept : DENSE, seed));
  if ((flags & ZEROED) && size > old_size) CHECK(all_zero((char*)p + old_size, size - old_size));
  return p;
}

static void check_resize_fails(resize_t* resize, make_t* make, int flags) {
  for (const size_t* size = impossible; *size != 0; size++) {
    context("resizing to impossible size %zu", *size);
    errno = 0;
    CHECK(resize(NULL, hide_size(*size)) == NULL);
    CHECK((flags & RETURNS_ERROR) || errno == ENOMEM);
    if (flags & FREES_ON_FAILURE) continue;
    void* p = make(1000);
    fill(p, 1000, 5);
    errno = 0;
    CHECK(resize(p, hide_size(*size)) == NULL);
    CHECK((flags & RETURNS_ERROR) || errno == ENOMEM);
    CHECK(usable(p) >= 1000 && filled(p, 1000, 5));
    release(p);
  }
}

void check_resize(resize_t* resize, make_t* make, size_t alignment, int flags) {
  // Growing through all sizes, then shrinking; blocks that shrink may not have zeroes behind them any more.
  void* p = NULL;
  size_t had = 0;
  for (const size_t* size = sizes; *size != 0; had = *size++) {
    p = resize_step(resize, p, had, *size, alignment, had == 0 ? 0 : flags, 1);
    if (had == 0 && (flags & ZEROED)) CHECK(all_zero(p, usable(p)));
  }
  for (size_t i = COUNT_OF(sizes) - 2; i > 0; had = sizes[--i]) {
    p = resize_step(resize, p, had, sizes[i - 1], alignment, flags & ~ZEROED, 2);
  }
  release(p);
  // Jumps from fresh blocks.
  static const size_t jumps[][2] = {{1, 100},           {16, 17},       {100, 112},     {100, 4000},
                                    {4000, 100},        {1024, 1025},   {5000, 70000},  {70000, 5000},
                                    {65536, 131072},    {100, 1000000}, {1000000, 100}, {1000000, 1000001},
                                    {1048576, 3145728}, {8, 33554432},  {40000000, 10}};
  for (size_t i = 0; i < COUNT_OF(jumps); i++) {
    p = make(jumps[i][0]);
    CHECK(p != NULL);
    p = resize_step(resize, p, jumps[i][0], jumps[i][1], alignment, flags, 3);
    release(p);
  }
  // Cut off and grown again, in place if it may be.
  for (size_t size = 16; size < 300000 && (flags & ZEROED); size = size * 2 + 8) {
    p = make(size);
    fill(p, size, 4);
    p = resize(p, size - size / 4);
    p = resize_step(resize, p, size - size / 4, size, alignment, flags, 5);
    release(p);
  }
  check_resize_fails(resize, make, flags);
  context("resizing to 0");
  p = make(100);
  errno = UNTOUCHED;
  void* q = resize(p, hide_size(0));
  CHECK(errno == UNTOUCHED);
  CHECK((flags & ZERO_FREES) ? q == NULL : q != NULL);
  if (q != NULL) release(q);
  context("resizing NULL to 0");
  q = resize(NULL, hide_size(0));
  CHECK(q != NULL);
  release(q);
}

// ---- exhaustion -----------------------------------------------------------------------------------------------------

void check_exhaustion(make_t* make) {
  static const size_t steps[] = {50000000, 3000000, 100000, 5000, 600};
  for (size_t i = 0; i < COUNT_OF(steps); i++) {
    context("exhausting with blocks of %zu", steps[i]);
    void* list = NULL;
    for (;;) {
      errno = 0;
      void** p = (void**)make(steps[i]);
      if (p == NULL) break;
      *p = list;
      list = p;
    }
    CHECK(errno == ENOMEM);
    while (list != NULL) {
      void* next = *(void**)list;
      release(list);
      list = next;
    }
    void* again = make(steps[i]);
    CHECK(again != NULL);
    release(again);
  }
}

// ---- running --------------------------------------------------------------------------------------------------------

static const case_t* find_case(const char* name) {
  const case_t* found = cases;
  while (found->name != NULL && strcmp(found->name, name) != 0) found++;
  return found->name == NULL ? NULL : found;
}

// Runs the program itself with two arguments; true when it ends well.
static bool run_self(const char* mode, const char* name, size_t address_space) {
  pid_t child = fork();
  if (child == 0) {
    if (address_space != 0) {
      struct rlimit limit = {address_space, address_space};
      if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(9);
    }
    execl("/proc/self/exe", "conformance", mode, name, (char*)NULL);
    _exit(9);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return false;
  if (status != 0) fprintf(stderr, "%s: failed with status 0x%x\n", name, (unsigned)status);
  return status == 0;
}

static int run_all(bool exhaustion) {
  int failures = 0, count = 0;
  for (const case_t* each = cases; each->name != NULL; each++) {
    if (exhaustion && each->make == NULL) continue;
    count++;
    bool good = exhaustion ? run_self("--exhaust", each->name, (size_t)400 << 20) : run_self("--case", each->name, 0);
    if (!good) failures++;
  }
  printf("%d cases, %d failed\n", count, failures);
  return failures != 0 || count == 0;
}

// For programs that have nothing to do at start.
__attribute__((weak)) void prepare(void) {
}

int main(int argc, char** argv) {
  const char* mode = argc == 3 ? argv[1] : "--case";
  const char* name = argv[argc - 1];
  if (argc == 2 && strcmp(name, "--list") == 0) {
    for (const case_t* each = cases; each->name != NULL; each++) puts(each->name);
    return 0;
  }
  if (argc == 2 && (strcmp(name, "all") == 0 || strcmp(name, "oom") == 0)) return run_all(strcmp(name, "oom") == 0);
  const case_t* chosen = argc == 2 || argc == 3 ? find_case(name) : NULL;
  bool exhaust = strcmp(mode, "--exhaust") == 0;
  if (chosen == NULL || (!exhaust && strcmp(mode, "--case") != 0) || (exhaust && chosen->make == NULL)) {
    fprintf(stderr, "usage: %s NAME | all | oom | --list; '%s' is no case\n", argv[0], argc > 1 ? name : "");
    return 2;
  }
  running = chosen->name;
  prepare();
  if (exhaust) {
    check_exhaustion(chosen->make);
  } else {
    chosen->run();
  }
  return 0;
}
