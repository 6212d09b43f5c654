// A program to be looked at from outside: known blocks of two threads, at rest while it waits for a word on standard
// input. `stats`: what the library itself says, as JSON in one write. `thread`: one more thread comes and goes.
// `twice`: frees a block twice. `exec`: becomes `sleep`. Built dynamic, for preloads, and static with the library in it.
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef WATCHED_STATIC
#include "mimalloc-stats.h"
#define STATS mi_stats_get_json
#else
#define STATS (char* (*)(size_t, char*)) dlsym(RTLD_DEFAULT, "mi_stats_get_json")
#endif

static void* volatile kept;
static pthread_barrier_t barrier;
static char text[1 << 17];

static void* other(void* arg) {
  for (int i = 0; i < 500; i++) kept = malloc(200);
  if (arg == NULL) return NULL;
  void* large[2] = {malloc(1000000), malloc(1000000)};  // the most there was is more than what there is, here as in main
  free(large[1]);
  pthread_barrier_wait(&barrier);
  for (;;) pause();
}

static void say(const char* what) {
  if (write(1, what, strlen(what)) < 0) exit(1);
}

int main(void) {
  pthread_t thread;
  pthread_barrier_init(&barrier, NULL, 2);
  for (int i = 0; i < 1000; i++) kept = malloc(700);
  void* large[3];
  for (int i = 0; i < 3; i++) large[i] = malloc(1000000);
  free(large[1]);
  char* (*stats)(size_t, char*) = STATS;
  pthread_create(&thread, NULL, other, &barrier);
  pthread_barrier_wait(&barrier);
  say("ready\n");
  char word[16];
  for (ssize_t size; (size = read(0, word, sizeof(word) - 1)) > 0;) {
    word[size] = 0;
    if (strcmp(word, "stats\n") == 0 && stats != NULL && stats(sizeof(text) - 1, text) != NULL) {
      say(strcat(text, "."));
    } else if (strcmp(word, "thread\n") == 0) {
      pthread_create(&thread, NULL, other, NULL);
      pthread_join(thread, NULL);
      say("done\n");
    } else if (strcmp(word, "twice\n") == 0) {
      kept = malloc(40);
      free(kept);
      free(kept);
      say("done\n");
    } else if (strcmp(word, "exec\n") == 0) {
      unsetenv("LD_PRELOAD");
      execlp("sleep", "sleep", "60", (char*)NULL);
    } else {
      say("?\n");
    }
  }
  return 0;
}
