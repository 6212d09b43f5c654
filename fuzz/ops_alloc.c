// Operations on single blocks and piles: allocation, freeing, reallocation and questions, by every function of the
// interface that does it. All of them are legal uses; what the functions promise is checked on the way.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "model.h"

// ---- allocation -----------------------------------------------------------------------------------------------------

// An empty slot, locked, for `size` bytes; NULL: taken, in use, or the model is full.
static slot_t* slot_empty(const op_t* op, size_t size) {
  if (!model_room(size)) return NULL;
  slot_t* slot = slot_take(op->slot);
  if (slot == NULL || slot->block.p == NULL) return slot;
  slot_give(slot);
  return NULL;
}

static slot_t* slot_full(uint8_t number) {
  slot_t* slot = slot_take(number);
  if (slot == NULL || slot->block.p != NULL) return slot;
  slot_give(slot);
  return NULL;
}

// Where blocks of the operation go, as far as the model knows it.
static mi_heap_t* heap_known(mi_heap_t* heap) {
  return model.target == FOR_THREADS ? NULL : heap;
}

bool may_fail(unsigned index) {
  return me->bound[index] || model.lax;
}

void check_errno(void) {
  must(errno == ENOMEM, "errno is %d after a request for which there was no memory", errno);
}

static void born(slot_t* slot, block_t block, bool zero, bool failure_is_fine) {
  if (block.p != NULL || !failure_is_fine) {
    block.heap = heap_known(block.heap);
    block_born(slot, block, zero);
  } else {
    check_errno();
  }
  slot_give(slot);
}

static void check_told(const void* p, size_t told) {
  if (p != NULL) must(told == mi_usable_size(p), "the block size stored is %zu, the usable size %zu", told, mi_usable_size(p));
  if (p == NULL) must(told == 0, "the block size stored after a failure is %zu", told);
}

// Splits a size into a product, as calloc wants it.
static size_t factor_of(size_t size, uint8_t wanted) {
  size_t factor = wanted % 16u + 1u;
  return size % factor == 0 ? factor : 1;
}

void op_alloc(const op_t* op) {
  size_t size = size_of_code(op->a, op->b);
  slot_t* slot = slot_empty(op, size);
  if (slot == NULL) return;
  block_t block = {.size = size, .heap = heap_now()};
  size_t count = factor_of(size, op->d), told = 0;
  switch (op->c % 6) {
    case 0:
    case 1: block.p = mi_malloc(size); break;
    case 2: block.p = mi_mallocn(count, size / count); break;
    case 3: block.p = size <= MI_SMALL_SIZE_MAX ? mi_malloc_small(size) : mi_malloc(size); break;
    case 4:
      block.p = mi_umalloc(size, &told);
      check_told(block.p, told);
      break;
    default:
      block.p = size <= MI_SMALL_SIZE_MAX ? mi_umalloc_small(size, &told) : mi_umalloc(size, &told);
      check_told(block.p, told);
      break;
  }
  bool bound = may_fail((unsigned)me->default_heap);
  if (block.p != NULL && !mi_is_secure() && size > 0) {
    must(mi_good_size(size) >= size, "mi_good_size(%zu) is less", size);
    must(mi_usable_size(block.p) <= mi_good_size(size), "the usable size is above mi_good_size(%zu)", size);
  }
  born(slot, block, false, bound);
}

void op_alloc_zero(const op_t* op) {
  size_t size = size_of_code(op->a, op->b);
  slot_t* slot = slot_empty(op, size);
  if (slot == NULL) return;
  block_t block = {.size = size, .heap = heap_now()};
  size_t count = factor_of(size, op->d), told = 0;
  switch (op->c % 5) {
    case 0: block.p = mi_zalloc(size); break;
    case 1: block.p = mi_calloc(count, size / count); break;
    case 2: block.p = size <= MI_SMALL_SIZE_MAX ? mi_zalloc_small(size) : mi_zalloc(size); break;
    case 3:
      block.p = mi_ucalloc(count, size / count, &told);
      check_told(block.p, told);
      break;
    default:
      block.p = size <= MI_SMALL_SIZE_MAX ? mi_uzalloc_small(size, &told) : mi_rezalloc(NULL, size);
      break;
  }
  born(slot, block, true, may_fail((unsigned)me->default_heap));
}

