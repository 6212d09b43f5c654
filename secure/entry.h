// States and the magazine: the out-of-line half of a page.
//
//   side array of a page, in the metadata reservation:
//   +---------------------------+--------------------------------------------------+
//   | magazine: 64..79 indices  | entries: state of index 0, 1, 2 ... (16 bits)    |
//   +---------------------------+--------------------------------------------------+
//                               ^ page->hook.entries
//
// The state of a block is the only authority on it: a block may be freed if, and only if, its state says live. Index 0
// and the indices behind the last block (down to the end of the page's slices) stay NEVER, so every address inside a
// page has a state and no bounds check is needed.
//
// The magazine holds 64 free blocks, or up to 15 more, in random order; page->free is how many are left. Freeing only
// sets the state; when the magazine is empty, sec_refill collects free blocks from the states, beginning at a random one,
// and shuffles them. There are no links, so nothing in a freed block, and no list in the metadata, says which block comes
// next.
//
// Stops: double frees, frees of what was never handed out, in every order and from any thread, always.
// Encryption: states and the magazine are XORed with a key of the page, new each time the page is made, so that reading
// or overwriting a part of the metadata does not tell, or choose, the next block.
// Does not stop: a second free of a block that was handed out again in between; that is a valid free of the new block.
// Whoever reads the metadata of a page reads its key as well.
// Costs: 2 bytes a block, 160 bytes a page; see docs/mechanisms/entry.md.
#ifndef SEC_ENTRY_H
#define SEC_ENTRY_H

#include "secure_types.h"

#define MAGAZINE_SIZE 64
#define MAGAZINE_ROOM (MAGAZINE_SIZE + 16)
#define STATES_SPARE 18

// The layer's bits of page->kind.
enum {
  KIND_QUICK_BACK = 2, // KIND_QUICK, and its blocks are free as soon as their owner takes them back
  KIND_BARE = 4,       // nothing but states is kept, as in profile `fast`: the fast paths know these too
  KIND_FENCE = 8,
  KIND_WIPE = 16,
  KIND_DENSE = 32,     // fenced blocks lie end to end, so the byte before one is the last of another
  KIND_SAMPLED = 64,   // KIND_LARGE: a sampled guarded block
  KIND_QUICK = 128,    // fenced, dense, wiped and small: the pages that the fast paths are made for
};

// Decoded states. Live: 1 ffs ssss ssss ssss: two bits of family, 13 bits of slack.
enum {
  STATE_FREE = 0x0000,      // was handed out before
  STATE_FRESH = 0x0001,     // never handed out since the OS gave its memory
  STATE_NEVER = 0x1000,     // not a block yet, or never one
  STATE_MAILED = 0x2000,    // taken back by another thread, on its way to the owner
  STATE_HELD = 0x3000,      // a freed large block that is kept out of use (hold.c)
  STATE_QUARANTINED = 0x4000,
  STATE_RELEASED = 0x5000,  // out of quarantine, on its way to the owner
  STATE_LIVE = 0x8000,
};
#define STATE_FAMILY_SHIFT 13
#define STATE_FAMILY_MASK 0x6000u
#define STATE_SLACK_MASK 0x1FFFu
#define SLACK_MAX ((size_t)STATE_SLACK_MASK)

mim_inline uint16_t state_live(family_t family, size_t slack) {
  return (uint16_t)(STATE_LIVE | ((unsigned)family << STATE_FAMILY_SHIFT) | (unsigned)slack);
}

mim_inline bool state_is_live(uint16_t state) {
  return (state & STATE_LIVE) != 0;
}

mim_inline bool state_is_free(uint16_t state) {
  return (state & ~1u) == 0;
}

// Plain loads and stores for the owner; other threads exchange (invalid.c). Relaxed atomics cost nothing here and keep
// the race that a program's own double free makes well defined.
mim_inline uint16_t state_get(const page_t* page, uintptr_t index) {
  return (uint16_t)(__atomic_load_n(&page->hook.entries[index], __ATOMIC_RELAXED) ^ page->hook_key);
}

mim_inline void state_set(page_t* page, uintptr_t index, uint16_t state) {
  __atomic_store_n(&page->hook.entries[index], (uint16_t)(state ^ page->hook_key), __ATOMIC_RELAXED);
}

mim_inline uint16_t state_exchange(page_t* page, uintptr_t index, uint16_t state) {
  uint16_t key = page->hook_key;
  return (uint16_t)(__atomic_exchange_n(&page->hook.entries[index], (uint16_t)(state ^ key), __ATOMIC_ACQ_REL) ^ key);
}

// Positions 1..MAGAZINE_ROOM.
mim_inline uint16_t* magazine_at(const page_t* page, uintptr_t position) {
  return page->hook.entries - MAGAZINE_ROOM - 1 + position;
}

mim_inline uintptr_t magazine_get(const page_t* page, uintptr_t position) {
  return (uintptr_t)*magazine_at(page, position) ^ page->hook_key;
}

// A random number below `limit` <= 2^16, from a multiplicative generator (P. L'Ecuyer, "Tables of Linear Congruential
// Generators", 1999) that is seeded from the thread's ChaCha20 stream for each few dozen draws, so that what those
// give away says nothing about the next. The state must be odd.
mim_inline size_t sec_random_below(uint64_t* state, size_t limit) {
  *state *= 3935559000370003845u;
  return (size_t)(((unsigned __int128)*state * limit) >> 64);
}

// Where an address lies: its index, and whether it is the start of a block. One multiplication by ceil(2^64 / stride)
// gives both, exactly for every offset below 2^32: the high half is the quotient, and the low half is below the
// constant if and only if the remainder is 0.
// Source: D. Lemire, O. Kaser, N. Kurz, "Faster Remainder by Direct Computation", 2019.
typedef struct place_s {
  uintptr_t index;
  bool start;
} place_t;

mim_inline place_t page_place(const page_t* page, const void* p) {
  unsigned __int128 product = (unsigned __int128)((uintptr_t)p - page->origin) * page->reciprocal;
  return (place_t){(uintptr_t)(product >> 64), (uint64_t)product < page->reciprocal};
}

mim_inline uint8_t* page_block(const page_t* page, uintptr_t index) {
  return (uint8_t*)(page->origin + index * page->stride);
}

#endif
