// Text for people: formatting, where messages go, how many there may be, and the program's functions for output and
// errors.
//
// Everything here may be called at any time, by any thread, in signal handlers and before the library has started: it
// allocates nothing, takes no lock, uses no stdio, and keeps errno. A message is put together on the stack and written
// by one write(2), so that those of several threads do not mix. What is said before the program has registered an
// output function goes to standard error and is also kept, in a small buffer, to be handed to that function.
//
// A function of the program may fail and call us again: while one runs, further messages of its thread go to standard
// error.
#include <stdarg.h>

#include "internal.h"

#define MESSAGE_MAX 1024

// ---- formatting -----------------------------------------------------------------------------------------------------

typedef struct text_s {
  char* start;
  size_t room;    // bytes that may be stored, less the final 0
  size_t length;  // of the whole text
} text_t;

static void put(text_t* text, char c) {
  if (text->length < text->room) text->start[text->length] = c;
  text->length++;
}

typedef struct field_s {
  int width;
  int precision;  // -1: none
  bool left, zero;
} field_t;

static void put_field(text_t* text, field_t field, const char* from, size_t length) {
  size_t width = field.width > 0 ? (size_t)field.width : 0;
  size_t fill = width > length ? width - length : 0;
  if (field.zero && !field.left && fill > 0 && length > 0 && *from == '-') {  // zeroes go behind the sign
    put(text, *from++);
    length--;
  }
  if (!field.left) {
    for (size_t i = 0; i < fill; i++) put(text, field.zero ? '0' : ' ');
  }
  for (size_t i = 0; i < length; i++) put(text, from[i]);
  if (field.left) {
    for (size_t i = 0; i < fill; i++) put(text, ' ');
  }
}

static void put_number(text_t* text, field_t field, unsigned long long value, unsigned base, const char* sign) {
  char digits[32];
  char* start = digits + sizeof(digits);
  do {
    *--start = "0123456789abcdef"[value % base];
    value /= base;
  } while (value != 0);
  for (size_t i = strlen(sign); i > 0; i--) *--start = sign[i - 1];
  put_field(text, field, start, (size_t)(digits + sizeof(digits) - start));
}

static void put_string(text_t* text, field_t field, const char* from) {
  if (from == NULL) from = "(null)";
  size_t length = 0;
  while ((field.precision < 0 || length < (size_t)field.precision) && from[length] != 0) length++;
  put_field(text, field, from, length);
}

// The number in front of a format letter, or of a star from the arguments.
static int parse_count(const char** format, va_list* args) {
  if (**format == '*') {
    (*format)++;
    return va_arg(*args, int);
  }
  int count = 0;
  for (; **format >= '0' && **format <= '9'; (*format)++) count = count * 10 + (**format - '0');
  return count;
}

static field_t parse_field(const char** format, va_list* args) {
  field_t field = {.width = 0, .precision = -1, .left = false, .zero = false};
  for (;; (*format)++) {
    if (**format == '-') {
      field.left = true;
    } else if (**format == '0') {
      field.zero = true;
    } else {
      break;
    }
  }
  field.width = parse_count(format, args);
  if (**format == '.') {
    (*format)++;
    field.precision = parse_count(format, args);
  }
  return field;
}

// How wide an integer argument is: 0 int, 1 long or size_t, 2 long long.
static int parse_length(const char** format) {
  int length = 0;
  for (; **format == 'l' || **format == 'z'; (*format)++) length++;
  return length;
}

static long long signed_argument(int length, va_list* args) {
  return length == 0 ? va_arg(*args, int) : length == 1 ? va_arg(*args, long) : va_arg(*args, long long);
}

static unsigned long long unsigned_argument(int length, va_list* args) {
  if (length == 0) return va_arg(*args, unsigned);
  return length == 1 ? va_arg(*args, unsigned long) : va_arg(*args, unsigned long long);
}

