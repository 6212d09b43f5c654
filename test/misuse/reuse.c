// How predictable the allocator is. Nothing here is a misuse by itself; it is what an attacker needs to make use of
// one: to know which block comes next, and what lies beside it.
#define _GNU_SOURCE
#include "misuse.h"

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ORDER = 16, PAIRS = 24 };

static verdict_t at_once(size_t size) {
  void* p = crowd(size);
  free(p);
  at(MISUSE);
  return hide(malloc(size)) == p ? MISSED : PREVENTED;
}

static verdict_t within_eight(size_t size) {
  void* p = crowd(size);
  free(p);
  at(MISUSE);
  for (int i = 0; i < 8; i++) {
    if (hide(malloc(size)) == p) return MISSED;
  }
  return PREVENTED;
}

static verdict_t at_once_by_calloc(size_t size) {
  void* p = crowd(size);
  free(p);
  at(MISUSE);
  return hide(calloc(1, size)) == p ? MISSED : PREVENTED;
}

// The first block of all, with no others around.
static verdict_t at_once_alone(size_t size) {
  void* p = get(size);
  free(p);
  at(MISUSE);
  return hide(malloc(size)) == p ? MISSED : PREVENTED;
}

// Five blocks are freed; do the next five come in a known order?
static verdict_t known_order(size_t size, const int* order) {
  void* freed[5] = {crowd(size), crowd_take(), crowd_take(), crowd_take(), crowd_take()};
  for (int i = 0; i < 5; i++) free(freed[i]);
  at(MISUSE);
  bool known = true;
  for (int i = 0; i < 5; i++) known = hide(malloc(size)) == freed[order[i]] && known;
  return known ? MISSED : PREVENTED;
}

static verdict_t last_in_first_out(size_t size) {
  static const int order[] = {4, 3, 2, 1, 0};
  return known_order(size, order);
}

static verdict_t first_in_first_out(size_t size) {
  static const int order[] = {0, 1, 2, 3, 4};
  return known_order(size, order);
}

static void* allocate_thread(void* argument) {
  return hide(malloc(*(size_t*)argument));
}

// Freed by one thread, handed out to another.
static verdict_t at_once_elsewhere(size_t size) {
  pthread_t thread;
  void* got = NULL;
  void* p = crowd(size);
  free(p);
  at(MISUSE);
  if (pthread_create(&thread, NULL, allocate_thread, &size) != 0) return SET_UP_FAILED;
  pthread_join(thread, &got);
  return got == p ? MISSED : PREVENTED;
}

// A confused type: memory of freed blocks of this size is handed out for blocks of three times the size.
static verdict_t for_other_size(size_t size) {
  static char* freed[129];
  size_t count = 0;
  freed[count++] = crowd(size);
  while (count < 129 && (freed[count] = crowd_take()) != NULL) count++;
  for (size_t i = 0; i < count; i++) free(freed[i]);
  at(MISUSE);
  for (int i = 0; i < 200 && i * size < 64 << 20; i++) {
    char* q = get(size * 3 + 64);
    for (size_t k = 0; k < count; k++) {
      if (freed[k] < q + size * 3 + 64 && q < freed[k] + size) return MISSED;
    }
  }
  return PREVENTED;
}

static void take_order(size_t size, char** blocks) {
  for (int i = 0; i < ORDER; i++) blocks[i] = get(size);
}

// Fresh blocks: does one follow the other, at one distance?
static verdict_t ascending(size_t size) {
  char* blocks[ORDER];
  at(MISUSE);
  take_order(size, blocks);
  int best = 0;
  for (int i = 1; i < ORDER; i++) {
    int same = 0;
    for (int k = 1; k < ORDER; k++) same += blocks[k] - blocks[k - 1] == blocks[i] - blocks[i - 1];
    best = same > best ? same : best;
  }
  return best > (ORDER - 1) * 2 / 3 ? MISSED : PREVENTED;
}

