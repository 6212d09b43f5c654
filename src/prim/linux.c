// The contract of prim.h, met with Linux system calls.
//
// Memory is asked for by direct system calls and not through libc's mmap and its kin: those names belong to whoever
// interposes them (other preloaded libraries, sanitizers), may allocate on their way, and would then come back here.
// For the same reason few functions open files (max_mappings, random_device, usage, numa_nodes; file_open of
// linux_report.c): a sandboxed process may be killed for openat(2).
//
// State: one cached page size, and what standard error was. Everything else asks the kernel each time; callers keep what
// they need to keep.
// Threads: every function may be called by any number of threads at once, before constructors and in signal handlers.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../prim.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(void*) == 8 && sizeof(long) == 8, "addresses are passed to system calls as one 64-bit argument");

// Newer than the headers of the distributions we build on; the numbers are the same on every 64-bit architecture.
#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif
#ifndef SYS_mseal
#define SYS_mseal 462
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif
#ifndef GRND_NONBLOCK
#define GRND_NONBLOCK 1
#endif

extern char** environ;

#define DEFAULT_MAX_MAPPINGS ((size_t)65530)

// The kernel's signal set is 64 bits, whatever libc's sigset_t is.
#define KERNEL_SIGSET_BYTES ((size_t)8)

// ---- small helpers --------------------------------------------------------------------------------------------------

static bool sys_advise(void* addr, size_t size, int advice) {
  // EINTR and EAGAIN say "not now"; a bounded number of times, so that no kernel can keep us here.
  for (int tries = 0; tries < 100; tries++) {
    if (syscall(SYS_madvise, addr, size, advice) == 0) return true;
    if (errno != EINTR && errno != EAGAIN) return false;
  }
  return false;
}

static void* sys_map(void* hint, size_t size, int protection) {
  long flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  long result = syscall(SYS_mmap, hint, size, (long)protection, flags, -1L, 0L);
  return result == -1 ? NULL : (void*)result;
}

// Reads a small file of /proc or /sys into `buf` as a string; false when it cannot be read. errno is left alone.
static bool read_small_file(const char* path, char* buf, size_t size) {
  int saved = errno;
  long fd = syscall(SYS_openat, (long)AT_FDCWD, path, (long)(O_RDONLY | O_CLOEXEC), 0L);
  long got = -1;
  if (fd >= 0) {
    do {
      got = syscall(SYS_read, fd, buf, size - 1);
    } while (got < 0 && errno == EINTR);
    syscall(SYS_close, fd);
  }
  errno = saved;
  if (got <= 0) return false;
  buf[got] = 0;
  return true;
}

// The decimal number at *text, which is moved behind it; saturates. False when there is no digit.
static bool parse_number(const char** text, size_t* number) {
  const char* s = *text;
  size_t n = 0;
  if (*s < '0' || *s > '9') return false;
  for (; *s >= '0' && *s <= '9'; s++) {
    size_t digit = (size_t)(*s - '0');
    n = n > (SIZE_MAX - digit) / 10 ? SIZE_MAX : n * 10 + digit;
  }
  *text = s;
  *number = n;
  return true;
}

static unsigned long auxiliary(unsigned long type) {
  int saved = errno;  // getauxval sets ENOENT for what is not there
  unsigned long value = getauxval(type);
  errno = saved;
  return value;
}

// ---- memory ---------------------------------------------------------------------------------------------------------

size_t mim_os_page_size(void) {
  static _Atomic(size_t) cached;
  size_t size = atomic_load_explicit(&cached, memory_order_relaxed);
  if (mim_unlikely(size == 0)) {
    size = auxiliary(AT_PAGESZ);
    if (!is_power_of_two(size)) size = 4 * KIB;
    atomic_store_explicit(&cached, size, memory_order_relaxed);
  }
  return size;
}

