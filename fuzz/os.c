// See os.h. Stands between the library and src/prim/linux.c, src/meta.c and src/region.c, whose functions of the same
// names are compiled as real_NAME for the fuzzers (fuzz/CMakeLists.txt).
#include "os.h"

#include <string.h>
#include <sys/mman.h>

#include "../src/meta.h"
#include "model.h"

bool os_simulated;
static bool paced;  // time and ids are numbers, if nothing else is simulated

void* real_mim_os_reserve(size_t size, size_t align, void* hint);
bool real_mim_os_open(void* addr, size_t size);
bool real_mim_os_close(void* addr, size_t size);
bool real_mim_os_purge(void* addr, size_t size);
void real_mim_os_release(void* addr, size_t size);
bool real_mim_os_guard_supported(void* open_page);
bool real_mim_os_guard_install(void* addr, size_t size);
bool real_mim_os_guard_remove(void* addr, size_t size);
uint64_t real_mim_os_clock_ms(void);
uint64_t real_mim_os_clock_ns(void);
uint32_t real_mim_os_thread_id(void);
uint32_t real_mim_os_process_id(void);
void real_mim_os_write(int fd, const char* buf, size_t size);
void real_mim_os_usage(os_usage_t* usage);
void* real_mim_meta_alloc(size_t size);
span_t real_mim_region_alloc(size_t slices, size_t align, size_t used, int arena, bool cold, size_t bin);

// ---- areas ----------------------------------------------------------------------------------------------------------

// A reservation, with a byte for each OS page. The bytes are mapped, and cost nothing where they are not used.
enum { CLOSED = 1, GUARD = 2, STAMPED = 4 };

#define OS_PAGE ((size_t)4096)
#define SLICE_PAGES (SLICE_SIZE / OS_PAGE)
#define AREAS 8
#define SMALL_MAP ((size_t)1 << 20)

typedef struct area_s {
  uint8_t* start;
  size_t pages;
  uint8_t* state;         // CLOSED, GUARD
  uint8_t* kept[STATES];  // as it was at os_keep
  uint8_t* opened;        // by the kernel: stays so
  uint64_t* stale;        // a bit for each slice that was in use before os_keep: it does not read as zero
  uint64_t* used;         // a bit for each slice that was handed out, or whose pages changed, since os_restore
  uint32_t* given;        // for each slice, the run in which it last went to the kernel for being sparse
  uint64_t* owed;         // a bit for each free slice that was purged, and is cleared when it is handed out
  size_t low, high;       // pages whose state ever changed before os_keep: in these, known states may differ
} area_t;

static struct {
  area_t areas[AREAS];
  size_t area_count;
  os_range_t small[AREAS];
  size_t small_count;
  os_range_t heap;  // metadata
  size_t kept_heap[STATES];
  uint64_t now;  // milliseconds
  uint64_t kept_now[STATES];
  uint32_t run;       // from 1 on
  unsigned now_kept;  // the state that was gone back to last
  bool any_kept;
  uint32_t thread;
  bool mute;
} os;

static uint8_t* bytes_for(size_t pages) {
  uint8_t* bytes = real_mim_os_reserve(align_up(pages, OS_PAGE), OS_PAGE, NULL);
  if (bytes == NULL || !real_mim_os_open(bytes, align_up(pages, OS_PAGE))) model_fail("no memory for the map of pages");
  return bytes;
}

