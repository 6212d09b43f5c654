// Checked memory and string functions: what stays in a block passes, what leaves it is reported before it happens.
//
// After a report that is outlived the function does what libc's does, so the source is what is too short here, and reads
// stay in the slack of the block; a copy that would leave its destination is of bytes the program itself may change.
#include <string.h>

#include "memcheck.h"
#include "model.h"

#if MIM_SECURE
#include "../secure/memory.h"

enum { MOST = 1 << 16 };
static uint8_t outside_bytes[MOST + 64];

static void expect(mi_fault_t fault, const void* address, const char* name) {
  must(model.notice.count > 0, "missed: %s by %s at %p", mi_fault_name(fault), name, address);
  must(model.notice.first == fault && model.notice.address == address, "%s by %s at %p was reported as %s at %p",
       mi_fault_name(fault), name, address, mi_fault_name(model.notice.first), model.notice.address);
  notice_reset();
}

// The whole rest of the block from `p` on, by each function that takes a length.
static void legal(const op_t* op, uint8_t* p, size_t left) {
  switch (op->c % 5) {
    case 0:
      sec_checked_memcpy(outside_bytes, p, left);
      break;
    case 1:
      sec_checked_memmove(p, p, left);
      break;
    case 2:
      must(sec_checked_mempcpy(outside_bytes, p, left) == outside_bytes + left, "mempcpy ends elsewhere");
      break;
    case 3:
      sec_checked_memset(p, op->b, left);
      break;
    default:
      if (left == 0) break;
      memset(outside_bytes, 'x', left - 1);
      outside_bytes[left - 1] = 0;
      must(sec_checked_strcpy((char*)p, (char*)outside_bytes) == (char*)p && p[left - 1] == 0,
           "strcpy stops elsewhere");
      must(sec_checked_stpcpy((char*)outside_bytes, (char*)p) == (char*)outside_bytes + left - 1,
           "stpcpy ends elsewhere");
      break;
  }
  notice_none();
}

// A byte more. What is behind the request, up to `slack` bytes, is as before afterwards.
static void leaves(const op_t* op, uint8_t* p, size_t left, size_t slack) {
  size_t size = left + 1 + op->d % (slack > 16 ? 16 : slack);
  track_allow(p, size);
  memcpy(outside_bytes, p, size);  // so that a write changes nothing
  switch (op->c % 6) {
    case 0:
      sec_checked_memcpy(outside_bytes, p, size), expect(MI_FAULT_MEMORY_RANGE, p, "memcpy");
      break;
    case 1:
      sec_checked_memcpy(p, outside_bytes, size), expect(MI_FAULT_MEMORY_RANGE, p, "memcpy");
      break;
    case 2:
      sec_checked_memmove(p, p, size), expect(MI_FAULT_MEMORY_RANGE, p, "memmove");
      break;
    case 3:
      sec_checked_mempcpy(p, outside_bytes, size), expect(MI_FAULT_MEMORY_RANGE, p, "mempcpy");
      break;
    case 4:
      memset(outside_bytes, 'x', size - 1);
      outside_bytes[size - 1] = 0;
      sec_checked_strncpy((char*)outside_bytes + 32, (char*)outside_bytes, 8);
      notice_none();
      break;
    default: {
      uint8_t saved[16];
      memcpy(saved, p + left, size - left);
      sec_checked_memset(p, op->b, size);
      expect(MI_FAULT_MEMORY_RANGE, p, "memset");
      memcpy(p + left, saved, size - left);
      break;
    }
  }
}

void op_checked_memory(const op_t* op) {
  slot_t* slot = slot_take(op->slot);
  if (slot == NULL) return;
  block_t* block = &slot->block;
  if (block->p != NULL && block->size < MOST) {
    size_t at = block->size == 0 ? 0 : (size_t)(op->a << 8 | op->b) % block->size;
    size_t left = block->size - at, slack = probe_room(block->p) - block->size;
    uint8_t* p = block->p + at;
    contents_check(block->p, block, block->size);
    if (op->d % 4 == 0) legal(op, p, left);
    if (op->d % 4 != 0 && slack > 0 && block->size > 0) leaves(op, p, left, slack);
    block_fill(block);
    if (op->d % 4 == 3 && probe_page_wiped(block->p) && left > 0) {
      free_by(slot, op->c, op->b);
      if (probe_page_lives(p)) {
        track_allow(p, 1);
        sec_checked_memcpy(outside_bytes, p, 1);
        expect(MI_FAULT_USE_AFTER_FREE, p, "memcpy");
      }
    }
  }
  slot_give(slot);
}

// ---- text -----------------------------------------------------------------------------------------------------------

