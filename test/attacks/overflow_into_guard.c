// A long overflow, from one large block into another.
//
// An image says that it is smaller than its data; the decoder writes all of the data. Large blocks lie side by side in
// memory, so what comes behind the picture is the next large block: the table of trusted keys.
// The attacker gains: keys of his own in the table. An inaccessible page behind each block would end it at the edge.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PICTURE = 512 << 10, TABLE = 512 << 10, DATA = 64 << 10 };

static char* volatile table;
static char* volatile picture;

int main(void) {
  table = malloc(TABLE);
  memset(table, 0, TABLE);
  strcpy(table, "key of the vendor");
  picture = malloc(PICTURE);

  for (size_t i = 0; i < PICTURE + DATA; i++) picture[i] = 'K';  // bug: the length comes from the data

  if (strcmp(table, "key of the vendor") == 0) return puts("attack failed: the table is not changed"), 1;
  printf("ATTACK SUCCEEDED: the table of keys begins with \"%.12s...\"\n", table);
  return 0;
}
