// Brute force against what notices corruption: millions of random changes of fences, of wiped memory, and of the
// allocator's own records, at the level of the functions that check; and thousands through malloc and free as a program
// calls them, in processes of their own where violations are reported and outlived. The misses are counted and compared
// with the odds that docs/mechanisms/fence.md, wipe.md and entry.md state.
//
//   corruption [PERCENT]   the test; PERCENT of the usual number of trials
//   corruption whole N     one process: N trials of each kind through malloc and free
//
// A line fails when that many misses, or that few, would come about by chance with a probability below LIMIT, by
// Chernoff's bound (evidence.h). Odds of 0 allow no miss at all.
#include "evidence.h"

#include <fcntl.h>

#include "secure.h"

typedef struct victim_s {
  page_t* page;
  uintptr_t index;
  uint8_t* block;
} victim_t;

enum { VICTIMS = 512, FAR_IN = 8192 };  // a false slack reaches back up to 8 KiB: that far stays inside the page

static victim_t victims[VICTIMS];

static void print_line(const char* what, double trials, double misses, double odds) {
  double tail = fmin(at_least_bound(misses, trials, odds), at_most_bound(misses, trials, odds));
  printf("%-58s %9.0f %9.0f %12.2f   %8.2g  %s\n", what, trials, misses, trials * odds, tail, verdict(tail >= LIMIT));
}

// Live blocks of small pages, of several sizes and many pages, each with its own key.
static bool find_victims(void) {
  static const size_t sizes[] = {16, 40, 100, 240, 400};
  for (size_t found = 0, tries = 0; found < VICTIMS; tries++) {
    if (tries > 1000000) return false;
    size_t size = sizes[found % (sizeof(sizes) / sizeof(sizes[0]))];
    uint8_t* block = mi_malloc(size);
    page_t* page = mim_page_of(block);
    bool fits = !(page->kind & KIND_LARGE) && (page->kind & KIND_FENCE) && (page->kind & KIND_WIPE) &&
                (uintptr_t)block - page->origin > FAR_IN + page->stride;
    if (fits && chance_below(100) < 3) victims[found++] = (victim_t){page, page_place(page, block).index, block};
  }
  return true;
}

static victim_t* any_victim(void) {
  return &victims[chance_below(VICTIMS)];
}

static uint8_t* end_of(const victim_t* v) {
  return v->block + v->page->block_size;
}

// ---- fences ---------------------------------------------------------------------------------------------------------

enum { ANY_BYTE = -1, KNOWN_RANGE = -2, ASCII = -3 };

static uint8_t byte_of(int kind) {
  switch (kind) {
    case ANY_BYTE:
      return (uint8_t)chance();
    case KNOWN_RANGE:
      return (uint8_t)(0x80 + chance_below(0x40));
    case ASCII:
      return (uint8_t)chance_below(0x80);
    default:
      return (uint8_t)kind;
  }
}

// A linear overflow by `count` bytes, or by any number up to the slack (0).
static void overflow(const char* what, size_t trials, size_t count, int kind, double odds) {
  size_t misses = 0;
  for (size_t i = 0; i < trials; i++) {
    victim_t* v = any_victim();
    size_t slack = count + chance_below(FENCE_SIZE + 1 - count);
    if (slack == 0) slack = 1;
    size_t bytes = count != 0 ? count : 1 + chance_below(slack);
    fence_reset(v->page, v->index, end_of(v), slack);
    if (!fence_holds(v->page, v->index, end_of(v), slack)) abort();
    for (size_t k = 0; k < bytes; k++) end_of(v)[(ptrdiff_t)k - (ptrdiff_t)slack] = byte_of(kind);
    misses += fence_holds(v->page, v->index, end_of(v), slack);
  }
  print_line(what, (double)trials, (double)misses, odds);
}