// `to` has room for a text of `room` - 1 characters, and has one of 1.
static void text_fits(uint8_t form, char* to, size_t room) {
  const char* text = (const char*)outside_bytes;
  outside_bytes[room - 2] = 0;  // together with the one that is there: room - 1
  size_t size = room - 2, know = form >= 5 ? room : SIZE_MAX;
  switch (form) {
    case 0:
      must(sec_checked_strcat(to, text) == to && strlen(to) == size + 1, "strcat");
      break;
    case 1:
      must(sec_checked_strncat(to, text, size + 9) == to && strlen(to) == size + 1, "strncat");
      break;
    case 2:
      must(sec_checked_stpncpy(to, text, room) == to + size && to[room - 1] == 0, "stpncpy");
      break;
    case 3:
      must(sec_checked_strncpy(to, text, room) == to && strlen(to) == size, "strncpy");
      break;
    case 4:
      must(sec_checked_stpcpy(to, text) == to + size, "stpcpy");
      break;
#ifdef __GLIBC__
    case 5:
      must(sec_checked___strcat_chk(to, text, know) == to && strlen(to) == size + 1, "__strcat_chk");
      break;
    case 6:
      must(sec_checked___strncat_chk(to, text, size, know) == to, "__strncat_chk");
      break;
    case 7:
      must(sec_checked___stpncpy_chk(to, text, room, know) == to + size, "__stpncpy_chk");
      break;
    case 8:
      must(sec_checked___strncpy_chk(to, text, room, know) == to, "__strncpy_chk");
      break;
    case 9:
      must(sec_checked___strcpy_chk(to, text, know) == to && strlen(to) == size, "__strcpy_chk");
      break;
    case 10:
      must(sec_checked___stpcpy_chk(to, text, know) == to + size, "__stpcpy_chk");
      break;
    case 11:
      must(sec_checked___memcpy_chk(to, text, room, know) == to, "__memcpy_chk");
      break;
    case 12:
      must(sec_checked___memmove_chk(to, text, room, know) == to, "__memmove_chk");
      break;
    case 13:
      must(sec_checked___mempcpy_chk(to, text, room, know) == to + room, "__mempcpy_chk");
      break;
    default:
      must(sec_checked___memset_chk(to, 7, room, know) == to, "__memset_chk");
      break;
#else
    default:
      break;
#endif
  }
  notice_none();
}

// A character more than there is room for; what is behind the block is fence, and is put back.
static void text_leaves(uint8_t form, char* to, size_t room) {
  static const char* const names[] = {"strcat", "strncat", "stpncpy", "strncpy", "stpcpy"};
  const char* text = (const char*)outside_bytes;
  char behind = to[room];
  outside_bytes[room - 1] = 0;
  switch (form) {
    case 0:
      sec_checked_strcat(to, text);
      break;
    case 1:
      sec_checked_strncat(to, text, room + 9);
      break;
    case 2:
      sec_checked_stpncpy(to, text, room + 1);
      break;
    case 3:
      sec_checked_strncpy(to, text, room + 1);
      break;
    default:
      outside_bytes[room - 1] = 'x', outside_bytes[room] = 0, sec_checked_stpcpy(to, text);
      break;
  }
  expect(MI_FAULT_MEMORY_RANGE, form < 2 ? to + 1 : to, names[form]);
  to[room] = behind;
}

// A text without an end in its block: it would be read on and on.
static void text_endless(char* from, size_t room) {
  char behind = from[room];
  memset(from, 'y', room);
  from[room] = 0;  // in the slack, so that it ends somewhere
  sec_checked_strcpy((char*)outside_bytes, from);
  expect(MI_FAULT_MEMORY_RANGE, from, "strcpy");
  from[room] = behind;
}

void op_checked_text(const op_t* op) {
  slot_t* slot = slot_take(op->slot);
  if (slot == NULL) return;
  block_t* block = &slot->block;
  if (block->p != NULL && block->size > 4 && block->size < MOST) {
    contents_check(block->p, block, block->size);
    size_t at = (size_t)(op->a << 8 | op->b) % (block->size - 4), room = block->size - at;
    size_t slack = probe_room(block->p) - block->size;
    char* to = (char*)block->p + at;
    memset(outside_bytes, 'x', room + 1);
    to[0] = 'z', to[1] = 0;
    text_fits(op->c % 15, to, room);
    memset(outside_bytes, 'x', room + 1);
    to[0] = 'z', to[1] = 0;
    if (slack > 0) track_allow(to + room, 1);
    if (op->d % 3 == 1 && slack > 0) text_leaves(op->c % 5, to, room);
    if (op->d % 3 == 2 && slack > 0) text_endless(to, room);
    block_fill(block);
  }
  slot_give(slot);
}
#else
void op_checked_memory(const op_t* op) {
  (void)op;
}

void op_checked_text(const op_t* op) {
  (void)op;
}
#endif
