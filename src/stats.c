// Statistics: adding up what the threads count, and showing it as a structure, text and JSON; facts about the process.
//
// Each thread counts in its own stats_t, with plain arithmetic and no sharing. What ended threads counted is in
// `ended`; the sum is made when it is asked for, by reading the running threads' numbers under the lock of their list,
// with relaxed loads. Sums are exact when the others are at rest. A page or block may be counted on by one thread and
// off by another, so a thread's `current` may be negative; only the sum means something. Peaks of several threads
// cannot be known from theirs: the sum of those that run is shown, or more if an earlier sum was more.
//
// Nothing here takes a lock of its own. Reading the OS's facts costs a few system calls.
#include "mimalloc-secure.h"
#include "mimalloc-stats.h"
#include "watch.h"

#define BINS (BIN_LARGE + 1)
_Static_assert(BINS <= MI_STAT_BINS, "mi_stats_t has room for all bins");

// ---- adding up ------------------------------------------------------------------------------------------------------

static stats_t ended;
static struct {
  _Atomic(uint64_t) start_ns;
  _Atomic(size_t) purged, purges, opens;  // at the last reset
} since;

static int64_t number_read(const int64_t* number) {
  return __atomic_load_n(number, __ATOMIC_RELAXED);
}

static void number_add(int64_t* number, int64_t amount) {
  if (amount != 0) __atomic_fetch_add(number, amount, __ATOMIC_RELAXED);
}

