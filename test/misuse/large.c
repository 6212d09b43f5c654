// Blocks of many OS pages: 256 KiB more than the size of the case. What can be noticed at once there should be: the
// memory can end, and go away, exactly with the block.
#define _GNU_SOURCE
#include "misuse.h"

enum { MORE = 256 << 10 };

static char* large(size_t size) {
  for (int i = 0; i < 3; i++) get(size + MORE);
  char* p = get(size + MORE);
  fill(p, size + MORE);
  about(p, size + MORE);
  for (int i = 0; i < 3; i++) get(size + MORE);
  return p;
}

static char* freed(size_t size) {
  char* p = large(size);
  free(hide(p));
  at(MISUSE);
  return p;
}

static verdict_t read_after_free(size_t size) {
  return leaked(freed(size), size + MORE);
}

static verdict_t read_last_after_free(size_t size) {
  return leaked(freed(size) + size + MORE - 1, 1);
}

static verdict_t write_after_free(size_t size) {
  poke(freed(size), 0, 'W');
  at(REUSE);
  churn(size + MORE);
  return MISSED;
}

static verdict_t write_last_after_free(size_t size) {
  poke(freed(size), (ptrdiff_t)size + MORE - 1, 'W');
  at(REUSE);
  churn(size + MORE);
  return MISSED;
}

static verdict_t read_after_free_late(size_t size) {
  char* p = large(size);
  free(hide(p));
  for (int i = 0; i < 4; i++) free(get(100000));
  at(MISUSE);
  return leaked(p, size + MORE);
}

static verdict_t freed_twice(size_t size) {
  char* p = freed(size);
  free(p);
  return handed_out(size + MORE, NULL, 0);
}

static verdict_t reused_at_once(size_t size) {
  char* p = freed(size);
  return hide(malloc(size + MORE)) == p ? MISSED : PREVENTED;
}

static verdict_t stale_in_next(size_t size) {
  freed(size);
  char* next = get(size + MORE);
  for (size_t i = 0; i < size + MORE; i += 64) {
    if (peek(next, (ptrdiff_t)i) == SECRET) return MISSED;
  }
  return PREVENTED;
}

static verdict_t free_inside(size_t size, size_t offset) {
  char* p = large(size);
  at(MISUSE);
  free(hide(p + offset));
  return handed_out(size + MORE, p, size + MORE);
}

static verdict_t free_second_page(size_t size) { return free_inside(size, 4096); }
static verdict_t free_second_64k(size_t size) { return free_inside(size, 65536); }
static verdict_t free_last_page(size_t size) { return free_inside(size, (size + MORE) / 4096 * 4096 - 4096); }

static verdict_t write_past(size_t size, size_t offset, size_t count) {
  char* p = large(size);
  at(MISUSE);
  poke_run(p, (ptrdiff_t)(size + MORE + offset), count, 'L');
  return settle(p, size + MORE);
}

static verdict_t overflow_16(size_t size) { return write_past(size, 0, 16); }
static verdict_t overflow_17(size_t size) { return write_past(size, 0, 17); }
static verdict_t overflow_page(size_t size) { return write_past(size, 0, 4096); }

static verdict_t read_past_16(size_t size) {
  char* p = large(size);
  at(MISUSE);
  peek_run(p, (ptrdiff_t)size + MORE, 17);
  return MISSED;
}

static verdict_t read_past_page(size_t size) {
  char* p = large(size);
  at(MISUSE);
  peek_run(p, (ptrdiff_t)size + MORE, 4097);
  return MISSED;
}

static verdict_t write_page_before(size_t size) {
  char* p = large(size);
  at(MISUSE);
  for (ptrdiff_t i = 1; i <= 4096; i++) poke(p, -i, 'L');
  return settle(p, size + MORE);
}

static verdict_t write_64k_before(size_t size) {
  char* p = large(size);
  at(MISUSE);
  for (ptrdiff_t i = 1; i <= 65536; i++) poke(p, -i, 'L');
  return settle(p, size + MORE);
}

// realloc moved it: the old address must be gone like that of a freed block.
static verdict_t read_after_move(size_t size) {
  char* p = large(size);
  char* moved = hide(realloc(p, (size + MORE) * 4));
  at(MISUSE);
  return moved == p ? PREVENTED : leaked(p, size + MORE);
}

static verdict_t free_after_move(size_t size) {
  char* p = large(size);
  char* moved = hide(realloc(p, (size + MORE) * 4));
  if (moved == p) free(moved);
  at(MISUSE);
  free(p);
  return handed_out(size + MORE, NULL, 0);
}

// What is behind the new end after realloc made it much smaller.
static verdict_t write_after_shrink(size_t size) {
  char* p = large(size);
  char* shrunk = hide(realloc(p, (size + MORE) / 4));
  at(MISUSE);
  poke(p, (ptrdiff_t)(size + MORE) - 1, 'L');
  return settle(shrunk, size + MORE);
}

static const kind_t kinds[] = {
  {"read-after-free", read_after_free, "the whole block is read right after free", 0},
  {"read-last-after-free", read_last_after_free, "the last byte is read right after free", 0},
  {"write-after-free", write_after_free, "the first byte is written right after free", 0},
  {"write-last-after-free", write_last_after_free, "the last byte is written right after free", 0},
  {"read-after-free-late", read_after_free_late, "read after other large blocks came and went", 0},
  {"freed-twice", freed_twice, "free(p); free(p)", 0},
  {"reused-at-once", reused_at_once, "the next block of the size has the same address", 0},
  {"stale-in-next", stale_in_next, "a secret of the freed block in the next one", 0},
  {"free-second-page", free_second_page, "free(p + 4096)", 0},
  {"free-second-64k", free_second_64k, "free(p + 65536)", 0},
  {"free-last-page", free_last_page, "an address in the last whole page of the block", 0},
  {"overflow-16", overflow_16, "16 bytes past the end", 0},
  {"overflow-17", overflow_17, "17 bytes past the end", 0},
  {"overflow-page", overflow_page, "4 KiB past the end", 0},
  {"read-past-16", read_past_16, "17 bytes past the end are read", 0},
  {"read-past-page", read_past_page, "4097 bytes past the end are read", 0},
  {"write-page-before", write_page_before, "4 KiB before the block, downwards", 0},
  {"write-64k-before", write_64k_before, "64 KiB before the block, downwards", 0},
  {"read-after-move", read_after_move, "the old block is read after realloc moved it", 0},
  {"free-after-move", free_after_move, "the old block is freed after realloc moved it", 0},
  {"write-after-shrink", write_after_shrink, "the last byte, after realloc to a quarter", 0},
};
const group_t large_group = {"large", KINDS(kinds)};