static void flip(const char* what, size_t trials, size_t most) {
  size_t misses = 0;
  for (size_t i = 0; i < trials; i++) {
    victim_t* v = any_victim();
    size_t slack = 1 + chance_below(FENCE_SIZE), bits = 1 + chance_below(most);
    fence_reset(v->page, v->index, end_of(v), slack);
    uint8_t before[FENCE_SIZE];
    memcpy(before, end_of(v) - FENCE_SIZE, FENCE_SIZE);
    do {
      for (size_t k = 0; k < bits; k++) {
        uint64_t bit = chance_below(slack * 8);
        end_of(v)[-1 - (ptrdiff_t)(bit / 8)] ^= (uint8_t)(1u << bit % 8);
      }
    } while (memcmp(before, end_of(v) - FENCE_SIZE, FENCE_SIZE) == 0);
    misses += fence_holds(v->page, v->index, end_of(v), slack);
  }
  print_line(what, (double)trials, (double)misses, 0);
}

// One byte too much copied from one block to another of the same page, both with the same slack.
static void copied(const char* what, size_t trials, size_t slack, double odds) {
  size_t misses = 0;
  for (size_t i = 0; i < trials; i++) {
    page_t page = {.hook = {.fence = chance() | 1}};
    uintptr_t from = 1 + chance_below(1 << 10), to = 1 + chance_below((1 << 10) - 1);
    if (to >= from) to++;
    misses += fence_pattern(&page, from)[FENCE_SIZE - slack] == fence_pattern(&page, to)[FENCE_SIZE - slack];
  }
  print_line(what, (double)trials, (double)misses, odds);
}

static void check_fences(size_t trials) {
  overflow("fence: 1 byte, any of 256", trials, 1, ANY_BYTE, 1 / 256.0);
  overflow("fence: 2 bytes, any", trials, 2, ANY_BYTE, 1 / 65536.0);
  overflow("fence: 1 byte of 0x80..0xBF", trials, 1, KNOWN_RANGE, 1 / 64.0);
  overflow("fence: 2 bytes of 0x80..0xBF", trials, 2, KNOWN_RANGE, 1 / 4096.0);
  overflow("fence: 3 bytes of 0x80..0xBF", trials, 3, KNOWN_RANGE, 1 / 262144.0);
  overflow("fence: 4 bytes of 0x80..0xBF", trials, 4, KNOWN_RANGE, 1 / 16777216.0);
  overflow("fence: 16 bytes of 0x80..0xBF", trials, 16, KNOWN_RANGE, exp2(-96));
  overflow("fence: 1 zero byte", trials, 1, 0, 0);
  overflow("fence: 1 to 16 zero bytes", trials, 0, 0, 0);
  overflow("fence: 1 to 16 bytes of 0xFF", trials, 0, 0xFF, 0);
  overflow("fence: 1 to 16 bytes of ASCII", trials, 0, ASCII, 0);
  flip("fence: 1 bit turned", trials, 1);
  flip("fence: 1 to 20 bits turned", trials, 20);
  // (i - j) * key, i and j below 2^10: the lowest 6 bits are alike for 31 of 1,023 others, six higher ones for 1 in 64.
  copied("fence: 1 byte copied from another block, slack 1", trials, 1, 1 / 64.0);
  copied("fence: 1 byte copied from another block, slack 16", trials, 16, 31 / 1023.0);
}

// ---- wiped memory ---------------------------------------------------------------------------------------------------

static void wiped(const char* what, size_t trials, size_t count, bool zero_too, double odds) {
  static wipe_word_t words[66];
  uint8_t* bytes = (uint8_t*)words;
  size_t misses = 0;
  for (size_t i = 0; i < trials; i++) {
    size_t size = 16 * (1 + chance_below(66));
    fence_bytes_t tail = fence_tail(fence_pattern_of(chance()));
    memcpy(bytes + size - FENCE_SIZE, &tail, FENCE_SIZE);
    uint8_t last = bytes[size - 1];
    size_t places[8];
    for (size_t k = 0; k < count; k++) {
      bool taken;
      do {
        places[k] = chance_below(size);
        taken = false;
        for (size_t j = 0; j < k; j++) taken |= places[j] == places[k];
      } while (taken);
      bytes[places[k]] ^= (uint8_t)(zero_too ? chance_below(256) : 1 + chance_below(255));
    }
    misses += wipe_holds(bytes, size, tail);
    for (size_t k = 0; k < count; k++) bytes[places[k]] = 0;
    bytes[size - 1] = last;
    if (!wipe_holds(bytes, size, tail)) abort();
    bytes[size - 1] = 0;
  }
  print_line(what, (double)trials, (double)misses, odds);
}

