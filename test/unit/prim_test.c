// Unit tests of src/prim/linux.c: each function of the contract, on the running kernel. Whether memory can be touched
// is asked of the kernel (a system call that reads there answers EFAULT), so that no test needs a signal handler.
// What could disturb the test program itself (limits, filters, locked memory, abort) happens in a forked child.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "prim.h"

#define ERRNO_MARK 77
#define SKIPPED 42  // exit status of a child that could not try

static size_t os_page;

// Runs an expression that is to succeed and to leave errno alone.
#define keeps_errno(expression)          \
  do {                                   \
    errno = ERRNO_MARK;                  \
    expression;                          \
    assert_int_equal(errno, ERRNO_MARK); \
  } while (0)

static bool readable(const void* p) {
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  ssize_t wrote = write(ends[1], p, 1);
  if (wrote < 0) assert_int_equal(errno, EFAULT);
  close(ends[0]);
  close(ends[1]);
  return wrote == 1;
}

static bool writable(void* p) {
  int ends[2];
  char byte = 0;
  assert_int_equal(pipe(ends), 0);
  assert_int_equal(write(ends[1], readable(p) ? p : &byte, 1), 1);  // keeps what is there
  ssize_t got = read(ends[0], p, 1);
  if (got < 0) assert_int_equal(errno, EFAULT);
  close(ends[0]);
  close(ends[1]);
  return got == 1;
}

static bool all_zero(const char* p, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (p[i] != 0) return false;
  }
  return true;
}

// Size of the address space in bytes.
static size_t address_space(void) {
  size_t pages = 0;
  FILE* file = fopen("/proc/self/statm", "re");
  assert_non_null(file);
  assert_int_equal(fscanf(file, "%zu", &pages), 1);
  fclose(file);
  return pages * os_page;
}

static size_t count_mappings(void) {
  char line[4096];
  size_t count = 0;
  FILE* file = fopen("/proc/self/maps", "re");
  assert_non_null(file);
  while (fgets(line, sizeof line, file) != NULL) count++;
  fclose(file);
  return count;
}

static int wait_status(int (*body)(void)) {
  fflush(NULL);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) _exit(body());
  int status = 0;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return status;
}

// The body returns 0 when all is well, SKIPPED, or the number of the line that is wrong (modulo 256).
static void passes_in_child(int (*body)(void)) {
  int status = wait_status(body);
  assert_true(WIFEXITED(status));
  if (WEXITSTATUS(status) == SKIPPED) skip();
  assert_int_equal(WEXITSTATUS(status), 0);
}
#define child_check(x) \
  do {                 \
    if (!(x)) {        \
      fprintf(stderr, "%s:%d: not true in the child: %s\n", __FILE__, __LINE__, #x); \
      return 1;        \
    }                  \
  } while (0)

static char* open_pages(size_t count) {
  char* p = mim_os_reserve(count * os_page, os_page, NULL);
  assert_non_null(p);
  assert_true(mim_os_open(p, count * os_page));
  return p;
}

// ---- memory ---------------------------------------------------------------------------------------------------------

static void page_size_is_the_kernels(void** state) {
  (void)state;
  assert_int_equal(mim_os_page_size(), sysconf(_SC_PAGESIZE));
  keeps_errno(mim_os_page_size());
}

static void reserve_aligns_and_takes_no_more_than_asked(void** state) {
  (void)state;
  const size_t sizes[] = {os_page, 3 * os_page, 64 * KIB, 5 * MIB, 32 * MIB};
  for (size_t align = os_page; align <= GIB; align *= 2) {
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
      size_t before = address_space();
      char* p;
      keeps_errno(p = mim_os_reserve(sizes[i], align, NULL));
      assert_non_null(p);
      assert_int_equal((uintptr_t)p & (align - 1), 0);
      assert_int_equal(address_space() - before, sizes[i]);
      assert_false(readable(p));
      assert_false(readable(p + sizes[i] - 1));
      keeps_errno(mim_os_release(p, sizes[i]));
      assert_int_equal(address_space(), before);
    }
  }
}

