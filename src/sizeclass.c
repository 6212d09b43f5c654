// Size classes. Nominal sizes are multiples of 16 up to 128, then eight to a doubling up to MEDIUM_MAX, so at most one
// ninth of a block is lost to rounding. What a bin's blocks look like around the nominal size is the layer's (hook_bin):
// the secure build makes them 16 bytes larger, so that requests of a power of two keep their bin.
//
// The table is filled once at start and only read afterwards.
#include "internal.h"

bin_t mim_bins[BIN_COUNT];

#define NOMINAL_COUNT 80  // nominal sizes 1..80: 16 bytes .. MEDIUM_MAX

static size_t nominal_size(size_t index) {
  if (index <= 8) return index * MIN_ALIGN;
  size_t doubling = (index - 9) / 8;
  size_t step = (index - 9) % 8 + 1;
  return ((size_t)128 + step * MIN_ALIGN) << doubling;
}

// The smallest nominal size of at least `granules` * 16 bytes.
static size_t nominal_index(size_t granules) {
  if (granules <= 8) return granules;
  unsigned high = high_bit(granules - 1);
  return 8 * ((size_t)high - 3) + ((granules - 1) >> (high - 3)) + 1;
}

static void bin_set(size_t bin, size_t nominal, bool aligned) {
  bin_t* entry = &mim_bins[bin];
  *entry = hook_bin(nominal, aligned);
  entry->slices = (uint16_t)(entry->block_size <= SMALL_PAGE_BLOCK_MAX ? 1 : MEDIUM_SLICES);
}

void mim_bins_init(void) {
  size_t first = HOOK_BIN_PAD == 0 ? 1 : 0;  // with a pad, the first bin is the pad alone
  for (size_t index = first; index <= NOMINAL_COUNT; index++) {
    bin_set(index + (1 - first), nominal_size(index), false);
    if (HOOK_ALIGNED_SET != 0 && index > 0) bin_set(HOOK_ALIGNED_SET + index, nominal_size(index), true);
  }
  mim_bins[BIN_ZERO] = (bin_t){.block_size = 0, .stride = 2 * MIN_ALIGN, .room = 0, .slices = 1};
}

size_t mim_bin_of(size_t size) {
  size_t bin;
  if (HOOK_BIN_PAD == 0) {
    bin = nominal_index(div_up(size + (size == 0), MIN_ALIGN));
  } else {
    bin = nominal_index((size + HOOK_BIN_PAD) / MIN_ALIGN - HOOK_BIN_PAD / MIN_ALIGN) + 1;
    if (size > mim_bins[bin].room) bin++;
  }
  assert_int(size <= mim_bins[bin].room);
  return bin;
}

// Blocks of the aligned set (of every bin in the plain build) are naturally aligned: a size that is a multiple of
// `align` is either a bin itself or rounds up to one that is a multiple of a larger power of two.
size_t mim_bin_of_aligned(size_t size, size_t align) {
  size_t wanted = align_up(max_size(size, 1), align);
  for (int attempt = 0; attempt < 2; attempt++) {
    if (wanted > MEDIUM_MAX) return 0;
    size_t bin = HOOK_ALIGNED_SET + nominal_index(wanted / MIN_ALIGN);
    if (size <= mim_bins[bin].room) return bin;
    wanted += align;  // no slack left in this one
  }
  return 0;
}
