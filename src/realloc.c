// Reallocation: in place when the block fits and is not mostly empty, otherwise a new block, a copy, and a free.
#include "fastpath.h"

static size_t room_of(const page_t* page) {
  return (page->kind & KIND_LARGE) ? page->large_size : page->block_size;
}

// Does a block of the page have room for `size` bytes? Not for 0, which need an address that faults.
static bool fits(const page_t* page, size_t size) {
  size_t slack = HOOK_MIN_SLACK;
  if ((page->kind & KIND_LARGE) || page->stride > page->block_size) slack = 0;  // a guard lies behind
  return size > 0 && size <= MAX_REQUEST && size + slack <= room_of(page);
}

// And is at least half of it used, so that a program that shrinks its blocks gives memory back?
static bool fits_well(const page_t* page, size_t size) {
  return fits(page, size) && size >= room_of(page) / 2;
}

// A large block grows in place if it has room.
static bool grows(page_t* page, const void* p, size_t size) {
  return (page->kind & KIND_LARGE) && size > page->large_size && size <= MAX_REQUEST &&
         mim_page_grow_large(page, p, size);
}

static void* allocate(heap_t* heap, size_t size, size_t align, size_t offset, family_t family, bool growing) {
  if (align != MIN_ALIGN || offset != 0) return mim_malloc_aligned(heap, size, align, offset, family, false);
  return growing ? mim_malloc_growing(heap, size, family) : mim_heap_alloc(heap, size, family, false);
}

static void* reallocate(heap_t* heap, void* p, size_t size, size_t align, size_t offset, family_t family, bool zero) {
  page_t* page = mim_page_find(p);
  if (mim_unlikely(page == NULL)) {
    hook_foreign(p, "realloc");
    errno = EINVAL;
    return NULL;
  }
  if (!hook_check_live(page, p, family)) {
    errno = EINVAL;
    return NULL;
  }
  size_t old_size = hook_usable(page, p);
  bool aligned = (((uintptr_t)p + offset) & (align - 1)) == 0;
  if (aligned && (fits_well(page, size) || grows(page, p, size))) {
    // What is cut off may be asked for again: the bytes behind a zeroed block's request are always zero.
    if (zero && size < old_size) memset((char*)p + size, 0, old_size - size);
    if (hook_resize(page, p, old_size, size, zero)) return p;
  }
  family_t fresh = family == FAMILY_ANY ? FAMILY_C : family;
  void* q = allocate(heap, size, align, offset, fresh, size > old_size && size > MEDIUM_MAX);
  if (mim_unlikely(q == NULL)) return NULL;
  size_t kept = min_size(old_size, size);
  if (zero) memset((char*)q + kept, 0, mim_usable(q) - kept);
  memcpy(q, p, kept);
  mim_release(p, family);
  return q;
}

void* mim_realloc(heap_t* heap, void* p, size_t size, family_t family, bool zero) {
  if (heap == NULL) heap = mim_tls.heap;
  if (p == NULL) return mim_heap_alloc(heap, size, family == FAMILY_ANY ? FAMILY_C : family, zero);
  return reallocate(heap, p, size, MIN_ALIGN, 0, family, zero);
}

void* mim_realloc_aligned(heap_t* heap, void* p, size_t size, size_t align, size_t offset, bool zero) {
  if (mim_unlikely(!is_power_of_two(align))) return mim_fail(EINVAL, align);
  if (heap == NULL) heap = mim_tls.heap;
  if (p == NULL) return mim_malloc_aligned(heap, size, align, offset, FAMILY_C, zero);
  // As for new blocks, an alignment below the least one is asked of the least one: a block that lies at an odd address,
  // since it was aligned at an offset, does not stay there.
  if (align < MIN_ALIGN) offset %= align;
  return reallocate(heap, p, size, max_size(align, MIN_ALIGN), offset, FAMILY_ANY, zero);
}

void* mim_expand(void* p, size_t size) {
  page_t* page = mim_page_find(p);
  if (page == NULL) {
    if (p != NULL) hook_foreign(p, "expand");
    return NULL;
  }
  size = max_size(size, 1);
  if (!hook_check_live(page, p, FAMILY_ANY) || !fits(page, size)) return NULL;
  size_t old_size = hook_usable(page, p);
  return hook_resize(page, p, old_size, size, false) ? p : NULL;
}
