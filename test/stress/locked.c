/* locked: after mlockall, as security daemons do it.

   With MCL_FUTURE every OS page that becomes accessible is resident at once, so an allocator that opens memory in
   large steps takes all of it. The program keeps about 20 MiB of blocks alive; it may take 160 MiB. Also with
   threads, large blocks, and fork (locks are not inherited, memory is). Skipped (status 77) where locking is not
   permitted. */
#include "support.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define SLOTS 20000
#define LIMIT (160 * KIB) /* in KiB, above what the process took before */

static block_t slots[SLOTS];

static void* work(void* arg) {
  rng_t rng = rng_new((uint64_t)(uintptr_t)arg);
  work_alone(&rng, 200, scaled(20000), 8 * KIB);
  return NULL;
}

static void check_resident(size_t before, const char* when) {
  const size_t after = rss_kib();
  REQUIRE(STRESS_SANITIZED || after <= before + LIMIT, "%s: %zu KiB are resident in locked memory, %zu before", when,
          after, before);
}

static void run_locked(int flags, const char* name) {
  const size_t before = rss_kib();
  if (mlockall(flags) != 0) {
    printf("locked: skipped, mlockall is not permitted here: %s\n", strerror(errno));
    exit(STRESS_SKIPPED);
  }
  rng_t rng = rng_new((uint64_t)flags);
  for (size_t i = 0; i < scaled(3) * SLOTS; i++) {
    block_t* slot = &slots[rng_below(&rng, SLOTS)];
    block_free(slot, "replacing");
    *slot = block_new(&rng, rng_size(&rng, 8 * KIB));
  }
  check_resident(before, name);
  for (size_t i = 0; i < 200; i++) {
    block_t large = block_new(&rng, 100 * KIB + rng_size(&rng, 4 * MIB));
    block_free(&large, "a large one");
  }
  pthread_t threads[3];
  for (size_t i = 0; i < 3; i++) threads[i] = thread_start(work, (void*)(uintptr_t)i, 128 * KIB);
  for (size_t i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  check_resident(before, name);
  const pid_t pid = fork();
  REQUIRE(pid >= 0, "fork: %s", strerror(errno));
  if (pid == 0) {
    stress_watchdog(30);
    work_alone(&rng, 200, 2000, 20 * KIB);
    for (size_t i = 0; i < SLOTS; i++) block_free(&slots[i], "inherited");
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid && status == 0, "the child ended with wait status %#x", (unsigned int)status);
  for (size_t i = 0; i < SLOTS; i++) block_free(&slots[i], "at the end");
  munlockall();
}

/* May this process lock more than the limit for ordinary users? They have 8 MiB, in which mlockall itself succeeds for a
   program that is still small. */
static bool may_lock(rlim_t limit) {
  if (limit == RLIM_INFINITY || limit >= 1024 * (rlim_t)MIB) return true;
  const size_t size = (size_t)limit + MIB;
  void* more = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(more != MAP_FAILED, "mmap: %s", strerror(errno));
  const bool may = mlock(more, size) == 0;
  munmap(more, size);
  return may;
}

int main(int argc, char** argv) {
  stress_begin(argc, argv);
  struct rlimit limit;
  getrlimit(RLIMIT_MEMLOCK, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_MEMLOCK, &limit);
  if (!may_lock(limit.rlim_max)) {
    printf("locked: skipped, no more than %zu KiB may be locked here\n", (size_t)limit.rlim_max / KIB);
    return STRESS_SKIPPED;
  }
  run_locked(MCL_CURRENT | MCL_FUTURE, "MCL_CURRENT | MCL_FUTURE");
  run_locked(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT, "MCL_ONFAULT");
  run_locked(MCL_FUTURE, "MCL_FUTURE");
  return stress_end();
}