// One conversion, from behind its '%'. Returns where the format goes on.
static const char* put_argument(text_t* text, const char* format, va_list* args) {
  field_t field = parse_field(&format, args);
  int length = parse_length(&format);
  switch (*format) {
    case 's':
      put_string(text, field, va_arg(*args, const char*));
      break;
    case 'c': {
      char c = (char)va_arg(*args, int);
      put_field(text, field, &c, 1);
      break;
    }
    case 'd':
    case 'i': {
      long long value = signed_argument(length, args);
      unsigned long long amount = value < 0 ? 0 - (unsigned long long)value : (unsigned long long)value;
      put_number(text, field, amount, 10, value < 0 ? "-" : "");
      break;
    }
    case 'u':
      put_number(text, field, unsigned_argument(length, args), 10, "");
      break;
    case 'x':
      put_number(text, field, unsigned_argument(length, args), 16, "");
      break;
    case 'p':
      put_number(text, field, (uintptr_t)va_arg(*args, void*), 16, "0x");
      break;
    case 0:
      return format;
    default:
      put(text, *format);
      break;
  }
  return format + 1;
}

static int format_list(char* buf, size_t size, const char* format, va_list* args) {
  text_t text = {.start = buf, .room = size == 0 ? 0 : size - 1, .length = 0};
  while (*format != 0) {
    if (*format == '%') {
      format = put_argument(&text, format + 1, args);
    } else {
      put(&text, *format++);
    }
  }
  if (size > 0) buf[min_size(text.length, text.room)] = 0;
  return (int)text.length;
}

int mim_format(char* buf, size_t size, const char* format, ...) {
  va_list args;
  va_start(args, format);
  int length = format_list(buf, size, format, &args);
  va_end(args);
  return length;
}

// ---- functions of the program ---------------------------------------------------------------------------------------

// A function and its argument, read together: `turn` is odd while they are being changed. A reader that cannot have a
// consistent pair at once (it may be a signal handler in the middle of the change) does without.
typedef struct callback_s {
  _Atomic(uint32_t) turn;
  _Atomic(uintptr_t) function;
  _Atomic(void*) arg;
} callback_t;

static callback_t output_callback, error_callback;

static void callback_set(callback_t* callback, uintptr_t function, void* arg) {
  uint32_t turn = atomic_load_explicit(&callback->turn, memory_order_relaxed);
  do {
    turn &= ~1u;
  } while (!atomic_compare_exchange_weak_explicit(&callback->turn, &turn, turn + 1, memory_order_acquire,
                                                  memory_order_relaxed));
  atomic_thread_fence(memory_order_release);
  atomic_store_explicit(&callback->function, function, memory_order_relaxed);
  atomic_store_explicit(&callback->arg, arg, memory_order_relaxed);
  atomic_store_explicit(&callback->turn, turn + 2, memory_order_release);
}

// 0 when there is none.
static uintptr_t callback_get(callback_t* callback, void** arg) {
  for (int attempt = 0; attempt < 3; attempt++) {
    uint32_t turn = atomic_load_explicit(&callback->turn, memory_order_acquire);
    if (turn & 1) continue;
    uintptr_t function = atomic_load_explicit(&callback->function, memory_order_relaxed);
    *arg = atomic_load_explicit(&callback->arg, memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(&callback->turn, memory_order_relaxed) == turn) return function;
  }
  return 0;
}

// ---- where text goes ------------------------------------------------------------------------------------------------

static __thread bool in_output __attribute__((tls_model("initial-exec")));
static __thread bool in_error __attribute__((tls_model("initial-exec")));

#define EARLY_SIZE 8192
#define EARLY_CLOSED ((size_t)1 << 40)  // added to early_used by the first registration
static char early_text[EARLY_SIZE + 1];
static _Atomic(size_t) early_used;

static void early_keep(const char* text, size_t length) {
  if (atomic_load_explicit(&early_used, memory_order_relaxed) + length > EARLY_SIZE) return;
  size_t at = atomic_fetch_add_explicit(&early_used, length, memory_order_relaxed);
  if (at + length <= EARLY_SIZE) memcpy(early_text + at, text, length);
}

