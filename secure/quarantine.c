// Quarantine: a freed block is wiped and then kept out of use for a while; which one leaves for it is drawn at random.
//
//   free(p) -> random place among RANDOM_PLACES; who was there -> end of a queue; its front -> free blocks of its page
//
// Each thread that owns pages has its own, in the metadata, made at its first free. Half of `quarantine` bytes stand in
// random places, half in the queue; blocks that do not fit into a half do not come in. A block inside has a state of
// its own: it is neither free nor live, so a second free is still found, exactly, and nothing can hand it out. When it
// leaves it is verified to be still as it was wiped, and goes the way of a block that comes by mail, as its page may
// have another owner by now. A heap that is destroyed, a thread that ends, mi_collect(true) and exit empty it.
//
// Stops: use after free from hitting a new owner soon: reuse is delayed by a number of frees that cannot be predicted.
// Notices a write after free when the block leaves, sooner than reuse would.
// Does not stop: a use after free that comes later than that.
// Costs: the bytes kept, and pages they keep from becoming empty; all frees take the slow path.
#include "quarantine.h"

#include "mimalloc-stats.h"
#include "wipe.h"

#define RANDOM_PLACES 256
#define QUEUE_PLACES 1024  // a power of two

struct sec_quarantine_s {
  void* random[RANDOM_PLACES];
  void* queue[QUEUE_PLACES];
  uint32_t front, count;  // of the queue
  size_t random_bytes, queue_bytes;
};

static struct {
  _Atomic(size_t) bytes, peak, total;
} kept;

static size_t bytes_of(const void* p) {
  return mim_page_find(p)->stride;
}

bool sec_quarantine_wants(const page_t* page) {
  const hook_process_t* policy = &mim_process.hook;
  return (policy->mechanisms & SEC_QUARANTINE) && page->block_size != 0 && page->stride <= policy->quarantine / 2;
}

static void count_in(size_t bytes) {
  size_t now = atomic_fetch_add_explicit(&kept.bytes, bytes, memory_order_relaxed) + bytes;
  atomic_fetch_add_explicit(&kept.total, bytes, memory_order_relaxed);
  sec_raise(&kept.peak, now);
}

// ---- leaving --------------------------------------------------------------------------------------------------------

static void leave(tld_t* tld, void* p) {
  page_t* page = mim_page_find(p);
  uintptr_t index = page_place(page, p).index;
  atomic_fetch_sub_explicit(&kept.bytes, page->stride, memory_order_relaxed);
  if ((page->kind & KIND_WIPE) && mim_unlikely(!wipe_holds(p, page->block_size, sec_tail_of(page, index)))) {
    sec_wipe_broken(page, index);
  }
  state_set(page, index, STATE_RELEASED);
  mim_free_delivered(tld, p);
}

static void* queue_pop(sec_quarantine_t* quarantine) {
  void* p = quarantine->queue[quarantine->front];
  quarantine->front = (quarantine->front + 1) % QUEUE_PLACES;
  quarantine->count--;
  quarantine->queue_bytes -= bytes_of(p);
  return p;
}

static void queue_push(tld_t* tld, sec_quarantine_t* quarantine, void* p) {
  size_t limit = mim_process.hook.quarantine / 2;
  size_t bytes = bytes_of(p);
  while (quarantine->count > 0 && (quarantine->count == QUEUE_PLACES || quarantine->queue_bytes + bytes > limit)) {
    leave(tld, queue_pop(quarantine));
  }
  quarantine->queue[(quarantine->front + quarantine->count) % QUEUE_PLACES] = p;
  quarantine->count++;
  quarantine->queue_bytes += bytes;
}

static void* random_take(sec_quarantine_t* quarantine, size_t place) {
  void* p = quarantine->random[place];
  quarantine->random[place] = NULL;
  if (p != NULL) quarantine->random_bytes -= bytes_of(p);
  return p;
}

// ---- coming in ------------------------------------------------------------------------------------------------------

static sec_quarantine_t* quarantine_of(tld_t* tld) {
  hook_thread_t* thread = &tld->hook;
  if (thread->quarantine == NULL && !thread->quarantine_closed) {
    thread->quarantine = mim_meta_alloc(sizeof(sec_quarantine_t));
  }
  return thread->quarantine_closed ? NULL : thread->quarantine;
}

bool sec_quarantine_take(page_t* page, uintptr_t index) {
  if (!sec_quarantine_wants(page)) return false;
  tld_t* tld = mim_page_heap(page)->tld;
  sec_quarantine_t* quarantine = quarantine_of(tld);
  if (quarantine == NULL) return false;
  state_set(page, index, STATE_QUARANTINED);
  size_t bytes = page->stride;
  count_in(bytes);
  uint64_t random = sec_random64(&tld->hook);
  size_t place = random % RANDOM_PLACES;
  void* out = random_take(quarantine, place);
  quarantine->random[place] = page_block(page, index);
  quarantine->random_bytes += bytes;
  if (out != NULL) queue_push(tld, quarantine, out);
  // Large blocks fill their share before all places are taken: others go on, from a random place on.
  size_t limit = mim_process.hook.quarantine / 2;
  size_t next = (random >> 32) % RANDOM_PLACES;
  for (size_t tries = 0; quarantine->random_bytes > limit && tries < RANDOM_PLACES; tries++) {
    size_t at = (next + tries) % RANDOM_PLACES;
    if (at == place) continue;
    out = random_take(quarantine, at);
    if (out != NULL) queue_push(tld, quarantine, out);
  }
  return true;
}

// ---- emptying -------------------------------------------------------------------------------------------------------

void sec_quarantine_flush(tld_t* tld) {
  sec_quarantine_t* quarantine = tld->hook.quarantine;
  if (quarantine == NULL) return;
  tld->hook.quarantine = NULL;  // what a release sets off does not come in here meanwhile
  bool closed = tld->hook.quarantine_closed;
  tld->hook.quarantine_closed = true;
  while (quarantine->count > 0) leave(tld, queue_pop(quarantine));
  for (size_t place = 0; place < RANDOM_PLACES; place++) {
    void* p = random_take(quarantine, place);
    if (p != NULL) leave(tld, p);
  }
  mim_meta_free(quarantine, sizeof(*quarantine));
  tld->hook.quarantine_closed = closed;
}

void sec_quarantine_close(tld_t* tld) {
  sec_quarantine_flush(tld);
  tld->hook.quarantine_closed = true;
}

// ---- statistics -----------------------------------------------------------------------------------------------------

void sec_quarantine_stats(mi_stats_t* stats) {
  stats->quarantine.current = (int64_t)atomic_load_explicit(&kept.bytes, memory_order_relaxed);
  stats->quarantine.peak = (int64_t)atomic_load_explicit(&kept.peak, memory_order_relaxed);
  stats->quarantine.total = (int64_t)atomic_load_explicit(&kept.total, memory_order_relaxed);
}
