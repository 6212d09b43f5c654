// A heap with known contents: 1,000 blocks of 700 bytes, 3 large ones of which one is freed, one page of blocks all
// freed but one; a child that ends by itself. Prints its own number and the child's.
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void* volatile kept;

int main(void) {
  for (int i = 0; i < 1000; i++) kept = malloc(700);
  void* large[3];
  for (int i = 0; i < 3; i++) large[i] = malloc(1000000);
  free(large[1]);
  pid_t child = fork();
  if (child == 0) exit(0);
  waitpid(child, NULL, 0);
  printf("%d %d\n", (int)getpid(), (int)child);
  return 0;
}
