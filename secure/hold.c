// Held blocks: what becomes of a large block, or a sampled one, when it is freed. It is made inaccessible at once, and
// its addresses are kept out of use for a while.
//
//   freed --> warm: PROT_NONE, contents kept --> taken again, cleared                 (48 blocks, 32 MiB)
//              |
//              v  too many, or too old
//             cold: guards throughout, memory back at the OS --> addresses free again (256 blocks, 32 MiB of addresses)
//
// Memory that goes back to the OS comes again one page fault at a time, which takes three times as long as closing,
// opening and clearing it (docs/mechanisms/hold.md); so the last few blocks stay warm, and the smallest of those that fit,
// the oldest of its size, is the next one handed out, but never one of the last three freed. A block of which most was
// never touched is better cold, as clearing reads all of it: a page fault for each page, the first time. After that the
// untouched ones all read the same page of zeroes, and cost little.
//
// Stops: reads of and writes to freed large blocks, always, until their addresses are handed out again, by a fault;
// second frees of them, told as such; stale contents in new ones.
// Does not stop: the use of a stale address after that. Blocks above a quarter of HELD_BYTES are inaccessible when they
// are freed, but their addresses may be the next ones handed out.
// Costs: warm, two system calls and the clearing; up to WARM_SLICES of memory and two mappings a block. Cold, two system
// calls and a page fault for each OS page. Sampled blocks, and all in profiles with a quarantine, go cold at once.
//
// Lists are under sec_hold_lock; the system calls are made without it, on pages that are in no list then.
#include "sample.h"
#include "wipe.h"

#define HELD_MAX 256
#define HELD_BYTES (32 * MIB)  // of address space: what is held makes the program open other memory
#define WARM_MAX 48
#define WARM_REST 3  // that were freed last are not handed out
#define WARM_BLOCK_SLICES 256
#define WARM_SLICES 512
#define SPARSE_LIMIT 8

lock_t sec_hold_lock;

typedef struct warm_s {
  page_t* page;
  uint64_t since;  // clock in ms
} warm_t;

static struct {
  page_t* oldest;  // cold ones, linked by `next`
  page_t* newest;
  size_t count, slices;
  warm_t warm[WARM_MAX];  // oldest first
  _Atomic(size_t) warm_count;
  size_t warm_slices;
  page_t* closed;  // that could not be opened, linked by `next`
  _Atomic(size_t) closed_count;
  _Atomic(int) sparse;  // how much more often warm blocks turned out mostly untouched lately
} held;

static size_t slice_of(const page_t* page) {
  return (size_t)(page - mim_process.slots);
}

static size_t bytes_of(const page_t* page) {
  return (size_t)page->slices << SLICE_SHIFT;
}

// ---- cold -----------------------------------------------------------------------------------------------------------

// Lock held.
static page_t* oldest_out(void) {
  page_t* page = held.oldest;
  if (page == NULL) return NULL;
  held.oldest = page->next;
  if (held.oldest == NULL) held.newest = NULL;
  held.count--;
  held.slices -= page->slices;
  page->next = NULL;
  return page;
}

// Slices of cold blocks, at most.
static size_t cold_room(void) {
  return min_size(HELD_BYTES, mim_process.region_size / 256) / SLICE_SIZE;
}

// So large that holding it would let go of too many others.
static bool is_huge(const page_t* page) {
  return page->slices > cold_room() / 4;
}

// Returns one to be given up instead, if there are too many; that is the page itself when it is huge.
static page_t* push_cold(page_t* page) {
  if (is_huge(page)) return page;
  size_t room = cold_room();
  page_t* evicted = NULL;
  lock_acquire(&sec_hold_lock);
  held.slices += page->slices;
  page->next = NULL;
  if (held.newest != NULL) {
    held.newest->next = page;
  } else {
    held.oldest = page;
  }
  held.newest = page;
  if (++held.count > HELD_MAX || held.slices > room) evicted = oldest_out();
  lock_release(&sec_hold_lock);
  return evicted;
}

// ---- warm -----------------------------------------------------------------------------------------------------------

