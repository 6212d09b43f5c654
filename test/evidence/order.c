// The entropy of the order of allocation, measured over many processes, each started anew, and many rounds of reuse in
// each of them, and compared with what docs/mechanisms/entry.md and guard.md claim.
//
//   order [PERCENT]     the test; PERCENT of the usual number of processes
//   order observe       one process: observations on standard output
//   order place         one process: where the region and the metadata are
//
// For each bin: the first block of the first page of the process (run), and of a fresh page later (first); how far the
// second block lies from the first (distance); which of k freed blocks of a full page comes first, by the order they
// were freed in (reuse k); all of 4 freed blocks, in which order (permutation); whether the round before repeats itself
// (repeat). For placement: bits of the addresses of the two reservations.
//
// Each check fails by chance with a probability below LIMIT (evidence.h): chi-square where every value is claimed to be
// equally likely, Chernoff's bound where a value is claimed to be at most so likely.
#include "evidence.h"

#include "secure.h"

static const size_t sizes[] = {16, 48, 112, 200, 500, 1000, 3000, 4096, 16000, 40000};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))
static const size_t freed_counts[] = {2, 3, 8, 40, 300};
#define FREED_COUNTS (sizeof(freed_counts) / sizeof(freed_counts[0]))

enum { RUN, FIRST, DISTANCE, PERMUTATION, REPEAT, REUSE, KINDS = REUSE + FREED_COUNTS };
enum { ROUNDS = 40, BLOCKS_MAX = 2048, VALUES = 2 * BLOCKS_MAX, WINDOW = 64, PERMUTED = 4 };

typedef struct observation_s {
  uint8_t size, kind;
  uint16_t value;
} observation_t;

typedef struct shape_s {
  uint32_t first_count, reserved;  // blocks of a page at first, and in all
} shape_t;

typedef struct places_s {
  uint64_t region, meta, page;
} places_t;

// ---- one process ----------------------------------------------------------------------------------------------------

static observation_t observed[SIZES * KINDS * ROUNDS * 2];
static size_t observed_count;
static shape_t shapes[SIZES];

static void observe(size_t size, size_t kind, size_t value) {
  observed[observed_count++] = (observation_t){(uint8_t)size, (uint8_t)kind, (uint16_t)value};
}

// The index of a block in its page; 0 for a sampled one, which has a page of its own.
static size_t index_of(const void* p) {
  const page_t* page = mim_page_of(p);
  return page->kind & KIND_LARGE ? 0 : page_place(page, p).index;
}

// Two blocks of a fresh page.
static void look_fresh(size_t which, bool first_ever) {
  mi_heap_t* heap = mi_heap_new();
  void* one = mi_heap_malloc(heap, sizes[which]);
  shape_t shape = {mim_page_of(one)->capacity, mim_page_of(one)->reserved};
  void* two = mi_heap_malloc(heap, sizes[which]);
  if (index_of(one) != 0) {
    shapes[which] = shape;
    observe(which, first_ever ? RUN : FIRST, index_of(one));
    if (index_of(two) != 0) observe(which, DISTANCE, BLOCKS_MAX + index_of(two) - index_of(one));
  }
  mi_heap_destroy(heap);
}

// Blocks of one page, all of them; false when a sampled one got in between.
static size_t fill_page(mi_heap_t* heap, size_t size, void** blocks) {
  blocks[0] = mi_heap_malloc(heap, size);
  if (index_of(blocks[0]) == 0) return 0;
  const page_t* page = mim_page_of(blocks[0]);
  size_t count = 1;
  while (count < page->reserved) {
    void* p = mi_heap_malloc(heap, size);
    if (mim_page_of(p) == page) blocks[count++] = p;
  }
  return count;
}

