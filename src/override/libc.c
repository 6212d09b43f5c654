// The C library's allocation functions, so that a program that is preloaded or linked with this library uses it and
// nothing else. Each does what C23, POSIX.1-2017, or else the manual of the system it comes from, says; where those
// leave a choice, what glibc does, since that is what programs on Linux were tried with:
//
//   size 0             malloc, calloc, aligned forms: a block with an address of its own. realloc(p, 0), also by
//                      reallocarray: frees p and returns NULL; errno stays as it is
//   impossible sizes   above PTRDIFF_MAX, or count * size that overflows: NULL, errno ENOMEM; p is kept
//   alignments         0 and what is no power of two: NULL, errno EINVAL (glibc rounds up in memalign, which its manual
//                      does not promise). Any power of two is met while memory lasts
//   NULL               free and its like: nothing; malloc_usable_size: 0; realloc: allocates
//   errno              untouched by success and by free; posix_memalign and reallocarr return the error instead
//
// malloc_usable_size may be written to and is kept by realloc. Sizes and alignments told to free_sized and
// free_aligned_sized are checked by the secure build, as is that the block does not come from operator new.
//
// Thread rule: all of it from any thread. Not async-signal-safe, as in every libc.
#define _GNU_SOURCE
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "../api.h"

// ---- allocation -----------------------------------------------------------------------------------------------------

MI_EXPORT void* malloc(size_t size) {
  return mim_alloc(size, FAMILY_C);
}

MI_EXPORT void* calloc(size_t count, size_t size) {
  size_t total;
  if (mim_unlikely(mul_overflows(count, size, &total))) return mim_fail(EOVERFLOW, SIZE_MAX);
  return mim_zalloc(total, FAMILY_C);
}

static void* resize(void* p, size_t size) {
  if (mim_unlikely(size == 0) && p != NULL) {
    mim_release(p, FAMILY_C);
    return NULL;
  }
  return mim_realloc(NULL, p, size, FAMILY_C, false);
}

MI_EXPORT void* realloc(void* p, size_t size) {
  return resize(p, size);
}

MI_EXPORT void* reallocarray(void* p, size_t count, size_t size) {
  size_t total;
  if (mim_unlikely(mul_overflows(count, size, &total))) return mim_fail(EOVERFLOW, SIZE_MAX);
  return resize(p, total);
}

// BSD: frees p when there is no memory for the new size.
MI_EXPORT void* reallocf(void* p, size_t size);
void* reallocf(void* p, size_t size) {
  void* q = resize(p, size);
  if (q == NULL && p != NULL && size != 0) mim_release(p, FAMILY_C);
  return q;
}

// NetBSD: changes the pointer at `ptrp` itself, and returns the error. Weak: programs bring their own.
MI_EXPORT int reallocarr(void* ptrp, size_t count, size_t size) __attribute__((weak));
int reallocarr(void* ptrp, size_t count, size_t size) {
  void* p;
  size_t total;
  if (ptrp == NULL) return EINVAL;
  if (mul_overflows(count, size, &total)) return EOVERFLOW;
  memcpy(&p, ptrp, sizeof(p));
  int saved = errno;
  void* q = resize(p, total);
  errno = saved;
  if (q == NULL && total != 0) return ENOMEM;
  memcpy(ptrp, &q, sizeof(q));
  return 0;
}

// ---- aligned --------------------------------------------------------------------------------------------------------

MI_EXPORT int posix_memalign(void** p, size_t alignment, size_t size) {
  return mi_posix_memalign(p, alignment, size);
}

MI_EXPORT void* aligned_alloc(size_t alignment, size_t size) {
  return mi_aligned_alloc(alignment, size);
}

MI_EXPORT void* memalign(size_t alignment, size_t size) {
  return mi_memalign(alignment, size);
}

MI_EXPORT void* valloc(size_t size) {
  return mi_valloc(size);
}

MI_EXPORT void* pvalloc(size_t size) {
  return mi_pvalloc(size);
}