static void reserve_honours_a_free_hint(void** state) {
  (void)state;
  char* wanted = mim_os_reserve(8 * MIB, 2 * MIB, NULL);
  assert_non_null(wanted);
  mim_os_release(wanted, 8 * MIB);
  assert_ptr_equal(mim_os_reserve(4 * MIB, 2 * MIB, wanted), wanted);
  // taken: another place, aligned all the same
  char* other = mim_os_reserve(4 * MIB, 2 * MIB, wanted);
  assert_non_null(other);
  assert_ptr_not_equal(other, wanted);
  assert_int_equal((uintptr_t)other & (2 * MIB - 1), 0);
  mim_os_release(other, 4 * MIB);
  mim_os_release(wanted, 4 * MIB);
  // not aligned: the next address that is
  assert_ptr_equal(mim_os_reserve(2 * MIB, 2 * MIB, wanted + os_page), wanted + 2 * MIB);
  mim_os_release(wanted + 2 * MIB, 2 * MIB);
  // nonsense: somewhere
  other = mim_os_reserve(os_page, os_page, (void*)(UINTPTR_MAX - os_page));
  assert_non_null(other);
  mim_os_release(other, os_page);
}

static void reserve_refuses_the_impossible(void** state) {
  (void)state;
  size_t before = address_space();
  errno = 0;
  assert_null(mim_os_reserve((size_t)1 << 62, os_page, NULL));
  assert_int_equal(errno, ENOMEM);
  errno = 0;
  assert_null(mim_os_reserve((size_t)1 << 62, (size_t)1 << 63, NULL));
  assert_int_equal(errno, ENOMEM);
  errno = 0;
  assert_null(mim_os_reserve(SIZE_MAX - os_page + 1, (size_t)1 << 63, NULL));
  assert_int_equal(errno, ENOMEM);
  // the range is there, but none so aligned
  errno = 0;
  assert_null(mim_os_reserve(os_page, (size_t)1 << 62, NULL));
  assert_int_equal(errno, ENOMEM);
  assert_int_equal(address_space(), before);
}

static int limited_child(void) {
  struct rlimit limit = {.rlim_cur = 300 * MIB + address_space(), .rlim_max = RLIM_INFINITY};
  child_check(mim_os_address_limit() == SIZE_MAX);
  child_check(setrlimit(RLIMIT_AS, &limit) == 0);
  child_check(mim_os_address_limit() == limit.rlim_cur);
  child_check(mim_os_reserve(GIB, os_page, NULL) == NULL && errno == ENOMEM);
  child_check(mim_os_reserve(100 * MIB, os_page, NULL) != NULL);
  return 0;
}

static void reserve_obeys_the_address_limit(void** state) {
  (void)state;
  struct rlimit limit;
  assert_int_equal(getrlimit(RLIMIT_AS, &limit), 0);
  if (limit.rlim_cur != RLIM_INFINITY) skip();
  passes_in_child(limited_child);
}

static void open_close_purge(void** state) {
  (void)state;
  char* p = mim_os_reserve(16 * os_page, os_page, NULL);
  assert_non_null(p);
  bool done;
  keeps_errno(done = mim_os_open(p + 4 * os_page, 4 * os_page));
  assert_true(done);
  assert_false(readable(p + 4 * os_page - 1));
  assert_false(readable(p + 8 * os_page));
  assert_true(all_zero(p + 4 * os_page, 4 * os_page));
  memset(p + 4 * os_page, 0x5a, 4 * os_page);

  keeps_errno(done = mim_os_close(p + 4 * os_page, os_page));
  assert_true(done);
  assert_false(readable(p + 4 * os_page));
  assert_true(mim_os_open(p + 4 * os_page, os_page));
  assert_int_equal(p[4 * os_page], 0x5a);

  keeps_errno(done = mim_os_purge(p + 5 * os_page, 2 * os_page));
  assert_true(done);
  assert_int_equal(p[5 * os_page - 1], 0x5a);
  assert_true(all_zero(p + 5 * os_page, 2 * os_page));
  assert_int_equal(p[7 * os_page], 0x5a);
  p[5 * os_page] = 1;  // still open

  keeps_errno(done = mim_os_open_read(p, os_page));
  assert_true(done && readable(p) && !writable(p) && all_zero(p, os_page));
  mim_os_release(p, 16 * os_page);

  // memory that is not there
  errno = 0;
  assert_false(mim_os_open(p, os_page));
  assert_int_equal(errno, ENOMEM);
  assert_false(mim_os_open_read(p, os_page));
  assert_false(mim_os_close(p, os_page));
  assert_false(mim_os_purge(p, os_page));
}

