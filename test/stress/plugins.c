/* plugins: dlopen and dlclose while threads allocate.

   The loader itself allocates (also thread-local storage, on first use by each thread) and frees what
   belonged to an unloaded library. Blocks that a plugin made are kept, verified and freed after it is gone.
   Needs the file plugin.so beside the program, or its path in STRESS_PLUGIN. */
#include "support.h"

#define THREADS 3
#define KEPT 64

typedef void* (*make_fn)(size_t size);
typedef size_t (*work_fn)(unsigned int seed);

static char plugin_path[PATH_MAX];
static bool stop;

static void* load(void) {
  void* handle = dlopen(plugin_path, RTLD_NOW | RTLD_LOCAL);
  REQUIRE(handle != NULL, "dlopen: %s", dlerror());
  return handle;
}

static void* find(void* handle, const char* name) {
  void* address = dlsym(handle, name);
  REQUIRE(address != NULL, "dlsym: %s", dlerror());
  return address;
}

static void load_and_unload(rng_t* rng, block_t* kept) {
  void* handle = load();
  make_fn make;
  work_fn work;
  void* address = find(handle, "plugin_make"); /* ISO C has no cast from object to function pointers */
  memcpy(&make, &address, sizeof(make));
  address = find(handle, "plugin_work");
  memcpy(&work, &address, sizeof(work));
  REQUIRE(work((unsigned int)rng_below(rng, 1000) + 1) == 299, "the plugin found wrong bytes in its blocks");
  block_t* block = &kept[rng_below(rng, KEPT)];
  block_free(block, "made by an unloaded plugin");
  block->size = rng_size(rng, 20 * KIB);
  block->p = make(block->size);
  REQUIRE(block->p != NULL, "the plugin's malloc returned NULL");
  block->key = key_of(block->p, block->size);
  fill(block->p, block->size, block->key);
  REQUIRE(dlclose(handle) == 0, "dlclose: %s", dlerror());
}

static void* load_often(void* arg) {
  rng_t rng = rng_new((uint64_t)(uintptr_t)arg);
  block_t kept[KEPT];
  memset(kept, 0, sizeof(kept));
  const size_t rounds = scaled(4000);
  for (size_t i = 0; i < rounds; i++) load_and_unload(&rng, kept);
  for (size_t i = 0; i < KEPT; i++) block_free(&kept[i], "at the end");
  return NULL;
}

static void* allocate(void* arg) {
  rng_t rng = rng_new((uint64_t)(uintptr_t)arg);
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) work_alone(&rng, 100, 500, 4 * KIB);
  return NULL;
}

int main(int argc, char** argv) {
  stress_begin(argc, argv);
  const char* given = getenv("STRESS_PLUGIN");
  ssize_t n = readlink("/proc/self/exe", plugin_path, sizeof(plugin_path) - 32);
  REQUIRE(n > 0, "cannot find this program's own file: %s", strerror(errno));
  while (n > 0 && plugin_path[n - 1] != '/') n--;
  strcpy(plugin_path + n, "plugin.so");
  if (given != NULL) snprintf(plugin_path, sizeof(plugin_path), "%s", given);
  pthread_t threads[THREADS];
  const pthread_t other = thread_start(allocate, (void*)(uintptr_t)77, 0);
  for (size_t i = 0; i < THREADS; i++) threads[i] = thread_start(load_often, (void*)(uintptr_t)i, 0);
  for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
  pthread_join(other, NULL);
  return stress_end();
}
