// Guard pages: inaccessible OS pages between segments, behind the blocks of each page, behind each block of whole OS
// pages, behind each large block, and all of a freed large block.
//
// Stops: overflows and over-reads that run into one, at once, by a fault; use of freed large blocks.
// Does not stop: what stays within a page of small blocks, or jumps over a guard. In locked memory the kernel refuses.
// Costs: one system call (250 ns) when a page is made where no guard lies yet; guards stay when a page is given up, and
// most pages are made where one was. With lightweight guards (Linux 6.13) no mapping at all; on older kernels mprotect
// splits mappings, so a budget (a quarter of vm.max_map_count) is kept, and when it is used up guards of pages are left
// out, and single blocks have none: running out of mappings is never an error.
//
// Which slices hold guards is kept in two bits each, under mim_region_lock, as all the functions here are called with
// it but sec_guard_blocks: `tail` (the last OS page is a guard), `all` (there may be guards anywhere) and, of those,
// `full` (it is nothing but guards).
#include "../src/bits.h"
#include "../src/watch.h"
#include "secure.h"

static struct {
  _Atomic(size_t) installed, removed, refused, mappings;
  _Atomic(size_t) peak;  // most there were at a time
  size_t budget;
} guard;

static const watch_t guard_watch[] = {
    WATCH_MEMBER("guards.installed", __typeof__(guard), installed),
    WATCH_MEMBER("guards.removed", __typeof__(guard), removed),
    WATCH_MEMBER("guards.peak", __typeof__(guard), peak),
};
const watch_table_t sec_watch_guard = WATCH_TABLE(&guard, guard_watch);

void sec_guard_init(void) {
  hook_process_t* policy = &mim_process.hook;
  size_t os_page = policy->os_page;
  void* probe = mim_os_reserve(os_page, os_page, NULL);
  bool light = probe != NULL && mim_os_open(probe, os_page) && mim_os_guard_supported(probe);
  if (probe != NULL) mim_os_release(probe, os_page);
  if (mim_option(mi_option_guards) == 1) light = false;
  policy->guard_kind = light ? SEC_GUARD_LIGHT : SEC_GUARD_MPROTECT;
  guard.budget = mim_os_max_mappings() / 4;
  // With OS pages of 64 KiB a slice has no room for a guard: only segments and large blocks get theirs.
  bool fits = os_page <= SLICE_SIZE / 4 && (policy->mechanisms & SEC_PAGE_GUARD);
  policy->page_tail = fits ? (uint32_t)os_page : 0;
  if (!fits || !light) policy->mechanisms &= ~(uint32_t)SEC_BLOCK_GUARD;
}

// Of so many that were installed. A guard that is removed in two steps counts twice.
static size_t still_there(size_t installed) {
  size_t removed = atomic_load_explicit(&guard.removed, memory_order_relaxed);
  return installed > removed ? installed - removed : 0;
}

static bool install(uint8_t* start, size_t size, bool important) {
  bool ok;
  if (mim_process.hook.guard_kind == SEC_GUARD_LIGHT) {
    ok = mim_os_guard_install(start, size);
  } else {
    size_t limit = important ? guard.budget * 2 : guard.budget;
    ok = atomic_load_explicit(&guard.mappings, memory_order_relaxed) + 2 <= limit && mim_os_close(start, size);
    // Locked memory cannot be given back, and would not read as zero when the guard goes. There the kernel refuses
    // lightweight ones, too.
    if (ok && !mim_os_purge(start, size)) ok = !mim_os_open(start, size);
    if (ok) atomic_fetch_add_explicit(&guard.mappings, 2, memory_order_relaxed);
  }
  size_t before = atomic_fetch_add_explicit(ok ? &guard.installed : &guard.refused, 1, memory_order_relaxed);
  if (ok) sec_raise(&guard.peak, still_there(before + 1));
  return ok;
}

// False: they are still there, since the kernel has no mapping to spare.
static bool remove_guards(uint8_t* start, size_t size) {
  bool light = mim_process.hook.guard_kind == SEC_GUARD_LIGHT;
  if (!(light ? mim_os_guard_remove(start, size) : mim_os_open(start, size))) return false;
  if (!light && atomic_load_explicit(&guard.mappings, memory_order_relaxed) >= 2) {
    atomic_fetch_sub_explicit(&guard.mappings, 2, memory_order_relaxed);
  }
  atomic_fetch_add_explicit(&guard.removed, 1, memory_order_relaxed);
  return true;
}

// ---- segments and spans ---------------------------------------------------------------------------------------------

void sec_guard_segment(hook_segment_t* guards, uint8_t* start) {
  size_t last = SEGMENT_SLICES - 1;
  if (install(start + last * SLICE_SIZE, SLICE_SIZE, true)) bits_change(guards->all, last, 1, true);
}

