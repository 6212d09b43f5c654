// Reports: the one place where a detected misuse ends. Says what is known, tells the program's handler, and ends the
// process, or lets it go on where the policy says so.
//
//   mimalloc: violation: <fault>: 0x<address> <text>     always the first line, written before anything can go wrong
//       key:  value                                      what is known of the block, the access and the process
//       trace:                                           who called, as addresses; symbols are looked up afterwards
//   {"mimalloc":"violation",...}                         the same for machines, where MIMALLOC_REPORT asks for it
//
// Names and texts of the faults are those of src/faults.def. Works from the first instruction of the library on, in
// signal handlers, with a broken heap and with standard error closed: no allocation, no stdio, no lock but its own,
// buffers that are there from the start, signals blocked meanwhile. A violation inside a report (a handler that frees)
// gives one line and does what its severity says. errno is kept.
//
// Stops: nothing itself. Does not tell: symbols and lines; see scripts/mimalloc-report.
#include "../src/probes.h"
#include "../src/watch.h"
#include "secure.h"

// ---- the catalogue --------------------------------------------------------------------------------------------------

typedef struct fault_s {
  const char* name;
  const char* text;
} fault_t;

#define FAULT(enumerator, name, text) [MI_FAULT_##enumerator] = {name, text},
static const fault_t faults[] = {
#include "../src/faults.def"
};
#undef FAULT
_Static_assert(sizeof(faults) / sizeof(faults[0]) == MI_FAULT_COUNT, "faults.def and mi_fault_t differ");

static const fault_t* fault_of(mi_fault_t fault) {
  static const fault_t unknown = {"unknown", "unknown fault"};
  return (unsigned)fault < MI_FAULT_COUNT ? &faults[fault] : &unknown;
}

const char* mi_fault_name(mi_fault_t fault) {
  return fault_of(fault)->name;
}

static const char* const family_names[] = {"malloc", "new", "new[]", "any"};

// ---- state ----------------------------------------------------------------------------------------------------------

#define TEXT_SIZE 8192
#define JSON_SIZE 8192
#define TRACE_MAX 64
#define STANDARD_ERROR 2

// All under `lock`, but the owner, which says whether a thread is inside already.
static struct {
  lock_t lock;
  _Atomic(uint32_t) owner;
  char text[TEXT_SIZE];
  char json[JSON_SIZE];
  void* trace[TRACE_MAX];
  size_t trace_count;
} state;

static _Atomic(size_t) violation_count;
static const watch_t report_watch[] = {{"violations", 0, sizeof(violation_count)}};
const watch_table_t sec_watch_report = WATCH_TABLE(&violation_count, report_watch);

// The handler and its argument, read together: `turn` is odd while they are being changed.
static struct {
  _Atomic(uint32_t) turn;
  _Atomic(mi_violation_fun*) function;
  _Atomic(void*) arg;
  lock_t lock;
} handler;

void mi_register_violation(mi_violation_fun* fun, void* arg) {
  lock_acquire(&handler.lock);
  atomic_fetch_add_explicit(&handler.turn, 1, memory_order_seq_cst);
  atomic_store_explicit(&handler.function, fun, memory_order_seq_cst);
  atomic_store_explicit(&handler.arg, arg, memory_order_seq_cst);
  atomic_fetch_add_explicit(&handler.turn, 1, memory_order_seq_cst);
  lock_release(&handler.lock);
}

static mi_violation_fun* handler_get(void** arg) {
  for (int tries = 0; tries < 100; tries++) {
    uint32_t turn = atomic_load_explicit(&handler.turn, memory_order_seq_cst);
    mi_violation_fun* function = atomic_load_explicit(&handler.function, memory_order_seq_cst);
    *arg = atomic_load_explicit(&handler.arg, memory_order_seq_cst);
    if (turn % 2 == 0 && turn == atomic_load_explicit(&handler.turn, memory_order_seq_cst)) return function;
  }
  return NULL;  // this is a signal handler in the middle of the change
}

size_t sec_violation_count(void) {
  return atomic_load_explicit(&violation_count, memory_order_relaxed);
}