void op_alloc_aligned(const op_t* op) {
  size_t size = size_of_code(op->a, op->b), align = align_of_code(op->d);
  slot_t* slot = slot_empty(op, size + align);
  if (slot == NULL) return;
  block_t block = {.size = size, .align = align, .heap = heap_now()};
  size_t count = factor_of(size, op->c >> 4), told = 0;
  bool zero = false;
  int error = 0;
  void* p = NULL;
  switch (op->c % 11) {
    case 0: block.p = mi_malloc_aligned(size, align); break;
    case 1: zero = true, block.p = mi_zalloc_aligned(size, align); break;
    case 2: zero = true, block.p = mi_calloc_aligned(count, size / count, align); break;
    case 3:
      error = mi_posix_memalign(&p, align, size);
      must((error == EINVAL) == (align < sizeof(void*)) || error == ENOMEM, "mi_posix_memalign(%zu): %d", align, error);
      if (error != 0) errno = ENOMEM;
      block.p = p;
      break;
    case 4: block.p = mi_memalign(align, size); break;
    case 5: block.p = mi_aligned_alloc(align, size); break;
    case 6: block.align = 4096, block.p = mi_valloc(size); break;
    case 7: block.align = 4096, block.size = (size + 4095) & ~(size_t)4095, block.p = mi_pvalloc(size); break;
    case 8: block.p = mi_umalloc_aligned(size, align, &told), check_told(block.p, told); break;
    case 9: zero = true, block.p = mi_uzalloc_aligned(size, align, &told), check_told(block.p, told); break;
    default: block.p = mi_realloc_aligned(NULL, size, align); break;
  }
  born(slot, block, zero, may_fail((unsigned)me->default_heap) || error == EINVAL);
}

void op_alloc_offset(const op_t* op) {
  size_t size = size_of_code(op->a, op->b), align = align_of_code(op->d);
  slot_t* slot = slot_empty(op, size + align);
  if (slot == NULL) return;
  size_t offset = size == 0 ? 0 : (size_t)(op->c >> 2) * 7u % size;
  block_t block = {.size = size, .align = align, .offset = offset, .heap = heap_now()};
  bool zero = op->c % 4 >= 2;
  switch (op->c % 4) {
    case 0: block.p = mi_malloc_aligned_at(size, align, offset); break;
    case 1: block.p = mi_realloc_aligned_at(NULL, size, align, offset); break;
    case 2: block.p = mi_zalloc_aligned_at(size, align, offset); break;
    default: block.p = mi_calloc_aligned_at(1, size, align, offset); break;
  }
  born(slot, block, zero, may_fail((unsigned)me->default_heap));
}

void op_alloc_new(const op_t* op) {
  size_t size = size_of_code(op->a, op->b), align = align_of_code(op->d);
  slot_t* slot = slot_empty(op, size + align);
  if (slot == NULL) return;
  block_t block = {.size = size, .heap = heap_now(), .family = MI_FAMILY_NEW};
  bool bound = may_fail((unsigned)me->default_heap);
  unsigned form = op->c % 10;
  if (bound) form = form / 2 * 2;  // those that throw end the process where there is no C++ library
  if (form >= 5) block.family = MI_FAMILY_NEW_ARRAY;
  switch (form) {
    case 0: block.p = mi_new_nothrow(size); break;
    case 1: block.p = mi_new(size); break;
    case 2: block.align = align, block.p = mi_new_aligned_nothrow(size, align); break;
    case 3: block.align = align, block.p = mi_new_aligned(size, align); break;
    case 4: block.p = bound ? mi_new_nothrow(size) : mi_new_n(1, size); break;
    case 5: block.p = mi_new_array(size); break;
    case 6: block.p = mi_new_array_nothrow(size); break;
    case 7: block.align = align, block.p = mi_new_array_aligned(size, align); break;
    case 8: block.align = align, block.p = mi_new_array_aligned_nothrow(size, align); break;
    default: block.p = mi_new_array(size); break;
  }
  born(slot, block, false, bound);
}

