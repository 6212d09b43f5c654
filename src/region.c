// The region: one reservation that all blocks come from, cut into segments of 512 slices.
//
// Segments are taken into use in address order and never given up; inside one, slices are opened from the start, a few
// at a time. A free slice may still hold physical memory ("resident"); it is reused first, and given back to the OS
// when it has been free for one to two times the purge delay: at intervals of the delay, those go that were free already
// at the time before ("idle"). Free slices whose contents are not known to be zero are "dirty".
//
// Everything here is under mim_region_lock, which is taken when a page is made or given up, never for a block. It is
// let go while memory is purged: the slices are marked as not free meanwhile.
#include "bits.h"
#include "meta.h"
#include "probes.h"
#include "watch.h"

typedef struct segment_s {
  uint64_t free[SEGMENT_WORDS];      // may be allocated
  uint64_t resident[SEGMENT_WORDS];  // may hold physical memory
  uint64_t dirty[SEGMENT_WORDS];     // may read as something else than zero
  uint64_t idle[SEGMENT_WORDS];      // was free and resident when memory was purged last, and has been since
  hook_segment_t guards;
  uint8_t* start;
  uint64_t purge_at;                 // clock in ms; 0: nothing to purge
  uint32_t open;                     // slices opened, from the start
  uint32_t room;                     // free slices
  int arena;                         // 0: of none
  bool exclusive;                    // only for heaps bound to its arena
  bool pinned;                       // never purged
} segment_t;
_Static_assert(sizeof(segment_t) <= MIM_SEGMENT_BYTES, "the array of segments has room for this");

#define SEGMENT_USABLE (SEGMENT_SLICES - HOOK_SEPARATOR_SLICES)

lock_t mim_region_lock;

// Memory that the program handed in lies outside of the region. Its segments, of as many slices as there are, come
// after all those of the region, and so do their slots.
static struct {
  segment_t* segments_base;
  _Atomic(size_t) count;   // segments of the region in use
  _Atomic(size_t) extra;   // segments handed in, from index `limit` on
  size_t limit;            // segments that fit
  size_t hint;             // no segment below this has a free slice
  _Atomic(uint64_t) purge_at;
  region_info_t info;
} region;

#define WATCH_REGION(name, member) WATCH_MEMBER("region." name, __typeof__(region), member)
static const watch_t region_watch[] = {
    WATCH_REGION("segments_base", segments_base),
    WATCH_REGION("count", count),
    WATCH_REGION("extra", extra),
    WATCH_REGION("limit", limit),
    WATCH_REGION("reserved", info.reserved),
    WATCH_REGION("committed", info.committed),
    WATCH_REGION("committed_peak", info.committed_peak),
    WATCH_REGION("opened", info.opened),
    WATCH_REGION("purged_total", info.purged_total),
    WATCH_REGION("purge_calls", info.purge_calls),
    WATCH_REGION("open_calls", info.open_calls),
};
const watch_table_t mim_watch_region = WATCH_TABLE(&region, region_watch);

static const watch_t segment_watch[] = {
    WATCH_NUMBER("segment.bytes", MIM_SEGMENT_BYTES),
    WATCH_MEMBER("segment.free", segment_t, free),
    WATCH_MEMBER("segment.resident", segment_t, resident),
    WATCH_MEMBER("segment.open", segment_t, open),
};
const watch_table_t mim_watch_segment = WATCH_TABLE(NULL, segment_watch);

static segment_t* segment_at(size_t index) {
  return (segment_t*)((uint8_t*)region.segments_base + index * MIM_SEGMENT_BYTES);
}

static uint8_t* segment_start(size_t index) {
  return segment_at(index)->start;
}

// Calls for each segment in use: those of the region, then those handed in.
static size_t segment_next(size_t index) {
  index++;
  return index == region.count ? region.limit : index;
}

static size_t segments_end(void) {
  return region.limit + region.extra;
}

// ---- segments -------------------------------------------------------------------------------------------------------

#define PLACE_TRIES 16

// Where the layer names a place that is not free, the OS chooses, and it chooses among few places, close to each other:
// another one is asked for then. (The program itself lies in the middle, and takes one place of seven.)
uint8_t* mim_region_place(size_t size, size_t align) {
  for (int tries = 1;; tries++) {
    uintptr_t hint = (uintptr_t)hook_region_hint(size);
    uint8_t* start = mim_os_reserve(size, align, (void*)hint);
    if (start == NULL || hint == 0 || tries == PLACE_TRIES) return start;
    if ((uintptr_t)start - hint < align) return start;
    mim_os_release(start, size);
  }
}

