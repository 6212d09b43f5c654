// Out of memory by a fault of the OS layer: every function that needs memory, when mmap, mremap and mprotect fail.
//
// The library asks the kernel through libc's syscall(), and this program has a syscall() of its own, which fails on
// demand: all calls from now on, or one of them. Each case runs in a child. A function must return NULL with ENOMEM (or
// what its comment says), keep what it was to change, and work again when the fault is gone.
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mimalloc-secure.h"
#include "mimalloc-stats.h"
#include "mimalloc.h"

// ---- the fault ------------------------------------------------------------------------------------------------------

static long let_through = -1;  // calls before the fault; -1: no fault
static long failing = -1;      // calls that fail then; -1: all
static long failed_calls;
static bool from_start;

static long raw_syscall(long number, const long a[6]) {
  long result;
#if defined(__x86_64__)
  register long r10 __asm__("r10") = a[3];
  register long r8 __asm__("r8") = a[4];
  register long r9 __asm__("r9") = a[5];
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
#else
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a[0];
  register long x1 __asm__("x1") = a[1];
  register long x2 __asm__("x2") = a[2];
  register long x3 __asm__("x3") = a[3];
  register long x4 __asm__("x4") = a[4];
  register long x5 __asm__("x5") = a[5];
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  result = x0;
#endif
  return result;
}

static bool fails(long number) {
  if (number != SYS_mmap && number != SYS_mremap && number != SYS_mprotect) return false;
  if (from_start) return true;
  if (let_through < 0) return false;
  if (let_through > 0) {
    let_through--;
    return false;
  }
  if (failing == 0) return false;
  if (failing > 0) failing--;
  failed_calls++;
  return true;
}

long syscall(long number, ...) {
  va_list args;
  long a[6];
  va_start(args, number);
  for (int i = 0; i < 6; i++) a[i] = va_arg(args, long);
  va_end(args);
  if (fails(number)) {
    errno = ENOMEM;
    return -1;
  }
  long result = raw_syscall(number, a);
  if (result >= 0 || result < -4095) return result;
  errno = (int)-result;
  return -1;
}

static void fault(long after, long count) {
  let_through = after;
  failing = count;
  failed_calls = 0;
}

static void no_fault(void) {
  let_through = -1;
}

// ---- the functions --------------------------------------------------------------------------------------------------

static mi_heap_t* heap;
static void* kept;  // what reallocations are to change
enum { KEPT = 900 };