void op_alloc_heap(const op_t* op) {
  size_t size = size_of_code(op->a, op->b);
  unsigned index = op->d % HEAPS;
  mi_heap_t* heap = me->heaps[index];
  slot_t* slot = heap == NULL ? NULL : slot_empty(op, size);
  if (slot == NULL) return;
  block_t block = {.size = size, .heap = heap};
  size_t count = factor_of(size, op->c >> 4);
  bool zero = false, small = size <= MI_SMALL_SIZE_MAX;
  errno = ENOMEM;
  switch (op->c % 8) {
    case 0: block.p = mi_heap_malloc(heap, size); break;
    case 1: zero = true, block.p = mi_heap_zalloc(heap, size); break;
    case 2: zero = true, block.p = mi_heap_calloc(heap, count, size / count); break;
    case 3: block.p = mi_heap_mallocn(heap, count, size / count); break;
    case 4: block.p = small ? mi_heap_malloc_small(heap, size) : mi_heap_malloc(heap, size); break;
    case 5: zero = true, block.p = small ? mi_heap_zalloc_small(heap, size) : mi_heap_zalloc(heap, size); break;
    case 6:
      if (may_fail(index)) break;  // they throw
      block.family = MI_FAMILY_NEW;
      block.p = mi_heap_alloc_new(heap, size);
      break;
    default:
      if (may_fail(index)) break;
      block.family = MI_FAMILY_NEW;
      block.p = mi_heap_alloc_new_n(heap, count, size / count);
      break;
  }
  born(slot, block, zero, may_fail(index));
}

void op_alloc_heap_aligned(const op_t* op) {
  size_t size = size_of_code(op->a, op->b), align = align_of_code(op->d >> 2);
  unsigned index = op->d % HEAPS;
  mi_heap_t* heap = me->heaps[index];
  slot_t* slot = heap == NULL ? NULL : slot_empty(op, size + align);
  if (slot == NULL) return;
  size_t offset = size == 0 ? 0 : (size_t)(op->c >> 3) * 16u % size;
  block_t block = {.size = size, .align = align, .heap = heap};
  bool zero = op->c % 6 >= 2;
  if (op->c % 2 == 1) block.offset = offset;
  switch (op->c % 6) {
    case 0: block.p = mi_heap_malloc_aligned(heap, size, align); break;
    case 1: block.p = mi_heap_malloc_aligned_at(heap, size, align, offset); break;
    case 2: block.p = mi_heap_zalloc_aligned(heap, size, align); break;
    case 3: block.p = mi_heap_zalloc_aligned_at(heap, size, align, offset); break;
    case 4: block.p = mi_heap_calloc_aligned(heap, 1, size, align); break;
    default: block.p = mi_heap_calloc_aligned_at(heap, 1, size, align, offset); break;
  }
  born(slot, block, zero, may_fail(index));
}