static void area_add(void* start, size_t size, bool open) {
  if (os.area_count == AREAS) model_fail("more reservations than fuzz/os.c knows");
  size_t pages = size / OS_PAGE;
  area_t* area = &os.areas[os.area_count++];
  *area = (area_t){.start = start, .pages = pages, .low = pages};
  area->state = bytes_for(pages);
  for (unsigned i = 0; i < STATES; i++) area->kept[i] = bytes_for(pages);
  area->opened = bytes_for(pages);
  area->stale = (uint64_t*)(void*)bytes_for(pages / SLICE_PAGES / 8 + 8);
  area->used = (uint64_t*)(void*)bytes_for(pages / SLICE_PAGES / 8 + 8);
  area->given = (uint32_t*)(void*)bytes_for(pages / SLICE_PAGES * sizeof(uint32_t) + sizeof(uint32_t));
  area->owed = (uint64_t*)(void*)bytes_for(pages / SLICE_PAGES / 8 + 8);
  if (open) memset(area->opened, 1, pages);
}

// NULL: of none.
static area_t* area_of(const void* p, size_t* page) {
  for (size_t i = 0; i < os.area_count; i++) {
    size_t at = (size_t)((uintptr_t)p - (uintptr_t)os.areas[i].start) / OS_PAGE;
    if (at >= os.areas[i].pages) continue;
    *page = at;
    return &os.areas[i];
  }
  return NULL;
}

// The pages of an area that a call is about. False: they are of none, and the real system's.
typedef struct pages_s {
  area_t* area;
  size_t from, to;
} pages_t;

static bool pages_of(const void* addr, size_t size, pages_t* pages) {
  pages->area = os_simulated ? area_of(addr, &pages->from) : NULL;
  if (pages->area == NULL) return false;
  pages->to = pages->from + size / OS_PAGE;
  return true;
}

// Words of `used` that are not 0.
#define WORDS 4096
static struct {
  area_t* area;
  size_t at;
} words[WORDS];
static size_t word_count;

static void touched(area_t* area, size_t from, size_t to) {
  for (size_t slice = from / SLICE_PAGES; slice <= (to - 1) / SLICE_PAGES; slice++) {
    uint64_t* bits = &area->used[slice / 64];
    if (*bits == 0) {
      if (word_count == WORDS) model_fail("a run uses more memory than fuzz/os.c knows");
      words[word_count].area = area;
      words[word_count++].at = slice / 64;
    }
    *bits |= (uint64_t)1 << (slice % 64);
  }
}

// ---- guards ---------------------------------------------------------------------------------------------------------

#define STALE UINT64_C(0x7374616c65737461)

// What lies in a guard reads as zero when it is one no more. Until then the ends of its first and last pages hold this,
// and are looked at.
#define ENDS 2
#define STAMP UINT64_C(0x6775617264706167)
#define STAMP_WORDS 4

static void stamp(area_t* area, size_t page) {
  area->state[page] |= STAMPED;
  uint64_t* p = (uint64_t*)(void*)(area->start + page * OS_PAGE);
  for (size_t i = 0; i < STAMP_WORDS; i++) p[i] = p[OS_PAGE / 8 - 1 - i] = STAMP;
}

static void stamp_check(const area_t* area, size_t page) {
  const uint64_t* p = (const uint64_t*)(const void*)(area->start + page * OS_PAGE);
  uint64_t different = 0;
  for (size_t i = 0; i < STAMP_WORDS; i++) different |= (p[i] ^ STAMP) | (p[OS_PAGE / 8 - 1 - i] ^ STAMP);
  if (different != 0) model_fail("the guard at %p was written to", (const void*)p);
}

// Contents that go. Few pages are cleared, and very many go to the kernel, from where they come back with a page fault
// each. In between, pages that have no memory are left alone. Where most that have some read as zero, as a large block is
// written to in a few places only, they go to the kernel, too: the next run finds them without memory. Not each time: it
// may only have read them.
#define FEW 32
#define MANY 4096
#define FAULT_PAGES 4  // that are cleared in the time of a page fault
#define PAUSE 100      // runs

static bool is_clear(const uint8_t* start) {
  const uint64_t* at = (const uint64_t*)(const void*)start;
  for (size_t i = 0; i < OS_PAGE / 8; i += 32) {
    uint64_t seen = 0;
    for (size_t k = 0; k < 32; k++) seen |= at[i + k];
    if (seen != 0) return false;
  }
  return true;
}