static void check_wiped(size_t trials) {
  wiped("wipe: 1 byte, any of 256", trials, 1, true, 1 / 256.0);
  wiped("wipe: 2 bytes, any", trials, 2, true, 1 / 65536.0);
  wiped("wipe: 1 byte, changed", trials, 1, false, 0);
  wiped("wipe: 8 bytes, changed", trials, 8, false, 0);
}

// ---- states and the magazine ----------------------------------------------------------------------------------------

enum { BOTH_BYTES, LOW_BYTE, HIGH_BYTE };

static uint16_t corrupt(uint16_t entry, int which) {
  uint16_t random = (uint16_t)chance();
  if (which == LOW_BYTE) return (uint16_t)((entry & 0xFF00) | (random & 0xFF));
  if (which == HIGH_BYTE) return (uint16_t)((entry & 0xFF) | (random & 0xFF00));
  return random;
}

// The state of a live block is overwritten: does free take the block?
static void live_state(const char* what, size_t trials, size_t slack, int which, double odds) {
  size_t misses = 0;
  for (size_t i = 0; i < trials; i++) {
    victim_t* v = any_victim();
    uint16_t* entry = &v->page->hook.entries[v->index];
    uint16_t key = v->page->hook_key, before = *entry;
    memset(v->block, 0, v->page->block_size);
    fence_reset(v->page, v->index, end_of(v), slack);
    *entry = corrupt((uint16_t)(state_live(FAMILY_C, slack) ^ key), which);
    misses += hook_take_back(v->page, v->block, FAMILY_C) != 0;
    *entry = before;
  }
  print_line(what, (double)trials, (double)misses, odds);
}

// Makes a block read as a free one does.
static void wipe_block(page_t* page, uintptr_t index) {
  uint8_t* block = page_block(page, index);
  memset(block, 0, page->block_size);
  block[page->block_size - 1] = fence_last(page, index);
}

// The state of a free block that comes next is overwritten: is it handed out?
static void free_state(const char* what, size_t trials, int which, double odds) {
  size_t misses = 0;
  for (size_t i = 0; i < trials; i++) {
    victim_t* v = any_victim();
    uint16_t* entry = &v->page->hook.entries[v->index];
    uint16_t before = *entry;
    wipe_block(v->page, v->index);
    *entry = corrupt((uint16_t)(STATE_FREE ^ v->page->hook_key), which);
    misses += hook_hand_out(v->page, v->index, v->page->block_size - 1, FAMILY_C, false) != NULL;
    *entry = before;
  }
  print_line(what, (double)trials, (double)misses, odds);
}

// The index of the next block is overwritten, in its low byte: is another one handed out? Every second block is free.
static void magazine_entry(const char* what, size_t trials) {
  mi_heap_t* heap = mi_heap_new();
  void* p = mi_heap_malloc(heap, 16);
  while (mim_page_of(p)->kind & KIND_LARGE) p = mi_heap_malloc(heap, 16);
  page_t* page = mim_page_of(p);
  uint16_t saved[1024];
  memcpy(saved, page->hook.entries, sizeof(saved));
  size_t misses = 0;
  for (size_t i = 0; i < trials; i++) {
    for (uintptr_t k = 0; i % 256 == 0 && k < 1024; k++) {
      state_set(page, k, k % 2 == 0 && k > 0 ? STATE_FREE : state_live(FAMILY_C, 1));
      if (k > 0) wipe_block(page, k);
    }
    *magazine_at(page, 1) = corrupt((uint16_t)((256 + chance_below(768)) ^ page->hook_key), LOW_BYTE);
    uintptr_t index = magazine_get(page, 1);
    if (hook_hand_out(page, index, 16, FAMILY_C, false) == NULL) continue;
    misses++;
    state_set(page, index, STATE_FREE);
    wipe_block(page, index);
  }
  memcpy(page->hook.entries, saved, sizeof(saved));
  print_line(what, (double)trials, (double)misses, 0.5);
}