#ifdef MIM_SANITIZE_THREAD
// ThreadSanitizer on x86-64 keeps shadow memory only for the top 1.5 TiB below the stack; an access to memory
// elsewhere ends the process. Refusing the rest makes the caller ask for less.
#define TSAN_APP_START ((uintptr_t)0x7e8000000000)
static bool placement_allowed(const void* start) {
  return (uintptr_t)start >= TSAN_APP_START;
}
#else
static bool placement_allowed(const void* start) {
  (void)start;
  return true;
}
#endif

static void* reserve_somewhere(size_t size, void* hint) {
  void* start = sys_map(hint, size, PROT_NONE);
  if (start == NULL || placement_allowed(start)) return start;
  syscall(SYS_munmap, start, size);
  errno = ENOMEM;
  return NULL;
}

void* mim_os_reserve(size_t size, size_t align, void* hint) {
  int saved = errno;
  if (hint != NULL) {
    if (!__builtin_add_overflow((uintptr_t)hint, align - 1, &(uintptr_t){0})) {
      hint = (void*)align_up((uintptr_t)hint, align);
    }
    if (!placement_allowed(hint)) hint = NULL;
  }
  // Often the first answer is aligned: always with a hint that is free, by luck without one.
  uint8_t* start = reserve_somewhere(size, hint);
  if (start == NULL && hint != NULL) start = reserve_somewhere(size, NULL);
  if (start == NULL) return NULL;
  if (((uintptr_t)start & (align - 1)) == 0) {
    errno = saved;
    return start;
  }
  syscall(SYS_munmap, start, size);

  // Reserve so much that an aligned range lies inside wherever it is, and give back what is around it.
  size_t more;
  if (__builtin_add_overflow(size, align - mim_os_page_size(), &more)) {
    errno = ENOMEM;
    return NULL;
  }
  start = reserve_somewhere(more, hint);
  if (start == NULL) return NULL;
  uint8_t* aligned = (uint8_t*)align_up((uintptr_t)start, align);
  size_t before = (size_t)(aligned - start);
  size_t after = more - before - size;
  // Trimming an end of a mapping splits nothing, so it cannot fail for want of mappings.
  if (before != 0) syscall(SYS_munmap, start, before);
  if (after != 0) syscall(SYS_munmap, aligned + size, after);
  errno = saved;
  return aligned;
}

void mim_os_release(void* addr, size_t size) {
  int saved = errno;
  // Cutting a hole needs a mapping more, which there may not be: then at least the memory goes.
  if (syscall(SYS_munmap, addr, size) != 0) sys_advise(addr, size, MADV_DONTNEED);
  errno = saved;
}

bool mim_os_open(void* addr, size_t size) {
  return syscall(SYS_mprotect, addr, size, (long)(PROT_READ | PROT_WRITE)) == 0;
}

bool mim_os_open_read(void* addr, size_t size) {
  return syscall(SYS_mprotect, addr, size, (long)PROT_READ) == 0;
}

bool mim_os_close(void* addr, size_t size) {
  return syscall(SYS_mprotect, addr, size, (long)PROT_NONE) == 0;
}

bool mim_os_purge(void* addr, size_t size) {
  int saved = errno;
  if (!sys_advise(addr, size, MADV_DONTNEED)) return false;
  errno = saved;
  return true;
}