static bool may_give(area_t* area, size_t page) {
  uint32_t* given = &area->given[page / SLICE_PAGES];
  if (*given != 0 && os.run - *given < PAUSE) return false;
  *given = os.run;
  return true;
}

static void clear(area_t* area, size_t from, size_t to) {
  static unsigned char has[MANY];
  uint8_t* start = area->start + from * OS_PAGE;
  size_t pages = to - from, dirty = 0, clean = 0;
  if (pages <= FEW) {
    memset(start, 0, pages * OS_PAGE);
    return;
  }
  bool asked = pages <= MANY && mincore(start, pages * OS_PAGE, has) == 0;
  for (size_t page = 0; asked && page < pages; page++) {
    if (!(has[page] & 1)) continue;
    uint8_t* p = start + page * OS_PAGE;
    if (is_clear(p)) {
      clean++;
    } else {
      memset(p, 0, OS_PAGE);
      dirty++;
    }
  }
  bool sparse = clean > FEW / 2 + FAULT_PAGES * dirty;
  if (!asked || (sparse && may_give(area, from))) real_mim_os_purge(start, pages * OS_PAGE);
}

// The end of the pages from `from` on that are all guards, or none of which is.
static size_t run_end_of(const area_t* area, size_t from, size_t to) {
  size_t end = from + 1;
  while (end < to && ((area->state[end] ^ area->state[from]) & GUARD) == 0) end++;
  return end;
}

bool mim_os_guard_install(void* addr, size_t size) {
  pages_t at;
  if (!pages_of(addr, size, &at)) return real_mim_os_guard_install(addr, size);
  touched(at.area, at.from, at.to);
  for (size_t page = at.from; page < at.to; page++) {
    bool end = page < at.from + ENDS || page + ENDS >= at.to;
    if (end && at.area->opened[page] && !(at.area->state[page] & STAMPED)) stamp(at.area, page);
    at.area->state[page] |= GUARD;
  }
  return true;
}

static void guards_gone(area_t* area, size_t from, size_t to) {
  for (size_t page = from; page < to; page++) {
    if (area->state[page] & STAMPED) stamp_check(area, page);
    area->state[page] &= (uint8_t) ~(GUARD | STAMPED);
  }
  if (area->opened[from]) clear(area, from, to);
}

bool mim_os_guard_remove(void* addr, size_t size) {
  pages_t at;
  if (!pages_of(addr, size, &at)) return real_mim_os_guard_remove(addr, size);
  touched(at.area, at.from, at.to);
  for (size_t end; at.from < at.to; at.from = end) {
    end = run_end_of(at.area, at.from, at.to);
    if (at.area->state[at.from] & GUARD) guards_gone(at.area, at.from, end);
  }
  return true;
}

// ---- opening and closing --------------------------------------------------------------------------------------------

void* mim_os_reserve(size_t size, size_t align, void* hint) {
  void* start = real_mim_os_reserve(size, align, hint);
  if (!os_simulated || start == NULL) return start;
  if (size > SMALL_MAP) area_add(start, size, false);
  return start;
}

static void small_map(void* start, size_t size) {
  for (size_t i = 0; i < os.small_count; i++) {
    if (os.small[i].start == start) return;
  }
  if (os.small_count == AREAS) model_fail("more small mappings than fuzz/os.c knows");
  os.small[os.small_count++] = (os_range_t){start, size};
}

// What is released was the last that was reserved: a try, or the place that guards are tried at.
void mim_os_release(void* addr, size_t size) {
  if (os.area_count > 0 && os.areas[os.area_count - 1].start == addr) os.area_count--;
  if (os.small_count > 0 && os.small[os.small_count - 1].start == addr) os.small_count--;
  real_mim_os_release(addr, size);
}

