// Stack traces by the unwind tables (.eh_frame) that every program and library has, with or without frame pointers;
// by frame pointers where there is none (code made at run time).
//
// For each frame: find the object the program counter lies in (object.c), search its sorted table (.eh_frame_hdr) for
// the function, run that function's call frame instructions up to the program counter, and restore the caller's registers
// from the stack.
// Sources: DWARF 4, section 6.4; Linux Standard Base, "Exception Frames".
//
// Rules: no allocation, no lock, no system call; safe in signal handlers. Every word read from the stack lies between
// the stack pointer at the start and the end of the stack, as far as it is known, and the stack pointer only grows, so
// a smashed stack gives a wrong or short trace, not a loop. Tables are trusted as far as the object they lie in. What
// is rare (registers kept in registers, long expressions) ends the trace. Symbols are looked up afterwards, elsewhere.
// Costs: 0.4 us a frame the first time, 25 ns again (row.c), where something is reported or sampled.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "row.h"

// ---- reading tables -------------------------------------------------------------------------------------------------

typedef struct reader_s {
  const uint8_t* at;
  const uint8_t* end;
  bool bad;
} reader_t;

static uint64_t read_fixed(reader_t* r, size_t size) {
  uint64_t value = 0;
  if (r->bad || (size_t)(r->end - r->at) < size) {
    r->bad = true;
    return 0;
  }
  memcpy(&value, r->at, size);  // both architectures are little-endian
  r->at += size;
  return value;
}

static uint8_t read_byte(reader_t* r) {
  return (uint8_t)read_fixed(r, 1);
}

static uint64_t read_uleb(reader_t* r) {
  uint64_t value = 0;
  for (unsigned shift = 0;; shift += 7) {
    uint8_t byte = read_byte(r);
    if (shift < 64) value |= (uint64_t)(byte & 0x7F) << shift;
    if (!(byte & 0x80) || r->bad) return value;
  }
}

static int64_t read_sleb(reader_t* r) {
  uint64_t value = 0;
  for (unsigned shift = 0;;) {
    uint8_t byte = read_byte(r);
    if (shift < 64) value |= (uint64_t)(byte & 0x7F) << shift;
    shift += 7;
    if ((byte & 0x80) && !r->bad) continue;
    if ((byte & 0x40) && shift < 64) value |= ~(uint64_t)0 << shift;
    return (int64_t)value;
  }
}

static int64_t sign_extend(uint64_t value, unsigned bits) {
  return (int64_t)(value << (64 - bits)) >> (64 - bits);
}

// A pointer as DW_EH_PE_... says.
static uint64_t read_encoded(reader_t* r, uint8_t encoding, const uint8_t* data) {
  enum { PC_RELATIVE = 0x10, DATA_RELATIVE = 0x30 };
  const uint8_t* place = r->at;
  uint64_t value;
  switch (encoding & 0x0F) {
    case 0x00: case 0x04: case 0x0C: value = read_fixed(r, 8); break;
    case 0x01: value = read_uleb(r); break;
    case 0x02: value = read_fixed(r, 2); break;
    case 0x03: value = read_fixed(r, 4); break;
    case 0x09: value = (uint64_t)read_sleb(r); break;
    case 0x0A: value = (uint64_t)sign_extend(read_fixed(r, 2), 16); break;
    case 0x0B: value = (uint64_t)sign_extend(read_fixed(r, 4), 32); break;
    default: r->bad = true; return 0;
  }
  switch (encoding & 0x70) {
    case 0: break;
    case PC_RELATIVE: value += (uint64_t)(uintptr_t)place; break;
    case DATA_RELATIVE: value += (uint64_t)(uintptr_t)data; break;
    default: r->bad = true; break;
  }
  return value;
}

// ---- the entry of a function ----------------------------------------------------------------------------------------

// What the common (CIE) and the function's own (FDE) entry say.
typedef struct frame_s {
  uintptr_t start, end;
  uint64_t code_factor;
  int64_t data_factor;
  unsigned return_column;
  bool signal;            // pushed by the kernel: the program counter is that of an interrupted instruction
  reader_t first, own;    // call frame instructions
} frame_t;