static void huge_page_advice_is_taken(void** state) {
  (void)state;
  size_t size = 4 * MIB;
  char* p = mim_os_reserve(size, 2 * MIB, NULL);
  assert_true(p != NULL && mim_os_open(p, size));
  keeps_errno(mim_os_huge(p, size, false));
  memset(p, 1, size);
  keeps_errno(mim_os_huge(p, size, true));
  assert_int_equal(p[size - 1], 1);
  mim_os_release(p, size);
  keeps_errno(mim_os_huge(p, size, true));
}

// ---- guards ---------------------------------------------------------------------------------------------------------

static void guards_fault_without_splitting(void** state) {
  (void)state;
  char* p = open_pages(16);
  bool supported;
  memset(p, 0x11, 16 * os_page);
  keeps_errno(supported = mim_os_guard_supported(p));
  assert_true(readable(p) && writable(p));
  if (!supported) {
    assert_false(mim_os_guard_install(p, os_page));
    assert_int_equal(errno, EINVAL);
    mim_os_release(p, 16 * os_page);
    skip();
  }
  assert_true(all_zero(p, os_page));
  assert_int_equal(p[os_page], 0x11);

  size_t mappings = count_mappings();
  bool done;
  for (size_t i = 1; i < 16; i += 2) {
    keeps_errno(done = mim_os_guard_install(p + i * os_page, os_page));
    assert_true(done);
  }
  assert_int_equal(count_mappings(), mappings);
  for (size_t i = 0; i < 16; i++) {
    assert_int_equal(readable(p + i * os_page), i % 2 == 0);
    assert_int_equal(writable(p + (i + 1) * os_page - 1), i % 2 == 0);
  }
  assert_true(mim_os_purge(p, 16 * os_page));  // guards survive it
  assert_false(readable(p + os_page));
  assert_true(all_zero(p + 2 * os_page, os_page));
  assert_true(mim_os_close(p, 16 * os_page));
  assert_true(mim_os_open(p, 16 * os_page));
  assert_false(readable(p + 3 * os_page));

  keeps_errno(done = mim_os_guard_remove(p, 4 * os_page));
  assert_true(done);
  assert_true(all_zero(p, 4 * os_page));
  assert_false(readable(p + 5 * os_page));
  mim_os_release(p, 16 * os_page);
  assert_false(mim_os_guard_install(p, os_page));
  assert_false(mim_os_guard_remove(p, os_page));
}

static void guard_probe_does_not_believe_closed_memory(void** state) {
  (void)state;
  char* p = open_pages(1);
  assert_true(mim_os_close(p, os_page));
  assert_false(mim_os_guard_supported(p));  // it faults before and after
  mim_os_release(p, os_page);
  assert_false(mim_os_guard_supported(p));
}

// ---- mappings -------------------------------------------------------------------------------------------------------

static void seal_is_for_good(void** state) {
  (void)state;
  char* p = open_pages(1);
  p[0] = 7;
  int result;
  keeps_errno(result = mim_os_seal(p, os_page));
  assert_in_range(result, 1, 2);
  assert_true(readable(p));
  assert_false(writable(p));
  assert_int_equal(p[0], 7);
  if (result == 2) {
    assert_false(mim_os_open(p, os_page));
    assert_int_equal(errno, EPERM);
    assert_int_equal(munmap(p, os_page), -1);
  }
  mim_os_release(p, os_page);
  char* gone = open_pages(1);
  mim_os_release(gone, os_page);
  assert_int_equal(mim_os_seal(gone, os_page), 0);
}