static page_t* take_out(size_t at) {
  page_t* page = held.warm[at].page;
  size_t count = atomic_load_explicit(&held.warm_count, memory_order_relaxed);
  for (size_t i = at; i + 1 < count; i++) held.warm[i] = held.warm[i + 1];
  atomic_store_explicit(&held.warm_count, count - 1, memory_order_relaxed);
  held.warm_slices -= page->slices;
  return page;
}

static bool may_be_warm(const page_t* page) {
  const hook_process_t* policy = &mim_process.hook;
  return !(page->kind & KIND_SAMPLED) && page->slices <= WARM_BLOCK_SLICES && mim_region_arena(slice_of(page)) == 0 &&
         policy->guard_kind == SEC_GUARD_LIGHT && !(policy->mechanisms & SEC_QUARANTINE) &&
         mim_purge_delay() != 0 &&
         atomic_load_explicit(&held.sparse, memory_order_relaxed) < SPARSE_LIMIT;
}

// Returns those that have to make room, linked by `next`.
static page_t* push_warm(page_t* page) {
  page_t* out = NULL;
  lock_acquire(&sec_hold_lock);
  size_t count = atomic_load_explicit(&held.warm_count, memory_order_relaxed);
  for (; count == WARM_MAX || held.warm_slices + page->slices > WARM_SLICES; count--) {
    page_t* oldest = take_out(0);
    oldest->next = out;
    out = oldest;
  }
  held.warm[count] = (warm_t){page, mim_os_clock_ms()};
  held.warm_slices += page->slices;
  atomic_store_explicit(&held.warm_count, count + 1, memory_order_relaxed);
  lock_release(&sec_hold_lock);
  return out;
}

// No mapping is to be had to open a block again: it stays closed, and is tried again later.
static void push_closed(page_t* page) {
  lock_acquire(&sec_hold_lock);
  page->next = held.closed;
  held.closed = page;
  atomic_fetch_add_explicit(&held.closed_count, 1, memory_order_relaxed);
  lock_release(&sec_hold_lock);
}

// A block that is closed becomes a cold one. False: it cannot be opened, and stays. In *given_up is a page to be given
// up, or NULL.
static bool cool(page_t* page, page_t** given_up) {
  *given_up = NULL;
  bool sealed = mim_region_seal(slice_of(page), page->slices);
  if (!mim_os_open(mim_page_start(page), bytes_of(page))) {
    push_closed(page);
    return false;
  }
  if (!sealed) page->flags &= (uint8_t)~PAGE_SEALED;
  *given_up = sealed ? push_cold(page) : page;
  return true;
}

static bool is_zero(const void* p, size_t size) {
  const wipe_word_t* word = (const wipe_word_t*)p;
  const wipe_word_t* end = word + size / sizeof(wipe_word_t);
  for (; word < end; word += 4) {
    if (!fence_zero((fence_bytes_t)((word[0] | word[1]) | (word[2] | word[3])))) return false;
  }
  return true;
}

// Clears memory that was used, and leaves alone what was not. False: most of it was not.
static bool clear(uint8_t* start, size_t size) {
  size_t os_page = mim_process.hook.os_page, touched = 0;
  for (uint8_t* at = start; at < start + size; at += os_page) {
    if (is_zero(at, os_page)) continue;
    memset(at, 0, os_page);
    touched++;
  }
  return touched * os_page * 2 >= size;
}

// The oldest of the smallest that are large enough, but not by much. Lock held.
static size_t find_warm(size_t slices, size_t count) {
  size_t best = count, most = slices + slices / 4 + 1;
  for (size_t i = 0; i < count; i++) {
    const page_t* page = held.warm[i].page;
    bool rests = i + WARM_REST >= count && !is_huge(page);
    if (rests || page->slices < slices || page->slices >= most) continue;
    best = i;
    most = page->slices;
  }
  return best;
}