#define CHECK(condition) \
  ((condition) ? (void)0 \
               : (void)(no_fault(), fprintf(stderr, "%s:%d: %s: failed: %s (errno %d)\n", __FILE__, __LINE__, running, \
                                            #condition, errno), \
                        _exit(1)))
static const char* running = "";
static size_t block_size;

static char text[4001];

static void* at(int error, void* p) {  // for those that return an error number
  if (error != 0) {
    CHECK(error == ENOMEM);
    errno = ENOMEM;
    return NULL;
  }
  return p;
}

#define FUNCTIONS(F) \
  F(mi_malloc, mi_malloc(size)) \
  F(mi_zalloc, mi_zalloc(size)) \
  F(mi_calloc, mi_calloc(1, size)) \
  F(mi_mallocn, mi_mallocn(size, 1)) \
  F(mi_malloc_small, mi_malloc_small(size)) \
  F(mi_zalloc_small, mi_zalloc_small(size)) \
  F(mi_umalloc, mi_umalloc(size, &block_size)) \
  F(mi_ucalloc, mi_ucalloc(1, size, &block_size)) \
  F(mi_umalloc_small, mi_umalloc_small(size, &block_size)) \
  F(mi_uzalloc_small, mi_uzalloc_small(size, &block_size)) \
  F(mi_umalloc_aligned, mi_umalloc_aligned(size, 64, &block_size)) \
  F(mi_uzalloc_aligned, mi_uzalloc_aligned(size, 64, &block_size)) \
  F(mi_malloc_aligned, mi_malloc_aligned(size, 256)) \
  F(mi_malloc_aligned_at, mi_malloc_aligned_at(size, 64, 8)) \
  F(mi_zalloc_aligned, mi_zalloc_aligned(size, 256)) \
  F(mi_zalloc_aligned_at, mi_zalloc_aligned_at(size, 64, 8)) \
  F(mi_calloc_aligned, mi_calloc_aligned(1, size, 256)) \
  F(mi_calloc_aligned_at, mi_calloc_aligned_at(size, 1, 64, 8)) \
  F(mi_memalign, mi_memalign(64, size)) \
  F(mi_aligned_alloc, mi_aligned_alloc(64, size)) \
  F(mi_valloc, mi_valloc(size)) \
  F(mi_pvalloc, mi_pvalloc(size)) \
  F(mi_new_nothrow, mi_new_nothrow(size)) \
  F(mi_new_aligned_nothrow, mi_new_aligned_nothrow(size, 64)) \
  F(mi_new_array_nothrow, mi_new_array_nothrow(size)) \
  F(mi_new_array_aligned_nothrow, mi_new_array_aligned_nothrow(size, 64)) \
  F(mi_heap_malloc, mi_heap_malloc(heap, size)) \
  F(mi_heap_zalloc, mi_heap_zalloc(heap, size)) \
  F(mi_heap_calloc, mi_heap_calloc(heap, 1, size)) \
  F(mi_heap_mallocn, mi_heap_mallocn(heap, 1, size)) \
  F(mi_heap_malloc_small, mi_heap_malloc_small(heap, size)) \
  F(mi_heap_zalloc_small, mi_heap_zalloc_small(heap, size)) \
  F(mi_heap_malloc_aligned, mi_heap_malloc_aligned(heap, size, 64)) \
  F(mi_heap_malloc_aligned_at, mi_heap_malloc_aligned_at(heap, size, 64, 8)) \
  F(mi_heap_zalloc_aligned, mi_heap_zalloc_aligned(heap, size, 64)) \
  F(mi_heap_zalloc_aligned_at, mi_heap_zalloc_aligned_at(heap, size, 64, 8)) \
  F(mi_heap_calloc_aligned, mi_heap_calloc_aligned(heap, 1, size, 64)) \
  F(mi_heap_calloc_aligned_at, mi_heap_calloc_aligned_at(heap, 1, size, 64, 8)) \
  F(mi_strdup, mi_strdup(text + sizeof(text) - 1 - size % sizeof(text))) \
  F(mi_strndup, mi_strndup(text, size)) \
  F(mi_mbsdup, mi_mbsdup((unsigned char*)text)) \
  F(mi_wcsdup, mi_wcsdup(L"a text of some length, copied many times, until there is no more room for it")) \
  F(mi_realpath, mi_realpath("/", NULL)) \
  F(mi_heap_strdup, mi_heap_strdup(heap, text)) \
  F(mi_heap_strndup, mi_heap_strndup(heap, text, size)) \
  F(mi_heap_realpath, mi_heap_realpath(heap, "/", NULL)) \
  F(mi_stats_get_json, mi_stats_get_json(0, NULL)) \
  F(mi_heap_stats_get_json, mi_heap_stats_get_json(heap, 0, NULL)) \
  F(mi_realloc, mi_realloc(NULL, size)) \
  F(mi_reallocn, mi_reallocn(NULL, 1, size)) \
  F(mi_reallocf, mi_reallocf(NULL, size)) \
  F(mi_reallocarray, mi_reallocarray(NULL, 1, size)) \
  F(mi_rezalloc, mi_rezalloc(NULL, size)) \
  F(mi_recalloc, mi_recalloc(NULL, 1, size)) \
  F(mi_heap_realloc, mi_heap_realloc(heap, NULL, size))

static void* out_pointer;
static void* make_posix_memalign(size_t size) {
  int error = mi_posix_memalign(&out_pointer, 64, size);
  return at(error, out_pointer);
}
static void* make_reallocarr(size_t size) {
  void* p = NULL;
  int error = mi_reallocarr(&p, 1, size);
  return at(error, p);
}
static void* make_dupenv_s(size_t size) {
  char* copy = NULL;
  (void)size;
  int error = mi_dupenv_s(&copy, NULL, "FAULTS_TEXT");
  return at(error, copy);
}

// Those that make something else than a block.
static void* make_heap_new(size_t size) {
  (void)size;
  return mi_heap_new();
}
static void* make_heap_new_ex(size_t size) {
  (void)size;
  return mi_heap_new_ex(1, true, 0);
}

#define MAKE(name, call) \
  static void* make_##name(size_t size) { \
    (void)size; \
    return (void*)call; \
  }
