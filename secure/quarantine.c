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
// Costs: the bytes kept, pages they keep from becoming empty, and 20 KiB for each thread; all frees take the slow path.
#include "quarantine.h"

#include "wipe.h"

#define RANDOM_PLACES 256
#define RANDOM_BITS 8
#define QUEUE_PLACES 1024  // a power of two

typedef struct kept_s {
  void* block;  // NULL: none
  size_t bytes;
} kept_t;

struct sec_quarantine_s {
  kept_t random[RANDOM_PLACES];
  kept_t queue[QUEUE_PLACES];
  uint32_t front, count;  // of the queue
  size_t random_bytes, queue_bytes;
  uint64_t random_bits;  // those left of a random number, below a bit that is set; 1: none
};

bool sec_quarantine_wants(const page_t* page) {
  const hook_process_t* policy = &mim_process.hook;
  return (policy->mechanisms & SEC_QUARANTINE) && page->block_size != 0 && page->stride <= policy->quarantine / 2;
}

// A random place. One random number does for seven: the rest of its bits marks where it ends.
static size_t random_place(sec_quarantine_t* quarantine, tld_t* tld) {
  if (quarantine->random_bits <= 1) quarantine->random_bits = sec_random64(&tld->hook) >> RANDOM_BITS | 1ull << 56;
  size_t place = quarantine->random_bits % RANDOM_PLACES;
  quarantine->random_bits >>= RANDOM_BITS;
  return place;
}

// ---- leaving --------------------------------------------------------------------------------------------------------

static void leave(tld_t* tld, kept_t kept) {
  page_t* page = mim_page_find(kept.block);
  uintptr_t index = page_place(page, kept.block).index;
  mim_stat_add(&tld->stats.kept, -(int64_t)kept.bytes);
  if ((page->kind & KIND_WIPE) && mim_unlikely(!wipe_holds(kept.block, page->block_size, sec_tail_of(page, index)))) {
    sec_wipe_broken(page, index);
  }
  if (mim_likely(mim_page_owner(page) == tld && !(page->flags & PAGE_IN_FULL))) {
    state_set(page, index, STATE_FREE);
    mim_free_checked(page, index);
  } else {
    state_set(page, index, STATE_RELEASED);
    mim_free_delivered(tld, kept.block);
  }
}

static kept_t queue_pop(sec_quarantine_t* quarantine) {
  kept_t kept = quarantine->queue[quarantine->front];
  quarantine->front = (quarantine->front + 1) % QUEUE_PLACES;
  quarantine->count--;
  quarantine->queue_bytes -= kept.bytes;
  return kept;
}

static void queue_push(tld_t* tld, sec_quarantine_t* quarantine, kept_t kept) {
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
  quarantine->random[place] = (kept_t){NULL, 0};
  quarantine->random_bytes -= kept.bytes;
  return kept;
}

// Large blocks fill their share before all places are taken: others go on, from a random place on.
static void make_room(tld_t* tld, sec_quarantine_t* quarantine, size_t but) {
  size_t limit = mim_process.hook.quarantine / 2;
  size_t next = random_place(quarantine, tld);
  for (size_t tries = 0; quarantine->random_bytes > limit && tries < RANDOM_PLACES; tries++) {
    size_t at = (next + tries) % RANDOM_PLACES;
    if (at == but || quarantine->random[at].block == NULL) continue;
    queue_push(tld, quarantine, random_take(quarantine, at));
  }
}

// ---- coming in ------------------------------------------------------------------------------------------------------

static sec_quarantine_t* quarantine_of(tld_t* tld) {
  hook_thread_t* thread = &tld->hook;
  if (mim_unlikely(thread->quarantine == NULL && !thread->quarantine_closed)) {
    thread->quarantine = mim_meta_alloc(sizeof(sec_quarantine_t));
  }
  return thread->quarantine_closed ? NULL : thread->quarantine;
}

bool sec_quarantine_take(page_t* page, uintptr_t index) {
  if (!sec_quarantine_wants(page)) return false;
  tld_t* tld = mim_page_heap(page)->tld;
  sec_quarantine_t* quarantine = quarantine_of(tld);
  if (mim_unlikely(quarantine == NULL)) return false;
  state_set(page, index, STATE_QUARANTINED);
  size_t bytes = page->stride;
  mim_stat_add(&tld->stats.kept, (int64_t)bytes);
  size_t place = random_place(quarantine, tld);
  kept_t out = random_take(quarantine, place);
  quarantine->random[place] = (kept_t){page_block(page, index), bytes};
  quarantine->random_bytes += bytes;
  if (mim_likely(out.block != NULL)) queue_push(tld, quarantine, out);
  if (mim_unlikely(quarantine->random_bytes > mim_process.hook.quarantine / 2)) make_room(tld, quarantine, place);
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
    if (kept.block != NULL) leave(tld, kept);
  }
  mim_meta_free(quarantine, sizeof(*quarantine));
  tld->hook.quarantine_closed = closed;
}

void sec_quarantine_close(tld_t* tld) {
  sec_quarantine_flush(tld);
  tld->hook.quarantine_closed = true;
}
