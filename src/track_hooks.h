// The hooks once more, each with what a tool is to know of it (see track.h). Included at the end of hooks.h, in builds
// with MI_TRACK only: the macros below stand in for the functions of both products, and call them.
//
// Arguments may be evaluated twice. Threads: as the hooks.
#ifndef MIM_TRACK_HOOKS_H
#define MIM_TRACK_HOOKS_H

mim_inline size_t track_room(const page_t* page) {
  return (page->kind & KIND_LARGE) ? page->large_size : page->block_size;
}

mim_inline void* track_handed(void* p, size_t size, bool zero) {
  if (p != NULL) track_made(p, size, zero);
  return p;
}

mim_inline size_t track_usable(page_t* page, const void* p, size_t room) {
  return (page->kind & KIND_LARGE) ? page->large_request : track_size(p, room);
}

mim_inline bool track_changed(page_t* page, void* p, size_t old_size, size_t new_size, bool zero, bool done) {
  if (!done) return false;
  track_resized(p, old_size, new_size, track_room(page));
  if (zero && new_size > old_size) track_defined((char*)p + old_size, new_size - old_size);
  if (page->kind & KIND_LARGE) page->large_request = new_size;
  return true;
}

// The blocks of a page that are dropped with their heap: a large one is freed before its page is.
static inline void track_discarded(page_t* page) {
  if (page->kind & KIND_LARGE) return;
  uint64_t free_map[(4096 + 64) / 64] = {0};
  TRACK_OFF();
  hook_block_states(page, free_map);
  TRACK_ON();
  for (size_t i = 1; i <= page->capacity; i++) {
    if (free_map[i / 64] >> (i % 64) & 1) continue;
    track_freed((void*)(page->origin + i * page->stride), page->block_size);
  }
}

#define TRACK_QUIET(call) \
  ({ \
    TRACK_OFF(); \
    __typeof__(call) quiet_result = (call); \
    TRACK_ON(); \
    quiet_result; \
  })
#define TRACK_QUIET_VOID(call) \
  do { \
    TRACK_OFF(); \
    call; \
    TRACK_ON(); \
  } while (0)

// A macro does not expand in itself.
#if MIM_TRACK_VALGRIND
#define hook_region_hint(size) NULL  // where it keeps books cheaply
#endif
#define hook_pop(page) TRACK_QUIET(hook_pop(page))
#define hook_push(page, ref) TRACK_QUIET_VOID(hook_push(page, ref))
#define hook_extend(page, tld, first, count) TRACK_QUIET_VOID(hook_extend(page, tld, first, count))
#define hook_collect(page, tld) TRACK_QUIET(hook_collect(page, tld))
#define hook_deliver(page, p) TRACK_QUIET(hook_deliver(page, p))
#define hook_check_claim(page, p, size, align) TRACK_QUIET(hook_check_claim(page, p, size, align))
#define hook_hold(page) TRACK_QUIET(hook_hold(page))
#define hook_check_live(page, p, family) TRACK_QUIET(hook_check_live(page, p, family))
#define hook_block_states(page, free_map) TRACK_QUIET(hook_block_states(page, free_map))
#define hook_hand_out(page, ref, size, family, zero) \
  track_handed(TRACK_QUIET(hook_hand_out(page, ref, size, family, zero)), size, zero)
#define hook_hand_out_slow(page, ref, size, family, zero) \
  track_handed(TRACK_QUIET(hook_hand_out_slow(page, ref, size, family, zero)), size, zero)
#define TRACK_TAKEN(page, p, call) \
  ({ \
    __typeof__(call) taken = TRACK_QUIET(call); \
    if (taken) track_freed(p, track_room(page)); \
    taken; \
  })
#define hook_take_back(page, p, family) TRACK_TAKEN(page, p, hook_take_back(page, p, family))
#define hook_take_back_slow(page, p, family) TRACK_TAKEN(page, p, hook_take_back_slow(page, p, family))
#define hook_take_back_remote(page, p, family) TRACK_TAKEN(page, p, hook_take_back_remote(page, p, family))
#define hook_take_back_remote_quick(page, p, family) TRACK_TAKEN(page, p, hook_take_back_remote_quick(page, p, family))
#define hook_page_init(page, tld, side, fresh) \
  do { \
    TRACK_QUIET_VOID(hook_page_init(page, tld, side, fresh)); \
    track_none(mim_page_start(page), (size_t)(page)->slices << SLICE_SHIFT); \
  } while (0)
#define hook_large_out(page, tld, size, family) \
  do { \
    TRACK_QUIET_VOID(hook_large_out(page, tld, size, family)); \
    track_none(mim_page_start(page), (size_t)(page)->slices << SLICE_SHIFT); \
    track_made(mim_page_large_block(page), size, false); \
  } while (0)
#define hook_page_done(page, discard, zero) \
  ({ \
    if (discard) track_discarded(page); \
    TRACK_QUIET(hook_page_done(page, discard, zero)); \
  })
#if MIM_SECURE
#define hook_usable(page, p) TRACK_QUIET(hook_usable(page, p))
#else
#define hook_usable(page, p) track_usable(page, p, hook_usable(page, p))
#endif
#define hook_resize(page, p, old_size, new_size, zero) \
  track_changed(page, p, old_size, new_size, zero, TRACK_QUIET(hook_resize(page, p, old_size, new_size, zero)))

#endif
