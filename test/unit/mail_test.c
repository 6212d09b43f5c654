// Unit tests of src/mail.c: the places in which a thread collects letters for others.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "internal.h"

enum { THREADS = OUTBOX_COUNT - 1 };  // beside the one that asks

static tld_t* others[THREADS];
static pthread_barrier_t all_there, looked_at;

static void allocate(void) {
  void* volatile block = malloc(16);
  free(block);
}

static void* begin(void* arg) {
  int me = (int)(intptr_t)arg;
  // What a thread takes for itself differs from thread to thread, and lies between their structures.
  for (int i = 0; i <= me % 5; i++) mim_meta_alloc(CACHE_LINE * (size_t)(1 + me % 3));
  allocate();
  others[me] = mim_tls.tld;
  pthread_barrier_wait(&all_there);
  pthread_barrier_wait(&looked_at);
  return NULL;
}

// Letters to as many owners as there are places do not get into each other's way.
static void owners_have_places_of_their_own(void** state) {
  (void)state;
  pthread_t threads[THREADS];
  allocate();
  tld_t* me = mim_tls.tld;
  pthread_barrier_init(&all_there, NULL, THREADS + 1);
  pthread_barrier_init(&looked_at, NULL, THREADS + 1);
  for (intptr_t i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, begin, (void*)i), 0);
  pthread_barrier_wait(&all_there);
  unsigned taken = 1u << (mim_mail_place(me, me) - me->outbox);
  for (int i = 0; i < THREADS; i++) taken |= 1u << (mim_mail_place(me, others[i]) - me->outbox);
  pthread_barrier_wait(&looked_at);
  for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
  assert_int_equal(taken, (1u << OUTBOX_COUNT) - 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(owners_have_places_of_their_own)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
