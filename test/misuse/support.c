// What the misuse cases share; misuse.h says what each function is for.
//
// Nothing here keeps anything on the heap: the cases decide what is there, and a broken heap must not break the
// bookkeeping. Arrays are static and large enough for the most a case may ask for.
#define _GNU_SOURCE
#include "misuse.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "driver.h"

char elsewhere[ELSEWHERE_SIZE] __attribute__((aligned(64)));

enum { CROWD_MAX = 129, MANY_MAX = 8192, CROWD_BYTES = 8 << 20, MANY_BYTES = 24 << 20 };

static struct { void* blocks[CROWD_MAX]; size_t count; size_t size; } people;

// ---- bytes and addresses --------------------------------------------------------------------------------------------

void* hide(const void* p) {
  const void* volatile seen = p;
  return (void*)(uintptr_t)seen;
}

uintptr_t hide_number(uintptr_t n) {
  volatile uintptr_t seen = n;
  return seen;
}

void poke(void* p, ptrdiff_t offset, int byte) {
  ((volatile unsigned char*)p)[offset] = (unsigned char)byte;
}

int peek(const void* p, ptrdiff_t offset) {
  return ((const volatile unsigned char*)p)[offset];
}

void poke_run(void* p, ptrdiff_t offset, size_t count, int byte) {
  for (size_t i = 0; i < count; i++) poke(p, offset + (ptrdiff_t)i, byte);
}

void peek_run(const void* p, ptrdiff_t offset, size_t count) {
  for (size_t i = 0; i < count; i++) peek(p, offset + (ptrdiff_t)i);
}

void* get(size_t size) {
  void* p = malloc(size);
  if (p == NULL) case_ends(SET_UP_FAILED);
  return hide(p);
}

void* get_zeroed(size_t size) {
  return calloc(size, 1);
}

void* get_aligned(size_t size) {
  return memalign(128, size);
}

void* get_page_aligned(size_t size) {
  return memalign(4096, size);
}

void fill(void* p, size_t size) {
  memset(p, SECRET, size);
  hide(p);
}

// ---- the crowd ------------------------------------------------------------------------------------------------------

static size_t bounded(size_t bytes, size_t size, size_t least, size_t most) {
  size_t count = bytes / (size + 16);
  return count < least ? least : count > most ? most : count;
}

// Of the blocks that follow another at the smallest distance there is, the last one allocated; when none lies close to
// another, the middle one.
static size_t follower(void) {
  uintptr_t least = people.size * 2 + 64;
  size_t chosen = people.count / 2;
  for (size_t i = 0; i < people.count; i++) {
    for (size_t k = 0; k < people.count; k++) {
      uintptr_t distance = (uintptr_t)people.blocks[i] - (uintptr_t)people.blocks[k];
      if (distance == 0 || distance > least) continue;
      if (distance < least || i > chosen) chosen = i;
      least = distance;
    }
  }
  return chosen;
}

void* crowd_with(void* (*allocate)(size_t), size_t size) {
  people.size = size;
  people.count = bounded(CROWD_BYTES, size, 5, CROWD_MAX);
  for (size_t i = 0; i < people.count; i++) {
    people.blocks[i] = allocate(size);
    if (people.blocks[i] == NULL) case_ends(SET_UP_FAILED);
  }
  size_t chosen = follower();
  void* p = people.blocks[chosen];
  people.blocks[chosen] = people.blocks[--people.count];
  about(p, size);
  return hide(p);
}

void* crowd(size_t size) {
  return crowd_with(get, size);
}

void* crowd_take(void) {
  return people.count == 0 ? NULL : hide(people.blocks[--people.count]);
}

void crowd_remove(const void* p) {
  for (size_t i = 0; i < people.count; i++) {
    if (people.blocks[i] == p) people.blocks[i] = people.blocks[--people.count];
  }
}

void crowd_free(void) {
  while (people.count > 0) free(crowd_take());
}

bool crowd_has(const void* p) {
  bool found = false;
  for (size_t i = 0; i < people.count; i++) found = found || people.blocks[i] == p;
  return found;
}

void* crowd_choose(void* p, ptrdiff_t offset) {
  for (size_t i = 0; i < people.count && crowd_has((char*)p + offset); i++) {
    void* other = people.blocks[i];
    people.blocks[i] = p;
    p = other;
  }
  about(p, people.size);
  return hide(p);
}

void* crowd_neighbour(const void* p) {
  uintptr_t best = UINTPTR_MAX;
  for (size_t i = 0; i < people.count; i++) {
    uintptr_t other = (uintptr_t)people.blocks[i];
    if (other > (uintptr_t)p && other < best) best = other;
  }
  size_t room = people.size + people.size / 4 + 64;
  return best != UINTPTR_MAX && best - (uintptr_t)p <= room ? hide((void*)best) : NULL;
}