// Hands out what was kept, once. A message that is being copied at this moment may be missing.
static void early_replay(mi_output_fun* out, void* arg) {
  size_t used = atomic_fetch_add_explicit(&early_used, EARLY_CLOSED, memory_order_acq_rel);
  if (used >= EARLY_CLOSED) return;
  for (size_t at = 0; at < min_size(used, EARLY_SIZE); at++) {
    if (early_text[at] == 0) continue;
    out(early_text + at, arg);
    at += strlen(early_text + at);
  }
}

static void deliver(mi_output_fun* out, void* arg, const char* text, size_t length) {
  if (out == NULL && !in_output) out = (mi_output_fun*)callback_get(&output_callback, &arg);
  int saved = errno;
  if (out == NULL || in_output) {
    if (out == NULL) early_keep(text, length);
    mim_os_write(2, text, length);
  } else {
    in_output = true;
    out(text, arg);
    in_output = false;
  }
  errno = saved;
}

void mi_register_output(mi_output_fun* out, void* arg) {
  callback_set(&output_callback, (uintptr_t)out, arg);
  if (out == NULL || in_output) return;
  in_output = true;
  early_replay(out, arg);
  in_output = false;
}

void mi_register_error(mi_error_fun* fun, void* arg) {
  callback_set(&error_callback, (uintptr_t)fun, arg);
}

void mim_error_notify(int error) {
  void* arg;
  mi_error_fun* fun = (mi_error_fun*)callback_get(&error_callback, &arg);
  if (fun == NULL || in_error) return;
  int saved = errno;
  in_error = true;
  fun(error, arg);
  in_error = false;
  errno = saved;
}

// ---- messages -------------------------------------------------------------------------------------------------------

static _Atomic(long) error_count, warning_count;

static void print_list(mi_output_fun* out, void* arg, const char* format, va_list* args) {
  char buf[MESSAGE_MAX];
  int length = format_list(buf, sizeof(buf), format, args);
  deliver(out, arg, buf, min_size((size_t)length, sizeof(buf) - 1));
}

// A line of its own: "mimalloc: ", what it is, the text.
static void message(const char* what, const char* format, va_list* args) {
  char buf[MESSAGE_MAX];
  const size_t room = sizeof(buf) - 1;  // for the end of the line
  size_t used = (size_t)mim_format(buf, room, "mimalloc: %s", what);
  used += (size_t)format_list(buf + used, room - used, format, args);
  used = min_size(used, room - 1);
  if (buf[used - 1] != '\n') buf[used++] = '\n';
  buf[used] = 0;
  deliver(NULL, NULL, buf, used);
}

// Counts one more; false when there were as many as the option allows.
static bool below_limit(_Atomic(long)* count, mi_option_t option) {
  long limit = mim_option(option);
  long before = atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
  return limit <= 0 || before < limit;
}

static bool is_shown(void) {
  return mim_option(mi_option_show_errors) != 0 || mim_option(mi_option_verbose) != 0;
}

void mim_print(const char* format, ...) {
  va_list args;
  va_start(args, format);
  print_list(NULL, NULL, format, &args);
  va_end(args);
}

void mim_print_to(mi_output_fun* out, void* arg, const char* format, ...) {
  va_list args;
  va_start(args, format);
  print_list(out, arg, format, &args);
  va_end(args);
}

void mim_verbose(const char* format, ...) {
  if (mim_option(mi_option_verbose) == 0) return;
  va_list args;
  va_start(args, format);
  message("", format, &args);
  va_end(args);
}

void mim_warn(const char* format, ...) {
  if (!is_shown() || !below_limit(&warning_count, mi_option_max_warnings)) return;
  va_list args;
  va_start(args, format);
  message("warning: ", format, &args);
  va_end(args);
}

void mim_notice(const char* format, ...) {
  if (!below_limit(&warning_count, mi_option_max_warnings)) return;
  va_list args;
  va_start(args, format);
  message("warning: ", format, &args);
  va_end(args);
}

void mim_error(int error, const char* format, ...) {
  if (is_shown() && below_limit(&error_count, mi_option_max_errors)) {
    va_list args;
    va_start(args, format);
    message("error: ", format, &args);
    va_end(args);
  }
  mim_error_notify(error);
}