// The attacker's block and then the victim's: does the victim lie right behind?
static verdict_t victim_follows(size_t size) {
  int follows = 0;
  crowd(size);
  at(MISUSE);
  for (int i = 0; i < PAIRS; i++) {
    char* attacker = get(size);
    char* victim = get(size);
    follows += victim > attacker && (size_t)(victim - attacker) <= size + size / 4 + 64;
  }
  return follows > PAIRS / 2 ? MISSED : PREVENTED;
}

int print_layout(size_t size) {
  char* blocks[ORDER];
  take_order(size, blocks);
  for (int i = 1; i < ORDER; i++) printf("%td ", blocks[i] - blocks[0]);
  return 0;
}

// Two runs of the same program: are the blocks in the same places relative to each other?
static verdict_t same_in_each_run(size_t size) {
  static char first[1024], second[1024];
  at(MISUSE);
  if (!run_again("layout", size, first, sizeof(first))) return SET_UP_FAILED;
  if (!run_again("layout", size, second, sizeof(second))) return SET_UP_FAILED;
  return strcmp(first, second) == 0 ? MISSED : PREVENTED;
}

// The allocator's code is the anchor: an attacker who knows an address of a library must not know the heap.
int print_distance(size_t size) {
  printf("%td ", (char*)get(size) - (char*)(uintptr_t)&malloc_usable_size);
  return 0;
}

static verdict_t same_distance_to_library(size_t size) {
  static char first[128], second[128];
  at(MISUSE);
  if (!run_again("distance", size, first, sizeof(first))) return SET_UP_FAILED;
  if (!run_again("distance", size, second, sizeof(second))) return SET_UP_FAILED;
  return strcmp(first, second) == 0 ? MISSED : PREVENTED;
}

// Two children of one process, as servers fork them for each client: what one learns must not hold for the next.
static verdict_t same_in_each_child(size_t size) {
  char* blocks[2][ORDER];
  int ends[2];
  crowd(size);
  if (pipe(ends) != 0) return SET_UP_FAILED;
  at(MISUSE);
  for (int child = 0; child < 2; child++) {
    pid_t pid = fork();
    if (pid == 0) {
      take_order(size, blocks[child]);
      _exit(write(ends[1], blocks[child], sizeof(blocks[child])) == sizeof(blocks[child]) ? 0 : 1);
    }
    int status = 1;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) return SET_UP_FAILED;
    if (read(ends[0], blocks[child], sizeof(blocks[child])) != sizeof(blocks[child])) return SET_UP_FAILED;
  }
  return memcmp(blocks[0], blocks[1], sizeof(blocks[0])) == 0 ? MISSED : PREVENTED;
}

static const kind_t kinds[] = {
  {"at-once", at_once, "the next block is the one just freed", 1},
  {"at-once-alone", at_once_alone, "the same for the only block of the size", 1},
  {"at-once-by-calloc", at_once_by_calloc, "the next block from calloc is the one just freed", 1},
  {"within-eight", within_eight, "it is one of the next eight", 1},
  {"last-in-first-out", last_in_first_out, "five freed blocks come back in reverse order", 1},
  {"first-in-first-out", first_in_first_out, "five freed blocks come back in order", 1},
  {"at-once-elsewhere", at_once_elsewhere, "another thread gets the block just freed", 1},
  {"for-other-size", for_other_size, "memory of freed blocks serves blocks of three times the size", 1},
  {"ascending", ascending, "most of 16 fresh blocks have one distance", 1},
  {"victim-follows", victim_follows, "of pairs of blocks, most lie side by side in order", 1},
  {"same-in-each-run", same_in_each_run, "16 blocks lie alike in two runs of a program", 1},
  {"same-in-each-child", same_in_each_child, "16 blocks lie alike in two children of a process", 1},
  {"same-distance-to-library", same_distance_to_library, "the first block has a known distance to a library", 1},
};
const group_t reuse_group = {"reuse", KINDS(kinds)};