void sec_report_fork_child(void) {
  lock_reset(&state.lock);
  lock_reset(&handler.lock);
  atomic_store_explicit(&state.owner, 0, memory_order_relaxed);
}

// ---- what is known --------------------------------------------------------------------------------------------------

// The facts, worked out once for the text, the line of JSON and the handler.
typedef struct facts_s {
  const sec_report_t* report;
  const fault_t* fault;
  sec_severity_t severity;
  const page_t* page;       // NULL: none, or a slot of no page
  const uint8_t* block;     // NULL: not known
  size_t size;              // what the program may use of it: the request, where that is known
  bool has_state;
  uint16_t block_state;
  const uint8_t* bad;       // the first bad byte, in memory that can be read; NULL: none
  const uint8_t* readable;  // the range round it that can be
  const uint8_t* readable_end;
  uint32_t thread, process;
} facts_t;

static facts_t facts_gather(const sec_report_t* report, sec_severity_t severity) {
  facts_t facts = {.report = report,
                   .fault = fault_of(report->fault),
                   .severity = severity,
                   .thread = mim_os_thread_id(),
                   .process = mim_os_process_id()};
  if (report->page != NULL && report->page->reciprocal != 0) facts.page = report->page;
  const page_t* page = facts.page;
  if (page == NULL || report->index != 0) facts.block = report->block;
  bool single = page != NULL && (page->kind & KIND_LARGE);
  if (page != NULL && report->index != 0 && page->hook.entries != NULL && (!single || report->index == 1)) {
    facts.has_state = true;
    facts.block_state = state_get(page, report->index);
  }
  bool live = facts.has_state && state_is_live(facts.block_state);
  facts.size = live || report->request != 0 ? report->request : report->block_size;
  bool compared = report->fault == MI_FAULT_OVERFLOW || report->fault == MI_FAULT_UNDERFLOW ||
                  report->fault == MI_FAULT_WRITE_AFTER_FREE;
  if (compared && report->block != NULL && report->address != NULL) {  // its bytes have just been read
    facts.bad = report->address;
    facts.readable = report->block;
    facts.readable_end = facts.readable + report->block_size;
    if (report->fault == MI_FAULT_UNDERFLOW) facts.readable = report->address;
    if (facts.bad < facts.readable || facts.bad >= facts.readable_end) facts.bad = NULL;
  }
  return facts;
}

static const char* state_text(uint16_t block_state) {
  if (state_is_live(block_state)) return "live";
  switch (block_state) {
    case STATE_FREE: return "free";
    case STATE_MAILED: return "freed by another thread";
    case STATE_HELD: return "freed, kept out of use";
    default: return "never handed out";
  }
}

static const char* family_text(uint16_t block_state) {
  return state_is_live(block_state) ? family_names[(block_state >> STATE_FAMILY_SHIFT) & 3u] : NULL;
}

static const char* severity_text(sec_severity_t severity) {
  return severity == SEC_ABORT ? "abort" : severity == SEC_REPORT ? "report" : "off";
}

static mi_severity_t public_severity(sec_severity_t severity) {
  return severity == SEC_REPORT ? MI_SEVERITY_REPORT : MI_SEVERITY_ABORT;
}

// ---- text -----------------------------------------------------------------------------------------------------------

typedef struct out_s {
  char* start;
  size_t used, size;
} out_t;

static void out_advance(out_t* out, int length) {
  out->used = min_size(out->used + (length > 0 ? (size_t)length : 0), out->size - 1);
}
#define out_put(out, ...) \
  out_advance((out), mim_format((out)->start + (out)->used, (out)->size - (out)->used, __VA_ARGS__))

static const char* plural(size_t count) {
  return count == 1 ? "" : "s";
}