// Frees k of the blocks in random order and takes them back. Returns the rank of the first, and of four the permutation.
static bool reuse(mi_heap_t* heap, size_t size, void** blocks, size_t count, size_t k, size_t* rank, size_t* order) {
  for (size_t i = 0; i < k; i++) {
    size_t j = i + (size_t)chance_below(count - i);
    void* chosen = blocks[j];
    blocks[j] = blocks[i];
    blocks[i] = chosen;
  }
  void* back[BLOCKS_MAX];
  bool sampled = false;
  for (size_t i = 0; i < k; i++) mi_free(blocks[i]);
  for (size_t i = 0; i < k; i++) {
    do back[i] = mi_heap_malloc(heap, size);
    while (index_of(back[i]) == 0 && (sampled = true));
  }
  *order = 0;
  for (size_t i = 0; i < k && (i == 0 || k == PERMUTED); i++) {
    size_t at = 0;
    while (at < k && blocks[at] != back[i]) at++;
    if (i == 0) *rank = at;
    if (k == PERMUTED && i < PERMUTED - 1) *order = *order * PERMUTED + at;
  }
  memcpy(blocks, back, k * sizeof(back[0]));
  return !sampled && *rank < k;
}

static void look_reused(size_t which, mi_heap_t* heap, void** blocks, size_t count) {
  size_t rank = 0, order, last = SIZE_MAX;
  for (size_t i = 0; i < FREED_COUNTS; i++) {
    if (freed_counts[i] > count) continue;
    if (reuse(heap, sizes[which], blocks, count, freed_counts[i], &rank, &order)) observe(which, REUSE + i, rank);
  }
  for (int i = 0; i < 2; i++) {  // twice: the second is compared with the first
    if (!reuse(heap, sizes[which], blocks, count, PERMUTED, &rank, &order)) continue;
    if (last != SIZE_MAX) observe(which, REPEAT, last == order);
    if (last == SIZE_MAX) observe(which, PERMUTATION, order);
    last = order;
  }
}

static int role_observe(void) {
  chance_seed();
  for (size_t which = 0; which < SIZES; which++) look_fresh(which, true);
  static void* blocks[BLOCKS_MAX];
  for (size_t which = 0; which < SIZES; which++) {
    for (int round = 1; round < ROUNDS; round++) look_fresh(which, false);
    mi_heap_t* heap = mi_heap_new();
    size_t count = fill_page(heap, sizes[which], blocks);
    for (int round = 0; count >= PERMUTED && round < ROUNDS; round++) look_reused(which, heap, blocks, count);
    mi_heap_destroy(heap);
  }
  size_t bytes = observed_count * sizeof(observed[0]);
  return write(1, shapes, sizeof(shapes)) != (ssize_t)sizeof(shapes) || write(1, observed, bytes) != (ssize_t)bytes;
}

static int role_place(void) {
  void* p = mi_malloc(16);
  places_t places = {mim_process.region, (uintptr_t)mim_process.meta, (uintptr_t)p - mim_process.region};
  return write(1, &places, sizeof(places)) != (ssize_t)sizeof(places);
}

// ---- many processes -------------------------------------------------------------------------------------------------

static uint32_t counts[SIZES][KINDS][VALUES];
static uint64_t totals[SIZES][KINDS];

static size_t run_process(const char* role, void* out, size_t size) {
  int ends[2];
  if (pipe(ends) != 0) exit(2);
  pid_t process = vfork();
  if (process == 0) {
    dup2(ends[1], 1);
    execl("/proc/self/exe", "order", role, (char*)NULL);
    _exit(98);
  }
  close(ends[1]);
  size_t length = 0;
  ssize_t got;
  while ((got = read(ends[0], (char*)out + length, size - length)) > 0) length += (size_t)got;
  close(ends[0]);
  int status;
  if (process < 0 || waitpid(process, &status, 0) != process || status != 0) {
    fprintf(stderr, "order: a process of the role '%s' failed\n", role);
    exit(2);
  }
  return length;
}

static void run_observers(size_t processes) {
  static struct {
    shape_t shapes[SIZES];
    observation_t observed[sizeof(observed) / sizeof(observed[0])];
  } answer;
  for (size_t i = 0; i < processes; i++) {
    size_t length = run_process("observe", &answer, sizeof(answer));
    for (size_t which = 0; which < SIZES; which++) {
      if (answer.shapes[which].reserved != 0) shapes[which] = answer.shapes[which];
    }
    size_t count = (length - sizeof(answer.shapes)) / sizeof(observation_t);
    for (size_t k = 0; k < count; k++) {
      observation_t* o = &answer.observed[k];
      counts[o->size][o->kind][o->value]++;
      totals[o->size][o->kind]++;
    }
  }
}

// ---- checks ---------------------------------------------------------------------------------------------------------

