/* maps.c - how many mappings a large heap of small blocks needs.
 *
 *   maps [MIB]          4096 MiB unless told
 *
 * Linux allows a process 65,530 mappings (vm.max_map_count), and programs with large heaps have died of
 * allocators that cut their heap into more. This fills the given amount with blocks of 16 to 1,000 bytes,
 * writing to each, then frees a random half of them, then three quarters of stretches of the rest, so that
 * memory goes back to the system in many places, then all. After each step, a third of a second and a few
 * thousand calls later, it prints the number of mappings and the resident memory. Blocks are chained
 * through their first word: the program needs no memory of its own. Out of memory is reported with the
 * amount that was filled, and ends it with status 1.
 */
#include "workloads/common.h"
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

typedef struct block_s {
  struct block_s* next;
} block_t;

static double started;

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static long count_mappings(void) {
  char buffer[1 << 14];
  long lines = 0;
  int fd = open("/proc/self/maps", O_RDONLY);
  if (fd < 0) return -1;
  for (ssize_t n; (n = read(fd, buffer, sizeof(buffer))) > 0;) {
    for (ssize_t i = 0; i < n; i++) lines += buffer[i] == '\n';
  }
  close(fd);
  return lines;
}

static long resident_mib(void) {
  char buffer[128] = { 0 };
  int fd = open("/proc/self/statm", O_RDONLY);
  if (fd < 0) return -1;
  ssize_t n = read(fd, buffer, sizeof(buffer) - 1);
  close(fd);
  unsigned long long size, resident;
  if (n <= 0 || sscanf(buffer, "%llu %llu", &size, &resident) != 2) return -1;
  return (long)(resident * (unsigned long long)sysconf(_SC_PAGESIZE) >> 20);
}

static void show(const char* step) {
  printf("%s mappings=%ld resident=%ld seconds=%.1f\n", step, count_mappings(), resident_mib(),
         seconds() - started);
  fflush(stdout);
}

/* Gives an allocator that returns memory with a delay the time and the calls to do it in. */
static void settle(void) {
  for (int i = 0; i < 30; i++) {
    struct timespec pause = { 0, 10 * 1000 * 1000 };
    nanosleep(&pause, NULL);
    for (size_t size = 16; size < 1000; size += 8) free(bench_checked(malloc(size)));
  }
}

static size_t draw_size(bench_random_t* random) {
  size_t kind = bench_below(random, 10);
  return 16 + bench_below(random, kind < 7 ? 112 : kind < 9 ? 240 : 984);
}

static block_t* fill(bench_random_t* random, size_t bytes) {
  block_t* list = NULL;
  for (size_t done = 0; done < bytes;) {
    size_t size = draw_size(random);
    block_t* block = malloc(size);
    if (block == NULL) {
      printf("out-of-memory mappings=%ld resident=%ld filled=%zu\n", count_mappings(), resident_mib(),
             done >> 20);
      exit(1);
    }
    block->next = list;
    list = block;
    done += size;
  }
  return list;
}

/* Frees a random block of two, or of a stretch of 4,096 in four all but one stretch. */
static block_t* thin(bench_random_t* random, block_t* list, int stretches) {
  block_t* kept = NULL;
  size_t n = 0;
  int keep = 0;
  while (list != NULL) {
    block_t* next = list->next;
    if (!stretches) keep = (int)bench_below(random, 2);
    else if (n++ % 4096 == 0) keep = bench_below(random, 4) == 0;
    if (keep) {
      list->next = kept;
      kept = list;
    } else {
      free(list);
    }
    list = next;
  }
  return kept;
}

int main(int argc, char** argv) {
  size_t mib = 4096;
  if (argc > 1) {
    char* end;
    mib = strtoul(argv[1], &end, 10);
    if (argc > 2 || *end != 0 || mib < 1 || mib > 1 << 20) {
      fprintf(stderr, "maps: '%s' is not a number of MiB from 1 to %d\n", argv[1], 1 << 20);
      return 2;
    }
  }
  bench_random_t random = bench_seed(65530);
  started = seconds();
  show("empty");
  block_t* list = fill(&random, mib << 20);
  show("filled");
  list = thin(&random, list, 0);
  settle();
  show("half");
  list = thin(&random, list, 1);
  settle();
  show("eighth");
  while (list != NULL) {
    block_t* next = list->next;
    free(list);
    list = next;
  }
  settle();
  show("freed");
  return 0;
}