static char* wiped;
static int wiped_child(void) {
  child_check(wiped[0] == 0 && wiped[os_page] == 9);
  return 0;
}

static void forked_children_find_it_wiped(void** state) {
  (void)state;
  bool done;
  wiped = open_pages(2);
  wiped[0] = wiped[os_page] = 9;
  keeps_errno(done = mim_os_wipe_on_fork(wiped, os_page));
  assert_true(done);
  passes_in_child(wiped_child);
  assert_int_equal(wiped[0], 9);
  mim_os_release(wiped, 2 * os_page);
  assert_false(mim_os_wipe_on_fork(wiped, os_page));
}

static void names_show_in_maps(void** state) {
  (void)state;
  char line[4096];
  bool seen = false;
  char* p = open_pages(2);
  keeps_errno(mim_os_name(p, 2 * os_page, "mim-unit-test"));
  bool known = prctl(0x53564d41, 0, p, 2 * os_page, "mim-unit-test") == 0;
  FILE* file = fopen("/proc/self/maps", "re");
  assert_non_null(file);
  while (fgets(line, sizeof line, file) != NULL) {
    if (strtoull(line, NULL, 16) == (uintptr_t)p) seen = strstr(line, "[anon:mim-unit-test]") != NULL;
  }
  fclose(file);
  mim_os_release(p, 2 * os_page);
  keeps_errno(mim_os_name(p, os_page, "mim-unit-test"));
  if (!known) skip();
  assert_true(seen);
}

static void max_mappings_is_the_sysctl(void** state) {
  (void)state;
  size_t expected = 65530, got;
  FILE* file = fopen("/proc/sys/vm/max_map_count", "re");
  if (file != NULL) {
    assert_int_equal(fscanf(file, "%zu", &expected), 1);
    fclose(file);
  }
  keeps_errno(got = mim_os_max_mappings());
  assert_int_equal(got, expected);
}

// ---- the process ----------------------------------------------------------------------------------------------------

static void not_in_secure_mode(void** state) {
  (void)state;
  bool secure;
  keeps_errno(secure = mim_os_secure_mode());
  assert_int_equal(secure, getauxval(AT_SECURE) != 0);
}

static void getenv_reads_environ(void** state) {
  (void)state;
  char* entries[] = {"MIM_A=1", "MIM_AB=2", "MIM_EMPTY=", "MIM_NO_VALUE", "MIM_A=again", "MIM_EQ=x=y", NULL};
  char** saved = environ;
  environ = entries;
  const char* a = mim_os_getenv("MIM_A");
  const char* ab = mim_os_getenv("MIM_AB");
  const char* empty = mim_os_getenv("MIM_EMPTY");
  const char* no_value = mim_os_getenv("MIM_NO_VALUE");
  const char* eq = mim_os_getenv("MIM_EQ");
  const char* prefix = mim_os_getenv("MIM_");
  const char* nothing = mim_os_getenv("");
  char** whole = mim_os_environ();
  environ = NULL;
  const char* none = mim_os_getenv("MIM_A");
  char** no_environ = mim_os_environ();
  environ = saved;
  assert_string_equal(a, "1");
  assert_string_equal(ab, "2");
  assert_string_equal(empty, "");
  assert_null(no_value);
  assert_string_equal(eq, "x=y");
  assert_null(prefix);
  assert_null(nothing);
  assert_ptr_equal(whole, entries);
  assert_null(none);
  assert_null(no_environ);
}

static void check_random(int (*source)(void* buf, size_t size)) {
  static unsigned char big[MIB + 16];
  int result;
  memset(big, 0, sizeof big);
  keeps_errno(result = source(big + 8, MIB));
  assert_int_equal(result, 0);
  assert_true(all_zero((char*)big, 8) && all_zero((char*)big + MIB + 8, 8));
  size_t counts[256] = {0};
  for (size_t i = 0; i < MIB; i++) counts[big[8 + i]]++;
  // 4096 expected of each, standard deviation 64: ten of them never happen
  for (int i = 0; i < 256; i++) assert_in_range(counts[i], 4096 - 640, 4096 + 640);
  assert_int_equal(source(big, 0), 0);
}