typedef struct series_s {
  const char* name;
  const uint32_t* counts;
  double total;
} series_t;

static double shannon(const series_t* s) {
  double bits = 0, seen = 0;
  for (size_t v = 0; v < VALUES; v++) {
    if (s->counts[v] == 0) continue;
    double share = s->counts[v] / s->total;
    bits -= share * log2(share);
    seen++;
  }
  return bits + (seen - 1) / (2 * s->total * log(2));  // Miller and Madow's correction
}

static double most_often(const series_t* s) {
  double most = 0;
  for (size_t v = 0; v < VALUES; v++) most = fmax(most, s->counts[v]);
  return most;
}

static void print_line(size_t which, const series_t* s, double claimed, double tail, bool holds) {
  printf("%7zu  %-12s %8.0f %10.2f %9.2f %9.2f   %8.2g  %s\n", sizes[which], s->name, s->total, claimed, shannon(s),
         -log2(most_often(s) / s->total), tail, verdict(holds));
}

// Every value is as likely as `expected` says (which sums up to 1); rare ones are put together.
static void check_distribution(size_t which, const series_t* s, const double* expected, double claimed) {
  double statistic = 0, freedom = -1, share = 0, count = 0;
  bool impossible = false;
  for (size_t v = 0; v < VALUES; v++) {
    if (expected[v] <= 0 && s->counts[v] > 0) impossible = true;
    share += expected[v];
    count += s->counts[v];
    if (share * s->total < 20) continue;
    double difference = count - share * s->total;
    statistic += difference * difference / (share * s->total);
    freedom++;
    share = count = 0;
  }
  if (share > 0) {  // what is left over
    double difference = count - share * s->total;
    statistic += difference * difference / fmax(share * s->total, 1);
    freedom++;
  }
  double tail = freedom < 1 ? 1 : chi_square_tail(statistic, freedom);
  print_line(which, s, claimed, tail, !impossible && tail >= LIMIT);
}

// No value is more likely than 1 in `among`.
static void check_bounded(size_t which, const series_t* s, double among) {
  double tail = at_least_bound(most_often(s), s->total, 1 / among) * VALUES;
  print_line(which, s, log2(among), fmin(tail, 1), tail >= LIMIT);
}

static double expected[VALUES];

static void check_first(size_t which, size_t kind, const char* name) {
  series_t s = {name, counts[which][kind], (double)totals[which][kind]};
  size_t n = shapes[which].first_count;
  memset(expected, 0, sizeof(expected));
  for (size_t v = 1; v <= n && v < VALUES; v++) expected[v] = 1 / (double)n;
  if (n <= WINDOW) {
    check_distribution(which, &s, expected, log2((double)n));
  } else {
    check_bounded(which, &s, WINDOW);
  }
}

static void check_distance(size_t which) {
  series_t s = {"distance", counts[which][DISTANCE], (double)totals[which][DISTANCE]};
  double n = shapes[which].first_count;
  if (n > WINDOW) {
    check_bounded(which, &s, WINDOW);
    return;
  }
  memset(expected, 0, sizeof(expected));
  for (int d = 1; d < (int)n; d++) expected[BLOCKS_MAX + d] = expected[BLOCKS_MAX - d] = (n - d) / (n * (n - 1));
  check_distribution(which, &s, expected, log2(n));  // the likeliest is 1 in n
}

static void check_reuse(size_t which, size_t i) {
  char name[32];
  snprintf(name, sizeof(name), "reuse %zu", freed_counts[i]);
  series_t s = {name, counts[which][REUSE + i], (double)totals[which][REUSE + i]};
  size_t k = freed_counts[i];
  if (s.total == 0) return;  // not so many blocks in a page
  memset(expected, 0, sizeof(expected));
  for (size_t rank = 0; rank + 1 < k; rank++) expected[rank] = 1 / (double)(k - 1);  // but for the last one freed
  check_distribution(which, &s, expected, log2((double)(k - 1)));
}

static bool is_permutation(size_t order, size_t* first) {
  size_t a = order / (PERMUTED * PERMUTED), b = order / PERMUTED % PERMUTED, c = order % PERMUTED;
  *first = a;
  return a != b && b != c && a != c;
}