void mim_os_huge(void* addr, size_t size, bool wanted) {
  int saved = errno;
  sys_advise(addr, size, wanted ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  errno = saved;
}

// ---- lightweight guards ---------------------------------------------------------------------------------------------

// True when a system call that reads 8 bytes there answers EFAULT. With this `how` the call changes nothing: it reads
// the set first and then refuses it with EINVAL.
static bool kernel_faults_at(const void* addr) {
  return syscall(SYS_rt_sigprocmask, -1L, addr, NULL, KERNEL_SIGSET_BYTES) != 0 && errno == EFAULT;
}

void* mim_os_huge_pages(size_t pages, int numa_node, size_t timeout_ms, size_t* got) {
  int saved = errno;
  uint64_t begin = mim_os_clock_ms();
  uint8_t* start = mim_os_reserve(pages * GIB, GIB, NULL);
  *got = 0;
  while (start != NULL && *got < pages && (timeout_ms == 0 || mim_os_clock_ms() - begin <= timeout_ms)) {
    // Tried elsewhere first: a fixed mapping that fails may leave a hole.
    long flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | (30 << MAP_HUGE_SHIFT);
    long page = syscall(SYS_mmap, 0L, GIB, (long)(PROT_READ | PROT_WRITE), flags, -1L, 0L);
    if (page == -1) break;
    void* wanted = start + *got * GIB;
    long moved = syscall(SYS_mremap, page, GIB, GIB, (long)(MREMAP_MAYMOVE | MREMAP_FIXED), wanted);
    if (moved != (long)(uintptr_t)wanted) {
      syscall(SYS_munmap, page, GIB);
      break;
    }
    unsigned long mask = numa_node >= 0 && numa_node < 64 ? 1ul << numa_node : 0;
    if (mask != 0) syscall(SYS_mbind, wanted, GIB, 1L /* MPOL_PREFERRED */, &mask, 64L, 0L);
    ++*got;
  }
  if (start != NULL && *got < pages) mim_os_release(start + *got * GIB, (pages - *got) * GIB);
  errno = saved;
  return *got > 0 ? start : NULL;
}

bool mim_os_guard_supported(void* open_page) {
#if MIM_TRACK_VALGRIND
  (void)kernel_faults_at;  // Valgrind's idea of this system call prints a complaint
  (void)open_page;
  return false;
#else
  // Some emulators answer "done" to any advice: believe what the page does, not what madvise says.
  int saved = errno;
  size_t size = mim_os_page_size();
  bool supported = sys_advise(open_page, size, MADV_GUARD_INSTALL) && kernel_faults_at(open_page) &&
                   sys_advise(open_page, size, MADV_GUARD_REMOVE) && !kernel_faults_at(open_page);
  errno = saved;
  return supported;
#endif
}

bool mim_os_guard_install(void* addr, size_t size) {
  int saved = errno;
  if (!sys_advise(addr, size, MADV_GUARD_INSTALL)) return false;
  errno = saved;
  return true;
}

bool mim_os_guard_remove(void* addr, size_t size) {
  int saved = errno;
  if (!sys_advise(addr, size, MADV_GUARD_REMOVE)) return false;
  errno = saved;
  return true;
}

// ---- mappings -------------------------------------------------------------------------------------------------------

#if !MIM_TRACK_VALGRIND
// Is there a seccomp filter? One that is older than a system call may end the process for it: systemd's filters do.
static bool is_filtered(void) {
  return syscall(SYS_prctl, (long)PR_GET_SECCOMP, 0L, 0L, 0L, 0L) > 0;
}
#endif

int mim_os_seal(void* addr, size_t size) {
  if (syscall(SYS_mprotect, addr, size, (long)PROT_READ) != 0) return 0;
  int saved = errno;
#if MIM_TRACK_VALGRIND
  int state = 1;  // it does not know mseal, and says so
#else
  int state = !is_filtered() && syscall(SYS_mseal, addr, size, 0L) == 0 ? 2 : 1;
#endif
  errno = saved;
  return state;
}

bool mim_os_wipe_on_fork(void* addr, size_t size) {
  int saved = errno;
  if (!sys_advise(addr, size, MADV_WIPEONFORK)) return false;
  errno = saved;
  return true;
}

void mim_os_name(void* addr, size_t size, const char* name) {
  int saved = errno;
  syscall(SYS_prctl, (long)PR_SET_VMA, (long)PR_SET_VMA_ANON_NAME, addr, size, name);
  errno = saved;
}

size_t mim_os_max_mappings(void) {
  char text[32];
  const char* at = text;
  size_t count;
  if (!read_small_file("/proc/sys/vm/max_map_count", text, sizeof text)) return DEFAULT_MAX_MAPPINGS;
  return parse_number(&at, &count) && count != 0 ? count : DEFAULT_MAX_MAPPINGS;
}

size_t mim_os_address_limit(void) {
  int saved = errno;
  struct rlimit limit;
  size_t bytes = SIZE_MAX;
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) bytes = (size_t)limit.rlim_cur;
  errno = saved;
  return bytes;
}

