// Unit tests of src/lock.h: mutual exclusion, waiting without burning the processor, and release by force after fork.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "lock.h"

enum { THREADS = 4, ROUNDS = 50000 };

static lock_t lock;
static long counter;  // guarded by lock
static int inside;    // guarded by lock

static void* count(void* arg) {
  (void)arg;
  for (int i = 0; i < ROUNDS; i++) {
    lock_acquire(&lock);
    if (++inside != 1) counter = -1000000000;
    counter++;
    inside--;
    lock_release(&lock);
  }
  return NULL;
}

static void one_thread_at_a_time(void** state) {
  (void)state;
  pthread_t threads[THREADS];
  counter = 0;
  for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, count, NULL), 0);
  for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
  assert_int_equal(counter, (long)THREADS * ROUNDS);
  assert_int_equal(lock.word, LOCK_FREE);
}

static void* take_once(void* arg) {
  struct timespec* used = arg;
  lock_acquire(&lock);
  lock_release(&lock);
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, used);
  return NULL;
}

static void waiters_sleep(void** state) {
  (void)state;
  pthread_t thread;
  struct timespec used = {0, 0};
  lock_acquire(&lock);
  assert_int_equal(pthread_create(&thread, NULL, take_once, &used), 0);
  usleep(300000);
  assert_int_equal(lock.word, LOCK_WAITED);
  lock_release(&lock);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_int_equal(used.tv_sec, 0);
  assert_in_range(used.tv_nsec, 0, 100000000);
}

static void reset_frees_it(void** state) {
  (void)state;
  lock_acquire(&lock);
  lock_reset(&lock);
  lock_acquire(&lock);
  assert_int_equal(lock.word, LOCK_HELD);
  lock_release(&lock);
  assert_int_equal(lock.word, LOCK_FREE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_thread_at_a_time),
      cmocka_unit_test(waiters_sleep),
      cmocka_unit_test(reset_frees_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