bool mim_region_reserve(void) {
  size_t limit = mim_os_address_limit();
  size_t size = REGION_MAX;
#if defined(__SANITIZE_THREAD__) || defined(MIM_SANITIZE_THREAD) || MIM_TRACK_VALGRIND
  size = 64 * GIB;  // must lie in the part of the address space that has shadow memory; Valgrind keeps books of all of it
#endif
  long bits = mim_option(mi_option_max_vabits);
  if (bits > 0 && bits < 64) limit = min_size(limit, (size_t)1 << bits);
  while (limit != SIZE_MAX && size > limit / 2 && size > REGION_MIN) size /= 2;  // leave as much for the program
  for (; size >= REGION_MIN; size /= 2) {
    uint8_t* start = mim_region_place(size, SEGMENT_SIZE);
    if (start == NULL) continue;
    mim_process.region = (uintptr_t)start;
    mim_process.region_size = size;
    if (mim_meta_reserve(size)) {
      region.segments_base = mim_meta_segments();
      region.limit = size / SEGMENT_SIZE;
      region.info.reserved = size;
      mim_os_name(start, size, "mimalloc");  // all at once: a sandbox closed later may not let prctl pass
      if (mim_option(mi_option_allow_large_os_pages) != 0) mim_os_huge(start, size, true);
      if (mim_option(mi_option_allow_thp) == 0) mim_os_huge(start, size, false);
      return true;
    }
    mim_os_release(start, size);
  }
  return false;
}

// Takes the next segment into use; its slices are not opened yet.
static bool segment_add(void) {
  if (region.count == region.limit || !mim_meta_open_slots(region.count)) return false;
  segment_t* segment = segment_at(region.count);
  segment->start = (uint8_t*)(mim_process.region + region.count * SEGMENT_SIZE);
  bits_change(segment->free, 0, SEGMENT_USABLE, true);
  segment->room = SEGMENT_USABLE;
  region.count++;
  region.info.segments = region.count;
  return true;
}

// Opens slices of a segment so that the first `needed` are accessible: more than needed, in steps that grow with what
// is open already, so that small programs, and programs that lock their memory, are not charged for a whole segment.
static bool segment_open(size_t index, size_t needed) {
  segment_t* segment = segment_at(index);
  if (needed <= segment->open) return true;
  size_t step = max_size(16, region.info.opened / SLICE_SIZE / 4);
  size_t target = min_size(max_size(needed, segment->open + step), SEGMENT_SLICES);
  if (target > SEGMENT_USABLE) target = SEGMENT_SLICES;
  uint8_t* from = segment_start(index) + segment->open * SLICE_SIZE;
  if (!mim_os_open(from, (target - segment->open) * SLICE_SIZE)) {
    target = needed;
    if (!mim_os_open(from, (target - segment->open) * SLICE_SIZE)) return false;
  }
  region.info.opened += (target - segment->open) * SLICE_SIZE;
  region.info.open_calls++;
  segment->open = (uint32_t)target;
  if (target == SEGMENT_SLICES) hook_segment_init(&segment->guards, segment_start(index));
  return true;
}

// ---- allocation -----------------------------------------------------------------------------------------------------

// The first run of free slices in a segment whose address is a multiple of `align`. SEGMENT_SLICES: none. Memory handed
// in does not begin at a multiple of the size of a segment.
static size_t segment_find(const segment_t* segment, const uint64_t* usable, size_t slices, size_t align) {
  size_t step = align / SLICE_SIZE;
  size_t lead = (uintptr_t)segment->start / SLICE_SIZE % step;
  for (size_t from = 0; from < SEGMENT_SLICES;) {
    size_t start = bits_find(usable, from, SEGMENT_SLICES, true);
    if (start == SEGMENT_SLICES) break;
    size_t end = bits_find(usable, start, SEGMENT_SLICES, false);
    size_t aligned = align_up(start + lead, step) - lead;
    if (aligned + slices <= end) return aligned;
    from = end;
  }
  return SEGMENT_SLICES;
}

