// The byte code that the fuzz targets interpret: an input is a sequence of heap operations.
//
//   input:      | seed, 8 bytes | operation | operation | ...        at most OPS_MAX of them
//   operation:  | code | slot | a | b | c | d |
//
// Every string of bytes is a legal input: a code is taken modulo OP_CODES and one without a name does nothing, slots and
// arguments are taken modulo what there is. So any mutation is well-formed, and a mutator that respects the boundaries
// of operations (mutator.c) keeps the meaning of all others. The seed makes the allocator's keys and the order of its
// blocks the same in each run of an input.
//
// Codes never change their meaning, since corpora and regressions are made of them; new ones are added at free numbers.
#ifndef FUZZ_OPS_H
#define FUZZ_OPS_H

#include <stddef.h>
#include <stdint.h>

enum {
  SEED_BYTES = 8,
  OP_BYTES = 6,
  OP_CODES = 64,
  OPS_MAX = 512,
};

// Which targets know an operation.
enum {
  FOR_API = 1,
  FOR_MISUSE = 2,
  FOR_THREADS = 4,
  FOR_CORRUPT = 8,
  FOR_PROCESS = 16,
  FOR_SINGLE = FOR_API | FOR_MISUSE | FOR_CORRUPT | FOR_PROCESS,
  FOR_ALL = FOR_SINGLE | FOR_THREADS,
  FOR_WRONG = FOR_MISUSE | FOR_CORRUPT | FOR_PROCESS,
};

