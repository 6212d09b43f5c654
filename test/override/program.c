// A C program as programs are: nothing in it knows of the library, but the checks. All it and the C library allocate must
// be the library's.
#define _GNU_SOURCE
#include "escape.h"

#include <dirent.h>
#include <dlfcn.h>
#include <iconv.h>
#include <locale.h>
#include <malloc.h>
#include <netdb.h>
#include <pthread.h>
#include <pwd.h>
#include <regex.h>
#include <search.h>
#include <stdbool.h>
#include <stdint.h>
#include <wchar.h>

// Weak: with the library preloaded it is there, without it is not.
__attribute__((weak)) bool mi_is_in_heap_region(const void* p);

int escape_is_ours(const void* p) {
  return p != NULL && mi_is_in_heap_region != NULL && mi_is_in_heap_region(p);
}

static int compare(const void* a, const void* b) {
  return *(const int*)a - *(const int*)b;
}

static void direct(void) {
  void* p = malloc(100);
  OURS(p);
  p = realloc(p, 100000);
  OURS(p);
  p = reallocarray(p, 10, 10);
  OURS(p);
  free(p);
  p = calloc(10, 10);
  OURS(p);
  free(p);
  void* aligned = NULL;
  if (posix_memalign(&aligned, 4096, 100) != 0) _exit(1);
  OURS(aligned);
  free(aligned);
  aligned = aligned_alloc(64, 128);
  OURS(aligned);
  free(aligned);
  aligned = memalign(64, 128);
  OURS(aligned);
  free(aligned);
  aligned = valloc(128);
  OURS(aligned);
  free(aligned);
  p = malloc(40000000);
  OURS(p);
  free(p);
}

// Functions of the C library that return blocks of malloc, or allocate behind the scenes.
static void library(void) {
  char* text = strdup("a text");
  OURS(text);
  free(text);
  wchar_t* wide = wcsdup(L"a text");
  OURS(wide);
  free(wide);
  if (asprintf(&text, "%0*d", 5000, 1) != 5000) _exit(1);
  OURS(text);
  free(text);
  text = realpath("/proc/self", NULL);
  OURS(text);
  free(text);
  text = get_current_dir_name();
  OURS(text);
  free(text);
  size_t size = 0;
  FILE* stream = open_memstream(&text, &size);
  fprintf(stream, "%0*d", 10000, 1);
  fclose(stream);
  OURS(text);
  free(text);
  text = NULL;
  size = 0;
  stream = fopen("/proc/self/status", "r");
  if (stream == NULL || getline(&text, &size, stream) <= 0) _exit(1);
  fclose(stream);
  OURS(text);
  free(text);
  struct dirent** names = NULL;
  int count = scandir("/", &names, NULL, alphasort);
  OURS(names);
  for (int i = 0; i < count; i++) {
    OURS(names[i]);
    free(names[i]);
  }
  free(names);
  setlocale(LC_ALL, "C.UTF-8");
  regex_t regex;
  if (regcomp(&regex, "(a|b)*c{2,50}[[:alpha:]]+", REG_EXTENDED) != 0) _exit(1);
  (void)regexec(&regex, "abababccxyz", 0, NULL, 0);
  regfree(&regex);
#ifndef ALL_STATIC  // there these load the C library once more, with its own malloc
  iconv_t convert = iconv_open("UTF-16", "UTF-8");
  if (convert != (iconv_t)-1) iconv_close(convert);
  free(getpwuid(0) == NULL ? NULL : strdup("found"));
#endif
  for (int i = 0; i < 100; i++) {
    char name[20];
    snprintf(name, sizeof(name), "NAME_%d", i);
    setenv(name, name, 1);
  }
  static int numbers[20000];
  for (int i = 0; i < 20000; i++) numbers[i] = i * 7919 % 20011;
  qsort(numbers, 20000, sizeof(int), compare);
  void* tree = NULL;
  for (int i = 0; i < 100; i++) tsearch(&numbers[i], &tree, compare);
  for (int i = 0; i < 100; i++) tdelete(&numbers[i], &tree, compare);
}

static void* thread(void* arg) {
  (void)arg;
  for (int i = 0; i < 10; i++) {
    direct();
    library();
  }
  return NULL;
}

int main(void) {
  direct();
  library();
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) {
    if (pthread_create(&threads[i], NULL, thread, NULL) != 0) _exit(1);
  }
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  escape_check();
  puts("nothing escaped");
  return 0;
}
