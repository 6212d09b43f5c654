// Sampled guarded blocks: as many as the rate says, flush right and left in turns of a fair coin, inaccessible around and
// once freed, held for a while, told of in reports with who allocated and who freed them; programs see nothing of it.
#include "reported.h"

#include "mimalloc-stats.h"
#include "secure.h"

static bool is_sampled(const void* p) {
  return (mim_page_of(p)->kind & KIND_SAMPLED) != 0;
}

// The kernel's answer, without a fault.
static bool is_readable(const void* p) {
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  bool readable = write(ends[1], p, 1) == 1;
  close(ends[0]);
  close(ends[1]);
  return readable;
}

// ---- how many -------------------------------------------------------------------------------------------------------

enum { RATE = 500, COUNT = 400000 };

static int role_rate(void) {
  size_t small = 0, medium = 0;
  for (int i = 0; i < COUNT; i++) {
    void* p = take(40);
    small += is_sampled(p);
    give(p);
    p = take(2000);
    medium += is_sampled(p);
    give(p);
  }
  printf("%zu %zu\n", small, medium);
  return 0;
}

// 800 of each kind are wanted. The gaps are uniform, and a coin decides the kind: the deviation is below 30, and a quarter
// is more than six times that (1 in 10^8).
static void test_rate(void** state) {
  (void)state;
  child_again(&child, (again_t){.role = "rate", .env = {"MIMALLOC_SAMPLE_RATE=500"}});
  assert_true(child_exited(&child, 0));
  unsigned long small, medium;
  assert_int_equal(sscanf(child.text, "%lu %lu", &small, &medium), 2);
  assert_in_range(small, COUNT / RATE * 3 / 4, COUNT / RATE * 5 / 4);
  assert_in_range(medium, COUNT / RATE * 3 / 4, COUNT / RATE * 5 / 4);
}

// The profile's own rate is bounded in time: 32 samples at once, then one each pause. Of 4 million blocks, 800 are wanted;
// that fewer than 32 are has a probability below 2^-500.
static int role_pause(void) {
  uint64_t begin = mim_os_clock_ms();
  size_t samples = 0;
  for (int i = 0; i < 4000000; i++) {
    void* p = take(40);
    samples += is_sampled(p);
    give(p);
  }
  size_t most = 32 + (size_t)(mim_os_clock_ms() - begin) / mim_process.hook.sample_pause + 1;
  printf("%zu samples, at most %zu\n", samples, most);
  return samples < 32 || samples > most ? 3 : 0;
}

static void test_pause(void** state) {
  (void)state;
  child_again(&child, (again_t){.role = "pause"});
  assert_true(child_exited(&child, 0));
}

static int role_every(void) {
  for (size_t size = 1; size < 3000; size += 7) {
    char* p = take(size);
    if (!is_sampled(p)) return 3;
    memset(p, 1, size);
    give(p);
  }
  void* kept[5000];  // more than live at a time otherwise
  for (size_t i = 0; i < 5000; i++) {
    kept[i] = take(10);
    if (!is_sampled(kept[i])) return 4;
  }
  mi_stats_t_decl(stats);
  if (!mi_stats_get(&stats) || stats.guarded_blocks.current < 5000) return 5;
  int64_t most = stats.guarded_blocks.current;
  for (size_t i = 0; i < 5000; i++) give(kept[i]);
  if (!mi_stats_get(&stats) || stats.guarded_blocks.current != most - 5000) return 6;
  return stats.guarded_blocks.peak >= most && stats.guarded_blocks.total >= most + 400 ? 0 : 7;
}

static void test_every(void** state) {
  (void)state;
  child_again(&child, (again_t){.role = "every", .env = {"MIMALLOC_PROFILE=fuzz", "MIMALLOC_FAULT_REPORT=0"}});
  assert_true(child_exited(&child, 0));
}

// At most so many live at a time; and in profiles that name no rate, so many in a short time.
static int role_bounds(void) {
  size_t sampled = 0;
  for (int i = 0; i < 60000; i++) sampled += is_sampled(take(40));
  printf("%zu\n", sampled);
  return 0;
}

static void test_bounds(void** state) {
  (void)state;
  child_again(&child, (again_t){.role = "bounds", .env = {"MIMALLOC_SAMPLE_RATE=2"}});
  assert_true(child_exited(&child, 0));
  assert_int_equal(atoi(child.text), 2048);
}

// ---- where ----------------------------------------------------------------------------------------------------------

// With 400 fair coins, fewer than 100 or more than 300 of one side: below 10^-23.
static int role_place(void) {
  int right = 0, left = 0;
  size_t os_page = mim_os_page_size();
  for (int i = 0; i < 400; i++) {
    uint8_t* p = (uint8_t*)take(48);
    bool ends_page = ((uintptr_t)p + 48) % os_page == 0, begins_page = (uintptr_t)p % os_page == 0;
    if (ends_page == begins_page) return 3;
    if (is_readable(ends_page ? p + 48 : p - 1) || !is_readable(p) || !is_readable(p + 47)) return 4;
    *(ends_page ? &right : &left) += 1;
    mi_free(p);
    if (is_readable(p) || is_readable(p + 47)) return 5;
  }
  return right > 100 && left > 100 ? 0 : 6;
}

static void test_place(void** state) {
  (void)state;
  if (BY_ASAN || BY_TSAN) skip();
  child_again(&child, (again_t){.role = "place", .env = {"MIMALLOC_PROFILE=fuzz", "MIMALLOC_FAULT_REPORT=0"}});
  assert_true(child_exited(&child, 0));
}

