// Rows of unwind tables, worked out before: what row.c keeps for trace.c.
//
// A row says where a frame ends and where the registers of its caller are. Nearly all are of one form: the frame ends at
// a fixed distance from a register, and what was saved lies right below. Those are kept, by program counter.
#ifndef SEC_ROW_H
#define SEC_ROW_H

#include "object.h"
#include "trace.h"

// The registers of TRACE_SAVED but for the stack pointer, which is the end of the frame.
#if defined(__x86_64__)
#define ROW_KEPT 7
#else
#define ROW_KEPT 12
#endif
extern const uint8_t sec_row_kept[ROW_KEPT];

// How far below the end of the frame a register was saved, in words. 0: it is as it was.
#define ROW_LOST 0xFF

typedef union sec_row_s {
  struct {
    int32_t offset;  // from register `base` to the end of the frame
    uint8_t base;
    uint8_t saved[ROW_KEPT];
  };
  uint64_t words[3];
} sec_row_t;

// False: it was not kept, or another took its place.
bool sec_row_find(uintptr_t pc, const sec_object_t* object, sec_row_t* row);
void sec_row_keep(uintptr_t pc, const sec_object_t* object, const sec_row_t* row);

#endif
