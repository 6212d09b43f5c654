// Policy: profiles, what the environment may raise and must not lower, the ways round single checks, processes with
// raised privileges, what is printed. Each case is the program started anew with an environment of its own.
#include "child.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>

#include "secure.h"

static child_t child;

static int role_show(void) {
  const hook_process_t* p = &mim_process.hook;
  printf(
      "profile %s\nwipe %u\nsample %u\nquarantine %zu\n"
      "violation %d fence %d family %d size %d memory %d foreign %d\n"
      "report %d '%s'\nmechanisms",
      mi_profile_name(), p->wipe_limit, p->sample_rate, p->quarantine, p->on_violation, p->fence_severity,
      p->family_severity, p->size_severity, p->memory_severity, p->foreign_policy, p->report_form, p->report_path);
  static const struct {
    uint32_t bit;
    const char* name;
  } names[] = {
      {SEC_FENCE, "fence"},     {SEC_WIPE, "wipe"},           {SEC_PAGE_GUARD, "page-guard"}, {SEC_LARGE_SEAL, "seal"},
      {SEC_FAMILY, "family"},   {SEC_SIZED, "sized"},         {SEC_SAMPLE, "sample"},         {SEC_QUARANTINE, "keep"},
      {SEC_ISOLATE, "isolate"}, {SEC_FAULT_REPORT, "faults"}, {SEC_CHECKED_MEMORY, "memory"}};
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
    if (p->mechanisms & names[i].bit) printf(" %s", names[i].name);
  }
  printf("\n");
  return 0;
}

// The environment of each case; every line of `expected` must be among those shown.
static void shows(const char* const* env, const char* const* expected) {
  again_t again = {.role = "show"};
  for (size_t i = 0; i < 8 && env[i] != NULL; i++) again.env[i] = env[i];
  child_again(&child, again);
  assert_true(child_exited(&child, 0));
  for (size_t i = 0; expected[i] != NULL; i++) {
    if (strstr(child.text, expected[i]) == NULL) fail_msg("expected \"%s\" in:\n%s", expected[i], child.text);
  }
}

#define LIST(...) ((const char* const[]){__VA_ARGS__, NULL})
#define NOTHING ((const char* const[]){NULL})

#define SUM_FAST_TEXT " page-guard seal"
#define SUM_DEFAULT_TEXT "mechanisms fence wipe page-guard seal family sized sample\n"
#define SUM_STRICT_TEXT "mechanisms fence wipe page-guard seal family sized sample keep isolate faults memory\n"

#ifdef MIM_ALLOW_LOWER
#define MAY_LOWER 1
#else
#define MAY_LOWER 0
#endif
#if defined(MIM_SECURE_LEVEL) && MIM_SECURE_LEVEL != 4
#define USUAL_LEVEL 0
#else
#define USUAL_LEVEL 1
#endif

static void test_profiles(void** state) {
  (void)state;
  if (!USUAL_LEVEL) skip();
  shows(NOTHING, LIST("profile default\n", "wipe 1024\n", "sample 5000\n", "quarantine 0\n", SUM_DEFAULT_TEXT,
                      "violation 0 fence 0 family 0 size 0 memory 2 foreign 0\n", "report 0 ''\n"));
  shows(LIST("MIMALLOC_PROFILE=default"), LIST("profile default\n", SUM_DEFAULT_TEXT));
  shows(LIST("MIMALLOC_PROFILE=strict"), LIST("profile strict\n", "wipe 4294967295\n", "sample 1000\n", SUM_STRICT_TEXT,
                                              "violation 0 fence 0 family 0 size 0 memory 0 foreign 0\n"));
  shows(LIST("MIMALLOC_PROFILE=fuzz"), LIST("profile fuzz\n", "wipe 4294967295\n", "sample 1\n", SUM_STRICT_TEXT));
}