void op_alloc_text(const op_t* op) {
  static const char text[] = "a text of some length, to be copied once more by functions that copy texts for others";
  size_t from = op->a % sizeof(text), most = op->b % 100;
  const char* source = text + from;
  slot_t* slot = slot_empty(op, 512);
  if (slot == NULL) return;
  mi_heap_t* heap = me->heaps[op->d % HEAPS];
  wchar_t wide[] = L"wide";
  bool in_heap = op->c % 8 >= 4 && heap != NULL;
  block_t block = {.heap = in_heap ? heap : heap_now()};
  size_t length = strlen(source);
  switch (op->c % 8) {
    case 0: block.p = (uint8_t*)mi_strdup(source); break;
    case 1: block.p = (uint8_t*)mi_strndup(source, most), length = length < most ? length : most; break;
    case 2: block.p = mi_mbsdup((const unsigned char*)source); break;
    case 3: block.p = (uint8_t*)mi_wcsdup(wide), length = sizeof(wide) - 1; break;
    case 4: block.p = (uint8_t*)(in_heap ? mi_heap_strdup(heap, source) : mi_strdup(source)); break;
    case 5:
      block.p = (uint8_t*)(in_heap ? mi_heap_strndup(heap, source, most) : mi_strndup(source, most));
      length = length < most ? length : most;
      break;
    case 6: block.p = (uint8_t*)mi_realpath("/", NULL), block.heap = heap_now(), source = "/", length = 1; break;
    default:
      block.p = (uint8_t*)(in_heap ? mi_heap_realpath(heap, "/", NULL) : mi_realpath("/", NULL));
      source = "/", length = 1;
      break;
  }
  block.size = length + 1;
  if (block.p != NULL && op->c % 8 != 3) {
    must(memcmp(block.p, source, length) == 0 && block.p[length] == 0, "a copied text of %zu differs", length);
  }
  born(slot, block, false, may_fail((unsigned)me->default_heap) || in_heap);
}

// ---- what cannot be met ---------------------------------------------------------------------------------------------

static size_t impossible_size(uint8_t which) {
  static const size_t sizes[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX, SIZE_MAX - 15, SIZE_MAX - 4096, (size_t)PTRDIFF_MAX,
                                 (size_t)1 << 62, SIZE_MAX - 65536, (size_t)PTRDIFF_MAX - 15};
  return sizes[which % 8];
}

static void fails(const void* p, int wanted) {
  must(p == NULL, "a request that cannot be met gave %p", p);
  must(errno == wanted, "a request that cannot be met set errno to %d, not %d", errno, wanted);
}

void op_alloc_impossible(const op_t* op) {
  size_t size = impossible_size(op->a);
  static const size_t bad_aligns[] = {0, 3, 24, 4095, SIZE_MAX, 48, 6, 1025};
  size_t bad = bad_aligns[op->b % 8], align = align_of_code(op->d);
  slot_t* slot = slot_take(op->slot);
  if (slot == NULL) return;
  void* p = slot->block.p;
  void* q = NULL;
  volatile size_t sixteenth = (SIZE_MAX >> 4) + 1;  // volatile: compilers warn of such products
  size_t around = sixteenth;
  errno = 0;
  switch (op->c % 20) {
    case 0: fails(mi_malloc(size), ENOMEM); break;
    case 1: fails(mi_zalloc(size), ENOMEM); break;
    case 2: fails(mi_calloc(size / 2, 5), ENOMEM); break;
    case 3:
      fails(mi_mallocn(5, size / 2), ENOMEM);
      // Products that are small once they have wrapped round.
      fails(mi_calloc(around + 1, 16), ENOMEM);
      fails(mi_mallocn(around + op->d, 16), ENOMEM);
      fails(mi_reallocn(p, around + 1, 32), ENOMEM);
      fails(mi_recalloc(p, around + 2, 64), ENOMEM);
      break;
    case 4: fails(mi_realloc(p, size), ENOMEM); break;
    case 5: fails(mi_reallocn(p, size / 2, 5), ENOMEM); break;
    case 6: fails(mi_rezalloc(p, size), ENOMEM); break;
    case 7: fails(mi_recalloc(p, 7, size / 2), ENOMEM); break;
    case 8: fails(mi_malloc_aligned(size, align), ENOMEM); break;
    case 9: fails(mi_malloc_aligned(64, bad), EINVAL); break;
    case 10: fails(mi_realloc_aligned(p, 64, bad), EINVAL); break;
    case 11: fails(mi_malloc_aligned_at(64, bad, 16), EINVAL); break;
    case 12: fails(mi_malloc_aligned(64, (size_t)1 << (60 + op->d % 3)), ENOMEM); break;
    case 13: must(mi_posix_memalign(&q, bad, 64) == EINVAL && q == NULL, "mi_posix_memalign(%zu) is met", bad); break;
    case 14: must(mi_posix_memalign(&q, 64, size) == ENOMEM && q == NULL, "mi_posix_memalign of %zu is met", size); break;
    case 15: must(mi_reallocarr(&p, size / 2, 9) == ENOMEM && p == slot->block.p, "mi_reallocarr is met"); break;
    case 16: fails(mi_new_nothrow(size), ENOMEM); break;
    case 17: must(mi_expand(p, size) == NULL, "mi_expand to %zu is met", size); break;
    case 18: fails(mi_heap_malloc(heap_now(), size), ENOMEM); break;
    default: fails(mi_pvalloc(size), ENOMEM); break;
  }
  if (slot->block.p != NULL) contents_check(slot->block.p, &slot->block, slot->block.size);
  slot_give(slot);
}