// A single slice: a resident one if there is any, to spare the page faults; `cold`: rather one that is not.
static size_t segment_find_one(const segment_t* segment, const uint64_t* usable, bool cold) {
  for (size_t word = 0; word < SEGMENT_WORDS; word++) {
    uint64_t wanted = usable[word] & (segment->resident[word] ^ (0 - (uint64_t)cold));
    if (wanted != 0) return word * 64 + (size_t)__builtin_ctzll(wanted);
  }
  return bits_find(usable, 0, SEGMENT_SLICES, true);
}

// Takes slices [first, first + slices) of a segment, which are free. False: they cannot be opened.
static bool segment_take(size_t index, size_t first, size_t slices, span_t* span) {
  segment_t* segment = segment_at(index);
  if (!segment_open(index, first + slices)) return false;
  if (bits_any(segment->dirty, first, slices)) span->zero = false;
  if (bits_any(segment->resident, first, slices)) span->fresh = false;
  bits_change(segment->free, first, slices, false);
  bits_change(segment->idle, first, slices, false);
  bits_change(segment->resident, first, slices, true);
  bits_change(segment->dirty, first, slices, true);
  segment->room -= (uint32_t)slices;
  return true;
}

static bool may_use(const segment_t* segment, int arena) {
  if (arena != 0) return segment->arena == arena;
  return !segment->exclusive && (segment->arena == 0 || mim_option(mi_option_disallow_arena_alloc) == 0);
}

// May memory that is in no arena be taken into use?
static bool may_add(int arena) {
  return arena == 0 && mim_option(mi_option_disallow_os_alloc) == 0;
}

// What is wanted of the region. `choice`: which free slices the layer lets be used for pages of this bin.
typedef struct want_s {
  size_t slices, align;
  int arena;
  bool cold;
  size_t bin;
  unsigned choice;
} want_t;

static bool take_from(size_t index, const want_t* want, span_t* span) {
  segment_t* segment = segment_at(index);
  if (segment->room < want->slices || !may_use(segment, want->arena)) return false;
  uint64_t chosen[SEGMENT_WORDS];
  const uint64_t* usable = hook_choose(&segment->guards, segment->free, want->bin, want->choice, chosen);
  bool one = want->slices == 1 && want->align <= SLICE_SIZE;
  size_t first = one ? segment_find_one(segment, usable, want->cold)
                     : segment_find(segment, usable, want->slices, want->align);
  if (first == SEGMENT_SLICES || !segment_take(index, first, want->slices, span)) return false;
  span->start = segment->start + first * SLICE_SIZE;
  span->slice = index * SEGMENT_SLICES + first;
  return true;
}

static bool take_within(const want_t* want, span_t* span) {
  while (region.hint < region.count && segment_at(region.hint)->room == 0) region.hint++;
  for (size_t index = region.hint; index < region.count; index++) {
    if (take_from(index, want, span)) return true;
  }
  for (size_t index = region.limit; index < segments_end(); index++) {
    if (take_from(index, want, span)) return true;
  }
  return hook_choice_adds(want->choice) && may_add(want->arena) && segment_add() &&
         take_from(region.count - 1, want, span);
}

static bool is_empty(segment_t* segment, const want_t* want) {
  if (segment->room != SEGMENT_USABLE || !may_use(segment, want->arena)) return false;
  uint64_t chosen[SEGMENT_WORDS];
  const uint64_t* usable = hook_choose(&segment->guards, segment->free, want->bin, want->choice, chosen);
  return bits_find(usable, 0, SEGMENT_SLICES, false) >= SEGMENT_USABLE;
}

// Spans of more than a segment: whole segments in a row, separators included, and the first slices of the last.
static bool take_segments(const want_t* want, span_t* span) {
  size_t slices = want->slices;
  size_t count = div_up(slices + HOOK_SEPARATOR_SLICES, SEGMENT_SLICES);
  size_t run = 0;
  for (size_t index = 0; index < region.limit; index++) {
    if (index == region.count && (!hook_choice_adds(want->choice) || !may_add(want->arena) || !segment_add())) {
      return false;
    }
    bool starts = ((uintptr_t)segment_start(index) & (want->align - 1)) == 0;
    bool empty = is_empty(segment_at(index), want);
    run = empty && (run > 0 || starts) ? run + 1 : 0;
    if (run < count) continue;
    size_t base = index + 1 - count;
    size_t left = slices;
    for (size_t k = 0; k < count; k++) {
      size_t here = min_size(left, SEGMENT_SLICES);
      if (!segment_open(base + k, here)) return false;
      left -= here;
    }
    left = slices;
    for (size_t k = 0; k < count; k++) {
      size_t here = min_size(left, SEGMENT_SLICES);
      segment_take(base + k, 0, min_size(here, SEGMENT_USABLE), span);
      left -= here;
    }
    span->start = segment_start(base);
    span->slice = base * SEGMENT_SLICES;
    return true;
  }
  return false;
}

