// Faults: an access to a guard or to freed memory ends in SIGSEGV; with SEC_FAULT_REPORT (profiles strict and fuzz, or
// MIMALLOC_FAULT_REPORT=1) a handler of ours says which block it was next to, and how far off.
//
// Taken only there, since programs have handlers of their own. They keep working: the program's handler, whenever it is
// set, is kept here (signals.c interposes sigaction and signal) and called for every fault that is not ours to report,
// with the mask, the flags and the stack it asked for, as the kernel would. Ours to report is what lies in the region
// and is not the inside of a live block (a program may protect its own blocks and handle what follows), and, where
// there is no handler of the program, accesses near address 0.
//
// After the report the process is aborted. Where the policy only reports, the handler of the program or the kernel's
// default takes over: the access cannot be skipped.
//
// Each thread gets an alternate stack when it allocates for the first time, unless it has one. Safe in signal handlers:
// reads metadata and the unwind tables, takes the report's lock only.
// Stops: nothing itself; the guard does. Does not tell: handlers installed by direct system calls (Go) replace ours; then
// there are no fault reports.
// Costs: four system calls at start; for each thread three, and 40 KiB of address space.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <signal.h>
#include <sys/auxv.h>
#include <ucontext.h>

#include "fault.h"
#include "sample.h"
#include "secure.h"

#define NULL_RANGE ((uintptr_t)64 * KIB)

// ---- the handlers ---------------------------------------------------------------------------------------------------

static const int taken[] = {SIGSEGV, SIGBUS};
#define TAKEN_COUNT (sizeof(taken) / sizeof(taken[0]))

// What the program wants; `turn` is odd while that is being changed.
static struct {
  lock_t lock;
  _Atomic(uint32_t) turn;
  struct sigaction wanted[TAKEN_COUNT];
  uint32_t process;
} chain;

static int slot_of(int signal) {
  for (size_t i = 0; i < TAKEN_COUNT; i++) {
    if (taken[i] == signal) return (int)i;
  }
  return -1;
}

