// Replays inputs of a target: files, or all files of directories. The driver of regressions and corpora, and the one to
// debug with. A crash ends it, as it would end the fuzzer; the name of the input is printed before it is run.
//
//   fuzz_api-secure [-q] [-c] [-n TIMES] FILE|DIRECTORY...
//
// -c prints what a run of each input costs: microseconds of processor time, page faults.
// FUZZ_TRACE=1 prints each operation, FUZZ_SLOW=1 checks whole structures after each.
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

static bool quiet, costs;
static long times = 1;
static size_t inputs;

static double microseconds(const struct rusage* usage) {
  return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1e6 +
         (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec);
}

static int replay_file(const char* path) {
  FILE* file = fopen(path, "rb");
  if (file == NULL) {
    fprintf(stderr, "replay: %s: cannot be read\n", path);
    return 1;
  }
  static uint8_t read_into[1 << 20];
  size_t size = fread(read_into, 1, sizeof(read_into), file);
  fclose(file);
  uint8_t* data = malloc(size + 1);  // of its own size, so that a sanitizer sees reads behind it
  if (data == NULL) return 1;
  memcpy(data, read_into, size);
  if (!quiet) {
    printf("%s\n", path);
    fflush(stdout);
  }
  struct rusage before, after;
  if (costs) {
    LLVMFuzzerTestOneInput(data, size);  // starts the library, if it is the first
    getrusage(RUSAGE_SELF, &before);
  }
  for (long i = 0; i < times; i++) LLVMFuzzerTestOneInput(data, size);
  if (costs) {
    getrusage(RUSAGE_SELF, &after);
    printf("%9.1f us %8.1f faults  %s\n", (microseconds(&after) - microseconds(&before)) / (double)times,
           (double)(after.ru_minflt - before.ru_minflt) / (double)times, path);
  }
  free(data);
  inputs++;
  return 0;
}

static int replay_directory(const char* path) {
  struct dirent** names;
  int count = scandir(path, &names, NULL, alphasort);
  if (count < 0) {
    fprintf(stderr, "replay: %s: cannot be listed\n", path);
    return 1;
  }
  int failed = 0;
  for (int i = 0; i < count; i++) {
    char name[4096];
    snprintf(name, sizeof(name), "%s/%s", path, names[i]->d_name);
    if (names[i]->d_name[0] != '.' && strcmp(names[i]->d_name, "README.md") != 0) failed |= replay_file(name);
    free(names[i]);
  }
  free(names);
  return failed;
}

int main(int argc, char** argv) {
  int failed = 0, first = 1;
  for (; first < argc && argv[first][0] == '-'; first++) {
    if (strcmp(argv[first], "-q") == 0) {
      quiet = true;
    } else if (strcmp(argv[first], "-c") == 0) {
      quiet = costs = true;
    } else if (strcmp(argv[first], "-n") == 0 && first + 1 < argc && (times = atol(argv[first + 1])) > 0) {
      first++;
    } else {
      fprintf(stderr, "replay: '%s' is not an option: expected -q, -c or -n TIMES\n", argv[first]);
      return 2;
    }
  }
  if (first == argc) {
    fprintf(stderr, "usage: %s [-q] [-c] [-n TIMES] FILE|DIRECTORY...\n", argv[0]);
    return 2;
  }
  struct timespec begin, end;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (int i = first; i < argc; i++) {
    struct stat facts;
    bool directory = stat(argv[i], &facts) == 0 && S_ISDIR(facts.st_mode);
    failed |= directory ? replay_directory(argv[i]) : replay_file(argv[i]);
  }
  clock_gettime(CLOCK_MONOTONIC, &end);
  double seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
  printf("%zu inputs, %.0f runs a second\n", inputs, (double)inputs * (double)times / seconds);
  if (inputs == 0) fprintf(stderr, "replay: there was nothing to replay\n");
  return failed != 0 || inputs == 0;
}