// Windows has the size first.
MI_EXPORT void* _aligned_malloc(size_t size, size_t alignment);
void* _aligned_malloc(size_t size, size_t alignment) {
  return mi_malloc_aligned(size, alignment);
}

// ---- free and size --------------------------------------------------------------------------------------------------

MI_EXPORT void free(void* p) {
  mim_release(p, FAMILY_C);
}

// SunOS and old glibc; vfree goes with valloc.
MI_EXPORT void cfree(void* p);
void cfree(void* p) {
  mim_release(p, FAMILY_C);
}

MI_EXPORT void vfree(void* p);
void vfree(void* p) {
  mim_release(p, FAMILY_C);
}

// C23.
MI_EXPORT void free_sized(void* p, size_t size);
void free_sized(void* p, size_t size) {
  mim_release_sized(p, size, 0, FAMILY_C);
}

MI_EXPORT void free_aligned_sized(void* p, size_t alignment, size_t size);
void free_aligned_sized(void* p, size_t alignment, size_t size) {
  mim_release_sized(p, size, alignment, FAMILY_C);
}

MI_EXPORT size_t malloc_usable_size(void* p) {
  return mim_usable(p);
}

// macOS.
MI_EXPORT size_t malloc_size(const void* p);
size_t malloc_size(const void* p) {
  return mim_usable(p);
}

MI_EXPORT size_t malloc_good_size(size_t size);
size_t malloc_good_size(size_t size) {
  return mi_good_size(size);
}

// ---- strings --------------------------------------------------------------------------------------------------------

#undef strdup
#undef strndup

MI_EXPORT char* strdup(const char* s) {
  return api_copy_text(mim_tls.heap, s, strlen(s));
}

MI_EXPORT char* strndup(const char* s, size_t n) {
  return api_strndup(mim_tls.heap, s, n);
}

// ---- glibc's own names ----------------------------------------------------------------------------------------------

