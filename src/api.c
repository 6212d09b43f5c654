// The public functions that allocate from the thread's heap and free: thin wrappers, with no state of their own. What
// each promises is in the public headers. C++ is in api_new.c, named heaps are in api_heap.c.
//
// mi_free and the reallocations take blocks of every family: only libc's free and the operators delete are strict.
#define _GNU_SOURCE  // realpath, PATH_MAX
#include "api.h"

int mi_version(void) {
  return MI_MALLOC_VERSION;
}

// ---- allocation -----------------------------------------------------------------------------------------------------

void* mi_malloc(size_t size) {
  return mim_alloc(size, FAMILY_C);
}

void* mi_malloc_small(size_t size) {
  return mim_alloc(size, FAMILY_C);
}

void* mi_zalloc(size_t size) {
  return mim_zalloc(size, FAMILY_C);
}

void* mi_zalloc_small(size_t size) {
  return mim_zalloc(size, FAMILY_C);
}

void* mi_calloc(size_t count, size_t size) {
  return api_alloc_n(mim_tls.heap, count, size, true);
}

void* mi_mallocn(size_t count, size_t size) {
  return api_alloc_n(mim_tls.heap, count, size, false);
}

void* mi_malloc_aligned(size_t size, size_t alignment) {
  return mim_malloc_aligned(NULL, size, alignment, 0, FAMILY_C, false);
}

void* mi_malloc_aligned_at(size_t size, size_t alignment, size_t offset) {
  return mim_malloc_aligned(NULL, size, alignment, offset, FAMILY_C, false);
}

void* mi_zalloc_aligned(size_t size, size_t alignment) {
  return mim_malloc_aligned(NULL, size, alignment, 0, FAMILY_C, true);
}

void* mi_zalloc_aligned_at(size_t size, size_t alignment, size_t offset) {
  return mim_malloc_aligned(NULL, size, alignment, offset, FAMILY_C, true);
}

void* mi_calloc_aligned(size_t count, size_t size, size_t alignment) {
  return api_calloc_aligned(NULL, count, size, alignment, 0);
}

void* mi_calloc_aligned_at(size_t count, size_t size, size_t alignment, size_t offset) {
  return api_calloc_aligned(NULL, count, size, alignment, offset);
}

// ---- reallocation ---------------------------------------------------------------------------------------------------

void* mi_realloc(void* p, size_t newsize) {
  return mim_realloc(NULL, p, newsize, FAMILY_ANY, false);
}

void* mi_reallocn(void* p, size_t count, size_t size) {
  return api_realloc_n(NULL, p, count, size, false);
}

void* mi_reallocf(void* p, size_t newsize) {
  return api_reallocf(NULL, p, newsize);
}

void* mi_rezalloc(void* p, size_t newsize) {
  return mim_realloc(NULL, p, newsize, FAMILY_ANY, true);
}

void* mi_recalloc(void* p, size_t newcount, size_t size) {
  return api_realloc_n(NULL, p, newcount, size, true);
}

void* mi_expand(void* p, size_t newsize) {
  return mim_expand(p, newsize);
}

void* mi__expand(void* p, size_t newsize) {
  void* q = mim_expand(p, newsize);
  if (q == NULL) errno = ENOMEM;
  return q;
}

void* mi_realloc_aligned(void* p, size_t newsize, size_t alignment) {
  return mim_realloc_aligned(NULL, p, newsize, alignment, 0, false);
}

void* mi_realloc_aligned_at(void* p, size_t newsize, size_t alignment, size_t offset) {
  return mim_realloc_aligned(NULL, p, newsize, alignment, offset, false);
}

void* mi_rezalloc_aligned(void* p, size_t newsize, size_t alignment) {
  return mim_realloc_aligned(NULL, p, newsize, alignment, 0, true);
}

void* mi_rezalloc_aligned_at(void* p, size_t newsize, size_t alignment, size_t offset) {
  return mim_realloc_aligned(NULL, p, newsize, alignment, offset, true);
}

void* mi_recalloc_aligned(void* p, size_t newcount, size_t size, size_t alignment) {
  return api_recalloc_aligned(NULL, p, newcount, size, alignment, 0);
}

