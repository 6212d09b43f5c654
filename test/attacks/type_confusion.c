// Use after free with another type in the same place.
//
// A timer is freed while it is still in the queue. The attacker's next message has the size of a timer, and is put
// where the timer was, because the block freed last is the first one handed out again.
// The attacker gains: the queue calls a function at an address that he sent.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int action_t(void);
typedef struct alarm_s {
  long when;
  long id;
  action_t* action;
} alarm_t;

static int tick(void) {
  puts("attack failed: the timer ticks");
  return 1;
}

static int shell(void) {
  puts("ATTACK SUCCEEDED: the queue calls the address that was in the attacker's message");
  return 0;
}

static alarm_t* volatile queue;

int main(void) {
  queue = malloc(sizeof(alarm_t));
  queue->action = tick;
  free(queue);  // bug: still in the queue

  alarm_t sent = {0, 0, shell};
  char* volatile message = malloc(sizeof(sent));
  memcpy(message, &sent, sizeof(sent));

  return queue->action();  // bug: used after free
}