// Where the entry of the function at `pc` is: the sorted table has pairs (start, entry), 32 bits each, relative to it.
static const uint8_t* frame_find(const sec_object_t* object, uintptr_t pc) {
  const uint8_t* header = object->frames;
  enum { UDATA4 = 0x03, TABLE = 0x3B };
  if (header == NULL || header[0] != 1 || header[2] != UDATA4 || header[3] != TABLE) return NULL;
  reader_t r = {header + 4, (const uint8_t*)object->end, false};
  read_encoded(&r, header[1], header);
  size_t count = (size_t)read_fixed(&r, 4);
  const uint8_t* table = r.at;
  if (r.bad || count == 0 || (size_t)(r.end - table) / 8 < count) return NULL;
  size_t low = 0, high = count;
  while (high - low > 1) {
    size_t middle = (low + high) / 2;
    int32_t start;
    memcpy(&start, table + 8 * middle, 4);
    if ((uintptr_t)header + (uintptr_t)(intptr_t)start <= pc) {
      low = middle;
    } else {
      high = middle;
    }
  }
  int32_t entry;
  memcpy(&entry, table + 8 * low + 4, 4);
  return header + entry;
}

// The body of an entry of a known length.
static bool entry_open(const sec_object_t* object, const uint8_t* at, reader_t* r) {
  if ((uintptr_t)at < object->start || (uintptr_t)at + 8 > object->end) return false;
  *r = (reader_t){at, (const uint8_t*)object->end, false};
  uint64_t length = read_fixed(r, 4);
  if (length == 0 || length == 0xFFFFFFFFu || length > (uint64_t)(r->end - r->at)) return false;
  r->end = r->at + length;
  return true;
}

// Reads the common entry; false when it is of a kind we do not know.
static bool common_read(const sec_object_t* object, const uint8_t* at, frame_t* frame, uint8_t* encoding, bool* sized) {
  reader_t r;
  if (!entry_open(object, at, &r) || read_fixed(&r, 4) != 0) return false;
  uint8_t version = read_byte(&r);
  const char* augmentation = (const char*)r.at;
  while (read_byte(&r) != 0 && !r.bad) {
  }
  if (r.bad || (version != 1 && version != 3)) return false;
  frame->code_factor = read_uleb(&r);
  frame->data_factor = read_sleb(&r);
  frame->return_column = (unsigned)(version == 1 ? read_byte(&r) : read_uleb(&r));
  *encoding = 0;
  *sized = augmentation[0] == 'z';
  if (!*sized) return augmentation[0] == 0;
  uint64_t size = read_uleb(&r);
  if (r.bad || size > (uint64_t)(r.end - r.at)) return false;
  const uint8_t* instructions = r.at + size;
  for (const char* c = augmentation + 1; *c != 0; c++) {
    switch (*c) {
      case 'R': *encoding = read_byte(&r); break;
      case 'L': read_byte(&r); break;
      case 'P': {
        uint8_t personality = read_byte(&r);
        read_encoded(&r, personality & 0x7F, NULL);
        break;
      }
      case 'S': frame->signal = true; break;
      case 'B': case 'G': break;  // signed return addresses, tagged frames: of no matter here
      default: return false;
    }
  }
  frame->first = (reader_t){instructions, r.end, false};
  return !r.bad;
}

static bool frame_read(const sec_object_t* object, uintptr_t pc, frame_t* frame) {
  const uint8_t* at = frame_find(object, pc);
  reader_t r;
  if (at == NULL || !entry_open(object, at, &r)) return false;
  const uint8_t* place = r.at;
  uint64_t back = read_fixed(&r, 4);
  uint8_t encoding;
  bool sized;
  *frame = (frame_t){.signal = false};
  if (back == 0 || !common_read(object, place - back, frame, &encoding, &sized)) return false;
  frame->start = (uintptr_t)read_encoded(&r, encoding, NULL);
  frame->end = frame->start + (uintptr_t)read_encoded(&r, encoding & 0x0F, NULL);
  if (sized) {
    uint64_t size = read_uleb(&r);
    if (r.bad || size > (uint64_t)(r.end - r.at)) return false;
    r.at += size;
  }
  frame->own = r;
  return !r.bad && pc >= frame->start && pc < frame->end;
}

// ---- call frame instructions ----------------------------------------------------------------------------------------

enum { RULE_SAME, RULE_UNDEFINED, RULE_OFFSET, RULE_VALUE, RULE_EXPRESSION, RULE_VALUE_EXPRESSION };