// What each classic level of MI_SECURE is built as; unit.policy_level.N is this file with that level.
static void test_level(void** state) {
  (void)state;
#ifdef MIM_SECURE_LEVEL
  int level = MIM_SECURE_LEVEL;
#else
  int level = 4;
#endif
  static const struct {
    const char *profile, *wipe, *mechanisms;
  } levels[] = {
      {"profile fast\n", "wipe 0\n", "mechanisms" SUM_FAST_TEXT "\n"},
      {"profile fast\n", "wipe 0\n", "mechanisms" SUM_FAST_TEXT "\n"},
      {"profile fast\n", "wipe 0\n", "mechanisms" SUM_FAST_TEXT "\n"},
      {"profile fast\n", "wipe 0\n", "mechanisms" SUM_FAST_TEXT "\n"},
      {"profile default\n", "wipe 1024\n", SUM_DEFAULT_TEXT},
      {"profile strict\n", "wipe 4294967295\n", SUM_STRICT_TEXT},
  };
  assert_in_range(level, 0, 5);
  shows(NOTHING, LIST(levels[level].profile, levels[level].wipe, levels[level].mechanisms));
  shows(LIST("MIMALLOC_VERBOSE=1"), LIST(levels[level].profile, " (build)\n"));
  // Every level can be raised; none is lowered but where that is allowed.
  shows(LIST("MIMALLOC_PROFILE=fuzz"), LIST("profile fuzz\n", "sample 1\n"));
  shows(LIST("MIMALLOC_PROFILE=fast"), LIST(MAY_LOWER ? "profile fast\n" : levels[level].profile));
}

static void test_lower_profile(void** state) {
  (void)state;
  if (!USUAL_LEVEL) skip();
  if (MAY_LOWER) {
    shows(LIST("MIMALLOC_PROFILE=fast"), LIST("profile fast\n", "wipe 0\n", "mechanisms" SUM_FAST_TEXT "\n"));
  } else {
    shows(LIST("MIMALLOC_PROFILE=fast"),
          LIST("profile default\n", SUM_DEFAULT_TEXT, "profile fast is below default"));
  }
}

static void test_amounts(void** state) {
  (void)state;
  if (!USUAL_LEVEL) skip();
  shows(LIST("MIMALLOC_ZERO_FREE=4096"), LIST("wipe 4096\n", SUM_DEFAULT_TEXT));
  shows(LIST("MIMALLOC_ZERO_FREE=-1"), LIST("wipe 4294967295\n"));
  shows(LIST("MIMALLOC_SAMPLE_RATE=10"), LIST("sample 10\n"));
  shows(LIST("MIMALLOC_GUARDED_SAMPLE_RATE=20"), LIST("sample 20\n"));
  shows(LIST("MIMALLOC_GUARDED_SAMPLE_RATE=20", "MIMALLOC_SAMPLE_RATE=30"), LIST("sample 30\n"));
  shows(LIST("MIMALLOC_QUARANTINE=64K"),
        LIST("quarantine 65536\n", "mechanisms fence wipe page-guard seal family sized sample keep\n"));
  shows(LIST("MIMALLOC_CHECKED_MEMORY=report"),
        LIST("memory 1 ", "mechanisms fence wipe page-guard seal family sized sample memory\n"));
  shows(LIST("MIMALLOC_FAULT_REPORT=1"), LIST("mechanisms fence wipe page-guard seal family sized sample faults\n"));
  shows(LIST("MIMALLOC_PROFILE=strict", "MIMALLOC_FAULT_REPORT=0"),
        LIST("mechanisms fence wipe page-guard seal family sized sample keep isolate memory\n"));
}