// How far the access was off.
static void put_access(out_t* out, const facts_t* facts) {
  const sec_report_t* r = facts->report;
  if (facts->block == NULL) return;
  ptrdiff_t at = (const uint8_t*)r->address - facts->block;
  size_t size = facts->size, before = (size_t)-at, inside = (size_t)at;
  if (r->fault == MI_FAULT_ALIGNMENT_MISMATCH) {
    out_put(out, "    claimed:   an alignment of %zu bytes\n", r->claimed);
  } else if (r->fault == MI_FAULT_SIZE_MISMATCH) {
    out_put(out, "    claimed:   a size of %zu byte%s\n", r->claimed, plural(r->claimed));
  } else if (r->fault == MI_FAULT_FAMILY_MISMATCH) {
    out_put(out, "    claimed:   a block from %s\n", family_names[r->claimed & 3]);
  } else if (r->fault == MI_FAULT_WRITE_AFTER_FREE || r->fault == MI_FAULT_USE_AFTER_FREE) {
    out_put(out, "    access:    at byte %zu of a freed %zu-byte block\n", inside, size);
  } else if (r->fault == MI_FAULT_ACCESS_ZERO_SIZE) {
    out_put(out, "    access:    at byte %zu of a block of 0 bytes\n", inside);
  } else if (r->fault == MI_FAULT_MEMORY_RANGE && at >= 0) {
    out_put(out, "    access:    %zu byte%s from byte %zu of a %zu-byte block\n", r->access_size, plural(r->access_size),
            inside, size);
  } else if (at < 0) {
    out_put(out, "    access:    %zu byte%s before the start of a %zu-byte block\n", before, plural(before), size);
  } else if (inside >= size && r->fault != MI_FAULT_DOUBLE_FREE) {
    size_t past = inside - size + 1;
    out_put(out, "    access:    %zu byte%s past the end of a %zu-byte block\n", past, plural(past), size);
  } else if (inside > 0) {
    out_put(out, "    access:    %zu byte%s into a %zu-byte block\n", inside, plural(inside), size);
  }
}

static void put_block(out_t* out, const facts_t* facts) {
  const sec_report_t* r = facts->report;
  if (facts->block == NULL) return;
  if (facts->page == NULL) {
    out_put(out, "    block:     %p, large, its memory has been given back\n", (const void*)facts->block);
    return;
  }
  out_put(out, "    block:     %p, number %zu of its page, room for %zu byte%s\n", (const void*)facts->block,
          (size_t)r->index, r->block_size, plural(r->block_size));
  if (!facts->has_state) return;
  const char* family = family_text(facts->block_state);
  if (family != NULL || r->request != 0) {
    out_put(out, "    requested: %zu byte%s\n", r->request, plural(r->request));
  }
  if (family != NULL) {
    out_put(out, "    state:     live, from %s\n", family);
  } else {
    out_put(out, "    state:     %s\n", state_text(facts->block_state));
  }
}

// 16 bytes round the first bad one, which stands in brackets.
static void put_bytes(out_t* out, const facts_t* facts) {
  if (facts->bad == NULL) return;
  const uint8_t* from = facts->bad - min_size(8, (size_t)(facts->bad - facts->readable));
  const uint8_t* end = from + min_size(16, (size_t)(facts->readable_end - from));
  out_put(out, "    bytes:     %p:", (const void*)from);
  for (const uint8_t* p = from; p < end; p++) out_put(out, p == facts->bad ? " [%02x]" : " %02x", (unsigned)*p);
  out_put(out, "\n");
}

static void put_page(out_t* out, const page_t* page) {
  if (page == NULL) return;
  out_put(out, "    page:      %p, %zu bytes, ", (void*)mim_page_start(page), (size_t)page->slices << SLICE_SHIFT);
  if (page->kind & KIND_LARGE) {
    out_put(out, "one large block\n");
  } else {
    out_put(out, "bin %u, %u blocks\n", (unsigned)page->bin, (unsigned)page->reserved);
  }
  tld_t* owner = mim_page_owner(page);
  if (owner == NULL) {
    out_put(out, "    heap:      none, its thread has ended or the page was full\n");
  } else {
    out_put(out, "    heap:      %p, of thread %u\n", (void*)page->heap, owner->thread_id);
  }
}

static void put_frames(out_t* out, const char* title, void* const* frames, size_t count, uint32_t thread) {
  if (count == 0) return;
  out_put(out, "    %s", title);
  if (thread != 0) out_put(out, " by thread %u", thread);
  out_put(out, ":\n");
  for (size_t i = 0; i < count; i++) {
    uintptr_t base;
    const char* name;
    out_put(out, "      #%zu %p", i, frames[i]);
    if (sec_trace_module(frames[i], &base, &name)) {
      out_put(out, " %s+0x%zx", name[0] != 0 ? name : "?", (size_t)((uintptr_t)frames[i] - base));
    }
    out_put(out, "\n");
  }
}