static void random_fills_the_buffer(void** state) {
  (void)state;
  check_random(mim_os_random);
}

static void random_device_fills_the_buffer(void** state) {
  (void)state;
  check_random(mim_os_random_device);
}

static int refused_error;
static bool refuse(uint32_t call) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)refused_error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static int refused_child(void) {
  if (!refuse(SYS_getrandom)) return SKIPPED;
  char buf[16];
  errno = ERRNO_MARK;
  child_check(mim_os_random(buf, sizeof buf) == refused_error);
  child_check(mim_os_random_device(buf, sizeof buf) == 0);  // the way out
  child_check(errno == ERRNO_MARK);
  return 0;
}

static int no_files_child(void) {
  if (!refuse(SYS_openat)) return SKIPPED;
  char buf[16];
  os_usage_t usage;
  errno = ERRNO_MARK;
  child_check(mim_os_random_device(buf, sizeof buf) == refused_error);
  child_check(mim_os_random(buf, sizeof buf) == 0);
  child_check(mim_os_max_mappings() == 65530);
  child_check(mim_os_numa_nodes() == 1);
  mim_os_usage(&usage);
  child_check(usage.current_rss == 0 && usage.peak_rss > 0);
  child_check(errno == ERRNO_MARK);
  return 0;
}

static void facts_without_files(void** state) {
  (void)state;
  refused_error = EACCES;
  passes_in_child(no_files_child);
}

static void random_tells_why_not(void** state) {
  (void)state;
  const int errors[] = {EAGAIN, ENOSYS, EPERM};
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
    refused_error = errors[i];
    passes_in_child(refused_child);
  }
}

static void auxv_random_is_there(void** state) {
  (void)state;
  const void* bytes;
  keeps_errno(bytes = mim_os_auxv_random());
  assert_ptr_equal(bytes, (const void*)getauxval(AT_RANDOM));
  assert_non_null(bytes);
}

static void clocks_agree_and_advance(void** state) {
  (void)state;
  for (int i = 0; i < 1000; i++) {
    uint64_t ms_before = mim_os_clock_ms();
    uint64_t ns = mim_os_clock_ns();
    uint64_t ms_after = mim_os_clock_ms();
    assert_true(ms_before <= ns / 1000000);
    assert_true(ns / 1000000 <= ms_after + 20);  // a tick of HZ=100, twice
    assert_true(ms_before <= ms_after);
    assert_true(ns <= mim_os_clock_ns());
  }
  uint64_t start = mim_os_clock_ns();
  usleep(30000);
  assert_true(mim_os_clock_ns() - start >= 29000000);
}

// ---- output and threads ----------------------------------------------------------------------------------------------

typedef struct reader_s {
  int fd;
  size_t total;
  bool in_order;
} reader_t;

static void* read_all(void* arg) {
  reader_t* reader = arg;
  unsigned char buf[1000];
  ssize_t got;
  usleep(50000);  // let the pipe become full
  while ((got = read(reader->fd, buf, sizeof buf)) > 0) {
    for (ssize_t i = 0; i < got; i++) {
      if (buf[i] != (unsigned char)(reader->total++ % 251)) reader->in_order = false;
    }
  }
  return NULL;
}

static void write_is_complete(void** state) {
  (void)state;
  static char data[300 * 1000];
  for (size_t i = 0; i < sizeof data; i++) data[i] = (char)(i % 251);
  for (int flags = 0; flags <= O_NONBLOCK; flags += O_NONBLOCK) {
    int ends[2];
    pthread_t thread;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, flags), 0);
    reader_t reader = {.fd = ends[0], .total = 0, .in_order = true};
    assert_int_equal(pthread_create(&thread, NULL, read_all, &reader), 0);
    keeps_errno(mim_os_write(ends[1], data, sizeof data));
    close(ends[1]);
    assert_int_equal(pthread_join(thread, NULL), 0);
    close(ends[0]);
    assert_int_equal(reader.total, sizeof data);
    assert_true(reader.in_order);
  }
}