// ---- freeing --------------------------------------------------------------------------------------------------------

static void delete_by(const block_t* block, uint8_t how) {
  bool array = block->family == MI_FAMILY_NEW_ARRAY;
  unsigned form = how % 2u + (block->align != 0 && block->offset == 0 ? 2u : 0u);
  switch (form) {
    case 0: array ? mi_delete_array(block->p) : mi_delete(block->p); break;
    case 1: array ? mi_delete_array_size(block->p, block->size) : mi_delete_size(block->p, block->size); break;
    case 2: array ? mi_delete_array_aligned(block->p, block->align) : mi_delete_aligned(block->p, block->align); break;
    default:
      array ? mi_delete_array_size_aligned(block->p, block->size, block->align)
            : mi_delete_size_aligned(block->p, block->size, block->align);
      break;
  }
}

void free_by(slot_t* slot, uint8_t how, uint8_t more) {
  block_dies(slot);
  const block_t* block = &slot->block;
  bool aligned = block->align != 0 && block->offset == 0;
  size_t usable = mi_usable_size(block->p), told = 0;
  switch (how % 8) {
    case 1: mi_free_size(block->p, block->size); break;
    case 2: aligned ? mi_free_aligned(block->p, block->align) : mi_free(block->p); break;
    case 3: aligned ? mi_free_size_aligned(block->p, block->size, block->align) : mi_free_size(block->p, block->size); break;
    case 4: block->size <= MI_SMALL_SIZE_MAX ? mi_free_small(block->p) : mi_free(block->p); break;
    case 5: mi_cfree(block->p); break;
    case 6:
      mi_ufree(block->p, &told);
      must(told == usable, "mi_ufree stores %zu, the usable size was %zu", told, usable);
      break;
    case 7:
      if (block->family != MI_FAMILY_MALLOC) {
        delete_by(block, more);
        break;
      }
      mi_free(block->p);
      break;
    default: mi_free(block->p); break;
  }
  block_bury(slot);
}

void op_free(const op_t* op) {
  slot_t* slot = slot_full(op->slot);
  if (slot == NULL) return;
  free_by(slot, op->c, op->d);
  slot_give(slot);
}

void op_free_all(const op_t* op) {
  for (unsigned i = 0; i <= op->a % SLOTS; i++) {
    slot_t* slot = slot_full((uint8_t)(op->slot + i));
    if (slot == NULL) continue;
    free_by(slot, op->c, op->d);
    slot_give(slot);
  }
}

// ---- reallocation ---------------------------------------------------------------------------------------------------