// Where a register of the caller is: an offset from the CFA, or an expression, `value` bytes behind the object's start.
typedef struct rule_s {
  uint32_t how;
  int32_t value;
} rule_t;

typedef struct row_s {
  rule_t rules[TRACE_REGISTERS];
  unsigned cfa_register;
  int64_t cfa_offset;
  uint32_t cfa_expression;  // 0: register and offset
} row_t;

#define REMEMBERED 2

typedef struct machine_s {
  const sec_object_t* object;
  const frame_t* frame;
  uintptr_t pc;
  uintptr_t location;
  row_t row;
  row_t initial;
  row_t saved[REMEMBERED];
  unsigned saved_count;
} machine_t;

static void rule_set(machine_t* m, uint64_t number, uint32_t how, int64_t value) {
  if (number < TRACE_REGISTERS) m->row.rules[number] = (rule_t){how, (int32_t)value};
}

static int64_t expression_read(const machine_t* m, reader_t* r) {
  int64_t place = (int64_t)((uintptr_t)r->at - m->object->start);
  uint64_t size = read_uleb(r);
  if (r->bad || size > (uint64_t)(r->end - r->at)) {
    r->bad = true;
  } else {
    r->at += size;
  }
  return place;
}

static bool run_cfa(machine_t* m, uint8_t code, reader_t* r) {
  row_t* row = &m->row;
  int64_t factor = m->frame->data_factor;
  switch (code) {
    case 0x0C:  // def_cfa
      row->cfa_register = (unsigned)read_uleb(r);
      row->cfa_offset = (int64_t)read_uleb(r);
      row->cfa_expression = 0;
      return true;
    case 0x0D: row->cfa_register = (unsigned)read_uleb(r); return true;   // def_cfa_register
    case 0x0E: row->cfa_offset = (int64_t)read_uleb(r); return true;      // def_cfa_offset
    case 0x0F: row->cfa_expression = (uint32_t)expression_read(m, r); return true;  // def_cfa_expression
    case 0x12:  // def_cfa_sf
      row->cfa_register = (unsigned)read_uleb(r);
      row->cfa_offset = read_sleb(r) * factor;
      row->cfa_expression = 0;
      return true;
    case 0x13: row->cfa_offset = read_sleb(r) * factor; return true;      // def_cfa_offset_sf
    default: return false;
  }
}

static bool run_rule(machine_t* m, uint8_t code, reader_t* r) {
  int64_t factor = m->frame->data_factor;
  uint64_t number = read_uleb(r);
  switch (code) {
    case 0x05: rule_set(m, number, RULE_OFFSET, (int64_t)read_uleb(r) * factor); return true;  // offset_extended
    case 0x06:  // restore_extended
      if (number < TRACE_REGISTERS) m->row.rules[number] = m->initial.rules[number];
      return true;
    case 0x07: rule_set(m, number, RULE_UNDEFINED, 0); return true;
    case 0x08: rule_set(m, number, RULE_SAME, 0); return true;
    case 0x09: read_uleb(r); rule_set(m, number, RULE_UNDEFINED, 0); return true;  // register: not followed
    case 0x10: rule_set(m, number, RULE_EXPRESSION, expression_read(m, r)); return true;
    case 0x11: rule_set(m, number, RULE_OFFSET, read_sleb(r) * factor); return true;  // offset_extended_sf
    case 0x14: rule_set(m, number, RULE_VALUE, (int64_t)read_uleb(r) * factor); return true;
    case 0x15: rule_set(m, number, RULE_VALUE, read_sleb(r) * factor); return true;
    case 0x16: rule_set(m, number, RULE_VALUE_EXPRESSION, expression_read(m, r)); return true;
    case 0x2F: rule_set(m, number, RULE_OFFSET, -(int64_t)read_uleb(r) * factor); return true;
    default: return false;
  }
}

