// misuse-cases: one program that holds every case of heap misuse.
//
//   misuse-cases list                      every kind: name, smallest size, what it does
//   misuse-cases run GROUP.KIND SIZE       runs one case in this process; it may well not survive
//   misuse-cases run-threaded GROUP.KIND SIZE   the same, in a second thread, while two others allocate and free
//
// Exit codes: 0 the case ran to its end (its verdict is reported), 2 wrong command line, 3 the set-up failed.
// driver.h says how a case reports. The group files hold the cases; the table of groups is here.
#define _GNU_SOURCE
#include "driver.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static const group_t* const groups[] = {
  &double_free_group, &invalid_free_group, &overflow_group,  &copy_group,        &overread_group,
  &underflow_group,   &use_after_free_group, &uninitialised_group, &realloc_group, &sized_group,
  &family_group,      &zero_size_group,    &large_group,     &thread_group,      &reuse_group,
  &forged_link_group, &header_group,       &libc_group,      &impossible_group,  &heap_group,
};
static const size_t group_count = sizeof(groups) / sizeof(groups[0]);

static bool for_machine;

static void say(const char* text, size_t length) {
  ssize_t ignored = write(for_machine ? REPORT_FD : STDOUT_FILENO, text, length);
  (void)ignored;
}

static const char* in_words(char letter) {
  switch (letter) {
    case SET_UP: return "set-up\n";
    case MISUSE: return "misuse\n";
    case FREE: return "free\n";
    case REUSE: return "reuse\n";
    case EXIT: return "exit\n";
    case MISSED: return "MISSED\n";
    case PREVENTED: return "PREVENTED\n";
    case IGNORED: return "IGNORED: no word, no effect seen\n";
    case STOPPED: return "STOPPED in each child\n";
    case NOT_HERE: return "NOT HERE: this allocator has no such function\n";
    default: return "SET-UP FAILED\n";
  }
}

static void say_letter(char letter) {
  if (for_machine) say(&letter, 1);
  else say(in_words(letter), strlen(in_words(letter)));
}

void at(phase_t phase) {
  say_letter((char)phase);
}

void about(const void* block, size_t size) {
  char text[64];
  int length = snprintf(text, sizeof(text), for_machine ? "@%zx+%zx;" : "about 0x%zx, 0x%zx bytes\n",
                        (size_t)(uintptr_t)block, size);
  say(text, (size_t)length);
}

void case_ends(verdict_t verdict) {
  say_letter((char)verdict);
  if (verdict == SET_UP_FAILED) _exit(3);
  at(EXIT);
  exit(0);
}

static const kind_t* find_kind(const char* name) {
  for (size_t g = 0; g < group_count; g++) {
    size_t length = strlen(groups[g]->name);
    if (strncmp(name, groups[g]->name, length) != 0 || name[length] != '.') continue;
    for (size_t k = 0; k < groups[g]->count; k++) {
      if (strcmp(groups[g]->kinds[k].name, name + length + 1) == 0) return &groups[g]->kinds[k];
    }
  }
  return NULL;
}

static int list(void) {
  for (size_t g = 0; g < group_count; g++) {
    for (size_t k = 0; k < groups[g]->count; k++) {
      const kind_t* kind = &groups[g]->kinds[k];
      printf("%s.%s\t%zu\t%s\n", groups[g]->name, kind->name, kind->least, kind->what);
    }
  }
  return 0;
}

// ---- the same among threads -----------------------------------------------------------------------------------------

static atomic_bool background_ends;

typedef struct threaded_s {
  const kind_t* kind;
  size_t size;
  verdict_t verdict;
} threaded_t;

// Allocates and frees blocks of many sizes, the size of the case among them, with little pauses.
static void* background(void* argument) {
  size_t size = *(size_t*)argument;
  void* held[16] = {NULL};
  for (unsigned turn = 0; !atomic_load(&background_ends); turn++) {
    size_t wanted = turn % 3 == 0 && size <= 4096 ? size : 16 + turn * 37 % 2000;
    free(held[turn % 16]);
    held[turn % 16] = malloc(wanted);
    if (held[turn % 16] != NULL) memset(held[turn % 16], 0x33, wanted);
    if (turn % 64 == 0) nanosleep(&(struct timespec){0, 20000}, NULL);
  }
  for (size_t i = 0; i < 16; i++) free(held[i]);
  return NULL;
}

static void* run_threaded(void* argument) {
  threaded_t* threaded = argument;
  threaded->verdict = threaded->kind->run(threaded->size);
  return NULL;
}

static verdict_t run_among_threads(const kind_t* kind, size_t size) {
  static threaded_t threaded;
  static size_t shared_size;
  pthread_t noise[2], runner;
  threaded = (threaded_t){kind, size, MISSED};
  shared_size = size;
  bool ok = pthread_create(&noise[0], NULL, background, &shared_size) == 0 &&
            pthread_create(&noise[1], NULL, background, &shared_size) == 0;
  nanosleep(&(struct timespec){0, 1000000}, NULL);
  if (!ok || pthread_create(&runner, NULL, run_threaded, &threaded) != 0) case_ends(SET_UP_FAILED);
  pthread_join(runner, NULL);
  atomic_store(&background_ends, true);
  pthread_join(noise[0], NULL);
  pthread_join(noise[1], NULL);
  return threaded.verdict;
}

// ---- command line ---------------------------------------------------------------------------------------------------

static int wrong(const char* what, const char* value) {
  fprintf(stderr, "misuse-cases: '%s': %s\n"
          "usage: misuse-cases list | run GROUP.KIND SIZE | run-threaded GROUP.KIND SIZE\n", value, what);
  return 2;
}

int main(int argc, char** argv) {
  for_machine = fcntl(REPORT_FD, F_GETFD) >= 0;
  const char* command = argc > 1 ? argv[1] : "";
  if (argc == 2 && strcmp(command, "list") == 0) return list();
  const char* number = argc > 2 ? argv[argc - 1] : "";
  char* end;
  errno = 0;
  unsigned long size = strtoul(number, &end, 10);
  bool size_good = *number >= '0' && *number <= '9' && *end == 0 && errno == 0 && size <= ELSEWHERE_SIZE / 2;
  if (argc == 3 && size_good && strcmp(command, "layout") == 0) return print_layout(size);
  if (argc == 3 && size_good && strcmp(command, "distance") == 0) return print_distance(size);
  bool threaded = strcmp(command, "run-threaded") == 0;
  if (argc != 4 || (!threaded && strcmp(command, "run") != 0)) return wrong("expected list or run", command);
  const kind_t* kind = find_kind(argv[2]);
  if (kind == NULL) return wrong("no such kind; `misuse-cases list` shows all", argv[2]);
  if (!size_good) return wrong("expected a size of at most 4194304 bytes", number);
  at(SET_UP);
  if (size < kind->least) case_ends(NOT_HERE);
  case_ends(threaded ? run_among_threads(kind, size) : kind->run(size));
}