static void check_records(size_t trials) {
  live_state("state: of a live block, both bytes, slack 1", trials, 1, BOTH_BYTES, 2 / 65536.0);
  live_state("state: of a live block, both bytes, slack 16", trials, 16, BOTH_BYTES, 17 / 65536.0);
  live_state("state: of a live block, low byte, slack 1", trials, 1, LOW_BYTE, 2 / 256.0);
  live_state("state: of a live block, high byte, slack 1", trials, 1, HIGH_BYTE, 1 / 256.0);
  free_state("state: of a free block, both bytes", trials, BOTH_BYTES, 2 / 65536.0);
  free_state("state: of a free block, low byte", trials, LOW_BYTE, 2 / 256.0);
  free_state("state: of a free block, high byte", trials, HIGH_BYTE, 1 / 256.0);
  magazine_entry("magazine: low byte, half of the blocks free", trials / 4);
}

// ---- through malloc and free ----------------------------------------------------------------------------------------

enum { WHOLE_ONE, WHOLE_TWO, WHOLE_ZERO, WHOLE_LARGE, WHOLE_UNDER, WHOLE_AFTER, WHOLE_KINDS };

typedef struct tally_s {
  uint64_t trials, misses;
} tally_t;

static tally_t tallies[WHOLE_KINDS];

static void tally(int kind, size_t violations_before) {
  tallies[kind].trials++;
  tallies[kind].misses += sec_violation_count() == violations_before;
}

static void whole_overflow(int kind, size_t low, size_t high, size_t count, int byte) {
  uint8_t* p = mi_malloc(low + chance_below(high - low + 1));
  const page_t* page = mim_page_of(p);
  size_t usable = page->kind & KIND_LARGE ? page->large_size : page->block_size, size = mi_usable_size(p);
  size_t before = sec_violation_count();
  if (usable - size >= count) {
    for (size_t k = 0; k < count; k++) p[size + k] = byte_of(byte);
    mi_free(p);
    tally(kind, before);
  } else {
    mi_free(p);
  }
}

// Into a live block before this one, which is then put right again.
static void whole_underflow(void) {
  enum { COUNT = 64, SIZE = 100 };
  uint8_t* p[COUNT];
  for (size_t i = 0; i < COUNT; i++) p[i] = mi_malloc(SIZE);
  for (size_t i = 0; i < COUNT; i++) {
    const page_t* page = mim_page_of(p[i]);
    bool lies_behind = false;
    for (size_t k = i + 1; k < COUNT; k++) lies_behind |= p[k] + page->stride == p[i];
    if ((page->kind & KIND_LARGE) || !lies_behind) {
      mi_free(p[i]);
      continue;
    }
    uint8_t *last = p[i] - 1, saved = *last;
    size_t before = sec_violation_count();
    *last = byte_of(KNOWN_RANGE);
    mi_free(p[i]);
    tally(WHOLE_UNDER, before);
    *last = saved;
  }
}

static void whole_after_free(mi_heap_t* heap, uint8_t** blocks, size_t count, size_t size) {
  enum { FREED = 8 };
  for (size_t i = 0; i < FREED; i++) {
    size_t j = i + chance_below(count - i);
    uint8_t* chosen = blocks[j];
    blocks[j] = blocks[i];
    blocks[i] = chosen;
    mi_free(chosen);
  }
  size_t bytes = 1 + chance_below(4), before = sec_violation_count();
  for (size_t k = 0; k < bytes; k++) blocks[0][chance_below(size)] = (uint8_t)(1 + chance_below(255));
  for (size_t i = 0; i < FREED; i++) {
    do blocks[i] = mi_heap_malloc(heap, size);
    while (mim_page_of(blocks[i])->kind & KIND_LARGE);
  }
  tally(WHOLE_AFTER, before);
}