// The block of the slot has become `p` of `size` bytes.
static void moved(slot_t* slot, uint8_t* p, size_t size, mi_heap_t* heap, bool zero) {
  block_t old = slot->block;
  contents_check(p, &old, size);
  if (zero && old.zeroed && size > old.size) zero_check(p + old.size, size - old.size, "grown by zeroes");
  if (p != old.p) {
    block_bury(slot);
    slot->block = old;
    slot->block.p = p;
    slot->block.heap = heap_known(heap);
    slot->block.family = MI_FAMILY_MALLOC;
  } else {
    atomic_fetch_sub_explicit(&model.live_bytes, old.size, memory_order_relaxed);
  }
  atomic_fetch_add_explicit(&model.live_bytes, size, memory_order_relaxed);
  slot->block.size = size;
  slot->block.zeroed = zero && old.zeroed;
  block_check(&slot->block);
  block_fill(&slot->block);
}

// After a reallocation that may have failed for want of memory: then nothing has changed.
static void resized(slot_t* slot, uint8_t* p, size_t size, mi_heap_t* heap, bool zero, bool failure_is_fine) {
  if (p == NULL) {
    must(failure_is_fine, "no memory to reallocate to %zu bytes", size);
    check_errno();
    contents_check(slot->block.p, &slot->block, slot->block.size);
  } else {
    moved(slot, p, size, heap, zero);
  }
  slot_give(slot);
}

// A reallocation that knows of no alignment keeps none.
static void forget_alignment(slot_t* slot) {
  slot->block.align = slot->block.offset = 0;
}

static slot_t* slot_to_resize(const op_t* op, size_t size) {
  return model_room(size) ? slot_full(op->slot) : NULL;
}

void op_realloc(const op_t* op) {
  size_t size = size_of_code(op->a, op->b);
  slot_t* slot = slot_to_resize(op, size);
  if (slot == NULL) return;
  bool bound = may_fail((unsigned)me->default_heap);
  uint8_t* p = slot->block.p;
  void* moving = p;
  size_t count = factor_of(size, op->d), before = mi_usable_size(p), pre = 0, post = 0;
  bool is_new = slot->block.family == MI_FAMILY_NEW;
  uint8_t family = MI_FAMILY_MALLOC;
  forget_alignment(slot);
  switch (op->c % 8) {
    case 0:
    case 1: p = mi_realloc(p, size); break;
    case 2: p = mi_reallocn(p, count, size / count); break;
    case 3: p = bound ? mi_realloc(p, size) : mi_reallocf(p, size); break;
    case 4: p = mi_reallocarray(p, count, size / count); break;
    case 5: p = mi_reallocarr(&moving, count, size / count) == 0 ? moving : NULL; break;
    case 6:
      p = mi_urealloc(p, size, &pre, &post);
      must(pre == before, "mi_urealloc stores %zu, the usable size was %zu", pre, before);
      check_told(p, post);
      break;
    default:
      if (!is_new || bound) {
        p = mi_realloc(p, size);
      } else {
        family = MI_FAMILY_NEW;
        p = op->d % 2 == 0 ? mi_new_realloc(p, size) : mi_new_reallocn(p, count, size / count);
      }
      break;
  }
  bool other = p != NULL && p != slot->block.p;
  mi_heap_t* heap = heap_now();
  if (p != NULL) moved(slot, p, size, heap, false);
  if (other) slot->block.family = family;
  if (p == NULL) must(bound, "no memory to reallocate to %zu bytes", size);
  slot_give(slot);
}