static void test_lower_amounts(void** state) {
  (void)state;
  if (!USUAL_LEVEL) skip();
  if (MAY_LOWER) {
    shows(LIST("MIMALLOC_ZERO_FREE=0"), LIST("wipe 0\n", "mechanisms fence page-guard seal family sized sample\n"));
    shows(LIST("MIMALLOC_SAMPLE_RATE=0"), LIST("sample 0\n", "mechanisms fence wipe page-guard seal family sized\n"));
    shows(LIST("MIMALLOC_FENCE=off"), LIST("fence 2 ", "mechanisms wipe page-guard seal family sized sample\n"));
    shows(LIST("MIMALLOC_PROFILE=strict", "MIMALLOC_QUARANTINE=1K"), LIST("quarantine 1024\n"));
  } else {
    shows(LIST("MIMALLOC_ZERO_FREE=100"), LIST("wipe 1024\n", "zero_free 100 is weaker than 1024"));
    shows(LIST("MIMALLOC_SAMPLE_RATE=0"), LIST("sample 5000\n", "sample_rate 0 is weaker than 5000"));
    shows(LIST("MIMALLOC_SAMPLE_RATE=5001"), LIST("sample 5000\n", "sample_rate 5001 is weaker than 5000"));
    shows(LIST("MIMALLOC_FENCE=off"), LIST("fence 0 ", "fence off is weaker", SUM_DEFAULT_TEXT));
    shows(LIST("MIMALLOC_PROFILE=strict", "MIMALLOC_QUARANTINE=1K"),
          LIST("quarantine 262144\n", "quarantine 1024 is weaker than 262144"));
    shows(LIST("MIMALLOC_PROFILE=strict", "MIMALLOC_CHECKED_MEMORY=off"),
          LIST("memory 0 ", "checked_memory off"));
  }
}

// For measurements; builds that may not lower do not look at it.
static void test_one_by_one(void** state) {
  (void)state;
  if (!USUAL_LEVEL) skip();
  if (!MAY_LOWER) {
    shows(LIST("MIM_MECHANISMS="), LIST("wipe 1024\n", SUM_DEFAULT_TEXT));
    return;
  }
  shows(LIST("MIM_MECHANISMS="), LIST("wipe 0\n", "sample 0\n", "mechanisms\n", "fence 2 family 2 size 2"));
  shows(LIST("MIM_MECHANISMS=page-guard,fence"), LIST("mechanisms fence page-guard\n", "wipe 0\n", "fence 0 "));
  shows(LIST("MIM_MECHANISMS=quarantine"), LIST("mechanisms keep\n", "quarantine 262144\n"));
  shows(LIST("MIM_MECHANISMS=wipe,sample"), LIST("mechanisms wipe sample\n", "wipe 1024\n", "sample 5000\n"));
  shows(LIST("MIM_MECHANISMS=fences,wipe", "MIMALLOC_SHOW_ERRORS=1"),
        LIST("mechanisms wipe\n", "there is no mechanism 'fences'"));
}

static void test_ways_round(void** state) {
  (void)state;
  if (!USUAL_LEVEL) skip();
  shows(LIST("MIMALLOC_ON_VIOLATION=report"), LIST("violation 1 fence 1 family 1 size 1 memory 2 foreign 0\n"));
  shows(LIST("MIMALLOC_ON_VIOLATION=report", "MIMALLOC_FENCE=abort"), LIST("violation 1 fence 0 family 1 "));
  shows(LIST("MIMALLOC_FENCE=report"), LIST("violation 0 fence 1 family 0 ", SUM_DEFAULT_TEXT));
  shows(LIST("MIMALLOC_FAMILY_CHECK=off"), LIST("family 2 ", "mechanisms fence wipe page-guard seal sized sample\n"));
  shows(LIST("MIMALLOC_SIZE_CHECK=off"), LIST("size 2 ", "mechanisms fence wipe page-guard seal family sample\n"));
  shows(LIST("MIMALLOC_SIZE_CHECK=report"), LIST("size 1 ", SUM_DEFAULT_TEXT));
  shows(LIST("MIMALLOC_FOREIGN=ignore"), LIST("foreign 2\n"));
  shows(LIST("MIMALLOC_FOREIGN=libc"), LIST("foreign 1\n"));
}

static void test_report_path(void** state) {
  (void)state;
  shows(LIST("MIMALLOC_REPORT=json"), LIST("report 1 ''\n"));
  shows(LIST("MIMALLOC_REPORT=/var/log/x"), LIST("report 2 '/var/log/x'\n"));
}

