// Seal: after start, policy and root key can be read, but not written, made writable, unmapped or replaced, in the
// process and in its children.
#include "child.h"

#include <sys/mman.h>
#include <sys/prctl.h>

#include "secure.h"

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

// Does this kernel have mseal(2), and is there no filter? Tried on a page of our own.
static bool kernel_seals(void) {
  if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) > 0) return false;
  void* page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_true(page != MAP_FAILED);
  return syscall(SYS_mseal, page, 4096, 0) == 0;
}

static void test_state(void** state) {
  (void)state;
  if (sysconf(_SC_PAGESIZE) != 4096) skip();
  assert_int_equal(sec_seal_state(), kernel_seals() ? 2 : 1);
  assert_int_equal((uintptr_t)&mim_process % 4096, 0);
  assert_int_equal(sizeof(mim_process) % 4096, 0);
  assert_true(mim_process.region_size != 0);  // can be read
}

static void write_policy(void* arg) {
  (void)arg;
  signal(SIGSEGV, SIG_DFL);
  mim_process.hook.mechanisms = 0;
}

static void write_key(void* arg) {
  (void)arg;
  signal(SIGSEGV, SIG_DFL);
  volatile uint8_t* key = mim_process.hook.root_key;
  key[31] = 1;
}

static void test_writes_fault(void** state) {
  (void)state;
  if (sec_seal_state() == 0) skip();
  static child_t child;
  child_run(&child, write_policy, NULL);  // a child: the seal is inherited
  assert_true(child_killed(&child, SIGSEGV));
  child_run(&child, write_key, NULL);
  assert_true(child_killed(&child, SIGSEGV));
}

static void test_cannot_be_undone(void** state) {
  (void)state;
  if (sec_seal_state() != 2) skip();
  void* page = &mim_process;
  errno = 0;
  assert_int_equal(mprotect(page, 4096, PROT_READ | PROT_WRITE), -1);
  assert_int_equal(errno, EPERM);
  errno = 0;
  assert_int_equal(munmap(page, 4096), -1);
  assert_int_equal(errno, EPERM);
  assert_true(mmap(page, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED);
  assert_true(mremap(page, 4096, 8192, MREMAP_MAYMOVE) == MAP_FAILED);
  assert_int_equal(madvise(page, 4096, MADV_DONTNEED), -1);
}

// The neighbours are not sealed with it: the library goes on working, and so do its children.
static void go_on(void* arg) {
  (void)arg;
  for (int i = 0; i < 10000; i++) free(malloc((size_t)i));
  mi_option_set(mi_option_max_errors, 5);
  _exit(mi_option_get(mi_option_max_errors) == 5 ? 0 : 1);
}

static void test_neighbours(void** state) {
  (void)state;
  static child_t child;
  child_run(&child, go_on, NULL);
  assert_true(child_exited(&child, 0));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_state),
      cmocka_unit_test(test_writes_fault),
      cmocka_unit_test(test_cannot_be_undone),
      cmocka_unit_test(test_neighbours),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