bool mim_os_open(void* addr, size_t size) {
  pages_t at;
  if (!pages_of(addr, size, &at)) {
    bool ok = real_mim_os_open(addr, size);
    if (os_simulated && ok) small_map(addr, size);
    return ok;
  }
  bool unknown = memchr(at.area->opened + at.from, 0, at.to - at.from) != NULL;
  if (unknown && !real_mim_os_open(addr, size)) return false;
  for (size_t page = at.from; page < at.to; page++) {
    at.area->opened[page] = 1;
    if (at.area->state[page] & CLOSED) {
      at.area->state[page] &= (uint8_t)~CLOSED;
      touched(at.area, page, page + 1);
    }
  }
  return true;
}

bool mim_os_close(void* addr, size_t size) {
  pages_t at;
  if (!pages_of(addr, size, &at)) return real_mim_os_close(addr, size);
  touched(at.area, at.from, at.to);
  for (size_t page = at.from; page < at.to; page++) at.area->state[page] |= CLOSED;
  return true;
}

static void purge(area_t* area, size_t from, size_t to) {
  for (size_t end; from < to; from = end) {
    end = run_end_of(area, from, to);
    if (!(area->state[from] & GUARD) && area->opened[from]) clear(area, from, end);
  }
}

bool mim_os_purge(void* addr, size_t size) {
  pages_t at;
  if (!pages_of(addr, size, &at)) return real_mim_os_purge(addr, size);
  purge(at.area, at.from, at.to);
  return true;
}

static bool bit_at(const uint64_t* bits, size_t i) {
  return (bits[i / 64] >> (i % 64)) & 1;
}

// Free slices: most are not used again before the run is over.
bool fuzz_purge_free(void* addr, size_t size);
bool fuzz_purge_free(void* addr, size_t size) {
  pages_t at;
  if (!pages_of(addr, size, &at)) return real_mim_os_purge(addr, size);
  touched(at.area, at.from, at.to);
  for (size_t slice = at.from / SLICE_PAGES; slice < at.to / SLICE_PAGES; slice++) {
    at.area->owed[slice / 64] |= (uint64_t)1 << (slice % 64);
  }
  return true;
}

static void pay(area_t* area, size_t from, size_t to) {
  while (from < to) {
    size_t first = from;
    for (; from < to && bit_at(area->owed, from); from++) area->owed[from / 64] &= ~((uint64_t)1 << (from % 64));
    if (from > first) purge(area, first * SLICE_PAGES, from * SLICE_PAGES);
    from++;
  }
}

bool mim_os_guard_supported(void* open_page) {
  return os_simulated || real_mim_os_guard_supported(open_page);
}

void os_watch(void* start, size_t size) {
  if (os_simulated) area_add(start, size, true);
}

int os_access(const void* p) {
  pages_t at;
  if (!pages_of(p, 1, &at)) return -1;
  return at.area->opened[at.from] && at.area->state[at.from] == 0;
}

// ---- time, threads, output ------------------------------------------------------------------------------------------

#define STEP_MS 4
#define FIRST_MS 1000000

uint64_t mim_os_clock_ms(void) {
  return paced ? os.now : real_mim_os_clock_ms();
}

uint64_t mim_os_clock_ns(void) {
  return paced ? os.now * 1000000 : real_mim_os_clock_ns();
}

// Threads and processes are numbered as they first ask.
uint32_t mim_os_thread_id(void) {
  static uint32_t last;
  static _Thread_local uint32_t own;
  if (os_simulated) return os.thread + 1;
  if (!paced) return real_mim_os_thread_id();
  if (own == 0) own = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
  return own;
}

uint32_t mim_os_process_id(void) {
  static uint32_t real, own;
  uint32_t now = real_mim_os_process_id();
  if (!paced) return now;
  if (real != now) own++;
  real = now;
  return own;
}

void mim_os_write(int fd, const char* buf, size_t size) {
  if (!os.mute) real_mim_os_write(fd, buf, size);
}

