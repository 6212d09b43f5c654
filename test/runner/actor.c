// actor: a program that does what it is told, for the tests of the runner. Each argument is one action, in order:
//   out:TEXT err:TEXT   write a line         sleep:MS   sleep          fill:N     write N lines on standard error
//   exit:N              end with this code   raise:N    end by this signal
//   env:NAME            write NAME=value (or "NAME is not set") on standard output
//   orphan:MS           leave a grandchild behind that keeps the pipes open for so long
//   stdin               write how many bytes standard input holds, on standard output
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void sleep_ms(long ms) {
  struct timespec t = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&t, NULL);
}

static void act(const char* word, const char* value) {
  if (strcmp(word, "out") == 0) {
    printf("%s\n", value);
  } else if (strcmp(word, "err") == 0) {
    fprintf(stderr, "%s\n", value);
  } else if (strcmp(word, "sleep") == 0) {
    sleep_ms(atol(value));
  } else if (strcmp(word, "fill") == 0) {
    for (long i = 0; i < atol(value); i++) fprintf(stderr, "line %ld of many\n", i);
  } else if (strcmp(word, "exit") == 0) {
    exit(atoi(value));
  } else if (strcmp(word, "raise") == 0) {
    fflush(stdout);
    raise(atoi(value));
  } else if (strcmp(word, "env") == 0) {
    const char* setting = getenv(value);
    if (setting == NULL) printf("%s is not set\n", value);
    else printf("%s=%s\n", value, setting);
  } else if (strcmp(word, "orphan") == 0) {
    if (fork() == 0) {
      sleep_ms(atol(value));
      _exit(0);
    }
  } else if (strcmp(word, "stdin") == 0) {
    char byte;
    long count = 0;
    while (read(STDIN_FILENO, &byte, 1) == 1) count++;
    printf("%ld bytes of input\n", count);
  } else {
    fprintf(stderr, "actor: unknown action '%s'\n", word);
    exit(99);
  }
}

int main(int argc, char** argv) {
  for (int i = 1; i < argc; i++) {
    char* colon = strchr(argv[i], ':');
    if (colon != NULL) *colon = 0;
    act(argv[i], colon != NULL ? colon + 1 : "");
  }
  return 0;
}