static void number_raise(int64_t* number, int64_t least) {
  int64_t seen = number_read(number);
  while (seen < least && !__atomic_compare_exchange_n(number, &seen, least, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
}

// A stats_t is nothing but numbers, which others may be reading.
static void stats_clear(stats_t* stats) {
  int64_t* numbers = (int64_t*)stats;
  for (size_t i = 0; i < sizeof(*stats) / sizeof(int64_t); i++) __atomic_store_n(&numbers[i], 0, __ATOMIC_RELAXED);
}

static void stat_merge(stat_t* to, const stat_t* from) {
  number_raise(&to->peak, number_read(&to->current) + from->peak);
  number_add(&to->current, from->current);
  number_add(&to->total, from->total);
}

void mim_stats_merge(stats_t* stats) {
#define MERGE_BINS(member, name) \
  for (size_t bin = 0; bin < BINS; bin++) stat_merge(&ended.member[bin], &stats->member[bin]);
#define MERGE_COUNT(member, name) stat_merge(&ended.member, &stats->member);
#define MERGE_COUNTER(member, name) number_add(&ended.member, stats->member);
  THREAD_STATS(MERGE_BINS, MERGE_COUNT, MERGE_COUNTER)
#undef MERGE_BINS
#undef MERGE_COUNT
#undef MERGE_COUNTER
  stats_clear(stats);
}

// Adds to a total; its peak is that of the sum so far, plus this one's.
static void count_add(mi_stat_count_t* to, const stat_t* from) {
  int64_t peak = to->current + number_read(&from->peak);
  to->total += number_read(&from->total);
  to->current += number_read(&from->current);
  if (peak > to->peak) to->peak = peak;
  if (to->current > to->peak) to->peak = to->current;
}

static void stats_add(mi_stats_t* to, const stats_t* from) {
#define ADD_BINS(member, name) \
  for (size_t bin = 0; bin < BINS; bin++) count_add(&to->name[bin], &from->member[bin]);
#define ADD_COUNT(member, name) count_add(&to->name, &from->member);
#define ADD_COUNTER(member, name) to->name.total += number_read(&from->member);
  THREAD_STATS(ADD_BINS, ADD_COUNT, ADD_COUNTER)
#undef ADD_BINS
#undef ADD_COUNT
#undef ADD_COUNTER
}

static void thread_add(tld_t* tld, void* arg) {
  stats_add(arg, &tld->stats);
}

// The bytes of blocks of bins, from their numbers.
static void sum_normal(mi_stats_t* stats) {
  for (size_t bin = 0; bin < BIN_LARGE; bin++) {
    const mi_stat_count_t* blocks = &stats->malloc_bins[bin];
    int64_t unit = (int64_t)mi_stats_get_bin_size(bin);
    stats->malloc_normal.total += blocks->total * unit;
    stats->malloc_normal.peak += blocks->peak * unit;
    stats->malloc_normal.current += blocks->current * unit;
  }
}

static mi_stat_count_t count_of(size_t current, size_t peak, size_t total) {
  return (mi_stat_count_t){.total = (int64_t)total, .peak = (int64_t)peak, .current = (int64_t)current};
}

static void add_process(mi_stats_t* stats) {
  region_info_t info;
  mim_region_info(&info);
  size_t meta = mim_meta_committed();
  stats->reserved = count_of(info.reserved, info.reserved, info.reserved);
  stats->committed = count_of(info.committed + meta, info.committed_peak + meta, info.opened + meta);
  stats->segments = count_of(info.segments, info.segments, info.segments);
  stats->purged.total = (int64_t)(info.purged_total - atomic_load(&since.purged));
  stats->purge_calls.total = (int64_t)(info.purge_calls - atomic_load(&since.purges));
  stats->commit_calls.total = (int64_t)(info.open_calls - atomic_load(&since.opens));
  stats->mmap_calls.total = info.reserved == 0 ? 0 : 2;  // the region and the metadata
  stats->pages_abandoned.current = (int64_t)mim_abandoned_count();
  stat_t threads;
  mim_thread_totals(&threads);
  stats->threads = count_of((size_t)threads.current, (size_t)threads.peak, (size_t)threads.total);
  size_t arenas = mim_arena_count();  // they are never given up
  stats->arenas = count_of(arenas, arenas, arenas);
}

static void snapshot(mi_stats_t* stats) {
  memset(stats, 0, sizeof(*stats));
  stats->size = sizeof(*stats);
  stats->version = MI_STAT_VERSION;
  stats->bin_count = BINS;
  if (!mim_process_init()) return;
  stats_add(stats, &ended);
  mim_thread_visit(thread_add, stats);
  add_process(stats);
  sum_normal(stats);
  hook_stats(stats);
}

bool mi_stats_get(mi_stats_t* stats) {
  if (stats == NULL || stats->version != MI_STAT_VERSION || stats->size < offsetof(mi_stats_t, malloc_bins)) {
    return false;
  }
  size_t size = stats->size;
  mi_stats_t all;
  snapshot(&all);
  size_t known = min_size(size, sizeof(all));
  memcpy(stats, &all, known);
  memset((char*)stats + known, 0, size - known);
  stats->size = size;
  return true;
}

void mi_stats_merge(void) {
  tld_t* tld = mim_tls.tld;
  if (tld != &mim_tld_empty) mim_stats_merge(&tld->stats);
}

void mi_stats_reset(void) {
  tld_t* tld = mim_tls.tld;
  if (tld != &mim_tld_empty) stats_clear(&tld->stats);
  stats_clear(&ended);
  region_info_t info;
  mim_region_info(&info);
  atomic_store(&since.purged, info.purged_total);
  atomic_store(&since.purges, info.purge_calls);
  atomic_store(&since.opens, info.open_calls);
}

size_t mi_stats_get_bin_size(size_t bin) {
  return bin < BIN_COUNT && bin != BIN_ODD && mim_process_init() ? mim_bins[bin].block_size : 0;
}

// ---- for tools that look from outside -------------------------------------------------------------------------------

static const watch_t stats_watch[] = {
#define WATCH_STAT(member, name) WATCH_MEMBER("stats." #name, stats_t, member),
    THREAD_STATS(WATCH_STAT, WATCH_STAT, WATCH_STAT)
#undef WATCH_STAT
};
const watch_table_t mim_watch_stats = WATCH_TABLE(NULL, stats_watch);

static const watch_t ended_watch[] = {{"ended", 0, sizeof(ended)}};
const watch_table_t mim_watch_ended = WATCH_TABLE(&ended, ended_watch);

static const watch_t since_watch[] = {
    WATCH_NUMBER("version.stats", MI_STAT_VERSION),
    WATCH_MEMBER("since.start_ns", __typeof__(since), start_ns),
    WATCH_MEMBER("since.purged", __typeof__(since), purged),
    WATCH_MEMBER("since.purges", __typeof__(since), purges),
    WATCH_MEMBER("since.opens", __typeof__(since), opens),
};
const watch_table_t mim_watch_since = WATCH_TABLE(&since, since_watch);

// ---- the heap as it is ----------------------------------------------------------------------------------------------

// Looks at every page there is. Other threads change them meanwhile: each number is one that held at some time.
__attribute__((no_sanitize("thread"))) void mim_stats_usage(usage_t* usage) {
  memset(usage, 0, sizeof(*usage));
  if (!mim_process_init()) return;
  for (size_t i = mim_region_slice_next(SIZE_MAX); i < mim_region_slices(); i = mim_region_slice_next(i)) {
    const page_t* page = &mim_process.slots[i];
    if (!mim_page_look(page)) continue;
    bool large = (page->kind & KIND_LARGE) != 0;
    usage_bin_t* bin = &usage->bins[large ? BIN_LARGE : min_size(page->bin, BIN_COUNT - 1)];
    size_t used = page->used;
    bin->pages++;
    bin->page_bytes += (size_t)page->slices << SLICE_SHIFT;
    bin->used += used;
    bin->used_bytes += used * (large ? page->large_size : page->block_size);
    if (large) continue;
    size_t capacity = page->capacity;
    bin->free += capacity > used ? capacity - used : 0;
    if (used == 0) usage->empty_bytes += (size_t)page->slices << SLICE_SHIFT;
  }
}

// ---- the process ----------------------------------------------------------------------------------------------------

typedef struct process_facts_s {
  os_usage_t os;
  size_t elapsed_ms, commit, commit_peak;
} process_facts_t;

static void facts_get(process_facts_t* facts) {
  mim_os_usage(&facts->os);
  region_info_t info;
  mim_region_info(&info);
  size_t meta = mim_meta_committed();
  facts->commit = info.committed + meta;
  facts->commit_peak = info.committed_peak + meta;
  uint64_t start = atomic_load_explicit(&since.start_ns, memory_order_relaxed);
  facts->elapsed_ms = start == 0 ? 0 : (size_t)((mim_os_clock_ns() - start) / 1000000);
}

void mim_stats_start(void) {
  atomic_store_explicit(&since.start_ns, mim_os_clock_ns(), memory_order_relaxed);
  if (mim_option(mi_option_show_stats) != 0) mim_os_keep_stderr();
}

void mi_process_info(size_t* elapsed_msecs, size_t* user_msecs, size_t* system_msecs, size_t* current_rss,
                     size_t* peak_rss, size_t* current_commit, size_t* peak_commit, size_t* page_faults) {
  process_facts_t facts;
  facts_get(&facts);
  if (elapsed_msecs != NULL) *elapsed_msecs = facts.elapsed_ms;
  if (user_msecs != NULL) *user_msecs = facts.os.user_ms;
  if (system_msecs != NULL) *system_msecs = facts.os.system_ms;
  if (current_rss != NULL) *current_rss = facts.os.current_rss;
  if (peak_rss != NULL) *peak_rss = facts.os.peak_rss;
  if (current_commit != NULL) *current_commit = facts.commit;
  if (peak_commit != NULL) *peak_commit = facts.commit_peak;
  if (page_faults != NULL) *page_faults = facts.os.page_faults;
}

// ---- text -----------------------------------------------------------------------------------------------------------

typedef struct sink_s {
  mi_output_fun* out;
  void* arg;
} sink_t;

#define AMOUNT_MAX 24

// Bytes as "16.4 KiB", other numbers as they are or as "12.3 M".
static const char* amount_text(int64_t amount, bool bytes, char buf[AMOUNT_MAX]) {
  const int64_t step = bytes ? 1024 : 1000;
  const int64_t plain = bytes ? 1024 : 100000;
  const char* sign = amount < 0 ? "-" : "";
  if (amount < 0) amount = -amount;
  if (amount < plain) {
    mim_format(buf, AMOUNT_MAX, bytes ? "%s%lld B" : "%s%lld", sign, (long long)amount);
    return buf;
  }
  static const char prefixes[] = "KMGTPE";
  int prefix = 0;
  int64_t unit = step;
  for (; amount / unit >= step && prefixes[prefix + 1] != 0; prefix++) unit *= step;
  int64_t tenths = unit / 10;
  mim_format(buf, AMOUNT_MAX, bytes ? "%s%lld.%lld %ciB" : "%s%lld.%lld %c", sign, (long long)(amount / unit),
             (long long)min_size((size_t)(amount % unit / tenths), 9), prefixes[prefix]);
  return buf;
}

// One row: peak, total, freed, current, unit (0: none), and what else there is to say.
static void row_print(const sink_t* sink, const char* label, const mi_stat_count_t* count, int64_t unit, bool bytes,
                      const char* note) {
  char peak[AMOUNT_MAX], total[AMOUNT_MAX], freed[AMOUNT_MAX], current[AMOUNT_MAX], each[AMOUNT_MAX] = "";
  if (bytes) amount_text(unit, true, each);
  int64_t scale = bytes ? unit : 1;
  bool short_row = each[0] == 0 && note[0] == 0;
  mim_print_to(sink->out, sink->arg, "%12s:%11s%12s%12s%12s%*s%s%s\n", label,
               amount_text(count->peak * scale, bytes, peak), amount_text(count->total * scale, bytes, total),
               amount_text((count->total - count->current) * scale, bytes, freed),
               amount_text(count->current * scale, bytes, current), short_row ? 0 : 11, each, note[0] != 0 ? "  " : "",
               note);
}

static const char* all_freed(const mi_stat_count_t* count) {
  return count->current == 0 ? "ok" : "not all freed";
}

static void heading_print(const sink_t* sink) {
  mim_print_to(sink->out, sink->arg, "%12s:%11s%12s%12s%12s%11s\n", "heap stats", "peak", "total", "freed", "current",
               "unit");
}

// Blocks by bin where they are counted, pages otherwise.
static void bins_print(const sink_t* sink, const mi_stats_t* stats) {
  heading_print(sink);
  const mi_stat_count_t* counts = MIM_DEBUG > 0 ? stats->malloc_bins : stats->page_bins;
  for (size_t bin = 0; bin < BIN_LARGE; bin++) {
    if (counts[bin].total == 0 && counts[bin].current == 0) continue;
    char label[24];
    mim_format(label, sizeof(label), "%s %3zu", MIM_DEBUG > 0 ? "normal" : "pages", bin);
    int64_t size = (int64_t)mi_stats_get_bin_size(bin);
    if (MIM_DEBUG > 0 && size > 0) {
      row_print(sink, label, &counts[bin], size, true, all_freed(&counts[bin]));
    } else {
      char note[48];
      mim_format(note, sizeof(note), "blocks of %lld B", (long long)size);
      row_print(sink, label, &counts[bin], 0, false, size > 0 ? note : "");
    }
  }
  mim_print_to(sink->out, sink->arg, "\n");
  heading_print(sink);
#if MIM_DEBUG > 0
  mi_stat_count_t sum = stats->malloc_normal;
  sum.peak += stats->malloc_large.peak;
  sum.total += stats->malloc_large.total;
  sum.current += stats->malloc_large.current;
  row_print(sink, "normal", &stats->malloc_normal, 1, true, all_freed(&stats->malloc_normal));
  row_print(sink, "large", &stats->malloc_large, 1, true, all_freed(&stats->malloc_large));
  row_print(sink, "total", &sum, 1, true, all_freed(&sum));
  char requested[AMOUNT_MAX];
  mim_print_to(sink->out, sink->arg, "%12s:%23s\n\n", "requested",
               amount_text(stats->malloc_requested.total, true, requested));
#else
  row_print(sink, "large", &stats->malloc_large, 1, true, all_freed(&stats->malloc_large));
#endif
}

static void counter_print(const sink_t* sink, const char* label, int64_t count, bool bytes) {
  char text[AMOUNT_MAX];
  mim_print_to(sink->out, sink->arg, "%12s:%11s\n", label, amount_text(count, bytes, text));
}

static void work_print(const sink_t* sink, const mi_stats_t* stats) {
  row_print(sink, "pages", &stats->pages, 0, false, "");
  row_print(sink, "abandoned", &stats->pages_abandoned, 0, false, "");
  counter_print(sink, "reclaimed", stats->pages_reclaimed.total, false);
  counter_print(sink, "adopted", stats->pages_adopted.total, false);
  counter_print(sink, "extended", stats->pages_extended.total, false);
  counter_print(sink, "retired", stats->pages_retired.total, false);
  counter_print(sink, "searches", stats->page_searches.total, false);
  counter_print(sink, "generic", stats->generic_calls.total, false);
  counter_print(sink, "mailed", stats->mailed.total, false);
  counter_print(sink, "delivered", stats->delivered.total, false);
}

static void process_print(const sink_t* sink, const process_facts_t* facts) {
  char rss[AMOUNT_MAX], commit[AMOUNT_MAX];
  mim_print_to(sink->out, sink->arg, "%12s:%8zu.%03zu s\n", "elapsed", facts->elapsed_ms / 1000,
               facts->elapsed_ms % 1000);
  mim_print_to(sink->out, sink->arg, "%12s: user: %zu.%03zu s, system: %zu.%03zu s, faults: %zu, rss: %s, commit: %s\n",
               "process", facts->os.user_ms / 1000, facts->os.user_ms % 1000, facts->os.system_ms / 1000,
               facts->os.system_ms % 1000, facts->os.page_faults, amount_text((int64_t)facts->os.peak_rss, true, rss),
               amount_text((int64_t)facts->commit_peak, true, commit));
}

static void line_print(const char* text, void* arg) {
  const sink_t* sink = arg;
  mim_print_to(sink->out, sink->arg, "%s", text);
}

void mi_stats_print_out(mi_output_fun* out, void* arg) {
  sink_t sink = {out, arg};
  mi_stats_t stats;
  snapshot(&stats);
  process_facts_t facts;
  facts_get(&facts);
  bins_print(&sink, &stats);
  row_print(&sink, "reserved", &stats.reserved, 1, true, "");
  row_print(&sink, "committed", &stats.committed, 1, true, "");
  counter_print(&sink, "reset", stats.reset.total, true);
  counter_print(&sink, "purged", stats.purged.total, true);
  row_print(&sink, "segments", &stats.segments, 0, false, "");
  work_print(&sink, &stats);
  counter_print(&sink, "mmaps", stats.mmap_calls.total, false);
  counter_print(&sink, "opens", stats.commit_calls.total, false);
  counter_print(&sink, "purges", stats.purge_calls.total, false);
  row_print(&sink, "heaps", &stats.heaps, 0, false, "");
  row_print(&sink, "threads", &stats.threads, 0, false, "");
  if (stats.held.total > 0) row_print(&sink, "held", &stats.held, 1, true, "freed large blocks, inaccessible");
  hook_print(line_print, &sink);
  process_print(&sink, &facts);
}

void mi_stats_print(void* out) {
  (void)out;
  mi_stats_print_out(NULL, NULL);
}

void mi_thread_stats_print_out(mi_output_fun* out, void* arg) {
  sink_t sink = {out, arg};
  mi_stats_t stats;
  memset(&stats, 0, sizeof(stats));
  stats_add(&stats, &mim_tls.tld->stats);
  sum_normal(&stats);
  bins_print(&sink, &stats);
  work_print(&sink, &stats);
}

void mi_process_info_print_out(mi_output_fun* out, void* arg) {
  sink_t sink = {out, arg};
  process_facts_t facts;
  facts_get(&facts);
  process_print(&sink, &facts);
}

void mi_process_info_print(void) {
  mi_process_info_print_out(NULL, NULL);
}

// What is still in use at the end, by bin: debug builds only, as it looks at every page.
static void live_print(void) {
#if MIM_DEBUG > 0
  usage_t usage;
  mim_stats_usage(&usage);
  size_t blocks = 0, bytes = 0;
  for (size_t bin = 0; bin < BINS; bin++) {
    const usage_bin_t* in = &usage.bins[bin];
    if (in->used == 0) continue;
    if (blocks == 0) mim_print("\nblocks still in use:\n");
    char text[AMOUNT_MAX];
    amount_text((int64_t)in->used_bytes, true, text);
    size_t size = mi_stats_get_bin_size(bin);
    if (size > 0) {
      mim_print("%8s %3zu:%12zu blocks of %zu B, %s\n", "normal", bin, in->used, size, text);
    } else {
      mim_print("%8s %3zu:%12zu blocks, %s\n", bin == BIN_LARGE ? "large" : "bin", bin, in->used, text);
    }
    blocks += in->used;
    bytes += in->used_bytes;
  }
  mim_print("%s%zu blocks, %zu bytes still in use at exit\n", blocks == 0 ? "\n" : "", blocks, bytes);
#endif
}

void mim_stats_exit(void) {
  static _Atomic(bool) done;
  if (mim_option(mi_option_show_stats) == 0 || atomic_exchange(&done, true)) return;
  mi_stats_merge();
  mim_os_restore_stderr();
  mi_stats_print_out(NULL, NULL);
  live_print();
}

// ---- JSON -----------------------------------------------------------------------------------------------------------

// Text that grows in a buffer; `length` goes on when it is full.
typedef struct json_s {
  char* buf;
  size_t size;
  size_t length;
} json_t;

#define json_put(json, ...) \
  ((json)->length += \
   (size_t)mim_format((json)->buf == NULL ? NULL : (json)->buf + min_size((json)->length, (json)->size), \
                      (json)->size - min_size((json)->length, (json)->size), __VA_ARGS__))

static void json_count(json_t* json, const mi_stat_count_t* count) {
  json_put(json, "\"total\": %lld, \"peak\": %lld, \"current\": %lld", (long long)count->total, (long long)count->peak,
           (long long)count->current);
}

static void json_bins(json_t* json, const char* name, const mi_stat_count_t* bins, size_t count) {
  json_put(json, ",\n  \"%s\": [", name);
  for (size_t bin = 0; bin < count; bin++) {
    json_put(json, "%s\n    {\"size\": %zu, ", bin == 0 ? "" : ",", mi_stats_get_bin_size(bin));
    json_count(json, &bins[bin]);
    json_put(json, "}");
  }
  json_put(json, "\n  ]");
}

static void json_process(json_t* json, const process_facts_t* facts) {
  json_put(json,
           ",\n  \"process\": {\"elapsed_msecs\": %zu, \"user_msecs\": %zu, \"system_msecs\": %zu, "
           "\"page_faults\": %zu, \"rss_current\": %zu, \"rss_peak\": %zu, \"commit_current\": %zu, "
           "\"commit_peak\": %zu}",
           facts->elapsed_ms, facts->os.user_ms, facts->os.system_ms, facts->os.page_faults, facts->os.current_rss,
           facts->os.peak_rss, facts->commit, facts->commit_peak);
}

static void json_write(json_t* json, const mi_stats_t* stats, const process_facts_t* facts) {
  json_put(json, "{\n  \"version\": %zu,\n  \"mimalloc_version\": %d,\n  \"profile\": \"%s\",\n  \"bin_count\": %zu",
           stats->version, mi_version(), mi_profile_name(), stats->bin_count);
  if (facts != NULL) json_process(json, facts);
  size_t bin_count = min_size(stats->bin_count, MI_STAT_BINS);
#define JSON_COUNT(name, unit, text) \
  json_put(json, ",\n  \"%s\": {", #name); \
  json_count(json, &stats->name); \
  json_put(json, "}");
#define JSON_COUNTER(name, unit, text) \
  json_put(json, ",\n  \"%s\": {\"total\": %lld}", #name, (long long)stats->name.total);
#define JSON_BINS(name, unit, text) json_bins(json, #name, stats->name, bin_count);
  MI_STAT_TABLE(JSON_COUNT, JSON_COUNTER, JSON_BINS)
#undef JSON_COUNT
#undef JSON_COUNTER
#undef JSON_BINS
  json_put(json, "\n}\n");
}

static char* json_make(const mi_stats_t* stats, const process_facts_t* facts, size_t buf_size, char* buf) {
  json_t json = {.buf = NULL, .size = 0, .length = 0};
  if (buf == NULL) {  // once to know the length, then once more
    json_write(&json, stats, facts);
    buf_size = json.length + 1;
    buf = mi_malloc(buf_size);
    if (buf == NULL) return NULL;
    json.length = 0;
  }
  json.buf = buf;
  json.size = buf_size;
  json_write(&json, stats, facts);
  return json.length < buf_size ? buf : NULL;
}

char* mi_stats_get_json(size_t buf_size, char* buf) {
  mi_stats_t stats;
  snapshot(&stats);
  process_facts_t facts;
  facts_get(&facts);
  return json_make(&stats, &facts, buf_size, buf);
}

char* mi_stats_as_json(mi_stats_t* stats, size_t buf_size, char* buf) {
  if (stats == NULL || stats->version != MI_STAT_VERSION || stats->size < sizeof(*stats)) return NULL;
  return json_make(stats, NULL, buf_size, buf);
}

// Pages and blocks as they are; what was before is not known of a single heap.
static bool heap_add(const mi_heap_t* heap, const mi_heap_area_t* area, void* block, size_t block_size, void* arg) {
  (void)heap;
  (void)block;
  (void)block_size;
  mi_stats_t* stats = arg;
  const page_t* page = mim_page_find(area->blocks);
  if (page == NULL) return true;
  size_t bin = page->bin;
  mi_stat_count_t blocks = count_of(area->used, area->used, area->used);
  mi_stat_count_t* sum = bin == BIN_LARGE ? &stats->malloc_large : &stats->malloc_normal;
  int64_t bytes = (int64_t)(area->used * area->block_size);
  stats->malloc_bins[bin].total = stats->malloc_bins[bin].peak = stats->malloc_bins[bin].current += blocks.current;
  stats->page_bins[bin].total = stats->page_bins[bin].peak = ++stats->page_bins[bin].current;
  stats->pages.total = stats->pages.peak = ++stats->pages.current;
  sum->total = sum->peak = sum->current += bytes;
  stats->committed.total = stats->committed.peak = stats->committed.current += (int64_t)area->committed;
  stats->reserved.total = stats->reserved.peak = stats->reserved.current += (int64_t)area->reserved;
  return true;
}

char* mi_heap_stats_get_json(mi_heap_t* heap, size_t buf_size, char* buf) {
  if (heap == NULL) return NULL;
  mi_stats_t stats;
  memset(&stats, 0, sizeof(stats));
  stats.size = sizeof(stats);
  stats.version = MI_STAT_VERSION;
  stats.bin_count = BINS;
  mi_heap_visit_blocks(heap, false, heap_add, &stats);
  return json_make(&stats, NULL, buf_size, buf);
}
