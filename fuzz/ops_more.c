// The rarer functions of the interface: requests that nobody but old programs makes, operator new when memory runs out,
// what the library says of itself, arenas, subprocesses, samples. All of them are legal uses.
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <wchar.h>

#include "faults.h"
#include "mimalloc-stats.h"
#include "model.h"
#include "process.h"

// ---- operator new ---------------------------------------------------------------------------------------------------

typedef struct new_call_s {
  uint8_t form;
  size_t size, align;
  void* p;
} new_call_t;

static void run_new(void* arg) {
  new_call_t* call = arg;
  switch (call->form % 7) {
    case 0:
      call->p = mi_new(call->size);
      break;
    case 1:
      call->p = mi_new_aligned(call->size, call->align);
      break;
    case 2:
      call->p = mi_new_n(call->size, 1);
      break;
    case 3:
      call->p = mi_new_array(call->size);
      break;
    case 4:
      call->p = mi_heap_alloc_new(heap_now(), call->size);
      break;
    case 5:
      call->p = mi_new_realloc(call->p, call->size);
      break;
    default:
      call->p = mi_new_reallocn(call->p, call->size, 1);
      break;
  }
}

static unsigned handler_calls;
static bool handler_helps;

static void on_no_memory(void) {
  if (handler_helps) faults_clear();
  if (++handler_calls >= 3) process_new_handler(NULL);
}

// With a handler that finds memory, or gives up; what it throws is caught.
static void new_or_throw(const op_t* op) {
  if (process_catch == NULL) return;
  bool huge = op->d % 4 == 3, again = op->d % 7 >= 5;
  new_call_t call = {.form = op->d, .size = size_of_code(op->a, op->b), .align = 64};
  if (!model_room(call.size)) return;
  if (again) call.p = mi_new_nothrow(40);
  void* before = call.p;
  if (huge) call.size = (size_t)1 << (op->a % 2 == 0 ? 46 : 63);
  handler_calls = 0;
  handler_helps = op->b % 2 == 0;
  process_new_handler(op->b % 4 < 2 ? on_no_memory : NULL);
  bool met = process_catch(run_new, &call);
  process_new_handler(NULL);
  must(met || huge || model.lax, "std::bad_alloc is thrown for %zu bytes", call.size);
  must(!(met && huge) && (!met || call.p != NULL), "%p is what operator new gives of %zu bytes", call.p, call.size);
  if (!met && again && before != NULL) call.p = before;  // it is as it was
  if (call.p != NULL) memset(call.p, 0x5A, met ? call.size : 40);
  call.form % 7 == 3 ? mi_delete_array(call.p) : mi_delete(call.p);
}

// ---- blocks ---------------------------------------------------------------------------------------------------------

static void from_environment(void) {
  char* text = (char*)1;
  wchar_t* wide = (wchar_t*)1;
  size_t size = 1;
  must(mi_dupenv_s(NULL, &size, "PATH") == EINVAL && mi_dupenv_s(&text, NULL, NULL) == EINVAL,
       "mi_dupenv_s(NULL) is met");
  must(mi_dupenv_s(&text, &size, "NO_SUCH_VARIABLE_AS_THIS") == 0 && text == NULL && size == 0,
       "there is such a variable");
  int error = mi_dupenv_s(&text, &size, "PATH");
  must(error == 0 || (error == ENOMEM && model.lax) || may_fail((unsigned)me->default_heap), "mi_dupenv_s fails: %d",
       error);
  if (text != NULL) must(strlen(text) == size, "mi_dupenv_s says %zu of a text of %zu", size, strlen(text));
  mi_free(text);
  must(mi_wdupenv_s(&wide, &size, L"PATH") == EINVAL && wide == NULL && size == 0, "mi_wdupenv_s is met");
}

static void zeroed(void* p, size_t size) {
  must(p != NULL || may_fail((unsigned)me->default_heap), "no memory for %zu bytes", size);
  if (p == NULL) return;
  zero_check(p, size, "zero-initialised");
  mi_free(p);
}

// Forms that say what they want in another way, of blocks that do not last.
void op_alloc_more(const op_t* op) {
  size_t size = size_of_code(op->a, op->b) % 20000, align = (size_t)1 << (op->d % 10);
  if (!model_room(2 * size)) return;
  mi_heap_t* heap = heap_now();
  void* p;
  switch (op->c % 10) {
    case 0:
      zeroed(mi_recalloc_aligned(NULL, size, 1, align), size);
      break;
    case 1:
      zeroed(mi_recalloc_aligned_at(NULL, 1, size, align, size / 3), size);
      break;
    case 2:
      zeroed(mi_aligned_recalloc(NULL, size, 1, align), size);
      break;
    case 3:
      zeroed(mi_heap_rezalloc_aligned(heap, NULL, size, align), size);
      break;
    case 4:
      from_environment();
      break;
    case 5:
      p = mi_heap_strndup(heap, "some text", size);
      if (p != NULL) must(strlen(p) == (size < 9 ? size : 9), "mi_heap_strndup copies %zu of %zu", strlen(p), size);
      mi_free(p);
      break;
    case 6:
      must(mi_strdup(NULL) == NULL && mi_mbsdup(NULL) == NULL && mi_wcsdup(NULL) == NULL, "NULL is a text");
      must(mi_realpath("/no/such/path", NULL) == NULL, "there is such a path");
      break;
    case 7:
      must(mi_malloc_good_size(size) == mi_good_size(size), "mi_malloc_good_size differs");
      must(mi_expand(NULL, size) == NULL && mi_reallocarr(NULL, 1, size) == EINVAL, "NULL grows");
      break;
    default:
      new_or_throw(op);
      break;
  }
}