void mim_os_usage(os_usage_t* usage) {
  if (!os_simulated) real_mim_os_usage(usage);
  if (!paced) return;
  *usage = (os_usage_t){.user_ms = os.now, .system_ms = 1, .current_rss = MIB, .peak_rss = 2 * MIB, .page_faults = 3};
}

void os_tick(void) {
  os.now += STEP_MS;
}

void os_thread(uint32_t id) {
  os.thread = id;
}

void os_mute(void) {
  os.mute = true;
}

// ---- what is used ---------------------------------------------------------------------------------------------------

// Of each segment, how many slices from its start were in use: in this run, and ever before os_keep. What lies above
// those has to read as zero when it is used again.
#define SEGMENTS (REGION_MAX / SEGMENT_SIZE + MIM_EXTRA_SEGMENTS)
static uint16_t used[SEGMENTS], used_before[SEGMENTS];
static size_t segments[SEGMENTS], segment_count;  // of which `used` is not 0

size_t os_slices_used(size_t segment, bool ever) {
  return ever && used[segment] < used_before[segment] ? used_before[segment] : used[segment];
}

span_t mim_region_alloc(size_t slices, size_t align, size_t wanted, int arena, bool cold, size_t bin) {
  span_t span = real_mim_region_alloc(slices, align, wanted, arena, cold, bin);
  if (!os_simulated || span.start == NULL) return span;
  size_t page;
  area_t* area = area_of(span.start, &page);
  if (area != NULL) {
    touched(area, page, page + slices * SLICE_PAGES);
    pay(area, page / SLICE_PAGES, page / SLICE_PAGES + slices);
  }
  for (size_t i = page / SLICE_PAGES; area != NULL && !os.any_kept && i < page / SLICE_PAGES + slices; i++) {
    area->stale[i / 64] |= (uint64_t)1 << (i % 64);
  }
  for (size_t at = span.slice, end = span.slice + slices; at < end;) {
    size_t segment = at / SEGMENT_SLICES, next = min_size(end, (segment + 1) * SEGMENT_SLICES);
    size_t high = next - segment * SEGMENT_SLICES;
    if (used[segment] == 0) segments[segment_count++] = segment;
    if (high > used[segment]) used[segment] = (uint16_t)high;
    at = next;
  }
  return span;
}

void* mim_meta_alloc(size_t size) {
  uint8_t* p = real_mim_meta_alloc(size);
  if (p == NULL) model.no_metadata = true;
  if (!os_simulated || p == NULL) return p;
  if (os.heap.start == NULL) os.heap.start = p;
  size_t end = (size_t)(p - os.heap.start) + align_up(size, CACHE_LINE);
  if (end > os.heap.size) os.heap.size = end;
  return p;
}

os_range_t os_meta_heap(void) {
  return os.heap;
}

size_t os_small_maps(const os_range_t** maps) {
  *maps = os.small;
  return os.small_count;
}

// ---- back to the beginning ------------------------------------------------------------------------------------------

void os_simulate(void) {
  os_simulated = paced = true;
  os.now = FIRST_MS;
}

bool os_switches(unsigned which) {
  return which != os.now_kept;
}

static void words_forget(void) {
  for (size_t i = 0; i < word_count; i++) {
    words[i].area->used[words[i].at] = 0;
    words[i].area->owed[words[i].at] = 0;
  }
  word_count = 0;
}

// The library asks whether an OS page of stale memory is all zero: none is, whatever the run left there.
static void make_stale(const area_t* area, size_t from, size_t to) {
  for (size_t page = from; page < to; page++) {
    if (!(area->state[page] & GUARD)) *(uint64_t*)(void*)(area->start + page * OS_PAGE) = STALE;
  }
}

static void make_all_stale(const area_t* area) {
  for (size_t slice = 0; slice < (area->high + SLICE_PAGES - 1) / SLICE_PAGES; slice++) {
    if ((area->stale[slice / 64] >> (slice % 64)) & 1) make_stale(area, slice * SLICE_PAGES, (slice + 1) * SLICE_PAGES);
  }
}