static bool is_function(const struct sigaction* action) {
  return (action->sa_flags & SA_SIGINFO) || (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

static struct sigaction wanted_get(size_t slot) {
  for (;;) {
    uint32_t turn = atomic_load_explicit(&chain.turn, memory_order_acquire);
    struct sigaction action = chain.wanted[slot];
    atomic_thread_fence(memory_order_acquire);
    if (turn % 2 == 0 && turn == atomic_load_explicit(&chain.turn, memory_order_relaxed)) return action;
  }
}

// Lock held, signals blocked.
static void wanted_set(size_t slot, const struct sigaction* action) {
  atomic_fetch_add_explicit(&chain.turn, 1, memory_order_acq_rel);
  chain.wanted[slot] = *action;
  atomic_fetch_add_explicit(&chain.turn, 1, memory_order_acq_rel);
}

static void on_fault(int signal, siginfo_t* info, void* context);

// Our handler, with what the program's would have had.
static int take(size_t slot) {
  const struct sigaction* wanted = &chain.wanted[slot];
  struct sigaction action;
  memset(&action, 0, sizeof(action));
  action.sa_sigaction = on_fault;
  if (is_function(wanted)) {
    action.sa_flags = (wanted->sa_flags & ~(int)SA_RESETHAND) | SA_SIGINFO;
    action.sa_mask = wanted->sa_mask;
  } else {
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  }
  return sec_real_sigaction(taken[slot], &action, NULL);
}

bool sec_fault_takes(int signal) {
  return (mim_process.hook.mechanisms & SEC_FAULT_REPORT) && slot_of(signal) >= 0;
}

// A child of vfork has handlers of its own, but this memory is its parent's: it is left alone.
static int sigaction_in_child(size_t slot, const struct sigaction* action, struct sigaction* old) {
  struct sigaction before;
  int result = sec_real_sigaction(taken[slot], action, &before);
  if (result != 0 || old == NULL) return result;
  *old = before.sa_sigaction == on_fault ? wanted_get(slot) : before;
  return 0;
}

int sec_fault_sigaction(int signal, const struct sigaction* action, struct sigaction* old) {
  size_t slot = (size_t)slot_of(signal);
  if (chain.process != mim_os_process_id()) return sigaction_in_child(slot, action, old);
  struct sigaction wanted, before;
  if (action != NULL) wanted = *action;  // faults here, if it does, without the lock
  os_signals_t signals = mim_os_signals_block();
  lock_acquire(&chain.lock);
  before = chain.wanted[slot];
  int result = 0;
  if (action != NULL) {
    wanted_set(slot, &wanted);
    result = take(slot);
    if (result != 0) wanted_set(slot, &before);
  }
  lock_release(&chain.lock);
  mim_os_signals_restore(signals);
  if (result == 0 && old != NULL) *old = before;
  return result;
}

void sec_fault_init(void) {
  if (!(mim_process.hook.mechanisms & SEC_FAULT_REPORT)) return;
  int saved = errno;
  chain.process = mim_os_process_id();
  for (size_t i = 0; i < TAKEN_COUNT; i++) {
    struct sigaction before;
    if (sec_real_sigaction(taken[i], NULL, &before) != 0) continue;
    if (before.sa_sigaction == on_fault) continue;  // a second try at starting
    wanted_set(i, &before);
    take(i);
  }
  errno = saved;
}

void sec_fault_fork_child(void) {
  lock_reset(&chain.lock);
  chain.process = mim_os_process_id();
}

// ---- what lies there ------------------------------------------------------------------------------------------------

static void describe_block(sec_report_t* report, page_t* page, uintptr_t index, const uint8_t* block, size_t size,
                           size_t request) {
  report->page = page;
  report->index = index;
  report->block = block;
  report->block_size = size;
  report->request = request;
  report->offset = (const uint8_t*)report->address - block;
  sec_sample_describe(report);
}

static bool describe_large(sec_report_t* report, page_t* page) {
  const uint8_t* block = mim_page_large_block(page);
  const uint8_t* at = report->address;
  describe_block(report, page, 1, block, page->large_size, page->large_request);
  report->fault = MI_FAULT_ACCESS_OUTSIDE;
  if (at < block || at >= block + page->large_size) return true;
  if (state_is_live(state_get(page, 1))) return false;
  report->fault = MI_FAULT_USE_AFTER_FREE;
  return true;
}

static bool describe_small(sec_report_t* report, page_t* page) {
  const uint8_t* at = report->address;
  uintptr_t index = ((uintptr_t)at - page->origin) / page->stride;
  if ((uintptr_t)at < page->origin || index == 0) {
    index = 1;
  } else if (index > page->reserved) {
    index = page->reserved;
  }
  const uint8_t* block = (const uint8_t*)(page->origin + index * page->stride);
  uint16_t state = state_get(page, index);
  bool live = state_is_live(state);
  describe_block(report, page, index, block, page->block_size,
                 live ? page->block_size - (state & STATE_SLACK_MASK) : 0);
  bool inside = at >= block && at < block + page->block_size;
  if (page->block_size == 0) {
    report->fault = live ? MI_FAULT_ACCESS_ZERO_SIZE : MI_FAULT_USE_AFTER_FREE;
  } else {
    report->fault = inside ? MI_FAULT_USE_AFTER_FREE : MI_FAULT_ACCESS_OUTSIDE;
  }
  return !(inside && live);
}

// The large block that ends next before an address in no page, if there is one close by: the access ran out of it.
static bool describe_before(sec_report_t* report) {
  const uint8_t* at = report->address;
  if ((uintptr_t)at - mim_process.region < SLICE_SIZE) return false;
  page_t* page = mim_page_of(at - SLICE_SIZE);
  if (page == NULL || page->reciprocal == 0) return false;
  return (page->kind & KIND_LARGE) ? describe_large(report, page) : describe_small(report, page);
}

// Fills in what is known of an address that faulted; false when the fault is not ours to report.
bool sec_fault_describe(sec_report_t* report) {
  page_t* page = mim_page_find(report->address);
  if (page == NULL) return false;
  if (page->reciprocal != 0) {
    return (page->kind & KIND_LARGE) ? describe_large(report, page) : describe_small(report, page);
  }
  uintptr_t block;
  if (sec_large_freed(report->address, &block, &report->block_size)) {
    report->fault = MI_FAULT_USE_AFTER_FREE;
    report->block = (const void*)block;
    return true;
  }
  size_t slice = ((uintptr_t)report->address - mim_process.region) / SLICE_SIZE;
  bool separator = slice % SEGMENT_SLICES >= SEGMENT_SLICES - HOOK_SEPARATOR_SLICES;
  if (separator && describe_before(report)) return true;
  report->fault = separator ? MI_FAULT_ACCESS_OUTSIDE : MI_FAULT_USE_AFTER_FREE;
  return true;
}

// ---- the fault ------------------------------------------------------------------------------------------------------

static void registers_of(const ucontext_t* context, sec_registers_t* to) {
#if defined(__x86_64__)
  static const int order[TRACE_REGISTERS] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
                                             REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                             REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};
  for (size_t i = 0; i < TRACE_REGISTERS; i++) to->value[i] = (uintptr_t)context->uc_mcontext.gregs[order[i]];
#else
  for (size_t i = 0; i < 31; i++) to->value[i] = (uintptr_t)context->uc_mcontext.regs[i];
  to->value[TRACE_SP] = (uintptr_t)context->uc_mcontext.sp;
  to->value[TRACE_PC] = (uintptr_t)context->uc_mcontext.pc;
#endif
  to->known = ((uint64_t)1 << TRACE_REGISTERS) - 1;
}

static const char* kind_of(const ucontext_t* context) {
#if defined(__x86_64__)
  enum { PAGE_FAULT = 14, WRITE = 2, FETCH = 16 };
  if (context->uc_mcontext.gregs[REG_TRAPNO] != PAGE_FAULT) return NULL;
  long error = (long)context->uc_mcontext.gregs[REG_ERR];
  return error & FETCH ? "an instruction was fetched there" : error & WRITE ? "it was a write" : "it was a read";
#else
  (void)context;
  return NULL;
#endif
}

static void report_fault(const siginfo_t* info, const ucontext_t* context, bool has_handler) {
  sec_registers_t registers;
  sec_severity_t severity = (sec_severity_t)mim_process.hook.on_violation;
  sec_report_t report = {.address = info->si_addr, .operation = "fault", .detail = kind_of(context)};
  if (!sec_fault_describe(&report)) {
    if ((uintptr_t)info->si_addr >= NULL_RANGE || has_handler) return;
    bool known = report.detail != NULL;  // what faults without an address is no access near 0
    if (!known) return;
    report.fault = MI_FAULT_ACCESS_NULL;
    severity = SEC_REPORT;  // it ends as it always does
  }
  registers_of(context, &registers);
  report.registers = &registers;
  sec_violation(&report, severity);
}

// As if the program's handler, or the kernel's default, had been there instead of ours.
static void pass_on(int signal, siginfo_t* info, void* context, const struct sigaction* wanted) {
  bool by_kernel = info->si_code > 0;
  if (is_function(wanted)) {
    if (wanted->sa_flags & (int)SA_RESETHAND) {
      struct sigaction none;
      memset(&none, 0, sizeof(none));
      sec_fault_sigaction(signal, &none, NULL);
    }
    if (wanted->sa_flags & SA_SIGINFO) {
      wanted->sa_sigaction(signal, info, context);
    } else {
      wanted->sa_handler(signal);
    }
    return;
  }
  if (wanted->sa_handler == SIG_IGN && !by_kernel) return;
  struct sigaction none;
  memset(&none, 0, sizeof(none));
  sec_real_sigaction(signal, &none, NULL);
  if (!by_kernel) raise(signal);  // blocked until we return; a fault comes again by itself
}

static void on_fault(int signal, siginfo_t* info, void* context) {
  int saved = errno;
  struct sigaction wanted = wanted_get((size_t)slot_of(signal));
  if (info->si_code > 0) report_fault(info, context, is_function(&wanted));
  errno = saved;
  pass_on(signal, info, context, &wanted);
}

// ---- alternate stacks -----------------------------------------------------------------------------------------------

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

static size_t stack_size(void) {
  size_t frame = (size_t)getauxval(AT_MINSIGSTKSZ);  // what the kernel stores; grows with the processor's registers
  return align_up(max_size(frame, 4 * KIB) + 32 * KIB, mim_os_page_size());
}

void sec_fault_thread(hook_thread_t* thread) {
  if (!(mim_process.hook.mechanisms & SEC_FAULT_REPORT)) return;
  int saved = errno;
  stack_t present;
  if (sigaltstack(NULL, &present) == 0 && (present.ss_flags & SS_DISABLE)) {
    size_t size = stack_size(), guard = mim_os_page_size();
    uint8_t* start = mim_os_reserve(size + 2 * guard, guard, NULL);
    if (start != NULL && mim_os_open(start + guard, size)) {
      stack_t ours = {.ss_sp = start + guard, .ss_size = size, .ss_flags = 0};
      if (sigaltstack(&ours, NULL) == 0) {
        thread->signal_stack = start;
        start = NULL;
      }
    }
    if (start != NULL) mim_os_release(start, size + 2 * guard);
  }
  errno = saved;
}

void sec_fault_thread_done(hook_thread_t* thread) {
  if (thread->signal_stack == NULL) return;
  int saved = errno;
  size_t size = stack_size(), guard = mim_os_page_size();
  uint8_t* start = thread->signal_stack;
  stack_t present;
  bool idle = sigaltstack(NULL, &present) == 0;
  if (idle && present.ss_sp == start + guard && !(present.ss_flags & SS_DISABLE)) {
    stack_t none = {.ss_sp = NULL, .ss_size = 0, .ss_flags = SS_DISABLE};
    idle = sigaltstack(&none, NULL) == 0;  // refused when the thread is on it just now
  }
  if (idle) mim_os_release(start, size + 2 * guard);
  thread->signal_stack = NULL;
  errno = saved;
}
