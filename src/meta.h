// Between meta.c and region.c: the array of segments lies in the metadata reservation, and only region.c knows what a
// segment is.
#ifndef MIM_META_H
#define MIM_META_H

#include "internal.h"

#define MIM_SEGMENT_BYTES HOOK_SEGMENT_BYTES

// Segments of memory that the program hands in: 32 GiB in all.
#define MIM_EXTRA_SEGMENTS ((size_t)1024)

void* mim_meta_segments(void);

#endif
