// Operations on what is larger than a block: piles, heaps, threads, options, statistics, and questions about blocks and
// addresses. All of them are legal uses.
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "mimalloc-stats.h"
#include "model.h"
#include "os.h"

// ---- piles ----------------------------------------------------------------------------------------------------------

// The first and the last bytes of a block of a pile say which block it is. Words are copied by the compiler, as there are
// thousands of blocks in some runs (-fno-builtin makes calls of the library's functions).
static uint64_t pile_mark(const uint8_t* p, size_t size) {
  return (uint64_t)(uintptr_t)p * 0x9E3779B97F4A7C15u ^ size;
}

static void pile_fill(uint8_t* p, size_t size) {
  uint64_t mark = pile_mark(p, size);
  if (size < sizeof(mark)) {
    memcpy(p, &mark, size);
  } else {
    __builtin_memcpy(p, &mark, sizeof(mark));
    __builtin_memcpy(p + size - sizeof(mark), &mark, sizeof(mark));
  }
}

static bool pile_holds(const uint8_t* p, size_t size) {
  uint64_t mark = pile_mark(p, size), first, last;
  if (size < sizeof(mark)) return memcmp(p, &mark, size) == 0;
  __builtin_memcpy(&first, p, sizeof(first));
  __builtin_memcpy(&last, p + size - sizeof(last), sizeof(last));
  return last == mark && (first == mark || size < 2 * sizeof(mark));
}

void pile_check(const uint8_t* p, size_t size) {
  if (model.target == FOR_CORRUPT) return;
  must(pile_holds(p, size), "a block of a pile at %p of %zu bytes was written to", (const void*)p, size);
}

static pile_t* pile_of(const op_t* op) {
  return &me->piles[op->slot % PILES];
}

void op_pile_grow(const op_t* op) {
  pile_t* pile = pile_of(op);
  if (pile->count == 0) {
    pile->size = size_of_code(op->a, op->b);
    pile->heap = model.target == FOR_THREADS ? NULL : heap_now();
  }
  size_t count = count_of_code(op->c);
  if (count > PILE_MAX - pile->count) count = PILE_MAX - pile->count;
  count = model_pile_room(count, pile->size);
  if (count == 0 || !model_room(count * pile->size)) return;
  bool zero = op->d % 4 == 3;
  // A pile whose blocks are of no heap that is known, since the thread gave its pages up, grows in the heap that lasts.
  mi_heap_t* heap = pile->heap != NULL || model.target == FOR_THREADS ? pile->heap : me->heaps[0];
  size_t before = pile->count;
  for (size_t i = 0; i < count; i++) {
    uint8_t* p = heap != NULL ? (zero ? mi_heap_zalloc(heap, pile->size) : mi_heap_malloc(heap, pile->size))
                              : (zero ? mi_zalloc(pile->size) : mi_malloc(pile->size));
    if (p == NULL) break;  // only where the heap is bound to an arena; others would fail in op_alloc as well
    must(((uintptr_t)p & 15) == 0 && probe_in_region(p, pile->size), "%p of %zu bytes is misplaced", (void*)p,
         pile->size);
    if (zero) zero_check(p, pile->size < 512 ? pile->size : 512, "zero-initialised");
    pile_fill(p, pile->size);
    pile->blocks[pile->count++] = p;
  }
  atomic_fetch_add_explicit(&model.live_bytes, (pile->count - before) * pile->size, memory_order_relaxed);
}

static void pile_free_at(pile_t* pile, size_t index) {
  uint8_t* p = pile->blocks[index];
  pile_check(p, pile->size);
  pile->blocks[index] = pile->blocks[--pile->count];
  mi_free(p);
}

static void pile_freed(const pile_t* pile, size_t count) {
  atomic_fetch_sub_explicit(&model.live_bytes, count * pile->size, memory_order_relaxed);
}