void op_realloc_zero(const op_t* op) {
  size_t size = size_of_code(op->a, op->b);
  slot_t* slot = slot_to_resize(op, size);
  if (slot == NULL) return;
  uint8_t* p = slot->block.p;
  size_t count = factor_of(size, op->d), align = slot->block.align, offset = slot->block.offset;
  if (align != 0) {
    switch (op->c % 4) {
      case 0: p = mi_rezalloc_aligned_at(p, size, align, offset); break;
      case 1: p = mi_recalloc_aligned_at(p, count, size / count, align, offset); break;
      case 2: p = mi_aligned_offset_recalloc(p, count, size / count, align, offset); break;
      default: p = mi_heap_rezalloc_aligned_at(heap_now(), p, size, align, offset); break;
    }
  } else {
    switch (op->c % 4) {
      case 0: p = mi_rezalloc(p, size); break;
      case 1: p = mi_recalloc(p, count, size / count); break;
      case 2: p = mi_heap_rezalloc(heap_now(), p, size); break;
      default: p = mi_heap_recalloc(heap_now(), p, count, size / count); break;
    }
  }
  resized(slot, p, size, heap_now(), true, may_fail((unsigned)me->default_heap));
}

void op_realloc_aligned(const op_t* op) {
  size_t size = size_of_code(op->a, op->b), align = align_of_code(op->d);
  slot_t* slot = slot_to_resize(op, size + align);
  if (slot == NULL) return;
  uint8_t* p = slot->block.p;
  size_t offset = size == 0 ? 0 : (size_t)(op->c >> 3) * 16u % size;
  bool zero = op->c % 8 >= 4;
  if (op->c % 2 == 0) offset = 0;
  switch (op->c % 8) {
    case 0: p = mi_realloc_aligned(p, size, align); break;
    case 1: p = mi_realloc_aligned_at(p, size, align, offset); break;
    case 2: p = mi_heap_realloc_aligned(heap_now(), p, size, align); break;
    case 3: p = mi_heap_realloc_aligned_at(heap_now(), p, size, align, offset); break;
    case 4: p = mi_rezalloc_aligned(p, size, align); break;
    case 5: p = mi_rezalloc_aligned_at(p, size, align, offset); break;
    case 6: p = mi_heap_recalloc_aligned(heap_now(), p, 1, size, align); break;
    default: p = mi_heap_recalloc_aligned_at(heap_now(), p, 1, size, align, offset); break;
  }
  if (p != NULL) {
    slot->block.align = align;
    slot->block.offset = offset;
  }
  resized(slot, p, size, heap_now(), zero, may_fail((unsigned)me->default_heap));
}

void op_realloc_heap(const op_t* op) {
  size_t size = size_of_code(op->a, op->b);
  unsigned index = op->d % HEAPS;
  mi_heap_t* heap = me->heaps[index];
  slot_t* slot = heap == NULL ? NULL : slot_to_resize(op, size);
  if (slot == NULL) return;
  uint8_t* p = slot->block.p;
  forget_alignment(slot);
  switch (op->c % 3) {
    case 0: p = mi_heap_realloc(heap, p, size); break;
    case 1: p = mi_heap_reallocn(heap, p, 1, size); break;
    default: p = may_fail(index) ? mi_heap_realloc(heap, p, size) : mi_heap_reallocf(heap, p, size); break;
  }
  resized(slot, p, size, heap, false, may_fail(index));
}

void op_expand(const op_t* op) {
  slot_t* slot = slot_full(op->slot);
  if (slot == NULL) return;
  size_t size = (op->c & 2) ? slot->block.size + op->a % 32u : size_of_code(op->a, op->b);
  uint8_t* p = op->c % 2 == 0 ? mi_expand(slot->block.p, size) : mi__expand(slot->block.p, size);
  must(p == NULL || p == slot->block.p, "mi_expand moved %p to %p", (void*)slot->block.p, (void*)p);
  if (p != NULL && size > 0) moved(slot, p, size, NULL, false);
  if (p != NULL && size == 0) moved(slot, p, mi_is_secure() ? mi_usable_size(p) : 0, NULL, false);
  if (p == NULL) contents_check(slot->block.p, &slot->block, slot->block.size);
  slot_give(slot);
}

void op_touch(const op_t* op) {
  slot_t* slot = slot_full(op->slot);
  if (slot == NULL) return;
  contents_check(slot->block.p, &slot->block, slot->block.size);
  block_fill(&slot->block);
  slot_give(slot);
}