// ---- the process ----------------------------------------------------------------------------------------------------

bool mim_os_secure_mode(void) {
  return auxiliary(AT_SECURE) != 0;
}

const char* mim_os_getenv(const char* name) {
  size_t length = strlen(name);
  if (environ == NULL || length == 0) return NULL;
  for (char** entry = environ; *entry != NULL; entry++) {
    if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=') return *entry + length + 1;
  }
  return NULL;
}

char** mim_os_environ(void) {
  return environ;
}

int mim_os_random(void* buf, size_t size) {
  int saved = errno;
  int error = 0;
  for (size_t done = 0; done < size && error == 0;) {
    long got = syscall(SYS_getrandom, (char*)buf + done, size - done, (long)GRND_NONBLOCK);
    if (got > 0) {
      done += (size_t)got;
    } else if (got < 0 && errno != EINTR) {
      error = errno;
    }
  }
  errno = saved;
  return error;
}

int mim_os_random_device(void* buf, size_t size) {
  int saved = errno;
  int error = 0;
  // /dev/urandom answers before the pool is ready, /dev/random becomes readable when it is.
  long fd = syscall(SYS_openat, (long)AT_FDCWD, "/dev/random", (long)(O_RDONLY | O_CLOEXEC), 0L);
  if (fd >= 0) {
    struct pollfd ready = {.fd = (int)fd, .events = POLLIN, .revents = 0};
    while (syscall(SYS_ppoll, &ready, 1L, NULL, NULL, KERNEL_SIGSET_BYTES) < 0 && errno == EINTR) {
    }
    syscall(SYS_close, fd);
  }
  fd = syscall(SYS_openat, (long)AT_FDCWD, "/dev/urandom", (long)(O_RDONLY | O_CLOEXEC), 0L);
  if (fd < 0) error = errno;
  for (size_t done = 0; done < size && error == 0;) {
    long got = syscall(SYS_read, fd, (char*)buf + done, size - done);
    if (got > 0) {
      done += (size_t)got;
    } else if (got == 0) {
      error = EIO;
    } else if (errno != EINTR) {
      error = errno;
    }
  }
  if (fd >= 0) syscall(SYS_close, fd);
  errno = saved;
  return error;
}

const void* mim_os_auxv_random(void) {
  return (const void*)auxiliary(AT_RANDOM);
}

static uint64_t clock_read(clockid_t clock, uint64_t units_per_second) {
  int saved = errno;
  struct timespec now;
  uint64_t value = 0;
  if (clock_gettime(clock, &now) == 0) {
    uint64_t ns_per_unit = 1000000000u / units_per_second;
    value = (uint64_t)now.tv_sec * units_per_second + (uint64_t)now.tv_nsec / ns_per_unit;
  }
  errno = saved;
  return value;
}

uint64_t mim_os_clock_ms(void) {
  return clock_read(CLOCK_MONOTONIC_COARSE, 1000);
}

uint64_t mim_os_clock_ns(void) {
  return clock_read(CLOCK_MONOTONIC, 1000000000u);
}

void mim_os_write(int fd, const char* buf, size_t size) {
  int saved = errno;
  int waits = 5;  // of a second each without progress: a reader that is this slow has gone
  while (size > 0) {
    long wrote = syscall(SYS_write, (long)fd, buf, size);
    if (wrote > 0) {
      buf += wrote;
      size -= (size_t)wrote;
      waits = 5;
    } else if (wrote < 0 && errno == EAGAIN && waits > 0) {
      struct pollfd ready = {.fd = fd, .events = POLLOUT, .revents = 0};
      struct timespec second = {.tv_sec = 1, .tv_nsec = 0};
      waits--;
      syscall(SYS_ppoll, &ready, 1L, &second, NULL, KERNEL_SIGSET_BYTES);
    } else if (wrote == 0 || errno != EINTR) {
      break;
    }
  }
  errno = saved;
}

