// Sampled guarded blocks: one allocation in sample_rate gets OS pages of its own, and stack traces of who allocated and
// who freed it. In the profile `fuzz` every allocation does.
//
//   right:  | ... unused ... | block | guard |     left:  guard of the slice before | block | fence | ... | guard |
//
// A sampled block is a page with one large block of any size, flush right or left at random, so that overflows fault in
// one half of the cases and underflows in the other. When it is freed it becomes inaccessible at once, and the last
// ones are kept so (hold.c): a use after free faults, and a second free is told from an invalid one with both traces.
//
// Which allocation it is is decided off the fast path: each thread counts down by as many allocations as a page's
// magazine serves, and shortens the magazine in which the count ends, so that the next allocation takes the generic path.
// Where the rate is the profile's own, samples are also bounded in time (see `affordable`): a program that does nothing
// but allocate has fewer than one in sample_rate.
//
// Stops: what a guard stops, for one block in sample_rate, small ones included; and tells where it came from.
// Does not stop: anything for the others.
// Costs: nothing on the fast path; a sampled block takes a slice of address space, at least one OS page of memory and
// two system calls. At most LIVE_MAX of them live at a time, unless every allocation is sampled.
#include "sample.h"

#include "../src/watch.h"
#include "mimalloc-stats.h"

#define LIVE_MAX 2048

lock_t sec_sample_lock;

static struct {
  _Atomic(size_t) live, peak, total;
  uint64_t paid_until;  // clock in ms; under the lock
  uint32_t credit;      // samples that may be made now
} samples;

static const watch_t sample_watch[] = {
    WATCH_MEMBER("samples.live", __typeof__(samples), live),
    WATCH_MEMBER("samples.peak", __typeof__(samples), peak),
    WATCH_MEMBER("samples.total", __typeof__(samples), total),
};
const watch_table_t sec_watch_sample = WATCH_TABLE(&samples, sample_watch);

static sec_sample_t* sample_of(const page_t* page) {
  return (sec_sample_t*)((uint8_t*)page->hook.entries - offsetof(sec_sample_t, entries));
}

// ---- which one ------------------------------------------------------------------------------------------------------

// Allocations until the next sample: uniform around the rate, so that no pattern of the program's stays unsampled.
static int64_t next_sample(hook_thread_t* thread, size_t rate) {
  return (int64_t)(1 + sec_random64(thread) % (2 * (uint64_t)rate));
}

// Requests that the fast path serves come here once a magazine, the others each time: with one mark for both the others
// would take nearly all samples.
enum { DUE_SMALL = 1, DUE_MEDIUM = 2 };

size_t sec_sample_trim(tld_t* tld, const page_t* page, size_t count) {
  hook_thread_t* thread = &tld->hook;
  if (thread->sample_left > (int64_t)count) {
    thread->sample_left -= (int64_t)count;
    return count;
  }
  size_t left = thread->sample_left < 1 ? 1 : (size_t)thread->sample_left;
  thread->sample_left = next_sample(thread, mim_process.hook.sample_rate);
  thread->sample_due |= page->block_size <= SMALL_MAX + HOOK_BIN_PAD ? DUE_SMALL : DUE_MEDIUM;
  return left;
}

void sec_sample_thread(tld_t* tld) {
  tld->hook.sample_due = 0;
  if (mim_process.hook.mechanisms & SEC_SAMPLE) {
    tld->hook.sample_left = next_sample(&tld->hook, mim_process.hook.sample_rate);
  }
}

// A sample costs some eight microseconds, a page fault and two system calls among them. What all of them cost is bounded
// by time: after a number at once, one in sample_pause milliseconds.
#define CREDIT_MAX 32
static bool affordable(void) {
  uint32_t pause = mim_process.hook.sample_pause;
  if (pause == 0) return true;
  uint64_t now = mim_os_clock_ms();
  lock_acquire(&sec_sample_lock);
  uint64_t earned = (now - samples.paid_until) / pause;
  if (earned > 0) {
    samples.credit = (uint32_t)min_size((size_t)earned + samples.credit, CREDIT_MAX);
    samples.paid_until = now;
  }
  bool ok = samples.credit > 0;
  if (ok) samples.credit--;
  lock_release(&sec_sample_lock);
  return ok;
}