static void write_gives_up_on_errors(void** state) {
  (void)state;
  keeps_errno(mim_os_write(-1, "x", 1));
  keeps_errno(mim_os_write(1, NULL, 0));
  int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  if (full >= 0) {
    keeps_errno(mim_os_write(full, "x", 1));
    close(full);
  }
}

static int stderr_child(void) {
  struct stat before, after;
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  child_check(null >= 0 && fstat(2, &before) == 0);
  mim_os_restore_stderr();  // nothing was kept: nothing happens
  errno = ERRNO_MARK;
  mim_os_keep_stderr();
  child_check(errno == ERRNO_MARK);
  child_check(dup2(null, 2) == 2);
  mim_os_restore_stderr();  // the program has put something else there
  struct stat now;
  child_check(fstat(2, &after) == 0 && fstat(null, &now) == 0);
  child_check(now.st_ino == after.st_ino && now.st_dev == after.st_dev);
  close(2);
  errno = ERRNO_MARK;
  mim_os_restore_stderr();
  child_check(errno == ERRNO_MARK);
  child_check(fstat(2, &after) == 0 && after.st_ino == before.st_ino && after.st_dev == before.st_dev);
  return 0;
}

static int stderr_reused_child(void) {
  mim_os_keep_stderr();
  for (int fd = 3; fd < 1024; fd++) close(fd);  // as daemons do
  int ends[2];
  if (pipe(ends) != 0) return 1;
  for (int fd = 3; fd < 256; fd++) {
    if (fd != ends[0] && fd != ends[1]) dup2(ends[1], fd);  // whatever was kept is now something else
  }
  close(2);
  mim_os_restore_stderr();
  return fcntl(2, F_GETFD) < 0 ? 0 : 1;
}

static void stderr_comes_back(void** state) {
  (void)state;
  passes_in_child(stderr_child);
  passes_in_child(stderr_reused_child);
}

