// Sampled guarded blocks: what the rest of the layer needs of sample.c.
#ifndef SEC_SAMPLE_H
#define SEC_SAMPLE_H

#include "secure.h"
#include "trace.h"

struct mi_stats_s;

#define SAMPLE_FRAMES 16

// In the metadata, for each sampled block; its page's states are in here.
typedef struct sec_sample_s {
  uint16_t entries[2];
  sec_stack_t allocated, freed;  // of the frames below
  void* alloc_frames[SAMPLE_FRAMES];
  void* free_frames[SAMPLE_FRAMES];
} sec_sample_t;

extern lock_t sec_sample_lock;

// How many of `count` blocks the page's magazine may hand out before the next sample is due.
size_t sec_sample_trim(tld_t* tld, const page_t* page, size_t count);
// A sampled block is being freed: by whom.
void sec_sample_freed(page_t* page);
// It is out of use: another may be made.
void sec_sample_dead(void);
// Its page is given up.
void sec_sample_done(page_t* page);
// Adds who allocated and freed a sampled block to a report on its page.
void sec_sample_describe(sec_report_t* report);
void sec_sample_stats(struct mi_stats_s* stats);

#endif