static void put_stack(out_t* out, const char* title, const sec_stack_t* stack) {
  if (stack != NULL) put_frames(out, title, stack->frames, stack->count, stack->thread);
}

static void put_text(out_t* out, const facts_t* facts) {
  const sec_report_t* r = facts->report;
  put_access(out, facts);
  put_block(out, facts);
  put_bytes(out, facts);
  put_page(out, facts->page);
  if (r->operation != NULL) out_put(out, "    noticed:   by %s\n", r->operation);
  if (r->detail != NULL) out_put(out, "    note:      %s\n", r->detail);
  out_put(out, "    thread:    %u of process %u\n", facts->thread, facts->process);
  out_put(out, "    profile:   %s, then %s\n", mi_profile_name(), severity_text(facts->severity));
}

static void put_traces(out_t* out, const facts_t* facts) {
  put_frames(out, "trace", state.trace, state.trace_count, 0);
  put_stack(out, "allocated", facts->report->allocated);
  put_stack(out, "freed", facts->report->freed);
}

// ---- JSON -----------------------------------------------------------------------------------------------------------

static void put_string(out_t* out, const char* key, const char* text) {
  if (text == NULL) return;
  out_put(out, ",\"%s\":\"", key);
  for (; *text != 0; text++) {
    unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\') {
      out_put(out, "\\%c", c);
    } else if (c < 0x20 || c >= 0x7F) {
      out_put(out, "\\u%04x", (unsigned)c);
    } else {
      out_put(out, "%c", c);
    }
  }
  out_put(out, "\"");
}

static void put_address(out_t* out, const char* key, const void* address) {
  if (address != NULL) out_put(out, ",\"%s\":\"%p\"", key, address);
}

static void put_size(out_t* out, const char* key, size_t size) {
  out_put(out, ",\"%s\":%zu", key, size);
}

// Leaves out what would not fit, so that the line stays whole.
static void put_json_frames(out_t* out, const char* key, void* const* frames, size_t count) {
  out_put(out, ",\"%s\":[", key);
  for (size_t i = 0; i < count && out->size - out->used > 1200; i++) {
    uintptr_t base;
    const char* name;
    out_put(out, "%s{\"pc\":\"%p\"", i == 0 ? "" : ",", frames[i]);
    if (sec_trace_module(frames[i], &base, &name)) {
      if (strlen(name) < 160) put_string(out, "module", name);
      out_put(out, ",\"offset\":\"0x%zx\"", (size_t)((uintptr_t)frames[i] - base));
    }
    out_put(out, "}");
  }
  out_put(out, "]");
}

static void put_json_block(out_t* out, const facts_t* facts) {
  const sec_report_t* r = facts->report;
  if (facts->block == NULL) return;
  put_address(out, "block", facts->block);
  put_size(out, "index", (size_t)r->index);
  put_size(out, "block_size", r->block_size);
  out_put(out, ",\"offset\":%ld", (long)((const uint8_t*)r->address - facts->block));
  if (facts->has_state) {
    put_string(out, "state", state_text(facts->block_state));
    put_string(out, "family", family_text(facts->block_state));
    if (state_is_live(facts->block_state) || r->request != 0) put_size(out, "requested", r->request);
  }
  if (r->fault == MI_FAULT_SIZE_MISMATCH) put_size(out, "claimed_size", r->claimed);
  if (r->fault == MI_FAULT_ALIGNMENT_MISMATCH) put_size(out, "claimed_alignment", r->claimed);
  if (r->fault == MI_FAULT_FAMILY_MISMATCH) put_string(out, "claimed_family", family_names[r->claimed & 3]);
}

