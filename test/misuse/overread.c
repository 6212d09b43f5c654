// Reads outside of a block. They change nothing, so only memory that cannot be read stops them; but they must not run
// far ("Heartbleed"), nor find the secrets of others.
#define _GNU_SOURCE
#include "misuse.h"

#include <fcntl.h>
#include <unistd.h>

static verdict_t read_at(size_t size, ptrdiff_t offset, size_t count) {
  char* p = crowd(size);
  fill(p, size);
  at(MISUSE);
  peek_run(p, offset, count);
  return MISSED;
}

static verdict_t one(size_t size) { return read_at(size, (ptrdiff_t)size, 1); }
static verdict_t sixteen(size_t size) { return read_at(size, (ptrdiff_t)size, 16); }
static verdict_t whole_size(size_t size) { return read_at(size, (ptrdiff_t)size, size); }
static verdict_t page(size_t size) { return read_at(size, (ptrdiff_t)size, 4096); }
static verdict_t kib_64(size_t size) { return read_at(size, (ptrdiff_t)size, 65536); }
static verdict_t mib(size_t size) { return read_at(size, (ptrdiff_t)size, 1 << 20); }
static verdict_t before_1(size_t size) { return read_at(size, -1, 1); }
static verdict_t before_16(size_t size) { return read_at(size, -16, 16); }
static verdict_t before_64k(size_t size) {
  char* p = crowd(size);
  at(MISUSE);
  for (ptrdiff_t i = 1; i <= 65536; i++) peek(p, -i);
  return MISSED;
}

// A request that names a length of its own is answered with 64 KiB; do they hold a neighbour's secret?
static verdict_t secret_by_memcpy(size_t size) {
  char* p = crowd(size);
  for (char* other; (other = crowd_take()) != NULL;) fill(other, size);
  memset(p, 'p', size);
  at(MISUSE);
  memcpy(elsewhere, hide(p), size + 65536);
  for (size_t i = size; i < size + 65536; i++) {
    if (peek(elsewhere, (ptrdiff_t)i) == SECRET) return MISSED;
  }
  return PREVENTED;
}

// One byte too many is copied, or a string's terminator is looked for behind the block.
static verdict_t memcpy_1(size_t size) {
  char* p = crowd(size);
  fill(p, size);
  at(MISUSE);
  memcpy(elsewhere, hide(p), size + 1);
  return MISSED;
}

static verdict_t strcpy_unterminated(size_t size) {
  char* p = crowd(size);
  fill(p, size);
  at(MISUSE);
  strcpy(elsewhere, hide(p));
  return MISSED;
}

// The 64 KiB through the kernel, which answers EFAULT where memory ends.
static verdict_t secret_by_write(size_t size) {
  char* p = crowd(size);
  int ends[2];
  if (pipe(ends) != 0 || fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) < 0) return SET_UP_FAILED;
  for (char* other; (other = crowd_take()) != NULL;) fill(other, size);
  fcntl(ends[1], F_SETFL, O_NONBLOCK);
  at(MISUSE);
  ssize_t sent = write(ends[1], p + size, 65536);
  if (sent <= 0) return PREVENTED;
  ssize_t got = read(ends[0], elsewhere, (size_t)sent);
  for (ssize_t i = 0; i < got; i++) {
    if (peek(elsewhere, i) == SECRET) return MISSED;
  }
  return PREVENTED;
}

// A string without its terminator: where does strlen stop?
static verdict_t strlen_unterminated(size_t size) {
  static size_t (*volatile length_of)(const char*) = strlen;
  char* p = crowd(size);
  memset(p, 's', size);
  at(MISUSE);
  return length_of(p) > size ? MISSED : PREVENTED;
}

static const kind_t kinds[] = {
  {"one", one, "p[n] is read", 0},
  {"sixteen", sixteen, "16 bytes past the end are read", 0},
  {"whole-size", whole_size, "n bytes past the end are read", 0},
  {"page", page, "4 KiB past the end are read", 0},
  {"kib-64", kib_64, "64 KiB past the end are read", 0},
  {"mib", mib, "1 MiB past the end is read", 0},
  {"before-1", before_1, "p[-1] is read", 0},
  {"before-16", before_16, "16 bytes before the block are read", 0},
  {"before-64k", before_64k, "64 KiB before the block are read, downwards", 0},
  {"secret-by-memcpy", secret_by_memcpy, "64 KiB too many are copied; a neighbour's secret must not be there", 0},
  {"memcpy-1", memcpy_1, "memcpy of one byte too many out of the block", 0},
  {"strcpy-unterminated", strcpy_unterminated, "strcpy of n characters without a terminator", 1},
  {"secret-by-write", secret_by_write, "write(2) of 64 KiB past the end", 0},
  {"strlen-unterminated", strlen_unterminated, "strlen of n characters without a terminator", 1},
};
const group_t overread_group = {"overread", KINDS(kinds)};