// A descriptor with a number programs do not use for their own. They may close it all the same, and open another file
// under its number: so what it refers to is remembered.
#define KEPT_FD_MIN 200
static struct {
  int fd;
  dev_t device;
  ino_t inode;
} kept_stderr = {.fd = -1};

void mim_os_keep_stderr(void) {
  struct stat now;
  int saved = errno;
  if (fstat(2, &now) == 0) {
    kept_stderr.device = now.st_dev;
    kept_stderr.inode = now.st_ino;
    kept_stderr.fd = fcntl(2, F_DUPFD_CLOEXEC, KEPT_FD_MIN);
  }
  errno = saved;
}

void mim_os_restore_stderr(void) {
  struct stat now;
  int saved = errno;
  if (kept_stderr.fd >= 0 && fcntl(2, F_GETFD) < 0 && fstat(kept_stderr.fd, &now) == 0 &&
      now.st_dev == kept_stderr.device && now.st_ino == kept_stderr.inode) {
    dup2(kept_stderr.fd, 2);
  }
  errno = saved;
}

// ---- threads --------------------------------------------------------------------------------------------------------

uint32_t mim_os_thread_id(void) {
  return (uint32_t)syscall(SYS_gettid);
}

uint32_t mim_os_process_id(void) {
  return (uint32_t)syscall(SYS_getpid);
}

void mim_os_wait(_Atomic(uint32_t)* word, uint32_t expected) {
  int saved = errno;
  while (atomic_load_explicit(word, memory_order_acquire) == expected) {
    long result = syscall(SYS_futex, word, (long)FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0L);
    if (result == 0 || errno != EINTR) break;  // woken, changed meanwhile, or not to be had: the caller looks again
  }
  errno = saved;
}

void mim_os_wake(_Atomic(uint32_t)* word, bool all) {
  int saved = errno;
  syscall(SYS_futex, word, (long)FUTEX_WAKE_PRIVATE, (long)(all ? INT_MAX : 1), NULL, NULL, 0L);
  errno = saved;
}

void mim_os_yield(void) {
  syscall(SYS_sched_yield);
}

// ---- facts ----------------------------------------------------------------------------------------------------------

static size_t timeval_ms(struct timeval time) {
  return (size_t)time.tv_sec * 1000 + (size_t)time.tv_usec / 1000;
}

void mim_os_usage(os_usage_t* usage) {
  int saved = errno;
  struct rusage facts;
  char text[128];
  const char* at = text;
  size_t total, resident;
  memset(usage, 0, sizeof *usage);
  if (getrusage(RUSAGE_SELF, &facts) == 0) {
    usage->user_ms = timeval_ms(facts.ru_utime);
    usage->system_ms = timeval_ms(facts.ru_stime);
    usage->peak_rss = (size_t)facts.ru_maxrss * KIB;
    usage->page_faults = (size_t)facts.ru_majflt;
  }
  // "size resident shared ...", in OS pages
  if (read_small_file("/proc/self/statm", text, sizeof text) && parse_number(&at, &total) && *at++ == ' ' &&
      parse_number(&at, &resident)) {
    usage->current_rss = resident * mim_os_page_size();
    usage->peak_rss = max_size(usage->peak_rss, usage->current_rss);
  }
  errno = saved;
}

size_t mim_os_numa_nodes(void) {
  // "0", "0-3", "0,2-3": node numbers may have gaps; the answer is one more than the highest, so that it bounds them.
  char text[256];
  size_t highest = 0;
  if (!read_small_file("/sys/devices/system/node/online", text, sizeof text)) return 1;
  for (const char* at = text; *at != 0 && *at != '\n';) {
    size_t node;
    if (!parse_number(&at, &node)) {
      at++;
    } else if (node < 65536) {
      highest = max_size(highest, node);
    }
  }
  return highest + 1;
}