static void put_json(out_t* out, const facts_t* facts) {
  const sec_report_t* r = facts->report;
  out_put(out, "{\"mimalloc\":\"violation\",\"version\":%d", MI_VIOLATION_VERSION);
  put_string(out, "fault", facts->fault->name);
  out_put(out, ",\"address\":\"0x%zx\"", (size_t)(uintptr_t)r->address);
  put_string(out, "text", facts->fault->text);
  put_string(out, "severity", severity_text(facts->severity));
  put_string(out, "profile", mi_profile_name());
  out_put(out, ",\"process\":%u,\"thread\":%u", facts->process, facts->thread);
  put_json_block(out, facts);
  if (facts->page != NULL) {
    put_address(out, "page", mim_page_start(facts->page));
    put_size(out, "page_size", (size_t)facts->page->slices << SLICE_SHIFT);
    put_size(out, "bin", facts->page->bin);
    put_address(out, "heap", facts->page->heap);
  }
  put_string(out, "operation", r->operation);
  if (r->access_size != 0) put_size(out, "access_size", r->access_size);
  put_string(out, "note", r->detail);
  put_json_frames(out, "trace", state.trace, state.trace_count);
  if (r->allocated != NULL) put_json_frames(out, "allocated", r->allocated->frames, r->allocated->count);
  if (r->freed != NULL) put_json_frames(out, "freed", r->freed->frames, r->freed->count);
  out_put(out, "}\n");
}

static void write_json(const out_t* json) {
  int fd = -1;
  if (mim_process.hook.report_form == MI_REPORT_FILE) {
    fd = mim_os_file_open(mim_process.hook.report_path, true);
    static const char text[] = "mimalloc: the report file cannot be opened:\n";
    if (fd < 0) mim_os_write(STANDARD_ERROR, text, sizeof(text) - 1);
  }
  mim_os_write(fd >= 0 ? fd : STANDARD_ERROR, json->start, json->used);
  if (fd >= 0) mim_os_file_close(fd);
}

// ---- the handler ----------------------------------------------------------------------------------------------------

static void call_handler(const facts_t* facts) {
  void* arg;
  mi_violation_fun* function = handler_get(&arg);
  if (function == NULL) return;
  const sec_report_t* r = facts->report;
  mi_violation_t violation = {
      .size = sizeof(mi_violation_t),
      .version = MI_VIOLATION_VERSION,
      .fault = r->fault,
      .severity = public_severity(facts->severity),
      .operation = r->operation,
      .text = state.text,
      .address = r->address,
      .block = facts->block,
      .block_size = r->block_size,
      .requested_size = r->request,
      .offset = facts->block != NULL ? (const uint8_t*)r->address - facts->block : 0,
      .access_size = r->access_size,
      .claimed_size = r->fault == MI_FAULT_SIZE_MISMATCH ? r->claimed : 0,
      .claimed_alignment = r->fault == MI_FAULT_ALIGNMENT_MISMATCH ? r->claimed : 0,
      .family = MI_FAMILY_UNKNOWN,
      .claimed_family = r->fault == MI_FAULT_FAMILY_MISMATCH ? (mi_family_t)(r->claimed & 3) : MI_FAMILY_UNKNOWN,
      .thread_id = (long)facts->thread,
      .trace = state.trace,
      .trace_count = state.trace_count,
  };
  if (facts->has_state && state_is_live(facts->block_state)) {
    violation.family = (mi_family_t)((facts->block_state >> STATE_FAMILY_SHIFT) & 3);
  }
  if (r->allocated != NULL) {
    violation.alloc_trace = r->allocated->frames;
    violation.alloc_trace_count = r->allocated->count;
    violation.alloc_thread_id = (long)r->allocated->thread;
  }
  if (r->freed != NULL) {
    violation.free_trace = r->freed->frames;
    violation.free_trace_count = r->freed->count;
    violation.free_thread_id = (long)r->freed->thread;
  }
  function(&violation, arg);
}

// What a function registered by mi_register_error is told of it.
static int error_of(mi_fault_t fault) {
  switch (fault) {
    case MI_FAULT_DOUBLE_FREE:
      return EAGAIN;
    case MI_FAULT_INTERIOR_FREE:
    case MI_FAULT_UNALIGNED_FREE:
    case MI_FAULT_FOREIGN_FREE:
    case MI_FAULT_INVALID_FREE:
    case MI_FAULT_SIZE_MISMATCH:
    case MI_FAULT_ALIGNMENT_MISMATCH:
    case MI_FAULT_FAMILY_MISMATCH:
    case MI_FAULT_INVALID_HEAP:
      return EINVAL;
    default:
      return EFAULT;
  }
}

