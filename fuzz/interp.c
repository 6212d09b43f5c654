// The interpreter: decodes operations, runs them, and sees to it that one run leaves nothing behind for the next.
// Started once in a process by each target, on the thread that runs the first worker.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model.h"
#include "os.h"
#include "state.h"
#include "process.h"

// ---- the table ------------------------------------------------------------------------------------------------------

typedef struct entry_s {
  op_fun* run;
  const char* name;
  unsigned targets;
} entry_t;

#define OP_ENTRY(code, name, targets) [code] = {op_##name, #name, targets},
static const entry_t table[OP_CODES] = {OP_TABLE(OP_ENTRY)};
#undef OP_ENTRY

bool op_is(const op_t* op, op_fun* run) {
  return table[op->code % OP_CODES].run == run;
}

// The plain build does not notice misuse.
static bool is_known(const entry_t* entry) {
  bool legal = (entry->targets & (FOR_API | FOR_THREADS)) != 0 || (entry->targets & FOR_MISUSE) == 0;
  return entry->run != NULL && (entry->targets & model.target) != 0 && (legal || mi_is_secure());
}

const char* op_name(uint8_t code) {
  const char* name = table[code % OP_CODES].name;
  return name == NULL ? "nothing" : name;
}

size_t ops_count(size_t size) {
  size_t count = size < SEED_BYTES ? 0 : (size - SEED_BYTES) / OP_BYTES;
  return count > OPS_MAX ? OPS_MAX : count;
}

op_t op_at(const uint8_t* data, size_t index) {
  const uint8_t* p = data + SEED_BYTES + index * OP_BYTES;
  return (op_t){.code = p[0], .slot = p[1], .a = p[2], .b = p[3], .c = p[4], .d = p[5]};
}

void op_run(const op_t* op) {
  const entry_t* entry = &table[op->code % OP_CODES];
  if (!is_known(entry)) return;
  if (model.trace) {
    model_say("%4zu thread %d: %-18s slot %3u  a %3u b %3u c %3u d %3u  size %zu align %zu\n", model.op_number,
              me->number, entry->name, op->slot, op->a, op->b, op->c, op->d, size_of_code(op->a, op->b),
              align_of_code(op->d));
  }
  if (!model.parallel) model.op_name = entry->name;
  os_tick();
  model.misuses = (entry->targets & FOR_MISUSE) != 0 && (entry->targets & FOR_API) == 0;
  errno = 0;
  entry->run(op);
  if (model.slow) probe_walk();
  if (model.parallel) return;
  if (model.target == FOR_CORRUPT) {
    must(model.notice.count == 0 || model.notice.fault != MI_FAULT_CORRUPT_LINK, "metadata was reached");
    notice_reset();
  }
  notice_none();
}

// ---- the process ----------------------------------------------------------------------------------------------------

static void on_violation(const mi_violation_t* violation, void* arg) {
  (void)arg;
  notice_t* notice = &model.notice;
  if (notice->count++ == 0) notice->first = violation->fault;
  notice->fault = violation->fault;
  notice->address = violation->address;
  notice->block = violation->block;
  if (violation->severity != MI_SEVERITY_ABORT) return;
  must(model.misuses && process_may_end != NULL, "a violation ends the process: %s at %p", violation->text,
       violation->address);
  process_may_end(ENDS_BY_ABORT);
}

void fuzz_own_options(void) __attribute__((weak));  // defined by a target that starts with the options of its input

// Before the library starts, which it does at the latest in its own constructor.
__attribute__((constructor(102))) static void set_options(void) {
  if (fuzz_own_options != NULL) {
    os_simulated = false;
    return;
  }
  mi_option_set(mi_option_on_violation, MI_SEVERITY_REPORT);
  mi_option_set(mi_option_sample_rate, 0);   // which blocks are sampled would hang on what ran before
  mi_option_set(mi_option_fault_report, 0);  // a fault is a crash, and the fuzzer's
  mi_option_set(mi_option_max_errors, 0);
  mi_option_set(mi_option_show_errors, 0);
  mi_option_set(mi_option_purge_delay, -1);
  mi_option_set(mi_option_checked_memory, MI_SEVERITY_REPORT);
}

static void on_output(const char* text, void* arg) {
  (void)arg;
  model_say("%s", text);
}

// Reports of planted misuse are no news: they are formatted and written, to where nobody reads them. Sanitizers and the
// interpreter itself keep their standard error.
void __sanitizer_set_report_fd(void* fd) __attribute__((weak));
static void reports_away(void) {
  model.standard_error = dup(STDERR_FILENO);
  int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (model.standard_error < 0 || nowhere < 0) return;
  if (__sanitizer_set_report_fd != NULL) __sanitizer_set_report_fd((void*)(intptr_t)model.standard_error);
  dup2(nowhere, STDERR_FILENO);
  close(nowhere);
  if (model.target == FOR_PROCESS) return;
  mi_register_output(on_output, NULL);
  os_mute();
}

// Two known states: in one, the slices that a run is likely to use were used before, and cost no page faults; in the other
// blocks lie there, and memory is fresh. Which one a run begins with is in its seed.
enum { FRESH, USED };
#define USED_SLICES ((size_t)128)
#define ARENA_SLICES ((size_t)24)
#define SMALL ((size_t)1000)

