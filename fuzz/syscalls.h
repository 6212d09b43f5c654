// Included before the sources in src/prim/, of the fuzz targets alone: their system calls pass by faults.c, with all six
// arguments.
#ifndef FUZZ_SYSCALLS_H
#define FUZZ_SYSCALLS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <unistd.h>

long fuzz_syscall(long number, long a, long b, long c, long d, long e, long f);

#define FUZZ_CALL(n, a, b, c, d, e, f, ...) \
  fuzz_syscall((long)(n), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define syscall(...) FUZZ_CALL(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

#endif