// Tells the layer about a span, segment by segment. False: guards in it cannot be removed.
static bool guard_span(size_t slice, size_t slices, size_t used, size_t bin) {
  bool done = true;
  while (slices > 0) {
    segment_t* segment = segment_at(slice / SEGMENT_SLICES);
    size_t first = slice % SEGMENT_SLICES;
    size_t here = min_size(slices, SEGMENT_SLICES - first);
    size_t used_here = min_size(used, here * SLICE_SIZE);
    done &= hook_span_out(&segment->guards, segment->start, first, here, used_here, bin);
    slice += here;
    slices -= here;
    used -= used_here;
  }
  return done;
}

span_t mim_region_alloc(size_t slices, size_t align, size_t used, int arena, bool cold, size_t bin) {
  span_t span = {.start = NULL, .slices = slices, .zero = true, .fresh = true};
  if (slices == 0 || slices > region.limit * SEGMENT_SLICES) return span;
  lock_acquire(&mim_region_lock);
  want_t want = {slices, align, arena, cold, bin, 0};
  bool ok = false;
  for (; !ok && want.choice < hook_choices(); want.choice++) {
    ok = slices <= SEGMENT_USABLE && align <= SEGMENT_SIZE ? take_within(&want, &span) : take_segments(&want, &span);
  }
  bool usable = ok && guard_span(span.slice, slices, used, bin);
  if (ok) {
    region.info.committed += slices * SLICE_SIZE;
    region.info.committed_peak = max_size(region.info.committed_peak, region.info.committed);
  } else {
    span.start = NULL;
  }
  lock_release(&mim_region_lock);
  if (ok && !usable) {
    mim_region_free(span.slice, slices, false, SPAN_BLOCKS);
    span.start = NULL;
  }
  return span;
}

int mim_region_arena(size_t slice) {
  return segment_at(slice / SEGMENT_SLICES)->arena;
}

bool mim_region_uncover(size_t slice, size_t slices, size_t used, size_t more, bool* zero) {
  bool done = true;
  *zero = true;
  lock_acquire(&mim_region_lock);
  while (slices > 0) {
    segment_t* segment = segment_at(slice / SEGMENT_SLICES);
    size_t first = slice % SEGMENT_SLICES;
    size_t here = min_size(slices, SEGMENT_SLICES - first);
    size_t used_here = min_size(used, here * SLICE_SIZE);
    size_t more_here = min_size(more, here * SLICE_SIZE);
    if (more_here > used_here) {
      done &= hook_span_grow(&segment->guards, segment->start, first, used_here, more_here, zero);
    }
    slice += here;
    slices -= here;
    used -= used_here;
    more -= more_here;
  }
  lock_release(&mim_region_lock);
  return done;
}

// ---- arenas ---------------------------------------------------------------------------------------------------------

span_t mim_region_reserve_arena(size_t size, int arena, bool exclusive, bool open) {
  span_t span = {0};
  size_t count = div_up(size, SEGMENT_SIZE);
  if (size == 0 || count > region.limit) return span;
  lock_acquire(&mim_region_lock);
  size_t first = region.count;
  bool ok = first + count <= region.limit;
  for (size_t i = 0; ok && i < count; i++) ok = segment_add();
  for (size_t index = first; ok && index < region.count; index++) {
    segment_at(index)->arena = arena;
    segment_at(index)->exclusive = exclusive;
    if (open) ok = segment_open(index, SEGMENT_SLICES);
  }
  if (ok) span = (span_t){.start = segment_start(first), .slices = count * SEGMENT_SLICES};
  lock_release(&mim_region_lock);
  return span;
}

