// Misuse that crosses threads. Allocators hand blocks freed by other threads over on separate ways, often with fewer
// checks; and blocks of threads that ended have no owner.
#define _GNU_SOURCE
#include "misuse.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>

static verdict_t freed_there_then_here(size_t size) {
  void* p = crowd(size);
  in_thread(free_thread, p);
  at(MISUSE);
  free(p);
  return handed_out(size, NULL, 0);
}

static verdict_t freed_here_then_there(size_t size) {
  void* p = crowd(size);
  free(p);
  at(MISUSE);
  in_thread(free_thread, p);
  return handed_out(size, NULL, 0);
}

static verdict_t freed_by_two_others(size_t size) {
  void* p = crowd(size);
  in_thread(free_thread, p);
  at(MISUSE);
  in_thread(free_thread, p);
  return handed_out(size, NULL, 0);
}

static void* free_twice_thread(void* p) {
  free(p);
  free(p);
  return NULL;
}

static verdict_t freed_twice_there(size_t size) {
  void* p = crowd(size);
  at(MISUSE);
  in_thread(free_twice_thread, p);
  return handed_out(size, NULL, 0);
}

// The whole crowd goes back from another thread, and p once more in the middle of it.
static void* free_crowd_thread(void* p) {
  free(p);
  for (int i = 0; i < 60; i++) free(crowd_take());
  free(p);
  crowd_free();
  return NULL;
}

static verdict_t freed_in_a_batch(size_t size) {
  void* p = crowd(size);
  at(MISUSE);
  in_thread(free_crowd_thread, p);
  return handed_out(size, NULL, 0);
}

static verdict_t owner_goes_on(size_t size) {
  void* p = crowd(size);
  in_thread(free_thread, p);
  for (int i = 0; i < 200; i++) free(hide(malloc(size)));
  at(MISUSE);
  free(p);
  return handed_out(size, NULL, 0);
}

// Several threads free the same block at the same time.
typedef struct race_s { void* p; pthread_barrier_t start; } race_t;

static void* racer(void* argument) {
  race_t* race = argument;
  pthread_barrier_wait(&race->start);
  free(race->p);
  return NULL;
}

static verdict_t race_of(unsigned count, size_t size) {
  static race_t race;
  pthread_t threads[4];
  race.p = crowd(size);
  pthread_barrier_init(&race.start, NULL, count);
  at(MISUSE);
  for (unsigned i = 0; i < count; i++) {
    if (pthread_create(&threads[i], NULL, racer, &race) != 0) return SET_UP_FAILED;
  }
  for (unsigned i = 0; i < count; i++) pthread_join(threads[i], NULL);
  return handed_out(size, NULL, 0);
}

static verdict_t race_two(size_t size) { return race_of(2, size); }
static verdict_t race_four(size_t size) { return race_of(4, size); }

static verdict_t race_with_owner(size_t size) {
  static race_t race;
  pthread_t thread;
  race.p = crowd(size);
  pthread_barrier_init(&race.start, NULL, 2);
  if (pthread_create(&thread, NULL, racer, &race) != 0) return SET_UP_FAILED;
  at(MISUSE);
  racer(&race);
  pthread_join(thread, NULL);
  return handed_out(size, NULL, 0);
}

// ---- blocks of threads that ended -----------------------------------------------------------------------------------

static void* allocate_thread(void* argument) {
  return crowd(*(size_t*)argument);
}

static void* of_ended_thread(size_t* size) {
  pthread_t thread;
  void* p = NULL;
  if (pthread_create(&thread, NULL, allocate_thread, size) == 0) pthread_join(thread, &p);
  return p;
}

static verdict_t owner_gone_twice(size_t size) {
  void* p = of_ended_thread(&size);
  free(p);
  at(MISUSE);
  free(p);
  return handed_out(size, NULL, 0);
}

static verdict_t owner_gone_interior(size_t size) {
  char* p = of_ended_thread(&size);
  memset(hide(p), 0, size);
  at(MISUSE);
  free(p + 16);
  return handed_out(size, p, size);
}

static verdict_t owner_gone_overflow(size_t size) {
  char* p = of_ended_thread(&size);
  at(MISUSE);
  poke(p, (ptrdiff_t)size, 0);
  return settle(p, size);
}

static verdict_t owner_gone_underflow(size_t size) {
  char* p = of_ended_thread(&size);
  at(MISUSE);
  poke(p, -1, peek(p, -1) ^ 2);
  return settle(p, size);
}

static void* allocate_and_free_thread(void* argument) {
  void* p = crowd(*(size_t*)argument);
  free(p);
  return p;
}

static verdict_t owner_freed_and_gone(size_t size) {
  pthread_t thread;
  void* p = NULL;
  if (pthread_create(&thread, NULL, allocate_and_free_thread, &size) == 0) pthread_join(thread, &p);
  at(MISUSE);
  free(p);
  return handed_out(size, NULL, 0);
}

// ---- other misuse, with the free in another thread ------------------------------------------------------------------

static verdict_t interior_there(size_t size) {
  char* p = crowd(size);
  memset(p, 0, size);
  at(MISUSE);
  in_thread(free_thread, p + 16);
  return handed_out(size, p, size);
}