void* mi_recalloc_aligned_at(void* p, size_t newcount, size_t size, size_t alignment, size_t offset) {
  return api_recalloc_aligned(NULL, p, newcount, size, alignment, offset);
}

void* mi_aligned_recalloc(void* p, size_t newcount, size_t size, size_t alignment) {
  return api_recalloc_aligned(NULL, p, newcount, size, alignment, 0);
}

void* mi_aligned_offset_recalloc(void* p, size_t newcount, size_t size, size_t alignment, size_t offset) {
  return api_recalloc_aligned(NULL, p, newcount, size, alignment, offset);
}

// ---- free and size --------------------------------------------------------------------------------------------------

void mi_free(void* p) {
  mim_release(p, FAMILY_ANY);
}

void mi_free_small(void* p) {
  mim_release(p, FAMILY_ANY);
}

void mi_cfree(void* p) {
  if (mim_page_find(p) != NULL) mim_release(p, FAMILY_ANY);
}

void mi_free_size(void* p, size_t size) {
  mim_release_sized(p, size, 0, FAMILY_ANY);
}

void mi_free_size_aligned(void* p, size_t size, size_t alignment) {
  mim_release_sized(p, size, alignment, FAMILY_ANY);
}

void mi_free_aligned(void* p, size_t alignment) {
  mim_release_sized(p, SIZE_UNKNOWN, alignment, FAMILY_ANY);
}

size_t mi_usable_size(const void* p) {
  return mim_usable(p);
}

size_t mi_malloc_size(const void* p) {
  return mim_usable(p);
}

size_t mi_malloc_usable_size(const void* p) {
  return mim_usable(p);
}

size_t mi_good_size(size_t size) {
  if (size > MAX_REQUEST - SLICE_SIZE || !mim_process_init()) return size;
  if (size <= MEDIUM_MAX) return mim_bins[mim_bin_of(size)].room;
  return align_up(size, HOOK_LARGE_FLUSH ? mim_os_page_size() : SLICE_SIZE);
}

size_t mi_malloc_good_size(size_t size) {
  return mi_good_size(size);
}

// ---- with the usable size -------------------------------------------------------------------------------------------

static void* with_size(void* p, size_t* block_size) {
  if (block_size != NULL) *block_size = mim_usable(p);
  return p;
}

void* mi_umalloc(size_t size, size_t* block_size) {
  return with_size(mim_alloc(size, FAMILY_C), block_size);
}

void* mi_umalloc_small(size_t size, size_t* block_size) {
  return with_size(mim_alloc(size, FAMILY_C), block_size);
}

void* mi_uzalloc_small(size_t size, size_t* block_size) {
  return with_size(mim_zalloc(size, FAMILY_C), block_size);
}

void* mi_ucalloc(size_t count, size_t size, size_t* block_size) {
  return with_size(mi_calloc(count, size), block_size);
}

void* mi_umalloc_aligned(size_t size, size_t alignment, size_t* block_size) {
  return with_size(mi_malloc_aligned(size, alignment), block_size);
}

void* mi_uzalloc_aligned(size_t size, size_t alignment, size_t* block_size) {
  return with_size(mi_zalloc_aligned(size, alignment), block_size);
}

void* mi_urealloc(void* p, size_t newsize, size_t* block_size_pre, size_t* block_size_post) {
  if (block_size_pre != NULL) *block_size_pre = mim_usable(p);
  return with_size(mi_realloc(p, newsize), block_size_post);
}

void mi_ufree(void* p, size_t* block_size) {
  if (block_size != NULL) *block_size = mim_usable(p);
  mi_free(p);
}

// ---- strings --------------------------------------------------------------------------------------------------------

char* mi_strdup(const char* s) {
  return api_strdup(mim_tls.heap, s);
}

char* mi_strndup(const char* s, size_t n) {
  return api_strndup(mim_tls.heap, s, n);
}

unsigned char* mi_mbsdup(const unsigned char* s) {
  return (unsigned char*)mi_strdup((const char*)s);
}

wchar_t* mi_wcsdup(const wchar_t* s) {
  if (s == NULL) return NULL;
  size_t bytes = (wcslen(s) + 1) * sizeof(wchar_t);
  wchar_t* copy = mi_malloc(bytes);
  if (copy != NULL) memcpy(copy, s, bytes);
  return copy;
}