// Runs instructions until they pass the program counter. False: something we do not know.
static bool run(machine_t* m, reader_t r) {
  while (r.at < r.end && !r.bad) {
    uint8_t code = read_byte(&r);
    uint64_t low = code & 0x3F, advance = 0;
    bool advances = true;
    switch (code & 0xC0) {
      case 0x40: advance = low; break;
      case 0x80:
        rule_set(m, low, RULE_OFFSET, (int64_t)read_uleb(&r) * m->frame->data_factor);
        continue;
      case 0xC0:
        if (low < TRACE_REGISTERS) m->row.rules[low] = m->initial.rules[low];
        continue;
      default:
        advances = code >= 0x02 && code <= 0x04;
        if (advances) advance = read_fixed(&r, (size_t)1 << (code - 2));
        break;
    }
    if (advances) {
      m->location += advance * m->frame->code_factor;
      if (m->location > m->pc) return !r.bad;
      continue;
    }
    switch (code) {
      case 0x00: case 0x2D: break;  // nop; the return address is signed
      case 0x0A:
        if (m->saved_count == REMEMBERED) return false;
        m->saved[m->saved_count++] = m->row;
        break;
      case 0x0B:
        if (m->saved_count == 0) return false;
        m->row = m->saved[--m->saved_count];
        break;
      case 0x2E: read_uleb(&r); break;  // GNU_args_size
      default:
        if (!run_cfa(m, code, &r) && !run_rule(m, code, &r)) return false;
        break;
    }
  }
  return !r.bad;
}

// ---- one step -------------------------------------------------------------------------------------------------------

typedef struct walk_s {
  sec_registers_t registers;
  uintptr_t low, high;  // of the stack
} walk_t;

static bool is_known(const sec_registers_t* registers, unsigned number) {
  return number < TRACE_REGISTERS && (registers->known >> number & 1);
}

__attribute__((no_sanitize("address"))) static bool stack_read(const walk_t* walk, uintptr_t at, uintptr_t* value) {
  if (at % sizeof(uintptr_t) != 0 || at < walk->low || at > walk->high - sizeof(uintptr_t)) return false;
  *value = *(const uintptr_t*)at;
  return true;
}

// The few operations that compilers and C libraries use for frames.
static bool evaluate(const walk_t* walk, const sec_object_t* object, uint32_t place, uintptr_t* stack, size_t depth,
                     uintptr_t* result) {
  reader_t r = {(const uint8_t*)object->start + place, (const uint8_t*)object->end, false};
  uint64_t size = read_uleb(&r);
  if (r.bad || size > (uint64_t)(r.end - r.at)) return false;
  r.end = r.at + size;
  while (r.at < r.end && !r.bad) {
    uint8_t code = read_byte(&r);
    if (depth == 0 && !(code >= 0x70 && code <= 0x8F) && !(code >= 0x08 && code <= 0x11)) return false;
    if (code >= 0x70 && code <= 0x8F) {  // breg
      int64_t offset = read_sleb(&r);
      if (depth == 4 || !is_known(&walk->registers, code - 0x70u)) return false;
      stack[depth++] = walk->registers.value[code - 0x70] + (uintptr_t)offset;
    } else if (code >= 0x30 && code <= 0x4F) {  // lit
      if (depth == 4) return false;
      stack[depth++] = code - 0x30u;
    } else if (code == 0x06) {  // deref
      if (!stack_read(walk, stack[depth - 1], &stack[depth - 1])) return false;
    } else if (code == 0x23) {  // plus_uconst
      stack[depth - 1] += (uintptr_t)read_uleb(&r);
    } else if (code == 0x22 && depth >= 2) {  // plus
      stack[depth - 2] += stack[depth - 1];
      depth--;
    } else {
      return false;
    }
  }
  if (r.bad || depth == 0) return false;
  *result = stack[depth - 1];
  return true;
}

static bool cfa_find(const walk_t* walk, const machine_t* m, uintptr_t* cfa) {
  if (m->row.cfa_expression != 0) {
    uintptr_t stack[4];
    return evaluate(walk, m->object, m->row.cfa_expression, stack, 0, cfa);
  }
  if (!is_known(&walk->registers, m->row.cfa_register)) return false;
  *cfa = walk->registers.value[m->row.cfa_register] + (uintptr_t)m->row.cfa_offset;
  return true;
}

// A register of the caller; false when it is not known any more.
static bool register_find(const walk_t* walk, const machine_t* m, uintptr_t cfa, unsigned number, uintptr_t* value) {
  rule_t rule = m->row.rules[number];
  uintptr_t stack[4] = {cfa};
  switch (rule.how) {
    case RULE_SAME:
      *value = walk->registers.value[number];
      return is_known(&walk->registers, number);
    case RULE_OFFSET: return stack_read(walk, cfa + (uintptr_t)(intptr_t)rule.value, value);
    case RULE_VALUE: *value = cfa + (uintptr_t)(intptr_t)rule.value; return true;
    case RULE_EXPRESSION:
      return evaluate(walk, m->object, (uint32_t)rule.value, stack, 1, value) && stack_read(walk, *value, value);
    case RULE_VALUE_EXPRESSION: return evaluate(walk, m->object, (uint32_t)rule.value, stack, 1, value);
    default: return false;
  }
}