// OP(code, name, targets): the function is op_NAME. Sizes are two bytes (size_of_code), alignments one.
#define OP_TABLE(OP)                                                                                          \
  /* allocation: a,b size; c which function; d more */                                                        \
  OP(1, alloc, FOR_ALL)                 /* in the thread's heap, by one of the plain forms */                 \
  OP(2, alloc_zero, FOR_ALL)            /* by one of the forms that zero */                                   \
  OP(3, alloc_aligned, FOR_ALL)         /* d: alignment */                                                    \
  OP(4, alloc_offset, FOR_ALL)          /* aligned at an offset; d: alignment and offset */                   \
  OP(5, alloc_new, FOR_ALL)             /* the C++ forms */                                                   \
  OP(6, alloc_heap, FOR_ALL)            /* in heap d, by one of the forms for heaps */                        \
  OP(7, alloc_heap_aligned, FOR_ALL)                                                                          \
  OP(8, alloc_text, FOR_ALL)            /* strdup and its like */                                             \
  OP(9, alloc_impossible, FOR_ALL)      /* sizes and alignments that cannot be met */                         \
  OP(10, free, FOR_ALL)                 /* c: by which function */                                            \
  OP(11, free_all, FOR_ALL)             /* every slot from this one on, a of them */                          \
  OP(12, realloc, FOR_ALL)              /* a,b size; c: by which function */                                  \
  OP(13, realloc_zero, FOR_ALL)                                                                               \
  OP(14, realloc_aligned, FOR_ALL)                                                                            \
  OP(15, realloc_heap, FOR_ALL)                                                                               \
  OP(16, expand, FOR_ALL)                                                                                     \
  OP(17, touch, FOR_ALL)                /* verify the contents, and write others */                           \
  OP(18, ask, FOR_ALL)                  /* what the library says of a block */                                \
  OP(19, pile_grow, FOR_ALL)            /* many blocks of one size; c: how many */                            \
  OP(20, pile_shrink, FOR_ALL)          /* c: how many; d: in which order */                                  \
  OP(21, heap_new, FOR_ALL)                                                                                   \
  OP(22, heap_delete, FOR_ALL)                                                                                \
  OP(23, heap_destroy, FOR_SINGLE)                                                                            \
  OP(24, heap_collect, FOR_ALL)                                                                               \
  OP(25, heap_default, FOR_ALL)                                                                               \
  OP(26, heap_visit, FOR_ALL)                                                                                 \
  OP(27, collect, FOR_ALL)                                                                                    \
  OP(28, stats, FOR_ALL)                                                                                      \
  OP(29, option, FOR_ALL)                                                                                     \
  OP(30, deferred, FOR_ALL)                                                                                   \
  OP(31, thread_done, FOR_ALL)          /* the thread gives up its pages, and may come back */                \
  OP(32, thread_exit, FOR_THREADS)      /* the thread ends, another takes its place */                        \
  OP(33, ask_outside, FOR_ALL)          /* questions about addresses that are no blocks */                    \
  OP(34, grow_large, FOR_ALL)           /* c: how many steps; d: how far each; from 64 KiB on */              \
  OP(35, reuse_large, FOR_ALL)          /* c blocks are freed, and wanted again d OS pages smaller */         \
  OP(36, alloc_more, FOR_ALL)           /* c: which of the rarer functions */                                 \
  OP(37, facts, FOR_ALL)                /* a: what the library says of itself and of the process */           \
  OP(38, subproc, FOR_ALL)                                                                                    \
  OP(39, sampling, FOR_PROCESS)         /* of heap d: a,b rate; c bounds of sizes */                          \
  /* misuse: the block of the slot is misused, detection is awaited at once */                                \
  OP(40, double_free, FOR_WRONG)                                                                              \
  OP(41, stale_free, FOR_WRONG)                  /* of a block that was freed earlier */                      \
  OP(42, interior_free, FOR_WRONG)                                                                            \
  OP(43, foreign_free, FOR_WRONG)                                                                             \
  OP(44, wild_free, FOR_WRONG)                   /* of any address of the region */                           \
  OP(45, overflow, FOR_MISUSE | FOR_PROCESS)                                                                  \
  OP(46, underflow, FOR_MISUSE | FOR_PROCESS)                                                                 \
  OP(47, write_after_free, FOR_MISUSE)                                                                        \
  OP(48, size_mismatch, FOR_WRONG)                                                                            \
  OP(49, align_mismatch, FOR_WRONG)                                                                           \
  OP(50, family_mismatch, FOR_WRONG)                                                                          \
  OP(51, use_freed, FOR_WRONG)                   /* realloc, expand, usable_size of a freed block */          \
  OP(52, use_dead_heap, FOR_MISUSE)                                                                           \
  OP(53, access_outside, FOR_MISUSE)             /* where there must be no access: guards, 0 bytes, freed */  \
  OP(54, checked_memory, FOR_MISUSE)             /* memcpy and its like, up to the end and over it */         \
  OP(55, checked_text, FOR_MISUSE)               /* strcat and its like, and the fortified forms */           \
  /* the attacker: writes that stay in the region */                                                          \
  OP(56, scribble, FOR_CORRUPT)         /* at an offset from a block */                                       \
  OP(57, scribble_freed, FOR_CORRUPT)   /* into a block that was freed */                                     \
  OP(58, scribble_near, FOR_CORRUPT)    /* round its ends */                                                  \
  /* the process: those of its environment come before it starts the library */                               \
  OP(59, environment, FOR_PROCESS)      /* c: which option; a,b,d its value */                                \
  OP(60, deny, FOR_PROCESS)             /* slot: which system calls fail; a: from which on; b: how many; c: how */ \
  OP(61, fork, FOR_PROCESS)             /* the next c operations run in a child; a: and in the parent */      \
  OP(62, thread, FOR_PROCESS)           /* they run on a thread, which ends; a: or stays */                   \
  OP(63, access, FOR_PROCESS)           /* of what must not be accessed: a handler recovers, or the process ends */

// What a size code stands for: mostly small sizes, sizes next to powers of two, sizes of all bins, large sizes.
static inline size_t size_of_code(uint8_t a, uint8_t b) {
  size_t low = (size_t)(a & 31) << 8 | b;
  unsigned powers = (a >> 5) == 6 ? 17 : 13;  // up to 1 MiB, or 64 KiB
  switch (a >> 5) {
    case 3:
    case 6: {
      size_t power = (size_t)1 << (4 + (a & 31) % powers), delta = b % 65u;
      return power + delta < 32 ? 0 : power + delta - 32;
    }
    case 4: return low * 9;
    case 7: return low * 512;
    default: return low % 1100;
  }
}

// How many blocks a pile grows or shrinks by: up to 4096, mostly fewer.
static inline size_t count_of_code(uint8_t c) {
  return c < 192 ? c + 1u : (size_t)(c - 191) * 64;
}

// Powers of two, 1 to 64 KiB, now and then up to 64 MiB.
static inline size_t align_of_code(uint8_t d) {
  return (size_t)1 << ((d & 0xE0) == 0xE0 ? d % 27 : d % 17);
}

#endif