// Each byte of the OS page that is not the block's is looked at when that is freed.
static int noticed;
static const void* noticed_at;

static void on_violation(const mi_violation_t* violation, void* arg) {
  (void)arg;
  noticed++;
  noticed_at = violation->address;
}

enum { AROUND = 80 };  // so that what is around is not compared in whole words alone

static int role_around(void) {
  size_t around = mim_os_page_size() - AROUND;
  mi_register_violation(on_violation, NULL);
  for (size_t i = 0; i < 2 * around; i++) {
    uint8_t* p = (uint8_t*)take(AROUND);
    bool ends_page = ((uintptr_t)p + AROUND) % mim_os_page_size() == 0;
    uint8_t* at = ends_page ? p - 1 - i % around : p + AROUND + i % around;
    *at ^= 1;
    noticed = 0;
    give(p);
    if (noticed == 0 || noticed_at != at) {  // the fence of its end may be told of twice
      printf("%zu bytes %s: %d times, at %p, not %p\n", i % around, ends_page ? "before" : "behind", noticed,
             noticed_at, (void*)at);
      return 3;
    }
  }
  return 0;
}

static void test_around(void** state) {
  (void)state;
  if (BY_ASAN || BY_TSAN) skip();
  child_again(&child,
              (again_t){.role = "around",
                        .env = {"MIMALLOC_PROFILE=fuzz", "MIMALLOC_ON_VIOLATION=report", "MIMALLOC_MAX_ERRORS=0"}});
  if (!child_exited(&child, 0)) fail_msg("%s", child.text);
}

// Addresses of freed ones stay out of use for 200 others at least, and come back some time.
static int role_held(void) {
  char* first = take(100);
  give(first);
  for (int i = 0; i < 200; i++) {
    char* p = take(100);
    if (mim_page_of(p) == mim_page_of(first)) return 3;
    give(p);
  }
  for (int i = 0; i < 5000; i++) {
    char* p = take(100);
    if (mim_page_of(p) == mim_page_of(first)) return 0;
    give(p);
  }
  return 4;
}

static void test_held(void** state) {
  (void)state;
  child_again(&child, (again_t){.role = "held", .env = {"MIMALLOC_PROFILE=fuzz", "MIMALLOC_FAULT_REPORT=0"}});
  assert_true(child_exited(&child, 0));
}

// ---- reports --------------------------------------------------------------------------------------------------------

__attribute__((noinline)) static char* allocating(void) {
  char* p = take(40);
  __asm__ volatile("" ::: "memory");
  return p;
}
__attribute__((noinline)) static void freeing(char* p) {
  give(p);
  __asm__ volatile("" ::: "memory");
}

static int role_twice(void) {
  printf("%p %p\n", (void*)(uintptr_t)allocating, (void*)(uintptr_t)freeing);
  fflush(stdout);
  char* p = allocating();
  freeing(p);
  freeing(p);
  return 0;
}

static int role_used_after(void) {
  printf("%p %p\n", (void*)(uintptr_t)allocating, (void*)(uintptr_t)freeing);
  fflush(stdout);
  char* p = allocating();
  freeing(p);
  *(volatile char*)(p + 5) = 1;
  return 0;
}

// Does the list under this title have a frame in this function?
static bool frame_under(const char* title, unsigned long long function) {
  const char* at = strstr(child.text, title);
  if (at == NULL) return false;
  for (at = strchr(at, '\n') + 1; strncmp(at, "      #", 7) == 0; at = strchr(at, '\n') + 1) {
    unsigned long long frame;
    if (sscanf(at, "      #%*d 0x%llx", &frame) == 1 && frame - function < 200) return true;
  }
  return false;
}

static void test_reports(void** state) {
  (void)state;
  static const struct {
    const char *role, *says;
  } cases[] = {{"twice", "mimalloc: violation: double-free: 0x"},
               {"used_after", "mimalloc: violation: use-after-free: 0x"}};
  for (size_t i = 0; i < 2; i++) {
    if (i == 1 && (BY_ASAN || BY_TSAN)) continue;
    child_again(&child, (again_t){.role = cases[i].role, .env = {"MIMALLOC_PROFILE=fuzz"}});
    assert_true(child_killed(&child, SIGABRT));
    assert_says(cases[i].says);
    unsigned long long allocates, frees;
    assert_int_equal(sscanf(child.text, "0x%llx 0x%llx", &allocates, &frees), 2);
    assert_true(frame_under("    allocated by thread ", allocates));
    assert_true(frame_under("    freed by thread ", frees));
  }
}

int main(int argc, char** argv) {
  static const struct {
    const char* name;
    int (*function)(void);
  } roles[] = {{"rate", role_rate},     {"pause", role_pause}, {"every", role_every},
               {"bounds", role_bounds}, {"place", role_place}, {"around", role_around},
               {"held", role_held},     {"twice", role_twice}, {"used_after", role_used_after}};
  for (size_t i = 0; argc > 1 && i < sizeof(roles) / sizeof(roles[0]); i++) {
    if (strcmp(roles[i].name, argv[1]) == 0) return roles[i].function();
  }
  if (argc > 1) return 2;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rate),   cmocka_unit_test(test_pause),   cmocka_unit_test(test_every),
      cmocka_unit_test(test_bounds), cmocka_unit_test(test_place),   cmocka_unit_test(test_around),
      cmocka_unit_test(test_held),   cmocka_unit_test(test_reports),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