static mi_subproc_id_t subprocs[4];

// ---- what the library says of itself --------------------------------------------------------------------------------

static void ignore_error(int error, void* arg) {
  (void)arg;
  must(error != 0, "an error without a number");
}

static void process_info(void) {
  size_t facts[8];
  mi_process_info(&facts[0], &facts[1], &facts[2], &facts[3], &facts[4], &facts[5], &facts[6], &facts[7]);
  must(facts[5] <= facts[6], "more is committed than ever was");
  mi_process_info(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
}

static void swallow(const char* text, void* arg) {
  *(size_t*)arg += strlen(text);
}

// By the registered output, which is nobody's in fuzz_process: then it goes to standard error.
static void print_all(const op_t* op) {
  size_t length = 0;
  if (model.target != FOR_PROCESS) mi_register_output(swallow, &length);
  switch (op->b % 5) {
    case 0:
      mi_stats_print(NULL);
      break;
    case 1:
      mi_process_info_print();
      break;
    case 2:
      mi_options_print();
      break;
    case 3:
      mi_arenas_print();
      break;
    default:
      mi_debug_show_arenas();
      break;
  }
  if (model.target != FOR_PROCESS) mi_register_output(NULL, NULL);
}

static void as_json(const op_t* op) {
  static __thread char buf[65536];
  mi_stats_t stats = {.size = sizeof(stats), .version = MI_STAT_VERSION};
  must(mi_stats_get(&stats), "there are no statistics");
  size_t room = op->b % 4 == 0 ? (size_t)op->c << 4 : sizeof(buf);
  char* json = mi_stats_as_json(&stats, room, buf);
  must(json == NULL || (json == buf && strlen(json) < room), "JSON runs over its buffer");
  must(json != NULL || room < sizeof(buf), "no statistics as JSON");
  stats.version = 0;
  must(mi_stats_as_json(&stats, room, buf) == NULL && mi_stats_as_json(NULL, room, buf) == NULL,
       "statistics of nothing");
  for (size_t bin = 0; bin < MI_STAT_BINS + 2; bin++) (void)mi_stats_get_bin_size(bin);
}

typedef struct seen_s {
  size_t blocks;
  bool stops;
} seen_t;

static bool look(const mi_heap_t* heap, const mi_heap_area_t* area, void* block, size_t block_size, void* arg) {
  (void)heap;
  seen_t* seen = arg;
  must(area->committed <= area->reserved, "an area has %zu of %zu bytes in use", area->committed, area->reserved);
  must(block == NULL || block_size == area->block_size, "a visited block has %zu bytes", block_size);
  seen->blocks += block != NULL;
  return !seen->stops;
}

static void abandoned(const op_t* op) {
  seen_t seen = {.stops = op->b % 8 == 0};
  long before = mi_option_get(mi_option_visit_abandoned);
  mi_option_set_enabled(mi_option_visit_abandoned, op->b % 4 != 3);
  bool done = mi_abandoned_visit_blocks(mi_subproc_main(), op->c % 3 - 1, op->d % 2 == 0, look, &seen);
  must(done || seen.stops || op->b % 4 == 3 || model.parallel, "a visit of abandoned pages ends early");
  mi_option_set(mi_option_visit_abandoned, before);
}

// ---- arenas ---------------------------------------------------------------------------------------------------------

#define ARENA ((size_t)32 << 20)

static void hand_in(const op_t* op) {
  size_t size = ARENA * (1 + op->c % 3) + (op->d % 2 == 0 ? 0 : 12345);
  uint8_t* p = mmap(NULL, size, op->d % 4 < 2 ? PROT_NONE : PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return;
  bool taken = op->c % 2 == 0
                   ? mi_manage_os_memory(p, size, op->d % 4 >= 2, op->b % 8 == 1, true, -1)
                   : mi_manage_os_memory_ex(p, size, op->d % 4 >= 2, op->b % 8 == 1, true, 0, op->b % 2 == 0, NULL);
  if (!taken) munmap(p, size);
}

// They last as long as the process: there, one input is one process.
static void arenas(const op_t* op) {
  mi_arena_id_t id = 0;
  size_t got = 0, size = 0;
  int error = 0;
  switch (op->c % 8) {
    case 0:
      error = mi_reserve_os_memory(ARENA * (op->d % 4u), op->b % 2 == 0, false);
      break;
    case 1:
      error = mi_reserve_os_memory_ex(ARENA + op->d, false, op->b % 2 == 0, op->b % 3 == 0, &id);
      break;
    case 2:
      error = mi_reserve_huge_os_pages_at(op->d % 4, op->b % 2 == 0 ? -1 : 0, op->b % 8 == 0 ? 1 : 0);
      break;
    case 3:
      error = mi_reserve_huge_os_pages_interleave(op->d % 4, op->b % 3, 100);
      break;
    case 4:
      error = mi_reserve_huge_os_pages(op->d % 3, op->b % 2 == 0 ? 0.5 : 0, &got);
      break;
    case 5:
      error = mi_reserve_os_memory((size_t)1 << (op->d % 64), false, false);
      break;
    case 6:
      must(!mi_manage_os_memory(&id, op->d, true, false, false, -1), "a few bytes are an arena");
      break;
    default:
      hand_in(op);
      break;
  }
  must(error == 0 || error == ENOMEM || error == ETIMEDOUT, "an arena fails with %d", error);
  must(got == 0 || error == 0, "%zu huge pages come with an error", got);
  if (id == 0) return;
  void* start = mi_arena_area(id, &size);
  must(start != NULL && size >= mi_arena_min_size() && mi_arena_contains(id, start), "arena %d is not there", id);
  must(!mi_arena_contains(id, &size) && !mi_arena_contains(id + 1000, start), "an arena has what it has not");
  mi_heap_t* heap = mi_heap_new_in_arena(id);
  if (heap == NULL) return;
  uint8_t* p = mi_heap_malloc(heap, size_of_code(op->a, op->b) % 60000);
  must(p == NULL || mi_arena_contains(id, p), "%p is not in the arena of its heap", (void*)p);
  mi_heap_destroy(heap);
}

void op_facts(const op_t* op) {
  switch (op->a % 8) {
    case 0:
      process_info();
      break;
    case 1:
      if (model_text_room(op)) print_all(op);
      break;
    case 2:
      if (model_text_room(op)) as_json(op);
      break;
    case 3:
      abandoned(op);
      break;
    case 4:
      if (model.target == FOR_PROCESS) arenas(op);
      break;
    case 5:
      must(mi_version() > 0 && !mi_is_redirected(), "it stands in libc's place");
      must(mi_heap_main() != NULL, "there is no main heap");
      must(mi_fault_name((mi_fault_t)op->b) != NULL && mi_profile() >= MI_PROFILE_NONE, "a fault without a name");
      must(mi_profile_name() != NULL, "a profile without a name");
      mi_thread_set_in_threadpool();
      if (!mi_is_secure()) mi_free(&subprocs);  // an error, and no more
      break;
    case 6:
      if (model.target != FOR_PROCESS) break;
      mi_register_error(op->b % 2 == 0 ? ignore_error : NULL, NULL);
      mi_option_set_enabled_default(mi_option_show_errors, op->b % 3 == 0);
      op->d % 2 == 0 ? mi_option_enable(mi_option_verbose) : mi_option_disable(mi_option_verbose);
      mi_option_set(mi_option_max_warnings, op->c);
      break;
    default:
      mi_heap_collect(NULL, true);
      mi_heap_delete(NULL);
      mi_heap_destroy(NULL);
      must(!mi_heap_visit_blocks(me->heaps[0], true, NULL, NULL), "a visit without a visitor succeeds");
      break;
  }
}

// ---- subprocesses and samples ---------------------------------------------------------------------------------------

void subprocs_end(void) {
  for (unsigned i = 0; i < 4; i++) {
    mi_subproc_delete(subprocs[i]);
    subprocs[i] = NULL;
  }
}

void op_subproc(const op_t* op) {
  unsigned index = op->a % 4;
  if (model.target == FOR_THREADS && me->number != 0) {
    mi_subproc_add_current_thread(op->b % 2 == 0 ? mi_subproc_main() : NULL);
    return;
  }
  if (op->c % 3 == 0 && subprocs[index] != NULL) {
    if (model.target == FOR_PROCESS) mi_subproc_add_current_thread(subprocs[index]);
  } else if (subprocs[index] == NULL) {
    subprocs[index] = mi_subproc_new();
    must(subprocs[index] != NULL || model.lax || op->c % 3 != 0, "no subprocess");
    for (unsigned i = 0; i < 4; i++) {
      must(i == index || subprocs[i] == NULL || subprocs[i] != subprocs[index], "a new subprocess is subprocess %u", i);
    }
  } else {
    mi_subproc_delete(subprocs[index]);
    subprocs[index] = NULL;
  }
  mi_subproc_delete(NULL);
  mi_subproc_delete(mi_subproc_main());
}

// Which block is sampled hangs on what the thread allocated before: only where that is the input's alone.
void op_sampling(const op_t* op) {
  mi_heap_t* heap = me->heaps[op->d % HEAPS];
  static const size_t rates[] = {1, 1, 0, 2, 10, 100};
  mi_heap_guarded_set_sample_rate(heap, rates[op->a % 6], op->b);
  if (op->c % 3 == 0) mi_heap_guarded_set_size_bound(heap, op->b, (size_t)op->c << 8);
}