// The end of the stack that `sp` lies in: that of the main thread, or the thread's static TLS, which the C library puts
// on top of the stacks it makes, whichever comes first. Elsewhere (a coroutine) a little must do.
static uintptr_t stack_end(uintptr_t sp) {
  extern void* __libc_stack_end __attribute__((weak));
  const uintptr_t unknown = 256 * KIB;
  uintptr_t end = sp + (GIB < UINTPTR_MAX - sp ? GIB : unknown);
  bool found = false;
  uintptr_t candidates[2] = {(uintptr_t)&mim_tls, &__libc_stack_end != NULL ? (uintptr_t)__libc_stack_end : 0};
  for (size_t i = 0; i < 2; i++) {
    if (candidates[i] <= sp || candidates[i] >= end) continue;
    end = candidates[i];
    found = true;
  }
  return found ? end & ~(uintptr_t)7 : sp + unknown;
}

// False: it is of no form that rows have.
static bool row_pack(const machine_t* m, sec_row_t* row) {
  const rule_t* rules = m->row.rules;
  if (m->frame->signal || m->row.cfa_expression != 0 || m->row.cfa_register >= TRACE_REGISTERS) return false;
  if (rules[TRACE_SP].how != RULE_SAME || m->row.cfa_offset != (int32_t)m->row.cfa_offset) return false;
  *row = (sec_row_t){.words = {0}};
  row->offset = (int32_t)m->row.cfa_offset;
  row->base = (uint8_t)m->row.cfa_register;
  for (size_t i = 0; i < ROW_KEPT; i++) {
    rule_t rule = rules[sec_row_kept[i]];
    int64_t below = -(int64_t)rule.value / (int64_t)sizeof(uintptr_t);
    bool fits = rule.how == RULE_OFFSET && below > 0 && below < ROW_LOST && rule.value % (int)sizeof(uintptr_t) == 0;
    if (!fits && rule.how != RULE_SAME && rule.how != RULE_UNDEFINED) return false;
    row->saved[i] = fits ? (uint8_t)below : rule.how == RULE_SAME ? 0 : ROW_LOST;
  }
  return true;
}

static bool step_by_row(walk_t* walk, const sec_row_t* row) {
  const sec_registers_t* registers = &walk->registers;
  if (!is_known(registers, row->base)) return false;
  uintptr_t cfa = registers->value[row->base] + (uintptr_t)(intptr_t)row->offset;
  sec_registers_t next;
  next.value[TRACE_SP] = cfa;
  next.known = (uint64_t)1 << TRACE_SP;
  for (size_t i = 0; i < ROW_KEPT; i++) {
    unsigned number = sec_row_kept[i], below = row->saved[i];
    bool found = is_known(registers, number);
    next.value[number] = registers->value[number];
    if (below != 0) found = below != ROW_LOST && stack_read(walk, cfa - below * sizeof(uintptr_t), &next.value[number]);
    next.known |= (uint64_t)found << number;
  }
  if (!is_known(&next, TRACE_RETURN)) return false;
  next.value[TRACE_PC] = next.value[TRACE_RETURN];
  next.known |= (uint64_t)1 << TRACE_PC;
  walk->registers = next;
  return true;
}

static bool step_by_machine(walk_t* walk, const machine_t* m) {
  uintptr_t cfa;
  if (!cfa_find(walk, m, &cfa)) return false;
  sec_registers_t next = {.known = 0};
  for (unsigned i = 0; i < TRACE_REGISTERS; i++) {
    if (register_find(walk, m, cfa, i, &next.value[i])) next.known |= (uint64_t)1 << i;
  }
  if (!is_known(&next, TRACE_RETURN)) return false;
  if (!m->frame->signal || m->row.rules[TRACE_SP].how == RULE_SAME) {
    next.value[TRACE_SP] = cfa;
    next.known |= (uint64_t)1 << TRACE_SP;
  }
  next.value[TRACE_PC] = next.value[TRACE_RETURN];
  next.known |= (uint64_t)1 << TRACE_PC;
  walk->registers = next;
  return true;
}

