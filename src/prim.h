// The contract with the operating system. Everything the allocator asks of the OS is declared here and defined in
// src/prim/<os>.c; nothing else includes OS headers for memory, time, random numbers, environment or output.
//
// Rules for every function below, unless its comment says otherwise:
//   - addresses and sizes are multiples of the OS page size; sizes are not 0;
//   - callable before constructors, in a forked child, and from signal handlers; allocates nothing, takes no lock;
//   - errno is left as it was on success; on failure `false`/NULL is returned and errno says why.
#ifndef MIM_PRIM_H
#define MIM_PRIM_H

#include "base.h"

// OS page size in bytes (4096 on x86-64; 4, 16 or 64 KiB on aarch64). Constant after the first call.
size_t mim_os_page_size(void);

// Reserves `size` bytes of inaccessible address space that nobody is charged for (PROT_NONE, MAP_NORESERVE), at an
// address that is a multiple of `align` (a power of two >= OS page size), near `hint` when that is free (NULL: anywhere).
// Returns NULL when the address space has no such range (ulimit -v, small address spaces, emulators).
void* mim_os_reserve(size_t size, size_t align, void* hint);

// Gives address space back. The range must lie within one reservation.
void mim_os_release(void* addr, size_t size);

// Makes reserved memory readable and writable; it reads as zero until written. False when the OS refuses
// (out of memory, cgroup, overcommit, out of mappings); the range is then unusable but still reserved.
bool mim_os_open(void* addr, size_t size);

// Makes reserved memory readable: it reads as zero, and nothing is charged for it.
bool mim_os_open_read(void* addr, size_t size);

// Makes memory inaccessible; contents stay until purged. May cost up to two mappings.
bool mim_os_close(void* addr, size_t size);

// Returns the physical memory of an open range to the OS at once (MADV_DONTNEED): it reads as zero afterwards and
// guards inside it survive. False when the kernel refuses (locked memory): contents are then unchanged.
bool mim_os_purge(void* addr, size_t size);

// Advises for or against transparent huge pages. Best effort.
void mim_os_huge(void* addr, size_t size, bool wanted);

// Maps `pages` huge OS pages of 1 GiB in a row, of a NUMA node (-1: any); gives up after `timeout_ms` (0: never).
// Returns their start and in *got how many there are, which may be fewer; NULL and 0 when there are none.
void* mim_os_huge_pages(size_t pages, int numa_node, size_t timeout_ms, size_t* got);

// Lightweight guards (Linux 6.13, MADV_GUARD_INSTALL): inaccessible OS pages inside an open mapping that do not split
// it. Installing drops the contents; removing gives zeroes. `supported` probes once, on an open OS page of the caller's.
bool mim_os_guard_supported(void* open_page);
bool mim_os_guard_install(void* addr, size_t size);
bool mim_os_guard_remove(void* addr, size_t size);

// Makes a range read-only for good: mprotect, and mseal(2) where the kernel has it (Linux 6.10) and no seccomp filter was
// there before the process began.
// Returns 0 when refused, 1 when read-only, 2 when also sealed.
int mim_os_seal(void* addr, size_t size);

// Forked children find an open range all zero (Linux 4.14). False when the kernel cannot.
bool mim_os_wipe_on_fork(void* addr, size_t size);

// Names a range in /proc/self/maps (PR_SET_VMA_ANON_NAME). `name` must be a string constant. Best effort.
void mim_os_name(void* addr, size_t size, const char* name);

// The number of mappings a process may have (vm.max_map_count); 65530 when it cannot be read.
size_t mim_os_max_mappings(void);

// Soft limit of the address space in bytes (RLIMIT_AS); SIZE_MAX when unlimited.
size_t mim_os_address_limit(void);

// True when the process runs with raised privileges (AT_SECURE): no environment and no file may be trusted.
bool mim_os_secure_mode(void);

// Value of an environment variable, straight from `environ`; NULL when unset. Works before constructors.
const char* mim_os_getenv(const char* name);

// The environment as a whole: strings "NAME=VALUE", ended by NULL. NULL when there is none.
char** mim_os_environ(void);

// Fills `buf` from the kernel without blocking. Returns 0, or the error number (EAGAIN: pool not ready at early boot;
// ENOSYS, EPERM: not to be had, e.g. a seccomp filter).
int mim_os_random(void* buf, size_t size);

// The same from the device files, for kernels and filters without getrandom; waits until the pool is ready. Opens files.
int mim_os_random_device(void* buf, size_t size);

// The 16 random bytes the kernel handed to this program (AT_RANDOM), or NULL. Not secret enough to be a key alone.
const void* mim_os_auxv_random(void);

// Milliseconds of a monotonic clock, cheap and coarse (about 4 ms steps); and nanoseconds, precise.
uint64_t mim_os_clock_ms(void);
uint64_t mim_os_clock_ns(void);

// Writes all of `buf` to a file descriptor, whatever it takes; gives up on errors. Async-signal-safe.
void mim_os_write(int fd, const char* buf, size_t size);

// Standard error for messages at exit, which programs may have closed by then (the GNU core utilities close it last of
// all): `keep` holds on to what it is now, `restore` opens that again if nothing is open there.
void mim_os_keep_stderr(void);
void mim_os_restore_stderr(void);

// Files, for reports alone. Opens one to be read, or, with `append`, written at its end and made if there is none (owner
// only; no link is followed, no terminal or pipe waited for). -1 when it cannot be opened; errno then says why.
// Async-signal-safe.
int mim_os_file_open(const char* path, bool append);
void mim_os_file_close(int fd);

// Blocks every signal in the calling thread, and gives back what was blocked before. A SIGPIPE that arose in between is
// dropped.
typedef struct os_signals_s {
  uint64_t blocked, pending;
} os_signals_t;
os_signals_t mim_os_signals_block(void);
void mim_os_signals_restore(os_signals_t signals);

// Kernel thread id; process id. Async-signal-safe.
uint32_t mim_os_thread_id(void);
uint32_t mim_os_process_id(void);

// Waits while *word == expected (futex); wakes one waiter, or all.
void mim_os_wait(_Atomic(uint32_t)* word, uint32_t expected);
void mim_os_wake(_Atomic(uint32_t)* word, bool all);

// Lets another thread run.
void mim_os_yield(void);

// Ends the process by SIGABRT, whatever handlers are installed: flushes nothing, allocates nothing.
void mim_os_abort(void) __attribute__((noreturn));

// Facts for statistics; zero what is not known. Times in milliseconds, memory in bytes.
typedef struct os_usage_s {
  size_t user_ms, system_ms, current_rss, peak_rss, page_faults;
} os_usage_t;
void mim_os_usage(os_usage_t* usage);

// Number of NUMA nodes (>= 1).
size_t mim_os_numa_nodes(void);

#endif
