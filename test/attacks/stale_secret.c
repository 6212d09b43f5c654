// Stale data: a secret outlives the block it was in.
//
// The server frees the buffer with a private key without clearing it, and later answers a request with a block that it
// has filled only in part.
// The attacker gains: the key, by sending requests that are too short.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char* volatile key;
static char* volatile answer;

int main(void) {
  key = malloc(256);
  memset(key, '-', 256);
  strcpy(key + 64, "PRIVATE KEY 271828182845904523536028747135");
  free(key);

  for (int i = 0; i < 100; i++) {
    answer = malloc(256);
    strcpy(answer, "OK");  // bug: all 256 bytes are sent
    for (int at = 3; at < 256 - 12; at++) {
      if (memcmp(answer + at, "PRIVATE KEY", 11) != 0) continue;
      printf("ATTACK SUCCEEDED: an answer holds \"%.42s\"\n", answer + at);
      return 0;
    }
  }
  puts("attack failed: the answers hold nothing but zeros");
  return 1;
}