// Removes what guards there are in slices [first, first + count), run by run, but for the tail of slice `keep`.
static bool clear_guards(hook_segment_t* guards, uint8_t* base, size_t first, size_t count, size_t keep) {
  size_t os_page = mim_process.hook.os_page, end = first + count;
  for (size_t i = first; i < end; i++) {
    if (bit_get(guards->all, i)) {
      size_t run = bits_find(guards->all, i, end, false) - i;
      if (!remove_guards(base + i * SLICE_SIZE, run * SLICE_SIZE)) return false;
      bits_change(guards->all, i, run, false);
      bits_change(guards->full, i, run, false);
      bits_change(guards->tail, i, run, false);
      i += run - 1;
    } else if (bit_get(guards->tail, i) && i != keep) {
      if (!remove_guards(base + (i + 1) * SLICE_SIZE - os_page, os_page)) return false;
      bits_change(guards->tail, i, 1, false);
    }
  }
  return true;
}

// A span that is guards throughout keeps those behind `used`.
static bool uncover(hook_segment_t* guards, uint8_t* start, size_t first, size_t slices, size_t used, bool tail_only) {
  if (used > 0 && !remove_guards(start, used)) return false;
  bits_change(guards->full, first, div_up(used, SLICE_SIZE), false);
  bits_change(guards->all, first, tail_only ? slices : used / SLICE_SIZE, false);
  bits_change(guards->tail, first, slices, false);
  if (tail_only) bits_change(guards->tail, first + slices - 1, 1, true);
  return true;
}

bool sec_guard_span_out(hook_segment_t* guards, uint8_t* base, size_t first, size_t slices, size_t used) {
  size_t size = slices * SLICE_SIZE;
  size_t last = first + slices - 1;
  uint8_t* start = base + first * SLICE_SIZE;
  size_t os_page = mim_process.hook.os_page;
  bool tail_only = used < size && size - used == os_page;
  bool done = used < size && bits_all(guards->full, first, slices)
                  ? uncover(guards, start, first, slices, used, tail_only)
                  : clear_guards(guards, base, first, slices, tail_only ? last : SIZE_MAX);
  if (!done) return false;
  // The slice before ends a page, which has its guard, or is free: then it gets one, so that an underflow faults. Where
  // pages have no tail for a guard, it may be in use to its end.
  bool has_tail = mim_process.hook.page_tail != 0;
  if (has_tail && first > 0 && !bit_get(guards->tail, first - 1) && !bit_get(guards->all, first - 1)) {
    bits_change(guards->tail, first - 1, 1, install(start - os_page, os_page, false));
  }
  if (used >= size) return true;
  if (tail_only) {
    if (!bit_get(guards->tail, last)) bits_change(guards->tail, last, 1, install(start + used, size - used, false));
  } else if (!bit_get(guards->all, last) && install(start + used, size - used, true)) {
    size_t from = used / SLICE_SIZE, whole = div_up(used, SLICE_SIZE);
    bits_change(guards->all, first + from, slices - from, true);
    bits_change(guards->full, first + whole, slices - whole, true);
  }
  return true;
}

bool sec_guard_span_grow(hook_segment_t* guards, uint8_t* base, size_t first, size_t used, size_t more, bool* zero) {
  size_t from = used / SLICE_SIZE;
  bool guarded = bits_all(guards->all, first + from, div_up(more, SLICE_SIZE) - from);
  if (!remove_guards(base + first * SLICE_SIZE + used, more - used)) return false;
  bits_change(guards->full, first, div_up(more, SLICE_SIZE), false);
  bits_change(guards->all, first, more / SLICE_SIZE, false);
  *zero &= guarded;  // otherwise the guards were refused: in locked memory
  return true;
}

bool sec_guard_span_back(hook_segment_t* guards, uint8_t* base, size_t first, size_t slices, span_kind_t kind) {
  if (kind == SPAN_BLOCKS) return false;
  if (kind == SPAN_SEALED) return true;
  uint8_t* start = base + first * SLICE_SIZE;
  bool sealed = false;
  if (kind == SPAN_LARGE) {
    if (!(mim_process.hook.mechanisms & SEC_LARGE_SEAL)) return false;
    sealed = install(start, slices * SLICE_SIZE, true);
    if (!sealed) return mim_os_purge(start, slices * SLICE_SIZE);
  }
  bits_change(guards->all, first, slices, true);
  if (sealed) bits_change(guards->full, first, slices, true);
  return sealed;
}

// Blocks of whole OS pages: one guard behind each. The slices are marked when the page is given up (SPAN_GUARDED).
void sec_guard_blocks(page_t* page, uint32_t first, uint32_t count) {
  size_t guard_size = page->stride - page->block_size;
  for (uint32_t i = first; i < first + count; i++) install(page_block(page, i) + page->block_size, guard_size, false);
}

void sec_guard_info(sec_guard_info_t* info) {
  info->installed = atomic_load_explicit(&guard.installed, memory_order_relaxed);
  info->present = still_there(info->installed);
  info->peak = atomic_load_explicit(&guard.peak, memory_order_relaxed);
  info->removed = atomic_load_explicit(&guard.removed, memory_order_relaxed);
  info->refused = atomic_load_explicit(&guard.refused, memory_order_relaxed);
  info->mappings_used = atomic_load_explicit(&guard.mappings, memory_order_relaxed);
  info->mappings_budget = guard.budget;
}