// Memory of the program's becomes segments. Returns what was taken of it, in whole slices; 0: there is no room.
size_t mim_region_hand_in(uint8_t* start, size_t size, bool zero, bool pinned, int arena, bool exclusive) {
  size_t taken = 0;
  lock_acquire(&mim_region_lock);
  while (size - taken >= SLICE_SIZE && region.extra < MIM_EXTRA_SEGMENTS) {
    size_t index = segments_end();
    if (!mim_meta_open_slots(index)) break;
    segment_t* segment = segment_at(index);
    size_t slices = min_size((size - taken) / SLICE_SIZE, SEGMENT_SLICES);
    segment->start = start + taken;
    segment->arena = arena;
    segment->exclusive = exclusive;
    segment->pinned = pinned;
    segment->open = SEGMENT_SLICES;
    segment->room = (uint32_t)slices;
    bits_change(segment->free, 0, slices, true);
    bits_change(segment->resident, 0, slices, true);
    if (!zero) bits_change(segment->dirty, 0, slices, true);
    taken += slices * SLICE_SIZE;
    region.extra++;
  }
  lock_release(&mim_region_lock);
  return taken;
}

page_t* mim_page_of_extra(const void* p) {
  for (size_t index = region.limit; index < segments_end(); index++) {
    size_t offset = (uintptr_t)p - (uintptr_t)segment_at(index)->start;
    if (offset >= SEGMENT_SIZE) continue;
    page_t* slot = &mim_process.slots[index * SEGMENT_SLICES + offset / SLICE_SIZE];
    page_t* page = (page_t*)((uint8_t*)slot - __atomic_load_n(&slot->back, __ATOMIC_RELAXED));
    if (mim_page_look(page)) return page;
  }
  return NULL;
}

uint8_t* mim_region_extra_start(size_t slice) {
  return segment_at(slice / SEGMENT_SLICES)->start + slice % SEGMENT_SLICES * SLICE_SIZE;
}

size_t mim_region_slice_next(size_t slice) {
  if (slice + 1 == region.count * SEGMENT_SLICES) return region.limit * SEGMENT_SLICES;
  return slice + 1;
}

// ---- giving back ----------------------------------------------------------------------------------------------------

long mim_purge_delay(void) {
  long delay = mim_option(mi_option_purge_delay);
  return delay < 0 ? delay : delay * mim_option(mi_option_arena_purge_mult);
}

static void schedule_purge(segment_t* segment) {
  if (segment->pinned) return;
  long delay = mim_purge_delay();
  if (delay < 0) return;
  uint64_t at = mim_os_clock_ms() + (uint64_t)delay;
  if (segment->purge_at == 0) segment->purge_at = at;
  uint64_t next = atomic_load_explicit(&region.purge_at, memory_order_relaxed);
  if (next == 0 || at < next) atomic_store_explicit(&region.purge_at, at, memory_order_relaxed);
}

bool mim_region_seal(size_t slice, size_t slices) {
  bool gone = true;
  lock_acquire(&mim_region_lock);
  while (slices > 0) {
    segment_t* segment = segment_at(slice / SEGMENT_SLICES);
    size_t first = slice % SEGMENT_SLICES;
    size_t here = min_size(slices, SEGMENT_SLICES - first);
    gone &= hook_span_back(&segment->guards, segment->start, first, here, SPAN_LARGE);
    slice += here;
    slices -= here;
  }
  lock_release(&mim_region_lock);
  return gone;
}

void mim_region_free(size_t slice, size_t slices, bool zero, span_kind_t kind) {
  lock_acquire(&mim_region_lock);
  region.info.committed -= slices * SLICE_SIZE;
  size_t index = slice / SEGMENT_SLICES;
  size_t first = slice % SEGMENT_SLICES;
  for (size_t left = slices; left > 0; index++, first = 0) {
    segment_t* segment = segment_at(index);
    size_t covered = min_size(left, SEGMENT_SLICES - first);
    size_t here = min_size(covered, SEGMENT_USABLE - first);
    bool gone = hook_span_back(&segment->guards, segment->start, first, covered, kind);
    bits_change(segment->free, first, here, true);
    if (gone) bits_change(segment->resident, first, here, false);
    if (gone || zero) bits_change(segment->dirty, first, here, false);
    segment->room += (uint32_t)here;
    if (covered > here) hook_segment_init(&segment->guards, segment_start(index));  // the separator was part of it
    if (!gone) schedule_purge(segment);
    if (index < region.hint) region.hint = index;
    left -= covered;
  }
  lock_release(&mim_region_lock);
  if (mim_purge_delay() == 0) mim_region_purge(false);
}