static verdict_t foreign_there(size_t size) {
  free(get(size));
  about(elsewhere + 4096, 1);
  at(MISUSE);
  in_thread(free_thread, elsewhere + 4096);
  return handed_out(size, elsewhere, ELSEWHERE_SIZE);
}

static verdict_t settle_there(void* p, size_t size) {
  at(FREE);
  in_thread(free_thread, p);
  for (int i = 0; i < 40; i++) in_thread(free_thread, crowd_take());
  crowd_free();
  at(REUSE);
  churn(size);
  return MISSED;
}

static verdict_t overflow_there(size_t size) {
  char* p = crowd(size);
  at(MISUSE);
  poke(p, (ptrdiff_t)size, 0);
  return settle_there(p, size);
}

static verdict_t underflow_there(size_t size) {
  char* p = crowd(size);
  at(MISUSE);
  poke(p, -1, peek(p, -1) ^ 2);
  return settle_there(p, size);
}

static verdict_t write_after_free_there(size_t size) {
  char* p = crowd(size);
  in_thread(free_thread, p);
  at(MISUSE);
  poke(p, (ptrdiff_t)size / 2, 'W');
  at(REUSE);
  churn(size);
  size_t count = size < 4096 ? 2000 : 8;
  for (size_t i = 0; i < count; i++) {
    char* q = hide(malloc(size));
    if (q == p && peek(q, (ptrdiff_t)size / 2) == 'W') return MISSED;
  }
  return MISSED;
}

static verdict_t read_after_free_there(size_t size) {
  char* p = crowd(size);
  fill(p, size);
  in_thread(free_thread, p);
  at(MISUSE);
  return leaked(p, size);
}

typedef struct sized_s { void* p; size_t size; } sized_t;

static void* free_sized_thread(void* argument) {
  sized_t* sized = argument;
  void (*free_sized)(void*, size_t) = (void (*)(void*, size_t))find_function("free_sized");
  free_sized(sized->p, sized->size);
  return NULL;
}

static verdict_t wrong_size_there(size_t size) {
  if (find_function("free_sized") == NULL) return NOT_HERE;
  sized_t sized = {crowd(size), size + 1};
  at(MISUSE);
  in_thread(free_sized_thread, &sized);
  return MISSED;
}

static void* realloc_thread(void* p) {
  hide(realloc(p, 100));
  return NULL;
}

static verdict_t realloc_there_of_freed(size_t size) {
  void* p = crowd(size);
  free(p);
  at(MISUSE);
  in_thread(realloc_thread, p);
  return handed_out(size, NULL, 0);
}

// The owner keeps a pointer into a block that another thread gave back, in a destructor that runs when a thread ends.
static pthread_key_t key;

static void* free_by_key_thread(void* p) {
  pthread_setspecific(key, p);
  return NULL;
}

static verdict_t freed_by_key_destructor(size_t size) {
  void* p = crowd(size);
  if (pthread_key_create(&key, free) != 0) return SET_UP_FAILED;
  in_thread(free_by_key_thread, p);
  at(MISUSE);
  in_thread(free_by_key_thread, p);
  return handed_out(size, NULL, 0);
}

static const kind_t kinds[] = {
  {"there-then-here", freed_there_then_here, "freed by another thread, then by the owner", 0},
  {"here-then-there", freed_here_then_there, "freed by the owner, then by another thread", 0},
  {"two-others", freed_by_two_others, "freed by two other threads, one after the other", 0},
  {"twice-there", freed_twice_there, "freed twice by another thread", 0},
  {"in-a-batch", freed_in_a_batch, "freed twice by another thread among many other frees", 0},
  {"owner-goes-on", owner_goes_on, "freed by another thread; the owner works on, and frees it again", 0},
  {"race-two", race_two, "freed by two threads at the same time", 0},
  {"race-four", race_four, "freed by four threads at the same time", 0},
  {"race-with-owner", race_with_owner, "freed by its owner and another thread at the same time", 0},
  {"owner-gone-twice", owner_gone_twice, "a block of an ended thread is freed twice", 0},
  {"owner-freed-and-gone", owner_freed_and_gone, "freed by its owner, who ended, and again here", 0},
  {"owner-gone-interior", owner_gone_interior, "free(p + 16) of a block of an ended thread", 17},
  {"owner-gone-overflow", owner_gone_overflow, "p[n] = 0 in a block of an ended thread", 0},
  {"owner-gone-underflow", owner_gone_underflow, "one bit of p[-1] of a block of an ended thread", 0},
  {"interior-there", interior_there, "free(p + 16) by another thread", 17},
  {"foreign-there", foreign_there, "a global array is freed by another thread", 0},
  {"overflow-there", overflow_there, "p[n] = 0, then freed by another thread", 0},
  {"underflow-there", underflow_there, "one bit of p[-1], then freed by another thread", 0},
  {"write-after-free-there", write_after_free_there, "written after another thread freed it", 1},
  {"read-after-free-there", read_after_free_there, "read after another thread freed it", 1},
  {"wrong-size-there", wrong_size_there, "free_sized(p, n + 1) by another thread", 0},
  {"realloc-there-of-freed", realloc_there_of_freed, "realloc by another thread after free", 0},
  {"key-destructor", freed_by_key_destructor, "freed twice by destructors of thread-specific data", 0},
};
const group_t thread_group = {"thread", KINDS(kinds)};