// ---- the report -----------------------------------------------------------------------------------------------------

static void first_line(out_t* out, const sec_report_t* report) {
  const fault_t* fault = fault_of(report->fault);
  out_put(out, "mimalloc: violation: %s: 0x%zx %s\n", fault->name, (size_t)(uintptr_t)report->address, fault->text);
}

// Where processes are let go on, a loop must not fill the disk.
static bool is_too_many(size_t number, sec_severity_t severity) {
  size_t limit = (size_t)mim_option(mi_option_max_errors);
  if (severity == SEC_ABORT || limit == 0 || number <= limit) return false;
  if (number == limit + 1) {
    static const char text[] = "mimalloc: further violations are counted, but not reported (MIMALLOC_MAX_ERRORS)\n";
    mim_os_write(STANDARD_ERROR, text, sizeof(text) - 1);
  }
  return true;
}

static void trace_take(const sec_registers_t* from, bool interrupted) {
  size_t count = sec_trace(from, interrupted, state.trace, TRACE_MAX);
  size_t skip = sec_trace_own(state.trace, count);
  state.trace_count = count - skip;
  memmove(state.trace, state.trace + skip, state.trace_count * sizeof(state.trace[0]));
}

static void report_whole(const sec_report_t* report, sec_severity_t severity, const sec_registers_t* here) {
  facts_t facts = facts_gather(report, severity);
  out_t text = {state.text, 0, TEXT_SIZE};
  first_line(&text, report);
  put_text(&text, &facts);
  mim_os_write(STANDARD_ERROR, text.start, text.used);
  size_t written = text.used;
  // From here on stacks and unwind tables are read, which a broken program may have damaged.
  trace_take(report->registers != NULL ? report->registers : here, report->registers != NULL);
  put_traces(&text, &facts);
  mim_os_write(STANDARD_ERROR, text.start + written, text.used - written);
  if (mim_process.hook.report_form != MI_REPORT_TEXT) {
    out_t json = {state.json, 0, JSON_SIZE};
    put_json(&json, &facts);
    write_json(&json);
  }
  mim_error_notify(error_of(report->fault));
  call_handler(&facts);
}

static mim_noinline void report_once(const sec_report_t* report, sec_severity_t severity, const sec_registers_t* here) {
  size_t number = atomic_fetch_add_explicit(&violation_count, 1, memory_order_relaxed) + 1;
  probe_violation((int)report->fault, report->address, public_severity(severity));
  if (is_too_many(number, severity)) return;
  uint32_t me = mim_os_thread_id();
  if (atomic_load_explicit(&state.owner, memory_order_relaxed) == me) {  // inside a report of this thread
    char line[256];
    out_t out = {line, 0, sizeof(line)};
    first_line(&out, report);
    mim_os_write(STANDARD_ERROR, out.start, out.used);
    return;
  }
  os_signals_t signals = mim_os_signals_block();
  lock_acquire(&state.lock);
  atomic_store_explicit(&state.owner, me, memory_order_relaxed);
  report_whole(report, severity, here);
  if (severity == SEC_ABORT) mim_os_abort();  // with the lock held, so that no other report mixes in
  atomic_store_explicit(&state.owner, 0, memory_order_relaxed);
  lock_release(&state.lock);
  mim_os_signals_restore(signals);
}

void sec_violation(const sec_report_t* report, sec_severity_t severity) {
  if (severity == SEC_OFF) return;
  int saved = errno;
  sec_registers_t here;
  sec_registers_here(&here);
  report_once(report, severity, &here);
  errno = saved;
  if (severity == SEC_ABORT) mim_os_abort();
}

void sec_fatal(mi_fault_t fault, const void* address, const char* detail) {
  sec_violation(&(sec_report_t){.fault = fault, .address = address, .detail = detail}, SEC_ABORT);
  mim_os_abort();
}