#define ALIAS(name, result, parameters, target) \
  extern result name parameters __attribute__((alias(#target), visibility("default")))

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-attributes"  // which only help callers that see them
#endif
ALIAS(__libc_malloc, void*, (size_t), malloc);
ALIAS(__libc_calloc, void*, (size_t, size_t), calloc);
ALIAS(__libc_realloc, void*, (void*, size_t), realloc);
ALIAS(__libc_free, void, (void*), free);
ALIAS(__libc_cfree, void, (void*), cfree);
ALIAS(__libc_valloc, void*, (size_t), valloc);
ALIAS(__libc_pvalloc, void*, (size_t), pvalloc);
ALIAS(__libc_memalign, void*, (size_t, size_t), memalign);
ALIAS(__posix_memalign, int, (void**, size_t, size_t), posix_memalign);
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

// ---- looking at and steering the heap (glibc) -----------------------------------------------------------------------

// 1 when memory went back to the OS. There is no top of the heap to keep `pad` bytes at.
MI_EXPORT int malloc_trim(size_t pad) {
  (void)pad;
  region_info_t before, after;
  mim_region_info(&before);
  mi_collect(true);
  mim_region_info(&after);
  return after.purged_total != before.purged_total;
}

// What glibc's parameters are about does not exist here: they are accepted without effect. 0 for other numbers.
MI_EXPORT int mallopt(int parameter, int value) {
  (void)value;
  return (parameter >= M_MXFAST && parameter <= M_KEEP) || (parameter <= M_TRIM_THRESHOLD && parameter >= M_ARENA_MAX);
}

MI_EXPORT void malloc_stats(void) {
  mi_stats_print(NULL);
}

#if defined(__GLIBC__)

MI_EXPORT struct mallinfo2 mallinfo2(void) {
  usage_t usage;
  mim_stats_usage(&usage);
  struct mallinfo2 info = {.hblks = usage.bins[BIN_LARGE].used, .hblkhd = usage.bins[BIN_LARGE].used_bytes};
  for (size_t bin = 0; bin < BIN_LARGE; bin++) {
    info.arena += usage.bins[bin].page_bytes;
    info.uordblks += usage.bins[bin].used_bytes;
    info.ordblks += usage.bins[bin].free;
  }
  info.fordblks = info.arena - min_size(info.arena, info.uordblks);
  info.keepcost = usage.empty_bytes;
  return info;
}

// The old form has ints: what does not fit is INT_MAX.
static int saturated(size_t number) {
  return number > INT_MAX ? INT_MAX : (int)number;
}

MI_EXPORT struct mallinfo mallinfo(void) {
  struct mallinfo2 info = mallinfo2();
  return (struct mallinfo){.arena = saturated(info.arena),
                           .ordblks = saturated(info.ordblks),
                           .hblks = saturated(info.hblks),
                           .hblkhd = saturated(info.hblkhd),
                           .uordblks = saturated(info.uordblks),
                           .fordblks = saturated(info.fordblks),
                           .keepcost = saturated(info.keepcost)};
}

#endif

// ---- malloc_info ----------------------------------------------------------------------------------------------------

// Lines are formatted here and only copied by stdio, which the program chose; it may allocate its buffer from us.
#define XML_LINE 200
#define xml_put(file, ...) \
  do { \
    char line[XML_LINE]; \
    mim_format(line, sizeof(line), __VA_ARGS__); \
    fputs(line, file); \
  } while (0)

static void xml_bins(FILE* file, const usage_t* usage, usage_bin_t* sum) {
  fputs("<sizes>\n", file);
  for (size_t bin = 0; bin < BIN_LARGE; bin++) {
    const usage_bin_t* each = &usage->bins[bin];
    if (each->pages == 0) continue;
    size_t size = mim_bins[bin].block_size;
    sum->page_bytes += each->page_bytes;
    sum->used += each->used;
    sum->used_bytes += each->used_bytes;
    sum->free += each->free;
    xml_put(file, "  <size from=\"%zu\" to=\"%zu\" total=\"%zu\" count=\"%zu\" pages=\"%zu\" used=\"%zu\"/>\n", size,
            size, each->free * size, each->free, each->pages, each->used);
  }
  fputs("</sizes>\n", file);
}

// The elements are those of glibc, with what is free in bins as "rest" and large blocks as "mmap".
MI_EXPORT int malloc_info(int options, FILE* file) {
  if (options != 0) {
    errno = EINVAL;
    return -1;
  }
  usage_t usage;
  mim_stats_usage(&usage);
  region_info_t info;
  mim_region_info(&info);
  size_t meta = mim_meta_committed();
  const usage_bin_t* large = &usage.bins[BIN_LARGE];
  usage_bin_t sum = {0};
  fputs("<malloc version=\"mimalloc-1\">\n<heap nr=\"0\">\n", file);
  xml_bins(file, &usage, &sum);
  size_t rest = sum.page_bytes - min_size(sum.page_bytes, sum.used_bytes);
  xml_put(file, "<total type=\"fast\" count=\"0\" size=\"0\"/>\n");
  xml_put(file, "<total type=\"rest\" count=\"%zu\" size=\"%zu\"/>\n", sum.free, rest);
  xml_put(file, "<system type=\"current\" size=\"%zu\"/>\n", sum.page_bytes);
  xml_put(file, "<aspace type=\"total\" size=\"%zu\"/>\n</heap>\n", info.opened);
  xml_put(file, "<total type=\"fast\" count=\"0\" size=\"0\"/>\n");
  xml_put(file, "<total type=\"rest\" count=\"%zu\" size=\"%zu\"/>\n", sum.free, rest);
  xml_put(file, "<total type=\"mmap\" count=\"%zu\" size=\"%zu\"/>\n", large->used, large->used_bytes);
  xml_put(file, "<system type=\"current\" size=\"%zu\"/>\n", info.committed + meta);
  xml_put(file, "<system type=\"max\" size=\"%zu\"/>\n", info.committed_peak + meta);
  xml_put(file, "<aspace type=\"total\" size=\"%zu\"/>\n", info.opened + meta);
  xml_put(file, "<aspace type=\"mprotect\" size=\"%zu\"/>\n</malloc>\n", info.opened + meta);
  return 0;
}