static void check_orders(size_t which) {
  series_t orders = {"permutation", counts[which][PERMUTATION], (double)totals[which][PERMUTATION]};
  memset(expected, 0, sizeof(expected));
  for (size_t order = 0; order < PERMUTED * PERMUTED * PERMUTED; order++) {
    size_t first;
    if (is_permutation(order, &first) && first != PERMUTED - 1) expected[order] = 1 / 18.0;
  }
  check_distribution(which, &orders, expected, log2(18));
  series_t repeat = {"repeat", counts[which][REPEAT], (double)totals[which][REPEAT]};
  memset(expected, 0, sizeof(expected));
  expected[0] = 17 / 18.0;
  expected[1] = 1 / 18.0;
  check_distribution(which, &repeat, expected, log2(18 / 17.0));
}

// ---- placement ------------------------------------------------------------------------------------------------------

static int by_value(const void* a, const void* b) {
  uint64_t x = *(const uint64_t*)a, y = *(const uint64_t*)b;
  return x < y ? -1 : x > y;
}

// Places are one of 2^bits: pairs alike; no TiB has more than its share; each low bit is fair.
static void check_place(const char* name, uint64_t* place, size_t count, int low, double bits) {
  double alike = 0, crowd = 0, worst = 1, total = (double)count;
  for (int bit = low; bit <= 40; bit++) {
    double ones = 0;
    for (size_t i = 0; i < count; i++) ones += (double)((place[i] >> bit) & 1);
    worst = fmin(worst, fmin(at_least_bound(ones, total, 0.502), at_most_bound(ones, total, 0.498)));
  }
  qsort(place, count, sizeof(place[0]), by_value);
  for (size_t i = 0, from = 0; i < count; i++) {
    if (i > 0) alike += place[i] == place[i - 1];
    while ((place[from] >> 40) != (place[i] >> 40)) from++;
    crowd = fmax(crowd, (double)(i - from + 1));
  }
  double pairs = total * (total - 1) / 2;
  double alike_tail = at_least_bound(alike, pairs, exp2(-bits));
  double crowd_tail = at_least_bound(crowd, total, 1 / 100.0) * 128;
  printf(
      "%-10s %6zu processes: %.0f alike of %.0f expected at %.0f bits (%.2g); %.0f in the fullest TiB of about 110"
      " (%.2g); bits %d to 40 fair (%.2g): %s\n",
      name, count, alike, pairs * exp2(-bits), bits, alike_tail, crowd, fmin(crowd_tail, 1), low, worst,
      verdict(alike_tail >= LIMIT && crowd_tail >= LIMIT && worst >= LIMIT));
}

static void check_places(size_t processes) {
  uint64_t *region = calloc(processes, sizeof(uint64_t)), *meta = calloc(processes, sizeof(uint64_t));
  uint64_t* apart = calloc(processes, sizeof(uint64_t));
  size_t other_pages = 0;
  uint64_t page = 0;
  for (size_t i = 0; i < processes; i++) {
    places_t places;
    run_process("place", &places, sizeof(places));
    region[i] = places.region;
    meta[i] = places.meta;
    apart[i] = (places.meta - places.region) & (((uint64_t)1 << 47) - 1);
    if (i == 0) page = places.page >> SLICE_SHIFT;
    other_pages += page != places.page >> SLICE_SHIFT;
  }
  check_place("region", region, processes, 25, 21);
  check_place("metadata", meta, processes, 16, 30);
  check_place("distance", apart, processes, 16, 30);
  printf("page       the first page of the region is at another place in %zu of %zu processes (none is claimed)\n",
         other_pages, processes);
  free(region);
  free(meta);
  free(apart);
}

int main(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "observe") == 0) return role_observe();
  if (argc == 2 && strcmp(argv[1], "place") == 0) return role_place();
  size_t percent = argc > 1 ? scale_argument("order", argv[1]) : 100;
  run_observers(1000 * percent / 100);
  printf("  bytes  what          samples    claimed   Shannon       min     chance\n");
  for (size_t which = 0; which < SIZES; which++) {
    check_first(which, RUN, "run");
    check_first(which, FIRST, "first");
    check_distance(which);
    for (size_t i = 0; i < FREED_COUNTS; i++) check_reuse(which, i);
    check_orders(which);
  }
  check_places(4000 * percent / 100);
  return evidence_end();
}