static void test_bad_values(void** state) {
  (void)state;
  if (!USUAL_LEVEL) skip();
  shows(LIST("MIMALLOC_PROFILE=paranoid"),
        LIST("profile default\n", "'paranoid' is not accepted", "fast, default, strict"));
  shows(LIST("MIMALLOC_ON_VIOLATION=off"), LIST("violation 0 ", "'off' is not accepted"));
}

static void test_printed(void** state) {
  (void)state;
  if (!USUAL_LEVEL) skip();
  shows(LIST("MIMALLOC_VERBOSE=1", "MIMALLOC_PROFILE=strict", "MIMALLOC_SAMPLE_RATE=7", "MIMALLOC_FAMILY_CHECK=off"),
        LIST("secure: profile strict (environment)\n", "secure: zero_free 4294967295 (profile)\n",
             "secure: sample_rate 7 (environment)\n", "secure: on_violation abort (build)\n",
             "secure: fence abort (profile)\n", "secure: family_check off (environment)\n",
             "secure: mechanisms: fence "));
  shows(LIST("MIMALLOC_VERBOSE=1"), LIST("secure: profile default (build)\n"));
}

// ---- raised privileges ----------------------------------------------------------------------------------------------

static bool copy_program(const char* to) {
  static char buf[1 << 16];
  int from = open("/proc/self/exe", O_RDONLY);
  int fd = open(to, O_WRONLY | O_CREAT | O_EXCL, 0700);
  ssize_t got = 0;
  while (from >= 0 && fd >= 0 && (got = read(from, buf, sizeof(buf))) > 0) {
    if (write(fd, buf, (size_t)got) != got) return false;
  }
  bool copied = from >= 0 && fd >= 0 && got == 0;
  close(from);
  close(fd);
  return copied;
}

static void exec_copy(void* path) {
  putenv((char*)(uintptr_t) "MIMALLOC_ON_VIOLATION=report");
  putenv((char*)(uintptr_t) "MIMALLOC_PROFILE=strict");
  putenv((char*)(uintptr_t) "MIMALLOC_REPORT=/tmp/anything");
  execl(path, path, "show", (char*)NULL);
  _exit(98);
}

// A set-user-ID program reads nothing of the environment, not even what would raise hardening.
static void test_raised_privileges(void** state) {
  (void)state;
  if (!USUAL_LEVEL || geteuid() != 0 || BY_ASAN || BY_TSAN) skip();
  enum { NOBODY = 65534 };
  char folder[] = "/tmp/policy_test.XXXXXX", path[64];
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof(path), "%s/copy", folder);
  assert_true(copy_program(path));
  assert_int_equal(chown(path, NOBODY, NOBODY), 0);
  assert_int_equal(chmod(path, 04755), 0);
  assert_int_equal(chmod(folder, 0755), 0);
  struct statvfs place;
  bool honoured = statvfs(folder, &place) == 0 && !(place.f_flag & ST_NOSUID);
  honoured = honoured && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0;
  child_run(&child, exec_copy, path);
  unlink(path);
  rmdir(folder);
  if (!honoured) skip();
  assert_true(child_exited(&child, 0));
  assert_non_null(strstr(child.text, "profile default\n"));
  assert_non_null(strstr(child.text, "violation 0 fence 0 family 0 size 0 memory 2 foreign 0\nreport 0 ''\n"));
}

int main(int argc, char** argv) {
  if (argc > 1 && strcmp(argv[1], "show") == 0) return role_show();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_profiles),      cmocka_unit_test(test_level),
      cmocka_unit_test(test_lower_profile), cmocka_unit_test(test_amounts),
      cmocka_unit_test(test_lower_amounts), cmocka_unit_test(test_ways_round),
      cmocka_unit_test(test_report_path),   cmocka_unit_test(test_bad_values),
      cmocka_unit_test(test_printed),       cmocka_unit_test(test_raised_privileges),
      cmocka_unit_test(test_one_by_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
