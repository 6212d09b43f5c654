// Misuse of first-class heaps, and of the mi_ functions, where the allocator has them.
#define _GNU_SOURCE
#include "misuse.h"

typedef void heap_t;

static struct {
  heap_t* (*new_heap)(void);
  void (*destroy)(heap_t*);
  void (*delete)(heap_t*);
  void* (*allocate)(heap_t*, size_t);
  void (*free)(void*);
  void* (*malloc)(size_t);
} mi;

#define FIND(field, name) (mi.field = (__typeof__(mi.field))find_function(name))

static bool has_heaps(void) {
  return FIND(new_heap, "mi_heap_new") && FIND(destroy, "mi_heap_destroy") && FIND(delete, "mi_heap_delete") &&
         FIND(allocate, "mi_heap_malloc") && FIND(free, "mi_free") && FIND(malloc, "mi_malloc");
}

static heap_t* heap;

static void* get_in_heap(size_t size) {
  return mi.allocate(heap, size);
}

// A heap with a crowd in it; returns the block in the middle.
static char* heap_with_crowd(size_t size) {
  heap = mi.new_heap();
  return heap == NULL ? NULL : crowd_with(get_in_heap, size);
}

// All blocks of the heap are gone with it: the crowd must not be taken for live blocks.
static void destroy_heap(void) {
  mi.destroy(heap);
  while (crowd_take() != NULL) continue;
}

static verdict_t freed_after_destroy(size_t size) {
  if (!has_heaps()) return NOT_HERE;
  void* p = heap_with_crowd(size);
  destroy_heap();
  at(MISUSE);
  mi.free(p);
  return handed_out(size, NULL, 0);
}

static verdict_t freed_by_free_after_destroy(size_t size) {
  if (!has_heaps()) return NOT_HERE;
  void* p = heap_with_crowd(size);
  destroy_heap();
  at(MISUSE);
  free(p);
  return handed_out(size, NULL, 0);
}

static verdict_t destroyed_twice(size_t size) {
  if (!has_heaps()) return NOT_HERE;
  heap_with_crowd(size);
  destroy_heap();
  about(heap, 1);
  at(MISUSE);
  mi.destroy(heap);
  return handed_out(size, NULL, 0);
}

static verdict_t deleted_twice(size_t size) {
  if (!has_heaps()) return NOT_HERE;
  heap_with_crowd(size);
  mi.delete(heap);
  about(heap, 1);
  at(MISUSE);
  mi.delete(heap);
  return handed_out(size, NULL, 0);
}

static verdict_t allocates_after_destroy(size_t size) {
  if (!has_heaps()) return NOT_HERE;
  heap_with_crowd(size);
  destroy_heap();
  about(heap, 1);
  at(MISUSE);
  void* p = hide(mi.allocate(heap, size));
  if (p == NULL) return PREVENTED;
  return handed_out(size, p, size) == MISSED ? MISSED : IGNORED;
}

static verdict_t read_after_destroy(size_t size) {
  if (!has_heaps()) return NOT_HERE;
  char* p = heap_with_crowd(size);
  fill(p, size);
  destroy_heap();
  at(MISUSE);
  return leaked(p, size);
}

static verdict_t stale_after_destroy(size_t size) {
  if (!has_heaps()) return NOT_HERE;
  char* p = heap_with_crowd(size);
  for (; p != NULL; p = crowd_take()) fill(p, size);
  destroy_heap();
  at(MISUSE);
  for (int i = 0; i < 200 && i * size < 24 << 20; i++) {
    char* q = get(size);
    for (size_t k = 0; k < size; k++) {
      if (peek(q, (ptrdiff_t)k) == SECRET) return MISSED;
    }
  }
  return PREVENTED;
}

static verdict_t write_after_destroy(size_t size) {
  if (!has_heaps()) return NOT_HERE;
  char* p = heap_with_crowd(size);
  destroy_heap();
  at(MISUSE);
  poke(p, (ptrdiff_t)size / 2, 'W');
  at(REUSE);
  for (int i = 0; i < 2000 && i * size < 24 << 20; i++) {
    char* q = get(size);
    if (q <= p && p < q + size && peek(p, (ptrdiff_t)size / 2) == 'W') return MISSED;
  }
  return IGNORED;
}

static verdict_t freed_after_delete_twice(size_t size) {
  if (!has_heaps()) return NOT_HERE;
  void* p = heap_with_crowd(size);
  mi.delete(heap);
  mi.free(p);
  at(MISUSE);
  mi.free(p);
  return handed_out(size, NULL, 0);
}

static verdict_t overflow_in_heap(size_t size) {
  if (!has_heaps()) return NOT_HERE;
  char* p = heap_with_crowd(size);
  at(MISUSE);
  poke(p, (ptrdiff_t)size, 0);
  return settle(p, size);
}

static verdict_t mi_free_twice(size_t size) {
  if (!has_heaps()) return NOT_HERE;
  void* p = crowd_with(mi.malloc, size);
  mi.free(p);
  at(MISUSE);
  mi.free(p);
  return handed_out(size, NULL, 0);
}

static verdict_t mi_free_interior(size_t size) {
  if (!has_heaps()) return NOT_HERE;
  char* p = crowd_with(mi.malloc, size);
  memset(p, 0, size);
  at(MISUSE);
  mi.free(hide(p + 16));
  return handed_out(size, p, size);
}

static verdict_t mi_free_foreign(size_t size) {
  if (!has_heaps()) return NOT_HERE;
  mi.free(mi.malloc(size));
  about(elsewhere + 4096, 1);
  at(MISUSE);
  mi.free(elsewhere + 4096);
  return handed_out(size, elsewhere, ELSEWHERE_SIZE);
}

// mi_expand never moves a block: of a freed one it must not say that it grew.
static verdict_t mi_expand_freed(size_t size) {
  void* (*expand)(void*, size_t) = (void* (*)(void*, size_t))find_function("mi_expand");
  if (!has_heaps() || expand == NULL) return NOT_HERE;
  void* p = crowd_with(mi.malloc, size);
  mi.free(p);
  at(MISUSE);
  return expand(p, size) == NULL ? PREVENTED : MISSED;
}

static const kind_t kinds[] = {
  {"freed-after-destroy", freed_after_destroy, "mi_free of a block of a destroyed heap", 0},
  {"free-after-destroy", freed_by_free_after_destroy, "free of a block of a destroyed heap", 0},
  {"destroyed-twice", destroyed_twice, "mi_heap_destroy, twice", 0},
  {"deleted-twice", deleted_twice, "mi_heap_delete, twice", 0},
  {"allocates-after-destroy", allocates_after_destroy, "mi_heap_malloc in a destroyed heap", 1},
  {"read-after-destroy", read_after_destroy, "a block of a destroyed heap is read", 1},
  {"stale-after-destroy", stale_after_destroy, "secrets of a destroyed heap in new blocks", 1},
  {"write-after-destroy", write_after_destroy, "a block of a destroyed heap is written", 1},
  {"freed-after-delete-twice", freed_after_delete_twice, "a block of a deleted heap is freed twice", 0},
  {"overflow", overflow_in_heap, "p[n] = 0 in a block of a heap", 0},
  {"mi-free-twice", mi_free_twice, "mi_free(p), twice", 0},
  {"mi-free-interior", mi_free_interior, "mi_free(p + 16)", 17},
  {"mi-free-foreign", mi_free_foreign, "mi_free of a global array", 0},
  {"mi-expand-freed", mi_expand_freed, "mi_expand of a freed block", 1},
};
const group_t heap_group = {"heap", KINDS(kinds)};