static void keep_pages(unsigned which) {
  for (size_t i = 0; i < word_count; i++) {
    size_t first = words[i].at * 64 * SLICE_PAGES;
    words[i].area->low = min_size(words[i].area->low, first);
    words[i].area->high = max_size(words[i].area->high, min_size(first + 64 * SLICE_PAGES, words[i].area->pages));
    pay(words[i].area, words[i].at * 64, words[i].at * 64 + 64);
  }
  words_forget();
  for (size_t i = 0; i < os.area_count; i++) {
    area_t* area = &os.areas[i];
    if (area->low < area->high) memcpy(area->kept[which] + area->low, area->state + area->low, area->high - area->low);
    if (which == STATES - 1) make_all_stale(area);
  }
}

// The states are kept one after the other, each made from the one before.
void os_keep(unsigned which) {
  keep_pages(which);
  for (size_t i = 0; i < segment_count; i++) {
    size_t segment = segments[i];
    if (used[segment] <= used_before[segment]) continue;
    if (which != 0) model_fail("a known state uses memory that the first does not");
    used_before[segment] = used[segment];
  }
  os.any_kept = true;
  os.kept_now[which] = os.now;
  os.kept_heap[which] = os.heap.size;
  os_forget(which);
}

// Eight pages at a time, as most are as they were and no guards.
static void pages_back(area_t* area, size_t from, size_t to, unsigned which, bool used_by_run) {
  for (; from < to; from += 8) {
    uint64_t now, then;
    __builtin_memcpy(&now, area->state + from, 8);
    __builtin_memcpy(&then, area->kept[which] + from, 8);
    if (used_by_run ? (now | then) == 0 : now == then) continue;
    for (size_t page = from; page < from + 8; page++) {
      bool stamped = area->state[page] & STAMPED;
      if (stamped) stamp_check(area, page);
      area->state[page] = area->kept[which][page];
      if (!stamped && (area->state[page] & STAMPED)) stamp(area, page);
    }
  }
}

// Memory that no known state uses reads as zero.
static void clear_opened(area_t* area, size_t from, size_t to) {
  for (size_t page = from, end; page < to; page = end) {
    for (end = page + 1; end < to && area->opened[end] == area->opened[page]; end++) {
    }
    if (area->opened[page]) clear(area, page, end);
  }
}

// Slices that are alike go back together.
static void word_back(area_t* area, size_t word, unsigned which) {
  size_t slice = word * 64, end = slice + 64;
  while (slice < end) {
    bool was_used = bit_at(area->used, slice), is_stale = bit_at(area->stale, slice);
    size_t first = slice++ * SLICE_PAGES;
    while (slice < end && bit_at(area->used, slice) == was_used && bit_at(area->stale, slice) == is_stale) slice++;
    if (!was_used) continue;
    pages_back(area, first, slice * SLICE_PAGES, which, true);
    is_stale ? make_stale(area, first, slice * SLICE_PAGES) : clear_opened(area, first, slice * SLICE_PAGES);
  }
}

// Before the metadata is put back, which says where segments are.
void os_restore(unsigned which) {
  for (size_t i = 0; i < word_count; i++) word_back(words[i].area, words[i].at, which);
  words_forget();
  for (size_t i = 0; os_switches(which) && i < os.area_count; i++) {
    area_t* area = &os.areas[i];
    if (area->low < area->high) pages_back(area, area->low, area->high, which, false);
  }
  os.now = os.kept_now[which];
}

void os_forget(unsigned which) {
  for (size_t i = 0; i < segment_count; i++) used[segments[i]] = 0;
  segment_count = 0;
  os.now_kept = which;
  os.run++;
  os.heap.size = os.kept_heap[os.now_kept];
}