// Small blocks that fill so many slices, to the last block of the last page: what is free there would be handed out.
#define BLOCKS_OF(slices) ((slices)*66 + 66)
static size_t use_slices(mi_heap_t* heap, size_t slices, void** blocks) {
  size_t count = 0;
  do {
    blocks[count] = mi_heap_malloc(heap, SMALL);
    must(blocks[count] != NULL, "no memory for the blocks of a known state");
  } while (++count < slices * 66 || probe_page_used(blocks[count - 1]) < probe_page_blocks(blocks[count - 1]));
  return count;
}

static struct {
  int64_t blocks, heaps;
} shown[STATES];  // by the statistics

static void keep_state(unsigned which) {
  state_keep(which);
  shown[which].blocks = stats_blocks(&shown[which].heaps);
}

static void use_arena(mi_heap_t* heap) {
  void* blocks[BLOCKS_OF(ARENA_SLICES)];
  size_t count = use_slices(heap, ARENA_SLICES, blocks);
  while (count > 0) mi_free(blocks[--count]);
}

static void keep_states(void) {
  static void* blocks[BLOCKS_OF(USED_SLICES)];
  arenas_warm_up(use_arena);
  probe_thread_t main_thread, other;
  probe_thread_out(&main_thread);
  probe_thread_new(&other);
  probe_thread_in(&other);  // one that ends, so that the blocks are in no heap
  size_t count = use_slices(mi_heap_get_default(), USED_SLICES, blocks);
  model.low = UINTPTR_MAX;
  for (size_t i = 0; i < count; i++) {
    uintptr_t start = (uintptr_t)blocks[i];
    if (start < model.low) model.low = start;
    if (start + SMALL > model.high) model.high = start + SMALL;
  }
  probe_thread_end();
  probe_thread_in(&main_thread);
  keep_state(FRESH);
  while (count > 0) mi_free(blocks[--count]);
  mi_collect(true);
  keep_state(USED);
}

void interp_start(unsigned target) {
  model_start();
  model.target = target;
  model.slow = getenv("FUZZ_SLOW") != NULL;
  model.trace = getenv("FUZZ_TRACE") != NULL;
  model.standard_error = STDERR_FILENO;
  if ((target & FOR_WRONG) && !model.trace) reports_away();
  probe_start();
  model.keeps = mi_profile() >= MI_PROFILE_STRICT || model.lax;
  if (target != FOR_PROCESS) arenas_start();
  mi_register_violation(on_violation, NULL);
  if (os_simulated) keep_states();
}

// ---- a worker -------------------------------------------------------------------------------------------------------

void worker_begin(worker_t* worker, int number) {
  me = worker;
  worker->number = number;
  worker->fills = 0;
  for (size_t i = 0; i < PILES; i++) {
    worker->piles[i].count = 0;
    worker->piles[i].heap = NULL;
  }
  heaps_begin();
}

void worker_end(worker_t* worker) {
  for (size_t i = 0; i < PILES; i++) pile_free_all(&worker->piles[i]);
  heaps_end();
}

// ---- a run ----------------------------------------------------------------------------------------------------------

void run_begin(const uint8_t* data) {
  uint64_t seed;
  memcpy(&seed, data, sizeof(seed));
  model.fresh = os_simulated && seed % 8 == 7;
  if (model.fresh) state_restore(FRESH);
  model.random = seed;
  model.op_number = 0;
  model.op_name = "begin";
  model.grave_next = 0;
  atomic_store_explicit(&model.heavy_bytes, 0, memory_order_relaxed);
  atomic_store_explicit(&model.piled, 0, memory_order_relaxed);
  atomic_store_explicit(&model.texts, 0, memory_order_relaxed);
  notice_reset();
  probe_reseed(seed);
  if (os_simulated) {
    const unsigned which = model.fresh ? FRESH : USED;
    model.blocks_before = shown[which].blocks;
    model.heaps_before = shown[which].heaps;
  } else {
    model.blocks_before = stats_blocks(&model.heaps_before);
  }
}

void run_end(void) {
  model.op_name = "end";
  mi_register_deferred_free(NULL, NULL);
  for (size_t i = 0; i < SLOTS; i++) {
    slot_t* slot = &model.slots[i];
    if (slot->block.p != NULL) free_by(slot, 0, 0);
  }
  op_option(&(op_t){.slot = 8});
  subprocs_end();
}

void run_over(void) {
  if (os_simulated) {
    state_restore(USED);
  } else {
    mi_collect(true);
  }
}

int run_single(unsigned target, const uint8_t* data, size_t size) {
  static bool started;
  static worker_t worker;
  if (!started) interp_start(target);
  started = true;
  if (size < SEED_BYTES) return 0;
  run_begin(data);
  worker_begin(&worker, 0);
  for (size_t i = 0; i < ops_count(size); i++) {
    op_t op = op_at(data, i);
    model.op_number = i;
    op_run(&op);
  }
  run_end();
  worker_end(&worker);
  if (target == FOR_CORRUPT) notice_reset();
  notice_none();
  if (model.keeps) mi_collect(true);
  int64_t left = stats_blocks(NULL);
  must(MIM_DEBUG == 0 || left == model.blocks_before, "%lld blocks are left over",
       (long long)(left - model.blocks_before));
  run_over();
  return 0;
}
