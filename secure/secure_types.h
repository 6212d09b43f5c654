// The secure layer's parts of the core's structures, and the names of its mechanisms. Included first by src/hooks.h.
#ifndef SEC_TYPES_H
#define SEC_TYPES_H

#include "../src/base.h"

// ---- mechanisms and profiles ----------------------------------------------------------------------------------------

// One bit each. Exact frees, random order, encrypted order and guards behind segments are part of every secure build
// and have no bit. A profile is a sum of these (policy.c).
enum {
  SEC_FENCE = 1 << 0,         // checked bytes right behind each request (fence.h)
  SEC_WIPE = 1 << 1,          // blocks up to wipe_limit are zeroed when freed and verified when reused (wipe.h)
  SEC_PAGE_GUARD = 1 << 2,    // an inaccessible OS page behind the blocks of each page (guard.c)
  SEC_BLOCK_GUARD = 1 << 3,   // and behind each block of whole OS pages
  SEC_LARGE_SEAL = 1 << 4,    // large blocks become inaccessible when freed
  SEC_FAMILY = 1 << 5,        // malloc / new / new[] are told apart
  SEC_SIZED = 1 << 6,         // sized and aligned frees are compared with the request
  SEC_QUARANTINE = 1 << 7,    // freed blocks are kept out of use for a while (quarantine.c)
  SEC_SAMPLE = 1 << 8,        // one allocation in sample_rate on OS pages of its own (sample.c)
  SEC_ISOLATE = 1 << 9,       // no address range is used again for another bin
  SEC_CHECKED_MEMORY = 1 << 10,
  SEC_FAULT_REPORT = 1 << 11, // faults inside the region are reported
};

typedef enum sec_guard_kind_e {
  SEC_GUARD_LIGHT,     // MADV_GUARD_INSTALL: free of mappings
  SEC_GUARD_MPROTECT,  // within a budget of mappings
} sec_guard_kind_t;

typedef enum sec_severity_e {
  SEC_ABORT,
  SEC_REPORT,  // report and go on
  SEC_OFF,
} sec_severity_t;

// ---- parts of the core's structures ---------------------------------------------------------------------------------

// Per page: where its states are, and its secrets (entry.h, fence.h).
typedef struct hook_page_s {
  uint16_t* entries;   // state of block i; the magazine lies right below. page->hook_key encrypts both
  uint64_t fence;      // key of the fence bytes
} hook_page_t;

// Per segment: which slices have a guard as their last OS page; which may have guards anywhere; which are guards
// throughout (guard.c).
typedef struct hook_segment_s {
  uint64_t tail[8];
  uint64_t all[8];
  uint8_t bin[512];  // which each slice was last of; 0: none yet (isolate.c)
  uint64_t full[8];
} hook_segment_t;

// Per thread: its pool of random bytes (keys.c), when it is to be sampled next, and what it keeps out of use.
#define SEC_POOL_SIZE 256
typedef struct sec_quarantine_s sec_quarantine_t;
typedef struct hook_thread_s {
  uint8_t pool[SEC_POOL_SIZE];  // the first 32 bytes of each refill become the next key and are never handed out
  uint8_t key[32];
  uint64_t counter;
  uint32_t pool_used;
  uint32_t epoch;               // fork epoch of the key; a child draws a new one
  uint8_t sample_due;           // the next allocation on the generic path is a sampled one: of which kinds (sample.c)
  int64_t sample_left;          // allocations until the next sample
  bool quarantine_closed;       // the thread is ending
  sec_quarantine_t* quarantine; // NULL: nothing was freed yet
  void* signal_stack;           // reservation of the thread's alternate stack (fault.c); NULL: not ours
} hook_thread_t;

// Per process; sealed after start.
#define SEC_REPORT_PATH 512
typedef struct hook_process_s {
  uint8_t root_key[32];
  uint32_t mechanisms;
  uint32_t wipe_limit;          // bytes
  uint32_t os_page;             // bytes of an OS page
  uint32_t page_tail;           // bytes at the end of each page that hold no blocks
  sec_guard_kind_t guard_kind;
  int profile;                  // mi_profile_t
  int on_violation;             // sec_severity_t: default of every check
  int fence_severity;           // of overflow and underflow; SEC_OFF: then there is no SEC_FENCE either
  int family_severity;
  int size_severity;
  int memory_severity;          // of memcpy and so on
  int foreign_policy;           // mi_foreign_t
  uint32_t sample_rate;         // 0: none
  uint32_t sample_pause;        // milliseconds that pay for one sample; 0: as many as the rate says
  size_t quarantine;            // bytes, for each thread
  int report_form;              // mi_report_form_t
  char report_path[SEC_REPORT_PATH];
} hook_process_t;

#endif
