// The interpreter: decodes operations, runs them, and sees to it that one run leaves nothing behind for the next.
// Started once in a process by each target, on the thread that runs the first worker.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model.h"

// ---- the table ------------------------------------------------------------------------------------------------------

typedef struct entry_s {
  op_fun* run;
  const char* name;
  unsigned targets;
} entry_t;

#define OP_ENTRY(code, name, targets) [code] = {op_##name, #name, targets},
static const entry_t table[OP_CODES] = {OP_TABLE(OP_ENTRY)};
#undef OP_ENTRY

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
  if (entry->run == NULL || (entry->targets & model.target) == 0) return;
  if (model.trace) {
    model_say("%4zu thread %d: %-18s slot %3u  a %3u b %3u c %3u d %3u  size %zu align %zu\n", model.op_number, me->number,
              entry->name, op->slot, op->a, op->b, op->c, op->d, size_of_code(op->a, op->b), align_of_code(op->d));
  }
  if (!model.parallel) model.op_name = entry->name;
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
}

// Before the library starts, which it does at the latest in its own constructor.
__attribute__((constructor(101))) static void set_options(void) {
  mi_option_set(mi_option_on_violation, MI_SEVERITY_REPORT);
  mi_option_set(mi_option_sample_rate, 0);  // which blocks are sampled would hang on what ran before
  mi_option_set(mi_option_fault_report, 0); // a fault is a crash, and the fuzzer's
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
  mi_register_output(on_output, NULL);
}

void interp_start(unsigned target) {
  model.target = target;
  model.slow = getenv("FUZZ_SLOW") != NULL;
  model.trace = getenv("FUZZ_TRACE") != NULL;
  model.standard_error = STDERR_FILENO;
  if ((target & (FOR_MISUSE | FOR_CORRUPT)) && !model.trace) reports_away();
  probe_start();
  model.keeps = mi_profile() >= MI_PROFILE_STRICT;
  arenas_start();
  mi_register_violation(on_violation, NULL);
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
  model.random = seed;
  model.op_number = 0;
  model.op_name = "begin";
  model.grave_next = 0;
  atomic_store_explicit(&model.heavy_bytes, 0, memory_order_relaxed);
  notice_reset();
  probe_reseed(seed);
  model.blocks_before = stats_blocks(&model.heaps_before);
}

void run_end(void) {
  model.op_name = "end";
  mi_register_deferred_free(NULL, NULL);
  for (size_t i = 0; i < SLOTS; i++) {
    slot_t* slot = &model.slots[i];
    if (slot->block.p != NULL) free_by(slot, 0, 0);
  }
  op_option(&(op_t){.slot = 8});
}

int run_single(unsigned target, const uint8_t* data, size_t size) {
  static bool started;
  static worker_t worker;
  if (!started) interp_start(target);
  started = true;
  if (size < SEED_BYTES) return 0;
  worker_begin(&worker, 0);
  run_begin(data);
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
  mi_collect(true);
  return 0;
}