FUNCTIONS(MAKE)

// libc's names, where they are the library's.
#ifdef MIM_NO_OVERRIDE
#define LIBC_FUNCTIONS(F)
#else
#define LIBC_FUNCTIONS(F) \
  F(malloc, malloc(size)) \
  F(calloc, calloc(1, size)) \
  F(realloc, realloc(NULL, size)) \
  F(reallocarray, reallocarray(NULL, 1, size)) \
  F(aligned_alloc, aligned_alloc(64, size)) \
  F(memalign, memalign(64, size)) \
  F(valloc, valloc(size)) \
  F(pvalloc, pvalloc(size)) \
  F(strdup, strdup(text)) \
  F(strndup, strndup(text, size))
#endif
LIBC_FUNCTIONS(MAKE)

static void* resize_mi_reallocf(void* p, size_t size) {
  void* q = mi_reallocf(p, size);
  if (q == NULL) kept = mi_zalloc(KEPT);  // it was freed, so there is room for this
  if (q == NULL) memset(kept, 0x5A, KEPT);
  return q;
}

// From a block that must be kept when they fail.
#define RESIZERS(F) \
  F(mi_realloc, mi_realloc(p, size)) \
  F(mi_reallocn, mi_reallocn(p, 1, size)) \
  F(mi_reallocarray, mi_reallocarray(p, size, 1)) \
  F(mi_rezalloc, mi_rezalloc(p, size)) \
  F(mi_recalloc, mi_recalloc(p, 1, size)) \
  F(mi_urealloc, mi_urealloc(p, size, NULL, &block_size)) \
  F(mi_realloc_aligned, mi_realloc_aligned(p, size, 64)) \
  F(mi_realloc_aligned_at, mi_realloc_aligned_at(p, size, 64, 8)) \
  F(mi_rezalloc_aligned, mi_rezalloc_aligned(p, size, 64)) \
  F(mi_rezalloc_aligned_at, mi_rezalloc_aligned_at(p, size, 64, 8)) \
  F(mi_recalloc_aligned, mi_recalloc_aligned(p, 1, size, 64)) \
  F(mi_recalloc_aligned_at, mi_recalloc_aligned_at(p, 1, size, 64, 8)) \
  F(mi_aligned_recalloc, mi_aligned_recalloc(p, 1, size, 64)) \
  F(mi_aligned_offset_recalloc, mi_aligned_offset_recalloc(p, 1, size, 64, 8)) \
  F(mi_heap_realloc, mi_heap_realloc(heap, p, size)) \
  F(mi_heap_reallocn, mi_heap_reallocn(heap, p, 1, size)) \
  F(mi_heap_rezalloc, mi_heap_rezalloc(heap, p, size)) \
  F(mi_heap_recalloc, mi_heap_recalloc(heap, p, 1, size)) \
  F(mi_heap_realloc_aligned, mi_heap_realloc_aligned(heap, p, size, 64)) \
  F(mi_heap_realloc_aligned_at, mi_heap_realloc_aligned_at(heap, p, size, 64, 8)) \
  F(mi_heap_rezalloc_aligned, mi_heap_rezalloc_aligned(heap, p, size, 64)) \
  F(mi_heap_rezalloc_aligned_at, mi_heap_rezalloc_aligned_at(heap, p, size, 64, 8)) \
  F(mi_heap_recalloc_aligned, mi_heap_recalloc_aligned(heap, p, 1, size, 64)) \
  F(mi_heap_recalloc_aligned_at, mi_heap_recalloc_aligned_at(heap, p, 1, size, 64, 8))

