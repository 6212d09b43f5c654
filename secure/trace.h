// Stack traces: what a caller of trace.c needs.
#ifndef SEC_TRACE_H
#define SEC_TRACE_H

#include "../src/base.h"

// Registers by their DWARF numbers, then the program counter. Only those that unwinding needs are ever known.
#if defined(__x86_64__)
enum { TRACE_FP = 6, TRACE_SP = 7, TRACE_RETURN = 16, TRACE_PC = 16, TRACE_REGISTERS = 17 };
#define TRACE_SAVED ((uint64_t)0x1F0C8)  // rbx, rbp, rsp, r12..r15, rip
#elif defined(__aarch64__)
enum { TRACE_FP = 29, TRACE_SP = 31, TRACE_RETURN = 30, TRACE_PC = 32, TRACE_REGISTERS = 33 };
#define TRACE_SAVED ((uint64_t)0x1FFF80000)  // x19..x30, sp, pc
#else
#error "stack traces are written for x86-64 and aarch64"
#endif

typedef struct sec_registers_s {
  uintptr_t value[TRACE_REGISTERS];
  uint64_t known;  // bit i: value[i] is known
} sec_registers_t;

// The registers at this very place, for a trace that begins with the caller of the function this stands in.
mim_inline void sec_registers_here(sec_registers_t* to) {
#if defined(__x86_64__)
  __asm__ __volatile__(
      "movq %%rbx, 24(%0)\n\tmovq %%rbp, 48(%0)\n\tmovq %%rsp, 56(%0)\n\t"
      "movq %%r12, 96(%0)\n\tmovq %%r13, 104(%0)\n\tmovq %%r14, 112(%0)\n\tmovq %%r15, 120(%0)\n\t"
      "leaq 0(%%rip), %%rcx\n\tmovq %%rcx, 128(%0)"
      :
      : "r"(to->value)
      : "rcx", "memory");
#else
  __asm__ __volatile__(
      "stp x19, x20, [%0, #152]\n\tstp x21, x22, [%0, #168]\n\tstp x23, x24, [%0, #184]\n\t"
      "stp x25, x26, [%0, #200]\n\tstp x27, x28, [%0, #216]\n\tstp x29, x30, [%0, #232]\n\t"
      "mov x9, sp\n\tstr x9, [%0, #248]\n\tadr x9, .\n\tstr x9, [%0, #256]"
      :
      : "r"(to->value)
      : "x9", "memory");
#endif
  to->known = TRACE_SAVED;
}

// A trace that was kept.
typedef struct sec_stack_s {
  void* const* frames;
  size_t count;
  uint32_t thread;
} sec_stack_t;

// Return addresses outwards from `from`, innermost first; returns how many. When `from` is the state of an interrupted
// thread (`interrupted`), the first frame is its program counter. No allocation, no lock, no system call; reads nothing
// but this thread's stack and the unwind tables.
size_t sec_trace(const sec_registers_t* from, bool interrupted, void** frames, size_t max);

// How many of the innermost frames to leave out so that the function of this library that the program called comes
// first. 0 where the library is part of the program.
size_t sec_trace_own(void* const* frames, size_t count);

// The object an address lies in: what to subtract for an address as the file has it, and its name ("": not known).
bool sec_trace_module(const void* address, uintptr_t* base, const char** name);

#endif