static int role_whole(size_t trials) {
  chance_seed();
  for (size_t i = 0; i < trials; i++) {
    whole_overflow(WHOLE_ONE, 1, 1000 + 4000 * (i & 1), 1, KNOWN_RANGE);
    whole_overflow(WHOLE_TWO, 1, 5000, 2, KNOWN_RANGE);
    whole_overflow(WHOLE_ZERO, 1, 5000, 1, 0);
    if (i % 8 == 0) whole_overflow(WHOLE_LARGE, 70000, 300000, 1, 0);
    if (i % 32 == 0) whole_underflow();
  }
  enum { SIZE = 200, ROOM = SLICE_SIZE / SIZE };
  mi_heap_t* heap = mi_heap_new();
  uint8_t* blocks[ROOM];
  size_t count = 0;
  do {  // all blocks of one page, so that the only free ones are those that are freed
    blocks[count] = mi_heap_malloc(heap, SIZE);
    count += !(mim_page_of(blocks[count])->kind & KIND_LARGE);
  } while (count == 0 || count < mim_page_of(blocks[0])->reserved);
  for (size_t i = 0; i < trials; i++) whole_after_free(heap, blocks, count, SIZE);
  return write(1, tallies, sizeof(tallies)) != (ssize_t)sizeof(tallies);
}

static void run_whole(size_t trials) {
  int ends[2];
  char count[32];
  snprintf(count, sizeof(count), "%zu", trials);
  if (pipe(ends) != 0) exit(2);
  pid_t process = fork();
  if (process == 0) {
    dup2(ends[1], 1);
    dup2(open("/dev/null", O_WRONLY), 2);
    setenv("MIMALLOC_ON_VIOLATION", "report", 1);
    setenv("MIMALLOC_MAX_ERRORS", "1", 1);
    execl("/proc/self/exe", "corruption", "whole", count, (char*)NULL);
    _exit(98);
  }
  close(ends[1]);
  tally_t from[WHOLE_KINDS];
  bool whole = read(ends[0], from, sizeof(from)) == (ssize_t)sizeof(from);
  close(ends[0]);
  int status = 0;
  if (process < 0 || waitpid(process, &status, 0) != process || status != 0 || !whole) {
    printf("a process of its own ended with status %#x: %s\n", (unsigned)status, verdict(false));
    return;
  }
  for (size_t i = 0; i < WHOLE_KINDS; i++) {
    tallies[i].trials += from[i].trials;
    tallies[i].misses += from[i].misses;
  }
}

static void check_whole(size_t processes) {
  static const struct {
    const char* what;
    double odds;
  } kinds[] = {
      [WHOLE_ONE] = {"malloc to free: 1 byte of 0x80..0xBF behind", 1 / 64.0},
      [WHOLE_TWO] = {"malloc to free: 2 bytes of 0x80..0xBF behind", 1 / 4096.0},
      [WHOLE_ZERO] = {"malloc to free: 1 zero byte behind", 0},
      [WHOLE_LARGE] = {"malloc to free: 1 zero byte behind, 70,000 bytes and up", 0},
      [WHOLE_UNDER] = {"malloc to free: 1 byte of 0x80..0xBF before", 1 / 64.0},
      [WHOLE_AFTER] = {"free to malloc: 1 to 4 bytes but zero", 0},
  };
  for (size_t i = 0; i < processes; i++) run_whole(2000);
  for (size_t i = 0; i < WHOLE_KINDS; i++) {
    print_line(kinds[i].what, (double)tallies[i].trials, (double)tallies[i].misses, kinds[i].odds);
    if (tallies[i].trials == 0) verdict(false);
  }
}

int main(int argc, char** argv) {
  if (argc == 3 && strcmp(argv[1], "whole") == 0) return role_whole(strtoul(argv[2], NULL, 10));
  size_t percent = argc > 1 ? scale_argument("corruption", argv[1]) : 100;
  chance_seed();
  uint32_t needed = SEC_FENCE | SEC_WIPE;
  if ((mim_process.hook.mechanisms & needed) != needed) {
    printf("the profile of this build has no fence or no wipe\n");
    return SKIPPED;
  }
  if (!find_victims()) {
    printf("no blocks to work on\n");
    return 1;
  }
  size_t trials = 4000000 * percent / 100;
  printf("%-58s %9s %9s %12s   %8s\n", "what", "trials", "misses", "expected", "chance");
  check_fences(trials);
  check_wiped(trials);
  check_records(trials);
  check_whole(10 * percent / 100 + 1);
  return evidence_end();
}