void op_pile_shrink(const op_t* op) {
  pile_t* pile = pile_of(op);
  size_t count = count_of_code(op->c);
  if (count > pile->count) count = pile->count;
  uint64_t random = op->d;
  for (size_t i = 0; i < count; i++) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    switch (op->d % 3) {
      case 0:
        pile_free_at(pile, pile->count - 1);
        break;
      case 1:
        pile_free_at(pile, i % pile->count);
        break;
      default:
        pile_free_at(pile, (size_t)(random >> 33) % pile->count);
        break;
    }
  }
  pile_freed(pile, count);
}

void pile_free_all(pile_t* pile) {
  size_t count = pile->count;
  while (pile->count > 0) pile_free_at(pile, pile->count - 1);
  pile_freed(pile, count);
}

// ---- heaps ----------------------------------------------------------------------------------------------------------

static mi_arena_id_t arenas[2];  // of the region; handed in

#define ARENA_BYTES ((size_t)32 << 20)

// Arenas last as long as the process, so they are made once.
void arenas_start(void) {
  must(mi_reserve_os_memory_ex(ARENA_BYTES, false, false, true, &arenas[0]) == 0, "no arena of the region");
  uint8_t* start =
      mmap(NULL, 2 * ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  must(start != MAP_FAILED, "no memory for an arena to hand in");
  uintptr_t align = mi_arena_min_alignment();
  start = (uint8_t*)(((uintptr_t)start + align - 1) & ~(align - 1));
  must(mi_manage_os_memory_ex(start, ARENA_BYTES, true, false, true, -1, true, &arenas[1]), "memory is not taken in");
  os_watch(start, ARENA_BYTES);
}

void arenas_warm_up(void (*use)(mi_heap_t* heap)) {
  for (size_t i = 0; i < sizeof(arenas) / sizeof(arenas[0]); i++) {
    mi_heap_t* heap = mi_heap_new_ex(0, true, arenas[i]);
    must(heap != NULL, "no memory for a heap");
    use(heap);
    mi_heap_destroy(heap);
  }
}

void heaps_begin(void) {
  me->heaps[0] = mi_heap_get_backing();
  for (int i = 1; i < HEAPS; i++) me->heaps[i] = NULL;
  me->bound[0] = false;
  me->default_heap = 0;
  must(mi_heap_get_default() == me->heaps[0], "the default heap of a thread is not its backing heap");
}

void op_heap_new(const op_t* op) {
  unsigned index = op->slot % HEAPS;
  if (me->heaps[index] != NULL) return;
  bool destroyable = op->a % 4 != 3, bound = op->b % 4 == 3;
  mi_arena_id_t arena = bound ? arenas[op->c % 2] : 0;
  mi_heap_t* heap = !bound && destroyable && op->a % 2 == 0 ? mi_heap_new() : mi_heap_new_ex(op->d, destroyable, arena);
  must(heap != NULL || model.lax, "no memory for a heap");
  if (heap == NULL) {
    check_errno();
    return;
  }
  for (int i = 0; i < HEAPS; i++) must(me->heaps[i] != heap, "a new heap is heap %d", i);
  me->heaps[index] = heap;
  me->destroyable[index] = destroyable;
  me->bound[index] = bound;
}

// Heap `index` is gone: its blocks are the backing heap's.
static void heap_gone(unsigned index) {
  mi_heap_t* heap = me->heaps[index];
  me->heaps[index] = NULL;
  me->bound[index] = false;
  if (me->default_heap == (int)index) me->default_heap = 0;
  must(mi_heap_get_default() == heap_now(), "the default heap is not the backing heap after its end");
  for (size_t i = 0; i < PILES; i++) {
    if (me->piles[i].heap == heap) me->piles[i].heap = me->heaps[0];
  }
  if (model.target == FOR_THREADS) return;
  for (size_t i = 0; i < SLOTS; i++) {
    if (model.slots[i].block.heap == heap) model.slots[i].block.heap = me->heaps[0];
  }
}

void op_heap_delete(const op_t* op) {
  unsigned index = op->slot % HEAPS;
  if (index == 0 && op->a % 8 != 0) return;
  if (me->heaps[index] == NULL) return;
  mi_heap_delete(me->heaps[index]);
  if (index != 0) heap_gone(index);
}

static void drop_blocks(mi_heap_t* heap) {
  for (size_t i = 0; i < SLOTS; i++) {
    slot_t* slot = &model.slots[i];
    if (slot->block.p == NULL || slot->block.heap != heap) continue;
    block_dies(slot);
    block_bury(slot);
  }
  for (size_t i = 0; i < PILES; i++) {
    pile_t* pile = &me->piles[i];
    if (pile->heap != heap) continue;
    for (size_t k = 0; k < pile->count; k++) pile_check(pile->blocks[k], pile->size);
    atomic_fetch_sub_explicit(&model.live_bytes, pile->size * pile->count, memory_order_relaxed);
    pile->count = 0;
    pile->heap = me->heaps[0];
  }
}

void op_heap_destroy(const op_t* op) {
  unsigned index = op->slot % HEAPS;
  mi_heap_t* heap = me->heaps[index];
  if (index == 0 || heap == NULL) return;
  if (me->destroyable[index]) drop_blocks(heap);
  mi_heap_destroy(heap);
  heap_gone(index);
}

void op_heap_collect(const op_t* op) {
  mi_heap_collect(me->heaps[op->slot % HEAPS], op->a % 2 == 1);
}

void op_heap_default(const op_t* op) {
  unsigned index = op->slot % HEAPS;
  if (me->heaps[index] == NULL) return;
  mi_heap_t* before = heap_now();
  must(mi_heap_set_default(me->heaps[index]) == before, "mi_heap_set_default does not return the heap before");
  me->default_heap = (int)index;
  must(mi_heap_get_default() == heap_now(), "mi_heap_get_default is not what was set");
}

// Gives all of a thread's heaps up but the backing heap.
void heaps_end(void) {
  for (unsigned i = 1; i < HEAPS; i++) {
    if (me->heaps[i] == NULL) continue;
    mi_heap_delete(me->heaps[i]);
    heap_gone(i);
  }
}

// Nothing is known any more of whose the blocks of this heap are: another thread may have taken a page of it over.
void heap_forget(const mi_heap_t* heap) {
  if (model.target == FOR_THREADS) return;  // never known there
  for (size_t i = 0; i < SLOTS; i++) {
    if (model.slots[i].block.heap == heap) model.slots[i].block.heap = NULL;
  }
  for (size_t i = 0; i < PILES; i++) {
    if (me->piles[i].heap == heap) me->piles[i].heap = NULL;
  }
}

void heaps_forget(void) {
  for (size_t i = 0; i < HEAPS; i++) {
    if (me->heaps[i] != NULL) heap_forget(me->heaps[i]);
  }
}

// ---- visits ---------------------------------------------------------------------------------------------------------

typedef struct visit_s {
  const mi_heap_t* heap;
  size_t blocks, used, areas, most;
} visit_t;

static bool visit(const mi_heap_t* heap, const mi_heap_area_t* area, void* block, size_t block_size, void* arg) {
  visit_t* seen = arg;
  must(heap == seen->heap || seen->heap == NULL, "a visitor is shown another heap");
  if (block == NULL) {
    seen->areas++;
    seen->used += area->used;
    must(area->committed <= area->reserved, "an area has %zu of %zu bytes in use", area->committed, area->reserved);
    return seen->areas < seen->most;
  }
  size_t offset = (size_t)((uint8_t*)block - (uint8_t*)area->blocks);
  must(area->full_block_size == 0 || offset % area->full_block_size == 0, "a visited block is no block of its area");
  must(block_size == area->block_size, "a visited block has %zu bytes, those of its area %zu", block_size,
       area->block_size);
  seen->blocks++;
  return true;
}

size_t model_blocks(const mi_heap_t* heap) {
  size_t count = 0;
  for (size_t i = 0; i < SLOTS; i++) {
    if (model.slots[i].block.p != NULL && (heap == NULL || model.slots[i].block.heap == heap)) count++;
  }
  for (size_t i = 0; i < PILES; i++) {
    if (heap == NULL || me->piles[i].heap == heap) count += me->piles[i].count;
  }
  return count;
}

static size_t unknown_blocks(void) {
  size_t known = 0;
  for (int i = 0; i < HEAPS; i++) {
    if (me->heaps[i] != NULL) known += model_blocks(me->heaps[i]);
  }
  return model_blocks(NULL) - known;
}

void op_heap_visit(const op_t* op) {
  mi_heap_t* heap = me->heaps[op->slot % HEAPS];
  if (heap == NULL) return;
  visit_t seen = {.heap = heap, .most = op->a % 8 == 7 ? 2 : SIZE_MAX};
  bool blocks = op->b % 4 != 3;
  bool done = mi_heap_visit_blocks(heap, blocks, visit, &seen);
  must(done == (seen.areas < seen.most), "mi_heap_visit_blocks says %d after %zu areas", done, seen.areas);
  if (!done || !blocks) return;
  must(seen.blocks == seen.used || (model.keeps && seen.blocks < seen.used),
       "a visit shows %zu blocks, the areas have %zu", seen.blocks, seen.used);
  if (model.target == FOR_THREADS) return;
  size_t known = model_blocks(heap);
  must(seen.blocks >= known && (model.keeps || seen.blocks <= known + unknown_blocks()),
       "a visit shows %zu blocks of a heap, there are %zu", seen.blocks, known);
}

// ---- questions ------------------------------------------------------------------------------------------------------

static void ask_heap(const block_t* block) {
  mi_heap_t* heap = block->heap;
  bool known = false;
  for (size_t i = 0; i < HEAPS; i++) known |= heap != NULL && me->heaps[i] == heap;
  if (!known || model.target == FOR_THREADS) return;
  must(mi_heap_of(block->p) == heap, "mi_heap_of(%p) is another heap", (void*)block->p);
  must(mi_heap_contains_block(heap, block->p), "mi_heap_contains_block denies %p", (void*)block->p);
  must(mi_heap_contains(heap, block->p), "mi_heap_contains denies %p", (void*)block->p);
  if (block->size == 0) return;
  must(mi_heap_check_owned(heap, block->p + block->size - 1), "mi_heap_check_owned denies the end of %p",
       (void*)block->p);
  if (heap == heap_now()) must(mi_check_owned(block->p), "mi_check_owned denies %p", (void*)block->p);
  if (block->size > 1)
    must(!mi_heap_contains_block(heap, block->p + 1), "the middle of %p is a block", (void*)block->p);
}

void op_ask(const op_t* op) {
  slot_t* slot = slot_take(op->slot);
  if (slot == NULL) return;
  const block_t* block = &slot->block;
  if (block->p != NULL) {
    block_check(block);
    must(mi_malloc_size(block->p) == mi_usable_size(block->p), "mi_malloc_size differs from mi_usable_size");
    must(mi_malloc_usable_size(block->p) == mi_usable_size(block->p), "mi_malloc_usable_size differs");
    must(mi_is_in_heap_region(block->p) && mi_any_heap_contains(block->p), "%p is in no heap", (void*)block->p);
    size_t at = block->size == 0 ? 0 : (size_t)op->a * 257u % block->size;
    size_t room = mi_malloc_object_size(block->p + at), left = block->size - at;
    must(room == SIZE_MAX || room == left || (room > left && !mi_is_secure()),
         "mi_malloc_object_size says %zu of byte %zu of %zu", room, at, block->size);
    (void)mi_unsafe_heap_page_is_under_utilized(me->heaps[0], block->p, op->b % 101u);
    ask_heap(block);
  }
  slot_give(slot);
}

void op_ask_outside(const op_t* op) {
  int local = 0;
  uintptr_t far = (uintptr_t)op->a << 40 | (uintptr_t)op->b << 16 | op->c;
  size_t region_size;
  uintptr_t region = probe_region(&region_size);
  const uint8_t* inside = (const uint8_t*)(region + (region_size >> 16) * (op->a | 1u) * op->b / 2 + op->c);
  must(mi_usable_size(NULL) == 0, "NULL has bytes");
  must(mi_malloc_object_size(&local) == SIZE_MAX, "a variable is a block");
  must(!mi_is_in_heap_region(&local) && !mi_check_owned(&local), "a variable is in a heap");
  must(!mi_heap_contains_block(me->heaps[0], &local) && mi_heap_of(&local) == NULL, "a variable is in a heap");
  (void)mi_is_in_heap_region((void*)far);
  (void)mi_malloc_object_size((void*)far);
  (void)mi_check_owned((void*)far);
  (void)mi_is_in_heap_region(inside);
  (void)mi_malloc_object_size(inside);
  (void)mi_heap_check_owned(me->heaps[0], inside);
  (void)mi_heap_contains_block(me->heaps[0], inside);
  (void)mi_good_size((size_t)op->a << (op->b % 56));
  mi_free(NULL);
  mi_cfree(&local);  // leaves foreign pointers alone
}

// ---- the process ----------------------------------------------------------------------------------------------------

void op_collect(const op_t* op) {
  switch (op->a % 4) {
    case 0:
      mi_collect(false);
      break;
    case 1:
      mi_collect(true);
      break;
    case 2:
      mi_collect_reduce((size_t)op->b << 16);
      break;
    default:
      mi_heap_collect(heap_now(), true);
      break;
  }
}

static void deferred_free(bool force, unsigned long long heartbeat, void* arg) {
  (void)force;
  (void)arg;
  must(heartbeat > 0, "a deferred free without a heartbeat");
  slot_t* slot = slot_take((uint8_t)model_random());
  if (slot == NULL) return;
  if (slot->block.p != NULL) free_by(slot, 0, 0);
  slot_give(slot);
}

void op_deferred(const op_t* op) {
  if (model.target == FOR_THREADS) return;  // it would be called on threads that end
  mi_register_deferred_free(op->a % 2 == 0 ? NULL : deferred_free, NULL);
}

static const struct {
  mi_option_t option;
  long values[4];  // the first is what it has between runs
} tried[] = {
    {mi_option_purge_delay, {-1, 0, 1000000, -1}},   {mi_option_purge_decommits, {1, 0, 1, 0}},
    {mi_option_visit_abandoned, {0, 1, 0, 1}},       {mi_option_abandoned_reclaim_on_free, {1, 0, 1, 0}},
    {mi_option_generic_collect, {64, 1, 1000, 16}},  {mi_option_retry_on_oom, {0, 0, 0, 0}},
    {mi_option_page_reclaim_on_free, {0, 1, -1, 0}}, {mi_option_abandoned_page_purge, {0, 1, 0, 1}},
};
#define TRIED (sizeof(tried) / sizeof(tried[0]))

void op_option(const op_t* op) {
  size_t which = op->slot % (TRIED + 1);
  if (which == TRIED) {
    for (size_t i = 0; i < TRIED; i++) mi_option_set(tried[i].option, tried[i].values[0]);
    return;
  }
  long value = tried[which].values[op->a % 4];
  mi_option_set(tried[which].option, value);
  if (!model.parallel) must(mi_option_get(tried[which].option) == value, "an option has not the value that was set");
}

int64_t stats_blocks(int64_t* heaps) {
  static __thread mi_stats_t stats;
  stats.size = sizeof(stats);
  stats.version = MI_STAT_VERSION;
  must(mi_stats_get(&stats), "mi_stats_get fails");
  int64_t blocks = 0;
  for (size_t i = 0; i < stats.bin_count; i++) blocks += stats.malloc_bins[i].current;
  must(stats.bin_count > 0 && stats.bin_count <= MI_STAT_BINS, "statistics of %zu bins", stats.bin_count);
  must(stats.committed.current <= stats.committed.peak, "more is committed than ever was");
  must(stats.committed.current <= stats.reserved.current + ((int64_t)1 << 30), "more is committed than reserved");
  if (heaps != NULL) *heaps = stats.heaps.current;
  return blocks;
}

static int64_t heap_count(void) {
  int64_t count = 0;
  for (int i = 1; i < HEAPS; i++) count += me->heaps[i] != NULL;
  return count;
}

static void stats_check(void) {
  int64_t heaps;
  int64_t blocks = stats_blocks(&heaps);
  if (model.target == FOR_THREADS || me->number != 0) return;
  if (MIM_DEBUG > 0) {
    int64_t wanted = model.blocks_before + (int64_t)model_blocks(NULL);
    must(blocks == wanted || (model.keeps && blocks > wanted), "the statistics show %lld blocks, there are %lld",
         (long long)blocks, (long long)wanted);
  }
  must(heaps == model.heaps_before + heap_count(), "the statistics show %lld heaps, there are %lld", (long long)heaps,
       (long long)(model.heaps_before + heap_count()));
}

static void text_end(const char* text, void* arg) {
  size_t* length = arg;
  *length += strlen(text);
}

static void json_check(char* json, char* buf, size_t size) {
  if (json == NULL) {
    must((buf != NULL && size < 65536) || model.lax, "no statistics as JSON in %zu bytes", size);
    return;
  }
  size_t length = strlen(json);
  must(json[0] == '{' && length > 2 && json[length - 2] == '}' && json[length - 1] == '\n', "JSON of %zu bytes is torn",
       length);
  if (buf != NULL) must(json == buf && length < size, "JSON runs over its buffer");
}

static void stats_text(const op_t* op) {
  static __thread char buf[65536];
  size_t length = 0, size = (size_t)op->b << 8;
  mi_heap_t* heap = me->heaps[op->slot % HEAPS];
  char* json = NULL;
  switch (op->a % 12) {
    case 0:
      mi_stats_print_out(text_end, &length);
      break;
    case 1:
      mi_thread_stats_print_out(text_end, &length);
      break;
    case 2:
      mi_options_print_out(text_end, &length);
      break;
    case 3:
      mi_process_info_print_out(text_end, &length);
      break;
    case 4:
      json = mi_stats_get_json(size, buf);
      json_check(json, buf, size);
      break;
    case 5:
      json = mi_stats_get_json(0, NULL);
      json_check(json, NULL, 0);
      mi_free(json);
      break;
    default:
      if (heap == NULL) break;
      json = mi_heap_stats_get_json(heap, size, buf);
      json_check(json, buf, size);
      break;
  }
  must(op->a % 12 > 3 || length > 0, "a print prints nothing");
}

void op_stats(const op_t* op) {
  unsigned which = op->a % 12;
  if (which == 7) {
    mi_stats_merge();
  } else if (which == 8) {
    if (model.target != FOR_THREADS && !model.keeps && me->number == 0) {
      mi_stats_reset();
      model.blocks_before = -(int64_t)model_blocks(NULL);
      model.heaps_before = -heap_count();
    }
  } else if (which < 7 && model_text_room(op)) {
    stats_text(op);
  }
  if (!model.parallel) stats_check();
}

// ---- threads --------------------------------------------------------------------------------------------------------

void op_thread_done(const op_t* op) {
  if (op->a % 4 != 0 && model.target == FOR_MISUSE) return;
  mi_thread_done();
  heaps_forget();
  heaps_begin();
  if (!model.parallel) probe_reseed(model_random());
}

// The scheduler of fuzz_threads ends the thread; threads that run freely only give their pages up.
void op_thread_exit(const op_t* op) {
  if (model.parallel || me->number == 0) {
    op_thread_done(op);
  } else {
    me->exits = true;
  }
}