static bool is_due(heap_t* heap, size_t size) {
  hook_thread_t* thread = &heap->tld->hook;
  size_t rate = heap->sample_rate != SIZE_MAX ? heap->sample_rate : mim_process.hook.sample_rate;
  if (rate == 0 || size == 0 || size < heap->sample_min || size > heap->sample_max) return false;
  if (rate == 1) return true;
  if (atomic_load_explicit(&samples.live, memory_order_relaxed) >= LIVE_MAX) return false;
  uint8_t due = size <= SMALL_MAX ? DUE_SMALL : DUE_MEDIUM;
  if (size <= MEDIUM_MAX && (thread->sample_due & due)) {
    thread->sample_due &= (uint8_t)~due;
    return heap->sample_rate != SIZE_MAX || affordable();
  }
  if (size <= MEDIUM_MAX || --thread->sample_left > 0) return false;  // the others are counted by the magazine
  thread->sample_left = next_sample(thread, rate);
  return heap->sample_rate != SIZE_MAX || affordable();
}

// ---- life of a sampled block ----------------------------------------------------------------------------------------

static sec_stack_t keep_trace(void** frames) {
  void* all[SAMPLE_FRAMES + 8];
  sec_registers_t registers;
  sec_registers_here(&registers);
  size_t found = sec_trace(&registers, false, all, SAMPLE_FRAMES + 8);
  size_t own = sec_trace_own(all, found);
  size_t count = min_size(found - own, SAMPLE_FRAMES);
  memcpy(frames, all + own, count * sizeof(void*));
  return (sec_stack_t){.frames = frames, .count = count, .thread = mim_tls.tld->thread_id};
}

void* sec_sample(heap_t* heap, size_t size, size_t align, family_t family, bool zero) {
  if (!(mim_process.hook.mechanisms & SEC_SAMPLE) || !is_due(heap, size)) return NULL;
  sec_sample_t* sample = mim_meta_alloc(sizeof(sec_sample_t));
  if (sample == NULL) return NULL;
  // A large block would end at a guard anyway: only where every block is sampled is it worth another side now and then.
  bool flush = (sec_random64(&heap->tld->hook) & 1) || (size > MEDIUM_MAX && mim_process.hook.sample_rate != 1);
  void* p = mim_page_fresh_large(heap, size, align, 0, 0, family, zero, flush);
  if (p == NULL) {
    mim_meta_free(sample, sizeof(sec_sample_t));
    return NULL;
  }
  page_t* page = mim_page_find(p);  // nobody else has the address yet
  sample->entries[0] = page->hook.entries[0];
  sample->entries[1] = page->hook.entries[1];
  page->hook.entries = sample->entries;
  page->kind |= KIND_SAMPLED;
  sec_large_fill(page);
  sample->allocated = keep_trace(sample->alloc_frames);
  atomic_fetch_add_explicit(&samples.total, 1, memory_order_relaxed);
  sec_raise(&samples.peak, atomic_fetch_add_explicit(&samples.live, 1, memory_order_relaxed) + 1);
  return p;
}

void sec_sample_freed(page_t* page) {
  sec_sample_t* sample = sample_of(page);
  sample->freed = keep_trace(sample->free_frames);
}

void sec_sample_dead(void) {
  atomic_fetch_sub_explicit(&samples.live, 1, memory_order_relaxed);
}

void sec_sample_done(page_t* page) {
  mim_meta_free(sample_of(page), sizeof(sec_sample_t));
}

void sec_sample_fork_child(void) {
  lock_reset(&sec_sample_lock);
}

// ---- statistics and reports -----------------------------------------------------------------------------------------

void sec_sample_stats(mi_stats_t* stats) {
  stats->guarded_blocks.current = (int64_t)atomic_load_explicit(&samples.live, memory_order_relaxed);
  stats->guarded_blocks.peak = (int64_t)atomic_load_explicit(&samples.peak, memory_order_relaxed);
  stats->guarded_blocks.total = (int64_t)atomic_load_explicit(&samples.total, memory_order_relaxed);
}

void sec_sample_describe(sec_report_t* report) {
  if (report->page == NULL || !(report->page->kind & KIND_SAMPLED)) return;
  const sec_sample_t* sample = sample_of(report->page);
  report->allocated = &sample->allocated;
  if (sample->freed.count > 0) report->freed = &sample->freed;
}