#define RESIZE(name, call) \
  static void* resize_##name(void* p, size_t size) { \
    return call; \
  }
RESIZERS(RESIZE)

static void* resize_mi_reallocarr(void* p, size_t size) {
  void* q = p;
  int error = mi_reallocarr(&q, 1, size);
  return at(error, q);
}

// Those that end the process, there being no C++ library in it.
#define ENDING(F) \
  F(mi_new, mi_new(size)) \
  F(mi_new_aligned, mi_new_aligned(size, 64)) \
  F(mi_new_array, mi_new_array(size)) \
  F(mi_new_array_aligned, mi_new_array_aligned(size, 64)) \
  F(mi_new_n, mi_new_n(1, size)) \
  F(mi_new_realloc, mi_new_realloc(NULL, size)) \
  F(mi_new_reallocn, mi_new_reallocn(NULL, 1, size)) \
  F(mi_heap_alloc_new, mi_heap_alloc_new(heap, size)) \
  F(mi_heap_alloc_new_n, mi_heap_alloc_new_n(heap, 1, size))
ENDING(MAKE)

typedef struct entry_s {
  const char* name;
  void* (*make)(size_t size);
  void* (*resize)(void* p, size_t size);
  bool ends;
} entry_t;

#define MAKE_ENTRY(name, call) {#name, make_##name, NULL, false},
#define RESIZE_ENTRY(name, call) {#name, NULL, resize_##name, false},
#define ENDING_ENTRY(name, call) {#name, make_##name, NULL, true},
static const entry_t entries[] = {FUNCTIONS(MAKE_ENTRY) LIBC_FUNCTIONS(MAKE_ENTRY) RESIZERS(RESIZE_ENTRY) ENDING(ENDING_ENTRY){
                                      "mi_posix_memalign", make_posix_memalign, NULL, false},
                                  {"mi_reallocarr", make_reallocarr, NULL, false},
                                  {"mi_reallocarr", NULL, resize_mi_reallocarr, false},
                                  {"mi_reallocf", NULL, resize_mi_reallocf, false},
                                  {"mi_dupenv_s", make_dupenv_s, NULL, false},
                                  {"mi_heap_new", make_heap_new, NULL, false},
                                  {"mi_heap_new_ex", make_heap_new_ex, NULL, false}};

// ---- the cases ------------------------------------------------------------------------------------------------------

static bool all_are(const unsigned char* p, size_t size, unsigned char value) {
  for (size_t i = 0; i < size; i++) {
    if (p[i] != value) return false;
  }
  return true;
}

static void* make_one(const entry_t* entry, size_t size) {
  if (entry->make != NULL) return entry->make(size);
  if (kept == NULL) {
    kept = mi_zalloc(KEPT);
    if (kept == NULL) return NULL;
  }
  memset(kept, 0x5A, KEPT);
  errno = 0;
  void* p = entry->resize(kept, size);
  CHECK(all_are(p == NULL ? kept : p, KEPT, 0x5A));
  kept = NULL;
  return p;
}

// From now on the OS has nothing: it works until what there is has been used up, and again when the OS has more.
static void check_lasting(const entry_t* entry, size_t size) {
  CHECK(make_one(entry, size) != NULL);
  fault(0, -1);
  size_t count = 0;
  for (;; count++) {
    errno = 0;
    if (make_one(entry, size) == NULL) break;
    CHECK(count < 3000000);
  }
  CHECK(errno == ENOMEM && failed_calls > 0);
  if (kept != NULL) {
    CHECK(all_are(kept, KEPT, 0x5A));
    mi_free(kept);
    kept = NULL;
  }
  no_fault();
  for (int i = 0; i < 100; i++) CHECK(make_one(entry, size) != NULL);
}