page_t* sec_hold_take(size_t slices, size_t* used) {
  if (mim_likely(atomic_load_explicit(&held.warm_count, memory_order_relaxed) == 0)) return NULL;
  page_t* page = NULL;
  lock_acquire(&sec_hold_lock);
  size_t count = atomic_load_explicit(&held.warm_count, memory_order_relaxed);
  size_t found = find_warm(slices, count);
  if (found < count) page = take_out(found);
  lock_release(&sec_hold_lock);
  if (page == NULL) return NULL;
  uint8_t* start = mim_page_start(page);
  size_t old = (size_t)(mim_page_large_block(page) + page->large_size - start);
  if (!mim_os_open(start, bytes_of(page))) {
    push_closed(page);
    return NULL;
  }
  bool zero = true;
  if (*used > old && !mim_region_uncover(slice_of(page), page->slices, old, *used, &zero)) {
    (void)mim_os_close(start, bytes_of(page));
    push_closed(page);
    return NULL;
  }
  int step = clear(start, old) || page->retire_age != 0 ? -1 : 2;
  page->retire_age = 1;
  int sparse = atomic_load_explicit(&held.sparse, memory_order_relaxed) + step;
  atomic_store_explicit(&held.sparse, sparse < 0 ? 0 : sparse, memory_order_relaxed);
  if (!zero) memset(start + old, 0, *used - old);
  if (*used < old) *used = old;
  return page;
}

// ---- what the core calls --------------------------------------------------------------------------------------------

// The page is the caller's and in no queue. Afterwards it is nobody's: a second free is found by its state.
page_t* sec_hold(page_t* page) {
  bool sampled = (page->kind & KIND_SAMPLED) != 0;
  if (!sampled && !(mim_process.hook.mechanisms & SEC_LARGE_SEAL)) return page;
  bool may_warm = may_be_warm(page);
  if (!sampled && !may_warm && is_huge(page)) return page;
  sec_large_back(page);
  bool warm = may_warm && mim_os_close(mim_page_start(page), bytes_of(page));
  if (!warm) {
    if (!mim_region_seal(slice_of(page), page->slices)) {  // locked memory, say
      if (sampled) sec_sample_dead();
      return page;
    }
    int sparse = atomic_load_explicit(&held.sparse, memory_order_relaxed);
    if (sparse > 0) atomic_store_explicit(&held.sparse, sparse - 1, memory_order_relaxed);  // try again some time
  }
  page->flags |= PAGE_SEALED;
  state_set(page, 1, STATE_HELD);
  atomic_store_explicit(&page->owner, &mim_tld_empty, memory_order_release);
  if (sampled) sec_sample_dead();
  if (!warm) return push_cold(page);
  page_t* given_up = NULL;
  for (page_t *out = push_warm(page), *next; out != NULL; out = next) {
    next = out->next;
    page_t* one = NULL;
    if (!cool(out, &one) || one == NULL) continue;
    one->next = given_up;
    given_up = one;
  }
  return given_up;
}

// The oldest warm block, if it is old enough; otherwise one that could not be opened before.
static page_t* take_aged(bool all) {
  page_t* page = NULL;
  long delay = mim_purge_delay();
  uint64_t now = mim_os_clock_ms();
  lock_acquire(&sec_hold_lock);
  size_t count = atomic_load_explicit(&held.warm_count, memory_order_relaxed);
  if (count > 0 && (all || (delay >= 0 && now - held.warm[0].since > (uint64_t)delay))) {
    page = take_out(0);
  } else if (held.closed != NULL) {
    page = held.closed;
    held.closed = page->next;
    atomic_fetch_sub_explicit(&held.closed_count, 1, memory_order_relaxed);
  }
  lock_release(&sec_hold_lock);
  return page;
}

bool sec_hold_age(bool all, page_t** given_up) {
  if (mim_likely(atomic_load_explicit(&held.warm_count, memory_order_relaxed) +
                     atomic_load_explicit(&held.closed_count, memory_order_relaxed) == 0)) {
    return false;
  }
  page_t* page = take_aged(all);
  return page != NULL && cool(page, given_up);
}

page_t* sec_hold_out(void) {
  lock_acquire(&sec_hold_lock);
  page_t* page = oldest_out();
  lock_release(&sec_hold_lock);
  return page;
}

void sec_hold_fork_child(void) {
  lock_reset(&sec_hold_lock);
}