char* mim_api_realpath(heap_t* heap, const char* path, char* resolved) {
  char found[PATH_MAX];
  if (realpath(path, found) == NULL) return NULL;
  if (resolved != NULL) return strcpy(resolved, found);
  return api_strdup(heap, found);
}

char* mi_realpath(const char* fname, char* resolved_name) {
  return mim_api_realpath(mim_tls.heap, fname, resolved_name);
}

int mi_dupenv_s(char** buf, size_t* size, const char* name) {
  if (size != NULL) *size = 0;
  if (buf == NULL || name == NULL) return EINVAL;
  *buf = NULL;
  const char* value = mim_os_getenv(name);
  if (value == NULL) return 0;
  *buf = mi_strdup(value);
  if (*buf == NULL) return ENOMEM;
  if (size != NULL) *size = strlen(value);
  return 0;
}

int mi_wdupenv_s(wchar_t** buf, size_t* size, const wchar_t* name) {
  (void)name;
  if (size != NULL) *size = 0;
  if (buf != NULL) *buf = NULL;
  return EINVAL;
}

// ---- POSIX and BSD --------------------------------------------------------------------------------------------------

// errno stays as it is: the result is the error.
int mi_posix_memalign(void** p, size_t alignment, size_t size) {
  if (p == NULL || !is_power_of_two(alignment) || alignment % sizeof(void*) != 0) return EINVAL;
  int saved = errno;
  void* block = mim_malloc_aligned(NULL, size, alignment, 0, FAMILY_C, false);
  errno = saved;
  if (block == NULL) return ENOMEM;
  *p = block;
  return 0;
}

void* mi_memalign(size_t alignment, size_t size) {
  return mim_malloc_aligned(NULL, size, alignment, 0, FAMILY_C, false);
}

void* mi_aligned_alloc(size_t alignment, size_t size) {
  return mim_malloc_aligned(NULL, size, alignment, 0, FAMILY_C, false);
}

void* mi_valloc(size_t size) {
  return mim_malloc_aligned(NULL, size, mim_os_page_size(), 0, FAMILY_C, false);
}

void* mi_pvalloc(size_t size) {
  size_t os_page = mim_os_page_size();
  if (size > MAX_REQUEST - os_page) return mim_fail(EOVERFLOW, size);
  return mim_malloc_aligned(NULL, align_up(size, os_page), os_page, 0, FAMILY_C, false);
}

void* mi_reallocarray(void* p, size_t count, size_t size) {
  return api_realloc_n(NULL, p, count, size, false);
}

// `ptrp` is the address of a pointer of any type, so it is read and written by copying. errno stays as it is.
int mi_reallocarr(void* ptrp, size_t count, size_t size) {
  if (ptrp == NULL) return EINVAL;
  void* p;
  memcpy(&p, ptrp, sizeof(p));
  int saved = errno;
  void* q = api_realloc_n(NULL, p, count, size, false);
  errno = saved;
  if (q == NULL) return ENOMEM;
  memcpy(ptrp, &q, sizeof(q));
  return 0;
}

// ---- process --------------------------------------------------------------------------------------------------------

// Bytes of the pages the calling thread owns.
static size_t thread_bytes(void) {
  tld_t* tld = mim_tls.tld;
  size_t bytes = 0;
  for (heap_t* heap = tld->heaps; heap != NULL; heap = heap->next) {
    for (size_t bin = 0; bin < BIN_COUNT; bin++) {
      for (page_t* page = heap->bins[bin].first; page != NULL; page = page->next) {
        bytes += (size_t)page->slices << SLICE_SHIFT;
      }
    }
  }
  return bytes;
}

void mi_collect_reduce(size_t target_thread_owned) {
  if (thread_bytes() > target_thread_owned) mi_collect(true);
}

// Does libc's malloc give blocks of ours? Called through pointers, so that the compiler cannot tell.
bool mi_is_redirected(void) {
  void* (*volatile allocate)(size_t) = malloc;
  void (*volatile release)(void*) = free;
  void* p = allocate(1);
  bool ours = p != NULL && mim_page_find(p) != NULL;
  release(p);
  return ours;
}
