// Base vocabulary of the allocator: integer helpers, branch hints, alignment, checked arithmetic, assertions.
//
// Everything here is a pure inline function or a macro and may be used by every other file, before any
// initialisation. Includes nothing of ours.
#ifndef MIM_BASE_H
#define MIM_BASE_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define mim_likely(x) __builtin_expect(!!(x), 1)
#define mim_unlikely(x) __builtin_expect(!!(x), 0)
#define mim_cold __attribute__((cold, noinline))
#define mim_inline static inline __attribute__((always_inline))
#define mim_noinline __attribute__((noinline))
#define mim_hot_align __attribute__((aligned(64)))

#define KIB ((size_t)1024)
#define MIB (KIB * KIB)
#define GIB (KIB * MIB)
#define TIB (KIB * GIB)

#define CACHE_LINE 64

// A request above this can never be met; the same bound as PTRDIFF_MAX, which C requires of an object.
#define MAX_REQUEST ((size_t)PTRDIFF_MAX)

// Every block is aligned to this (alignof(max_align_t) on the ABIs we support).
#define MIN_ALIGN ((size_t)16)

mim_inline size_t align_up(size_t n, size_t power_of_two) {
  return (n + power_of_two - 1) & ~(power_of_two - 1);
}

mim_inline size_t align_down(size_t n, size_t power_of_two) {
  return n & ~(power_of_two - 1);
}

mim_inline size_t div_up(size_t n, size_t divisor) {
  return (n + divisor - 1) / divisor;
}

mim_inline bool is_power_of_two(size_t n) {
  return n != 0 && (n & (n - 1)) == 0;
}

mim_inline size_t min_size(size_t a, size_t b) {
  return a < b ? a : b;
}

mim_inline size_t max_size(size_t a, size_t b) {
  return a > b ? a : b;
}

// Index of the highest set bit; n must not be 0.
mim_inline unsigned high_bit(size_t n) {
  return 63u - (unsigned)__builtin_clzll((unsigned long long)n);
}

// count * size; true when the product does not fit.
mim_inline bool mul_overflows(size_t count, size_t size, size_t* total) {
  return __builtin_mul_overflow(count, size, total);
}

// Three levels of internal checks, chosen by the build type (never by the program):
//   assert_int   MIM_DEBUG >= 1   cheap facts, on every path
//   assert_walk  MIM_DEBUG >= 2   whole-structure walks (`*_is_valid`) on slow paths
//   assert_full  MIM_DEBUG >= 3   the same walks on fast paths
#ifndef MIM_DEBUG
#define MIM_DEBUG 0
#endif

void mim_assert_fail(const char* expression, const char* file, int line, const char* function)
    __attribute__((noreturn, cold));

#define mim_assert_always(x) \
  (mim_likely(x) ? (void)0 : mim_assert_fail(#x, __FILE__, __LINE__, __func__))
#define mim_assert_none(x) ((void)sizeof(x))

#if MIM_DEBUG >= 1
#define assert_int(x) mim_assert_always(x)
#else
#define assert_int(x) mim_assert_none(x)
#endif
#if MIM_DEBUG >= 2
#define assert_walk(x) mim_assert_always(x)
#else
#define assert_walk(x) mim_assert_none(x)
#endif
#if MIM_DEBUG >= 3
#define assert_full(x) mim_assert_always(x)
#else
#define assert_full(x) mim_assert_none(x)
#endif

#endif