// One call, or two, fail: the function may fail then, and must not afterwards.
static void check_passing(const entry_t* entry, size_t size) {
  for (long after = 0; after < 8; after++) {
    for (long count = 1; count <= 2; count++) {
      fault(after, count);
      for (int i = 0; i < 20; i++) {
        errno = 0;
        void* p = make_one(entry, size);
        CHECK(p != NULL || errno == ENOMEM);
      }
      no_fault();
      CHECK(make_one(entry, size) != NULL);
    }
  }
}

static void run_entry(const entry_t* entry) {
  static const size_t sizes[] = {1000, 20000, 300000, 5000000};
  heap = mi_heap_new();
  mi_option_set(mi_option_purge_delay, -1);  // no memory comes back by itself
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    if (sizes[i] < 1000000) check_passing(entry, sizes[i]);
    check_lasting(entry, sizes[i]);
  }
}

static void run_ending(const entry_t* entry) {
  heap = mi_heap_new();
  fault(0, -1);
  for (size_t count = 0; count < 3000000; count++) CHECK(entry->make(1000) != NULL);
}

static void run_others(void) {
  running = "others";
  char* memory = mmap(NULL, (size_t)256 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(memory != MAP_FAILED);
  fault(0, -1);
  mi_arena_id_t id = -7;
  CHECK(mi_reserve_os_memory_ex((size_t)64 << 20, true, false, false, &id) == ENOMEM && id == 0);
  CHECK(!mi_manage_os_memory(memory, (size_t)256 << 20, false, false, true, -1));
  CHECK(mi_reserve_huge_os_pages_at(1, -1, 100) == ENOMEM);
  CHECK(mi_reserve_huge_os_pages_interleave(1, 0, 100) == ENOMEM);
  no_fault();
  CHECK(mi_reserve_os_memory_ex((size_t)64 << 20, true, false, false, &id) == 0 && id > 0);
  CHECK(mi_manage_os_memory(memory, (size_t)256 << 20, false, false, true, -1));
  CHECK(mi_malloc(1000000) != NULL);
}

// The library cannot even start: nothing to be had, and afterwards everything.
static void run_start(void) {
  running = "start";
  errno = 0;
  CHECK(mi_malloc(100) == NULL && errno == ENOMEM);
  CHECK(mi_heap_new() == NULL && mi_calloc(3, 3) == NULL && mi_malloc_aligned(100, 4096) == NULL);
  mi_free(NULL);
  mi_collect(true);
  CHECK(mi_usable_size(NULL) == 0);
  from_start = false;
  void* p = mi_malloc(100);
  CHECK(p != NULL);
  mi_free(p);
}

// Runs in a child; false, and says so, when it does not end as it must.
static bool in_child(const entry_t* entry) {
  fflush(stderr);
  pid_t child = fork();
  if (child == 0) {
    running = entry->name;
    if (entry->ends) {
      run_ending(entry);
    } else {
      run_entry(entry);
    }
    _exit(0);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return false;
  bool good = entry->ends ? WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT : status == 0;
  if (!good) fprintf(stderr, "%s: ended with status 0x%x\n", entry->name, (unsigned)status);
  return good;
}

// Before the library starts, which its constructor or the first call to it does.
__attribute__((constructor(101))) static void read_start(void) {
  from_start = getenv("FAULTS_FROM_START") != NULL;
}

int main(int argc, char** argv) {
  if (from_start) {
    run_start();
    return 0;
  }
  memset(text, 'x', sizeof(text) - 1);
  setenv("FAULTS_TEXT", text, 1);
  int failures = 0, count = 0;
  for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
    if (argc == 2 && strcmp(argv[1], "all") != 0 && strcmp(argv[1], entries[i].name) != 0) continue;
    count++;
    failures += !in_child(&entries[i]);
  }
  if (argc == 1 || strcmp(argv[1], "all") == 0) run_others();
  printf("%d functions, %d failed\n", count, failures);
  return failures != 0 || count == 0;
}