// `exact`: the program counter is that of an instruction; otherwise a return address, which lies behind the call, and that
// may be the last instruction of its function. Rows are not for interrupted instructions: those have registers that no
// row knows of.
static bool step_by_table(walk_t* walk, bool exact, bool interrupted, bool* signal) {
  sec_object_t object;
  frame_t frame;
  sec_row_t row;
  uintptr_t pc = walk->registers.value[TRACE_PC] - (exact ? 0 : 1);
  if (!sec_object_find(pc, &object)) return false;
  if (!interrupted && sec_row_find(pc, &object, &row)) return step_by_row(walk, &row);
  if (!frame_read(&object, pc, &frame) || frame.return_column != TRACE_RETURN) return false;
  machine_t m = {.object = &object, .frame = &frame, .pc = pc, .location = frame.start};
  if (!run(&m, frame.first)) return false;
  m.initial = m.row;
  m.location = frame.start;
  if (!run(&m, frame.own)) return false;
  if (!interrupted && row_pack(&m, &row)) {
    sec_row_keep(pc, &object, &row);
    return step_by_row(walk, &row);
  }
  if (!step_by_machine(walk, &m)) return false;
  *signal = frame.signal;
  return true;
}

static bool step_by_frame_pointer(walk_t* walk) {
  sec_registers_t* registers = &walk->registers;
  if (!is_known(registers, TRACE_FP)) return false;
  uintptr_t frame = registers->value[TRACE_FP], caller, pc;
  if (frame < registers->value[TRACE_SP] || !stack_read(walk, frame, &caller)) return false;
  if (!stack_read(walk, frame + sizeof(uintptr_t), &pc)) return false;
  *registers = (sec_registers_t){.known = (uint64_t)1 << TRACE_FP | (uint64_t)1 << TRACE_SP | (uint64_t)1 << TRACE_PC};
  registers->value[TRACE_FP] = caller;
  registers->value[TRACE_SP] = frame + 2 * sizeof(uintptr_t);
  registers->value[TRACE_PC] = pc;
  return true;
}

// A call of a wild pointer: the caller's address is where a call leaves it.
static bool step_from_nowhere(walk_t* walk) {
  sec_registers_t* registers = &walk->registers;
  sec_object_t object;
  if (sec_object_find(registers->value[TRACE_PC], &object)) return false;
#if defined(__x86_64__)
  if (!stack_read(walk, registers->value[TRACE_SP], &registers->value[TRACE_PC])) return false;
  registers->value[TRACE_SP] += sizeof(uintptr_t);
#else
  if (!is_known(registers, TRACE_RETURN)) return false;
  registers->value[TRACE_PC] = registers->value[TRACE_RETURN];
#endif
  return sec_object_find(registers->value[TRACE_PC] - 1, &object);
}

// Without the bits that pointer authentication puts on top.
static uintptr_t plain_address(uintptr_t address) {
#if defined(__aarch64__)
  return address & (((uintptr_t)1 << 48) - 1);
#else
  return address;
#endif
}

size_t sec_trace(const sec_registers_t* from, bool interrupted, void** frames, size_t max) {
  walk_t walk = {.registers = *from, .low = from->value[TRACE_SP]};
  walk.high = stack_end(walk.low);
  size_t count = 0;
  if (interrupted && max > 0) frames[count++] = (void*)from->value[TRACE_PC];
  bool exact = true;  // the program counter is that of an instruction, not of a return
  for (bool first = true; count < max; first = false) {
    uintptr_t before = walk.registers.value[TRACE_SP];
    bool signal = false;
    bool stepped = (first && interrupted && step_from_nowhere(&walk)) ||
                   step_by_table(&walk, exact, exact && (interrupted || !first), &signal) ||
                   step_by_frame_pointer(&walk);
    uintptr_t pc = plain_address(walk.registers.value[TRACE_PC]);
    if (!stepped || pc == 0) break;
    walk.registers.value[TRACE_PC] = pc;
    uintptr_t after = walk.registers.value[TRACE_SP];
    if (signal) {  // from the alternate stack, perhaps
      walk.low = after;
      walk.high = stack_end(after);
    } else if (after < before || (after == before && !first)) {
      break;
    }
    exact = signal;
    frames[count++] = (void*)pc;
  }
  return count;
}
