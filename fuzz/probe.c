// What the oracle must know that the interface does not tell: where a block lies in its page, what may be accessed, the
// debug build's walks. The only file of the fuzzers that includes the allocator's own headers.
//
// Reads and writes of memory that may be a guard go through process_vm_readv and process_vm_writev on this process:
// they fail with EFAULT where an access would have faulted, and cost no signal.
#define _GNU_SOURCE
#include <sys/uio.h>
#include <unistd.h>

#include "../src/internal.h"
#include "model.h"
#include "os.h"

#if MIM_SECURE
#include "../secure/entry.h"
#endif

void probe_start(void) {
  mi_process_init();
  mi_thread_init();
}

bool probe_ready(void) {
  return mim_process_is_ready() && mim_tls.tld != &mim_tld_empty;
}

void probe_done(void) {
  mi_process_done();
}

// Everything that would make the same input run differently the next time.
void probe_reseed(uint64_t seed) {
  mi_thread_init();
  tld_t* tld = mim_tls.tld;
  tld->generic_count = 0;
  tld->mail_count = 0;
#if MIM_SECURE
  hook_thread_t* hook = &tld->hook;
  memset(hook->key, 0, sizeof(hook->key));
  memcpy(hook->key, &seed, sizeof(seed));
  hook->counter = 0;
  hook->pool_used = 0;
#else
  (void)seed;
#endif
}

// ---- threads ---------------------------------------------------------------------------------------------------------

_Static_assert(sizeof(probe_thread_t) >= sizeof(tls_t), "it has room for what a thread has");

void probe_thread_new(probe_thread_t* thread) {
  *(tls_t*)(void*)thread = (tls_t){&mim_heap_empty, &mim_tld_empty, 0};
}

void probe_thread_out(probe_thread_t* thread) {
  *(tls_t*)(void*)thread = mim_tls;
}

void probe_thread_in(const probe_thread_t* thread) {
  mim_tls = *(const tls_t*)(const void*)thread;
}

void probe_thread_end(void) {
  mim_thread_done();
}

void probe_walk(void) {
  for (heap_t* heap = mim_tls.tld->heaps; heap != NULL; heap = heap->next) {
    if (!mim_heap_is_valid(heap)) model_fail("mim_heap_is_valid: a heap is not as it should be");
  }
}

uintptr_t probe_region(size_t* size) {
  *size = mim_process.region_size;
  return mim_process.region;
}

size_t probe_region_used(void) {
  region_info_t info;
  mim_region_info(&info);
  return info.segments * SEGMENT_SIZE;
}

bool probe_in_region(const void* p, size_t size) {
  size_t offset = (uintptr_t)p - mim_process.region;
  if (offset < mim_process.region_size) return size <= mim_process.region_size - offset;
  for (size_t id = 1; id <= mim_arena_count(); id++) {  // or in memory that was handed in
    size_t room;
    uintptr_t start = (uintptr_t)mi_arena_area((mi_arena_id_t)id, &room);
    if (start != 0 && (uintptr_t)p - start < room && size <= room - ((uintptr_t)p - start)) return true;
  }
  return false;
}

// ---- pages ----------------------------------------------------------------------------------------------------------

static bool is_large(const page_t* page) {
  return (page->kind & KIND_LARGE) != 0;
}

size_t probe_room(const void* p) {
  const page_t* page = mim_page_find(p);
  return is_large(page) ? page->large_size : page->block_size;
}

size_t probe_index(const void* p) {
  const page_t* page = mim_page_find(p);
  return is_large(page) ? 0 : ((uintptr_t)p - page->origin) / page->stride;
}

bool probe_page_lives(const void* p) {
  const page_t* page = mim_page_find(p);
  return page != NULL && page->reciprocal != 0;
}

bool probe_guarded(const void* p) {
  const page_t* page = mim_page_find(p);
  return !is_large(page) && page->stride > page->block_size;
}

size_t probe_page_blocks(const void* p) {
  const page_t* page = mim_page_find(p);
  return is_large(page) ? 1 : page->reserved;
}

size_t probe_page_used(const void* p) {
  return mim_page_find(p)->used;
}

#if MIM_SECURE
bool probe_page_wiped(const void* p) {
  const page_t* page = mim_page_find(p);
  return page != NULL && page->reciprocal != 0 && (page->kind & KIND_WIPE) != 0;
}

bool probe_underflow_shows(const void* p) {
  const page_t* page = mim_page_find(p);
  if (is_large(page) || !(page->kind & KIND_DENSE)) return false;
  return page_place(page, p).index > 1;
}
#else
bool probe_page_wiped(const void* p) {
  (void)p;
  return false;
}

bool probe_underflow_shows(const void* p) {
  (void)p;
  return false;
}
#endif

// ---- memory ---------------------------------------------------------------------------------------------------------

bool probe_access(const void* p) {
  int known = os_access(p);
  if (known >= 0) return known;
  uint8_t byte;
  struct iovec to = {&byte, 1}, from = {(void*)(uintptr_t)p, 1};
  return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 1;
}

bool probe_store(void* p, const void* from, size_t size) {
  int first = os_access(p), last = os_access((uint8_t*)p + size - 1);
  if (first == 0 || last == 0) return false;
  if (first == 1 && last == 1) {
    memcpy(p, from, size);
    return true;
  }
  struct iovec local = {(void*)(uintptr_t)from, size}, remote = {p, size};
  return process_vm_writev(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)size;
}