// Slices that have been free for long enough.
static void segment_due(const segment_t* segment, bool all, uint64_t* due) {
  for (size_t word = 0; word < SEGMENT_WORDS; word++) {
    due[word] = segment->free[word] & segment->resident[word] & (all ? ~(uint64_t)0 : segment->idle[word]);
  }
}

// The slices that are free from now on are due the next time.
static void segment_age(segment_t* segment) {
  segment->purge_at = 0;
  segment_due(segment, true, segment->idle);
  if (bits_find(segment->idle, 0, SEGMENT_SLICES, true) != SEGMENT_SLICES) schedule_purge(segment);
}

// Purges slices of one segment that are due, run by run; short runs stay until they are part of a longer one, but with
// `force`. The lock is held before and after, not meanwhile.
static bool segment_purge(size_t index, bool force) {
  segment_t* segment = segment_at(index);
  bool all = force || mim_purge_delay() == 0;
  size_t least = force ? 0 : mi_option_get_size(mi_option_minimal_purge_size) / SLICE_SIZE;
  bool any = false;
  segment->purge_at = 0;
  for (size_t from = 0; from < SEGMENT_SLICES;) {
    uint64_t due[SEGMENT_WORDS];
    segment_due(segment, all, due);
    size_t first = bits_find(due, from, SEGMENT_SLICES, true);
    if (first == SEGMENT_SLICES) break;
    size_t count = bits_find(due, first, SEGMENT_SLICES, false) - first;
    from = first + count;
    if (count < least) continue;
    bits_change(segment->free, first, count, false);
    segment->room -= (uint32_t)count;
    lock_release(&mim_region_lock);
    bool gone = mim_os_purge(segment_start(index) + first * SLICE_SIZE, count * SLICE_SIZE);
    lock_acquire(&mim_region_lock);
    bits_change(segment->free, first, count, true);
    segment->room += (uint32_t)count;
    if (index < region.hint) region.hint = index;
    if (gone) {
      probe_purge(segment->start + first * SLICE_SIZE, count * SLICE_SIZE);
      bits_change(segment->resident, first, count, false);
      bits_change(segment->dirty, first, count, false);
      region.info.purged_total += count * SLICE_SIZE;
      region.info.purge_calls++;
      any = true;
    }
  }
  if (!all) segment_age(segment);
  return any;
}

bool mim_region_purge(bool force) {
  uint64_t at = atomic_load_explicit(&region.purge_at, memory_order_relaxed);
  if (mim_likely(at == 0)) return false;
  uint64_t now = mim_os_clock_ms();
  if (!force && now < at) return false;
  bool any = false;
  lock_acquire(&mim_region_lock);
  uint64_t next = 0;
  atomic_store_explicit(&region.purge_at, 0, memory_order_relaxed);
  for (size_t index = segment_next(SIZE_MAX); index < segments_end(); index = segment_next(index)) {
    segment_t* segment = segment_at(index);
    if (segment->purge_at == 0) continue;
    if (force || segment->purge_at <= now) {
      any |= segment_purge(index, force);
    }
    if (segment->purge_at != 0 && (next == 0 || segment->purge_at < next)) next = segment->purge_at;
  }
  uint64_t set = atomic_load_explicit(&region.purge_at, memory_order_relaxed);  // by frees while the lock was let go
  if (next != 0 && (set == 0 || next < set)) atomic_store_explicit(&region.purge_at, next, memory_order_relaxed);
  lock_release(&mim_region_lock);
  return any;
}

void mim_region_info(region_info_t* info) {
  lock_acquire(&mim_region_lock);
  *info = region.info;
  lock_release(&mim_region_lock);
}

void mim_region_segment(size_t index, segment_info_t* info) {
  segment_t* segment = segment_at(index);
  lock_acquire(&mim_region_lock);
  info->start = segment->start;
  info->open = segment->open;
  info->arena = segment->arena;
  memcpy(info->free, segment->free, sizeof(info->free));
  memcpy(info->resident, segment->resident, sizeof(info->resident));
  hook_segment_guards(&segment->guards, info->tails, info->guards);
  lock_release(&mim_region_lock);
}

size_t mim_region_slices(void) {
  return (region.extra > 0 ? segments_end() : region.count) * SEGMENT_SLICES;
}