// ---- what comes after the misuse ------------------------------------------------------------------------------------

verdict_t settle(void* p, size_t size) {
  at(FREE);
  free(p);
  crowd_free();
  at(REUSE);
  churn(size);
  return MISSED;
}

static void* many[MANY_MAX];

void churn(size_t size) {
  size_t count = bounded(MANY_BYTES, size, 4, MANY_MAX);
  for (size_t i = 0; i < count; i++) {
    many[i] = malloc(size);
    if (many[i] != NULL) poke_run(many[i], 0, size < 64 ? size : 64, 0x6B);
  }
  for (size_t i = 0; i < count; i++) free(many[i]);
}

typedef struct extent_s { uintptr_t start, end; } extent_t;

static bool overlap(extent_t a, extent_t b) {
  return a.start < b.end && b.start < a.end;
}

// Heap sort: the C library's qsort may allocate.
static void sift(extent_t* e, size_t root, size_t count) {
  for (size_t child; (child = 2 * root + 1) < count; root = child) {
    if (child + 1 < count && e[child + 1].start > e[child].start) child++;
    if (e[root].start >= e[child].start) return;
    extent_t swap = e[root];
    e[root] = e[child];
    e[child] = swap;
  }
}

static void sort_extents(extent_t* e, size_t count) {
  for (size_t i = count / 2; i-- > 0;) sift(e, i, count);
  for (size_t i = count; i-- > 1;) {
    extent_t swap = e[0];
    e[0] = e[i];
    e[i] = swap;
    sift(e, 0, i);
  }
}

verdict_t handed_out(size_t size, const void* area, size_t length) {
  static extent_t extents[MANY_MAX + CROWD_MAX];
  extent_t forbidden = {(uintptr_t)area, (uintptr_t)area + length};
  size_t count = bounded(MANY_BYTES, size, 8, MANY_MAX), total = 0;
  verdict_t verdict = IGNORED;
  at(REUSE);
  for (size_t i = 0; i < count; i++) {
    uintptr_t start = (uintptr_t)hide(malloc(size));
    if (start == 0) continue;
    extent_t extent = {start, start + (size > 0 ? size : 1)};
    if (length > 0 && overlap(extent, forbidden)) verdict = MISSED;
    extents[total++] = extent;
  }
  for (size_t i = 0; i < people.count; i++) {
    uintptr_t start = (uintptr_t)people.blocks[i];
    extents[total++] = (extent_t){start, start + (people.size > 0 ? people.size : 1)};
  }
  sort_extents(extents, total);
  for (size_t i = 1; i < total; i++) {
    if (overlap(extents[i - 1], extents[i])) verdict = MISSED;
  }
  return verdict;
}

verdict_t leaked(const void* p, size_t size) {
  int first = peek(p, 0);
  bool same = first != SECRET;
  for (size_t i = 1; i < size && same; i++) same = peek(p, (ptrdiff_t)i) == first;
  return same ? PREVENTED : MISSED;
}

// ---- threads, processes, symbols ------------------------------------------------------------------------------------

void in_thread(void* (*run)(void*), void* argument) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, run, argument) != 0) case_ends(SET_UP_FAILED);
  pthread_join(thread, NULL);
}

void* free_thread(void* p) {
  free(p);
  return NULL;
}

any_function_t find_function(const char* name) {
  union { void* object; any_function_t function; } found = {dlsym(RTLD_DEFAULT, name)};
  return found.function;
}

bool stopped_in_child(void (*step)(void* argument), void* argument) {
  int status = 0;
  pid_t pid = fork();
  if (pid < 0) case_ends(SET_UP_FAILED);
  if (pid == 0) {
    step(argument);
    _exit(0);
  }
  return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status);
}

bool run_again(const char* subcommand, size_t size, char* output, size_t room) {
  char number[24];
  int ends[2];
  snprintf(number, sizeof(number), "%zu", size);
  if (pipe(ends) != 0) return false;
  pid_t pid = fork();
  if (pid == 0) {
    dup2(ends[1], STDOUT_FILENO);
    execl("/proc/self/exe", "misuse-cases", subcommand, number, (char*)NULL);
    _exit(127);
  }
  close(ends[1]);
  size_t length = 0;
  for (ssize_t got; pid > 0 && (got = read(ends[0], output + length, room - 1 - length)) > 0;) length += (size_t)got;
  output[length] = 0;
  close(ends[0]);
  int status = 1;
  return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 && length > 0;
}
