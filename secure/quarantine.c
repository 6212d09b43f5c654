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
// Costs: the bytes kept, pages they keep from becoming empty, and 20 KiB for each thread; some 240 instructions a
// free, and the caches that the block which leaves was no longer in.
#include "quarantine.h"

#include "wipe.h"

#define RANDOM_PLACES 256
#define QUEUE_PLACES 1024  // a power of two

typedef struct kept_s {
  page_t* page;  // NULL: none
  uint32_t index;
  uint32_t bytes;
} kept_t;

struct sec_quarantine_s {
  kept_t random[RANDOM_PLACES];
  kept_t queue[QUEUE_PLACES];
  uint32_t front, count;  // of the queue
  size_t random_bytes, queue_bytes;
  uint64_t places;       // state of the generator of places
  uint32_t places_left;  // that may still be drawn from it
};

bool sec_quarantine_wants(const page_t* page) {
  const hook_process_t* policy = &mim_process.hook;
  return (policy->mechanisms & SEC_QUARANTINE) && page->block_size != 0 && page->stride <= policy->quarantine / 2;
}

// As those of a magazine (entry.h), from a generator that is seeded anew from the thread's ChaCha20 stream.
#define RANDOM_DRAWS 64
mim_inline size_t random_place(sec_quarantine_t* quarantine, tld_t* tld) {
  if (mim_unlikely(quarantine->places_left == 0)) {
    quarantine->places = sec_random64(&tld->hook) | 1;
    quarantine->places_left = RANDOM_DRAWS;
  }
  quarantine->places_left--;
  return sec_random_below(&quarantine->places, RANDOM_PLACES);
}

// ---- leaving --------------------------------------------------------------------------------------------------------

mim_inline void leave(tld_t* tld, kept_t kept) {
  page_t* page = kept.page;
  uint8_t* p = page_block(page, kept.index);
  mim_stat_add(&tld->stats.kept, -(int64_t)kept.bytes);
  if (mim_likely(page->kind & KIND_QUICK)) {
    fence_bytes_t tail = fence_tail(fence_pattern(page, kept.index));
    if (mim_unlikely(!wipe_holds(p, page->block_size, tail))) sec_wipe_broken(page, kept.index);
  } else if ((page->kind & KIND_WIPE) && !wipe_holds(p, page->block_size, sec_tail_of(page, kept.index))) {
    sec_wipe_broken(page, kept.index);
  }
  if (mim_likely(atomic_load_explicit(&page->owner, memory_order_relaxed) == tld)) {  // and not in the list of full pages
    state_set(page, kept.index, STATE_FREE);
    mim_free_checked(page, kept.index);
  } else {
    state_set(page, kept.index, STATE_RELEASED);
    mim_free_delivered(tld, p);
  }
}

static kept_t queue_pop(sec_quarantine_t* quarantine) {
  kept_t kept = quarantine->queue[quarantine->front];
  quarantine->front = (quarantine->front + 1) % QUEUE_PLACES;
  quarantine->count--;
  quarantine->queue_bytes -= kept.bytes;
  return kept;
}

mim_inline void queue_push(tld_t* tld, sec_quarantine_t* quarantine, kept_t kept) {
  size_t limit = mim_process.hook.quarantine / 2;
  while (quarantine->count > 0 && (quarantine->count == QUEUE_PLACES || quarantine->queue_bytes + kept.bytes > limit)) {
    leave(tld, queue_pop(quarantine));
  }
  quarantine->queue[(quarantine->front + quarantine->count) % QUEUE_PLACES] = kept;
  quarantine->count++;
  quarantine->queue_bytes += kept.bytes;
}

static kept_t random_take(sec_quarantine_t* quarantine, size_t place) {
  kept_t kept = quarantine->random[place];
  quarantine->random[place] = (kept_t){.page = NULL};
  quarantine->random_bytes -= kept.bytes;
  return kept;
}

// Large blocks fill their share before all places are taken: others go on, from a random place on.
static mim_noinline void make_room(tld_t* tld, sec_quarantine_t* quarantine, size_t but) {
  size_t limit = mim_process.hook.quarantine / 2;
  size_t next = random_place(quarantine, tld);
  for (size_t tries = 0; quarantine->random_bytes > limit && tries < RANDOM_PLACES; tries++) {
    size_t at = (next + tries) % RANDOM_PLACES;
    if (at == but || quarantine->random[at].page == NULL) continue;
    queue_push(tld, quarantine, random_take(quarantine, at));
  }
}

// ---- coming in ------------------------------------------------------------------------------------------------------

static mim_noinline sec_quarantine_t* quarantine_make(hook_thread_t* thread) {
  if (!thread->quarantine_closed) thread->quarantine = mim_meta_alloc(sizeof(sec_quarantine_t));
  return thread->quarantine;
}

mim_inline sec_quarantine_t* quarantine_of(tld_t* tld) {
  sec_quarantine_t* quarantine = tld->hook.quarantine;
  return mim_likely(quarantine != NULL) ? quarantine : quarantine_make(&tld->hook);
}

mim_inline void come_in(tld_t* tld, sec_quarantine_t* quarantine, page_t* page, uintptr_t index) {
  uint32_t bytes = page->stride;
  mim_stat_add(&tld->stats.kept, bytes);
  state_set(page, index, STATE_QUARANTINED);
  size_t place = random_place(quarantine, tld);
  kept_t out = quarantine->random[place];
  quarantine->random[place] = (kept_t){page, (uint32_t)index, bytes};
  quarantine->random_bytes += (size_t)bytes - out.bytes;
  if (mim_likely(out.page != NULL)) queue_push(tld, quarantine, out);
  if (mim_unlikely(quarantine->random_bytes > mim_process.hook.quarantine / 2)) make_room(tld, quarantine, place);
}

bool sec_quarantine_take(page_t* page, uintptr_t index) {
  if (!sec_quarantine_wants(page)) return false;
  tld_t* tld = mim_page_heap(page)->tld;
  sec_quarantine_t* quarantine = quarantine_of(tld);
  if (mim_unlikely(quarantine == NULL)) return false;
  come_in(tld, quarantine, page, index);
  return true;
}

bool sec_quarantine_keep(page_t* page, void* p, family_t family) {
  tld_t* tld = mim_tls.tld;
  sec_quarantine_t* quarantine = quarantine_of(tld);
  if (mim_unlikely(quarantine == NULL)) return false;
  uintptr_t index = take_apart_quick(page, p, family, KIND_QUICK);
  if (mim_unlikely(index == 0)) return false;
  come_in(tld, quarantine, page, index);
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
    kept_t kept = random_take(quarantine, place);
    if (kept.page != NULL) leave(tld, kept);
  }
  mim_meta_free(quarantine, sizeof(*quarantine));
  tld->hook.quarantine_closed = closed;
}

void sec_quarantine_close(tld_t* tld) {
  sec_quarantine_flush(tld);
  tld->hook.quarantine_closed = true;
}
