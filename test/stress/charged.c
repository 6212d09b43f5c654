/* charged: what the kernel would charge for under vm.overcommit_memory = 2.

   Under strict overcommit every private writable mapping counts in full against the commit limit, touched or not
   (MAP_NORESERVE is ignored there; PROT_NONE is free). The setting is global, so instead of changing it the
   program adds up its private writable mappings in /proc/self/smaps: at start, with blocks alive, with
   threads, and after everything is freed. An allocator that reserves terabytes must reserve them inaccessible.
   It may open 192 MiB ahead, and 64 MiB a thread, of what is asked for. Also counts mappings: at most 200 for
   this program (libraries and stacks included), since vm.max_map_count is a limit people hit. Kernels before 6.13 make
   guards by mappings: then at most half of that limit. */
#include "support.h"

#include <sys/mman.h>

#define SLOTS 30000
#define THREADS 4

typedef struct charge_s {
  size_t kib;      /* private and writable */
  size_t mappings; /* all */
} charge_t;

static block_t slots[SLOTS];
static pthread_barrier_t barrier;

static charge_t charge_now(void) {
  charge_t charge = { 0, 0 };
  FILE* maps = fopen("/proc/self/maps", "re");
  REQUIRE(maps != NULL, "cannot open /proc/self/maps: %s", strerror(errno));
  char line[PATH_MAX + 200];
  while (fgets(line, sizeof(line), maps) != NULL) {
    unsigned long from = 0;
    unsigned long to = 0;
    char access[8];
    REQUIRE(sscanf(line, "%lx-%lx %7s", &from, &to, access) == 3, "/proc/self/maps reads '%s'", line);
    charge.mappings++;
    if (access[1] == 'w' && access[3] == 'p' && strstr(line, "[stack]") == NULL) charge.kib += (to - from) / KIB;
  }
  fclose(maps);
  return charge;
}

static size_t allowed_mappings(void) {
  enum { GUARD_INSTALL = 102 }; /* MADV_GUARD_INSTALL, too new for libc's headers */
  void* page = mmap(NULL, 4 * KIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const bool light = page != MAP_FAILED && madvise(page, 4 * KIB, GUARD_INSTALL) == 0;
  munmap(page, 4 * KIB);
  size_t most = 0;
  FILE* file = light ? NULL : fopen("/proc/sys/vm/max_map_count", "re");
  if (file != NULL) {
    if (fscanf(file, "%zu", &most) != 1) most = 0;
    fclose(file);
  }
  return 200 + most / 2;
}

static void expect_charge(size_t live_kib, size_t threads, const char* when) {
  const charge_t charge = charge_now();
  const size_t allowed = 192 * KIB + threads * (64 + 8) * KIB + live_kib + live_kib / 2; /* 8 MiB of stack each */
  if (!stress.quiet) {
    printf("charged: %s: %zu MiB charged, %zu MiB allowed, %zu mappings\n", when, charge.kib / KIB, allowed / KIB,
           charge.mappings);
  }
  REQUIRE(charge.kib <= allowed, "%s: %zu KiB would be charged under strict overcommit, %zu KiB are allowed", when,
          charge.kib, allowed);
  REQUIRE(charge.mappings <= allowed_mappings(), "%s: the process has %zu mappings", when, charge.mappings);
}

static void* work(void* arg) {
  rng_t rng = rng_new((uint64_t)(uintptr_t)arg);
  work_alone(&rng, 200, 10000, 16 * KIB);
  pthread_barrier_wait(&barrier);
  pthread_barrier_wait(&barrier);
  return NULL;
}

int main(int argc, char** argv) {
  stress_begin(argc, argv);
  rng_t rng = rng_new(1);
  expect_charge(0, 0, "at start");
  size_t live = 0;
  for (size_t i = 0; i < SLOTS; i++) {
    slots[i] = block_new(&rng, rng_size(&rng, 32 * KIB));
    live += slots[i].size;
  }
  block_t large[20];
  for (size_t i = 0; i < 20; i++) {
    large[i] = block_new(&rng, 1 * MIB + rng_size(&rng, 8 * MIB));
    live += large[i].size;
  }
  expect_charge(live / KIB, 0, "with blocks");
  pthread_t threads[THREADS];
  REQUIRE(pthread_barrier_init(&barrier, NULL, THREADS + 1) == 0, "pthread_barrier_init failed");
  for (size_t i = 0; i < THREADS; i++) threads[i] = thread_start(work, (void*)(uintptr_t)i, 0);
  pthread_barrier_wait(&barrier);
  expect_charge(live / KIB, THREADS, "with threads");
  pthread_barrier_wait(&barrier);
  for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  for (size_t i = 0; i < SLOTS; i++) block_free(&slots[i], "at the end");
  for (size_t i = 0; i < 20; i++) block_free(&large[i], "at the end");
  expect_charge(live / KIB, THREADS, "after all is freed");
  return stress_end();
}