static void files_are_opened_with_care(void** state) {
  (void)state;
  char directory[] = "/tmp/prim_test.XXXXXX";
  char path[64], link_path[64], fifo_path[64], buf[16];
  struct stat facts;
  int fd;
  assert_non_null(mkdtemp(directory));
  snprintf(path, sizeof path, "%s/file", directory);
  snprintf(link_path, sizeof link_path, "%s/link", directory);
  snprintf(fifo_path, sizeof fifo_path, "%s/fifo", directory);

  errno = 0;
  assert_int_equal(mim_os_file_open(path, false), -1);
  assert_int_equal(errno, ENOENT);
  for (int i = 0; i < 2; i++) {
    keeps_errno(fd = mim_os_file_open(path, true));
    assert_true(fd >= 0);
    mim_os_write(fd, "line\n", 5);
    keeps_errno(mim_os_file_close(fd));
  }
  assert_int_equal(stat(path, &facts), 0);
  assert_int_equal(facts.st_size, 10);
  assert_int_equal(facts.st_mode & 0777, 0600);

  fd = mim_os_file_open(path, false);
  assert_true(fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
  assert_int_equal(read(fd, buf, sizeof buf), 10);
  assert_memory_equal(buf, "line\nline\n", 10);
  mim_os_file_close(fd);
  assert_int_equal(read(fd, buf, sizeof buf), -1);

  assert_int_equal(symlink(path, link_path), 0);
  assert_int_equal(mim_os_file_open(link_path, true), -1);
  assert_int_equal(errno, ELOOP);
  assert_int_equal(mkfifo(fifo_path, 0600), 0);
  assert_int_equal(mim_os_file_open(fifo_path, true), -1);  // nobody reads it: does not wait
  assert_int_equal(errno, ENXIO);
  unlink(fifo_path);
  unlink(link_path);
  unlink(path);
  rmdir(directory);
}

static volatile sig_atomic_t signals_seen;
static void count_signal(int signal) {
  (void)signal;
  signals_seen++;
}

static int signals_child(void) {
  struct sigaction action = {.sa_handler = count_signal};
  sigset_t before, after;
  int ends[2];
  child_check(sigaction(SIGUSR1, &action, NULL) == 0 && pipe(ends) == 0);
  close(ends[0]);
  sigprocmask(SIG_SETMASK, NULL, &before);
  errno = ERRNO_MARK;
  os_signals_t saved = mim_os_signals_block();
  child_check(errno == ERRNO_MARK);
  raise(SIGUSR1);
  child_check(signals_seen == 0);
  mim_os_write(ends[1], "x", 1);  // SIGPIPE would end the process
  errno = ERRNO_MARK;
  mim_os_signals_restore(saved);
  child_check(errno == ERRNO_MARK);
  for (int i = 0; i < 1000 && signals_seen == 0; i++) usleep(1000);  // ThreadSanitizer calls handlers later
  child_check(signals_seen == 1);
  sigprocmask(SIG_SETMASK, NULL, &after);
  for (int i = 1; i < 32; i++) child_check(sigismember(&before, i) == sigismember(&after, i));
  return 0;
}

static int pending_pipe_child(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  child_check(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
  raise(SIGPIPE);  // pending before: the program's own, and not to be dropped
  os_signals_t saved = mim_os_signals_block();
  mim_os_signals_restore(saved);
  child_check(sigpending(&set) == 0 && sigismember(&set, SIGPIPE) == 1);
  return 0;
}

static void blocked_signals_come_later(void** state) {
  (void)state;
  passes_in_child(signals_child);
  passes_in_child(pending_pipe_child);
}

static void* own_thread_id(void* arg) {
  *(uint32_t*)arg = mim_os_thread_id();
  return NULL;
}

static int other_process_child(void) {
  child_check(mim_os_process_id() == (uint32_t)getpid());
  child_check(mim_os_thread_id() == (uint32_t)getpid());
  return 0;
}

static void ids_are_the_kernels(void** state) {
  (void)state;
  pthread_t thread;
  uint32_t other = 0;
  assert_int_equal(mim_os_process_id(), getpid());
  assert_int_equal(mim_os_thread_id(), getpid());
  assert_int_equal(pthread_create(&thread, NULL, own_thread_id, &other), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_true(other != 0 && other != mim_os_thread_id());
  passes_in_child(other_process_child);
}

static _Atomic(uint32_t) word;
static _Atomic(uint32_t) woken;

static void* wait_on_word(void* arg) {
  (void)arg;
  mim_os_wait(&word, 5);
  atomic_fetch_add(&woken, 1);
  return NULL;
}

static void wake_all_wakes_waiters(void** state) {
  (void)state;
  enum { WAITERS = 4 };
  pthread_t threads[WAITERS];
  word = 5;
  woken = 0;
  for (int i = 0; i < WAITERS; i++) assert_int_equal(pthread_create(&threads[i], NULL, wait_on_word, NULL), 0);
  usleep(50000);
  assert_int_equal(woken, 0);
  word = 6;
  keeps_errno(mim_os_wake(&word, true));
  for (int i = 0; i < WAITERS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
  assert_int_equal(woken, WAITERS);
  keeps_errno(mim_os_wait(&word, 5));  // another value: returns at once
  keeps_errno(mim_os_wake(&word, false));
}

static void wake_one_wakes_one(void** state) {
  (void)state;
  pthread_t threads[2];
  word = 5;
  woken = 0;
  for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&threads[i], NULL, wait_on_word, NULL), 0);
  usleep(50000);
  mim_os_wake(&word, false);
  usleep(50000);
  assert_in_range(woken, 0, 1);  // 0 when neither was asleep yet
  word = 6;
  mim_os_wake(&word, true);
  for (int i = 0; i < 2; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void ignore_signal(int signal) {
  (void)signal;
}

static int aborting_child(void) {
  struct rlimit no_core = {0, 0};
  struct sigaction action = {.sa_handler = ignore_signal};
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGABRT);
  setrlimit(RLIMIT_CORE, &no_core);
  if (sigaction(SIGABRT, &action, NULL) != 0 || sigprocmask(SIG_BLOCK, &set, NULL) != 0) return SKIPPED;
  mim_os_abort();
}

static void abort_is_not_stopped_by_handlers(void** state) {
  (void)state;
  int status = wait_status(aborting_child);
  assert_true(WIFSIGNALED(status));
  assert_int_equal(WTERMSIG(status), SIGABRT);
}

static int abort_as_init(void) {
  if (unshare(CLONE_NEWPID) != 0) return SKIPPED;
  int status = wait_status(aborting_child);
  child_check(WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGABRT));
  return 0;
}

static void abort_ends_process_1_too(void** state) {
  (void)state;
  passes_in_child(abort_as_init);
}

// ---- facts ----------------------------------------------------------------------------------------------------------

static void usage_follows_memory_and_time(void** state) {
  (void)state;
  os_usage_t before, after;
  size_t size = 64 * MIB;
  keeps_errno(mim_os_usage(&before));
  assert_true(before.current_rss > 0 && before.peak_rss >= before.current_rss);
  char* p = mim_os_reserve(size, os_page, NULL);
  assert_true(p != NULL && mim_os_open(p, size));
  memset(p, 1, size);
  uint64_t start = mim_os_clock_ms();
  while (mim_os_clock_ms() - start < 200) {
  }
  mim_os_usage(&after);
  assert_true(after.current_rss >= before.current_rss + size / 2);
  assert_true(after.peak_rss >= after.current_rss);
  assert_true(after.user_ms + after.system_ms >= before.user_ms + before.system_ms + 20);
  mim_os_release(p, size);
  mim_os_usage(&after);
  assert_true(after.current_rss + size / 2 <= after.peak_rss);
}

static void there_is_a_numa_node(void** state) {
  (void)state;
  size_t nodes;
  keeps_errno(nodes = mim_os_numa_nodes());
  assert_in_range(nodes, 1, 65536);
}

int main(void) {
  os_page = mim_os_page_size();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(page_size_is_the_kernels),
      cmocka_unit_test(reserve_aligns_and_takes_no_more_than_asked),
      cmocka_unit_test(reserve_honours_a_free_hint),
      cmocka_unit_test(reserve_refuses_the_impossible),
      cmocka_unit_test(reserve_obeys_the_address_limit),
      cmocka_unit_test(open_close_purge),
      cmocka_unit_test(huge_page_advice_is_taken),
      cmocka_unit_test(guards_fault_without_splitting),
      cmocka_unit_test(guard_probe_does_not_believe_closed_memory),
      cmocka_unit_test(seal_is_for_good),
      cmocka_unit_test(forked_children_find_it_wiped),
      cmocka_unit_test(names_show_in_maps),
      cmocka_unit_test(max_mappings_is_the_sysctl),
      cmocka_unit_test(not_in_secure_mode),
      cmocka_unit_test(getenv_reads_environ),
      cmocka_unit_test(random_fills_the_buffer),
      cmocka_unit_test(random_device_fills_the_buffer),
      cmocka_unit_test(random_tells_why_not),
      cmocka_unit_test(facts_without_files),
      cmocka_unit_test(auxv_random_is_there),
      cmocka_unit_test(clocks_agree_and_advance),
      cmocka_unit_test(write_is_complete),
      cmocka_unit_test(write_gives_up_on_errors),
      cmocka_unit_test(stderr_comes_back),
      cmocka_unit_test(files_are_opened_with_care),
      cmocka_unit_test(blocked_signals_come_later),
      cmocka_unit_test(ids_are_the_kernels),
      cmocka_unit_test(wake_all_wakes_waiters),
      cmocka_unit_test(wake_one_wakes_one),
      cmocka_unit_test(abort_is_not_stopped_by_handlers),
      cmocka_unit_test(abort_ends_process_1_too),
      cmocka_unit_test(usage_follows_memory_and_time),
      cmocka_unit_test(there_is_a_numa_node),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
