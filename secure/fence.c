// Fence, off the fast path: what happens when one is broken. See fence.h.
#include "secure.h"

#define FOUR(x) x, x, x, x
#define TAKE_16 FOUR(FOUR(0xFF))
#define TAKE_64 FOUR(TAKE_16)
const fence_window_t sec_fence_window = {{0}, {TAKE_16, FOUR(FOUR(TAKE_64))}};
_Static_assert(QUICK_MAX == 16 + 4 * 4 * 64, "the window has as many ones");

const uint32_t sec_fence_same[FENCE_SIZE + 1] = {0x0000, 0x8000, 0xC000, 0xE000, 0xF000, 0xF800, 0xFC00, 0xFE00, 0xFF00,
                                                 0xFF80, 0xFFC0, 0xFFE0, 0xFFF0, 0xFFF8, 0xFFFC, 0xFFFE, 0xFFFF};

void sec_fence_broken(page_t* page, uintptr_t index, size_t block_size, size_t slack) {
  // A large block is alone in its page, and its stride is not in the field.
  uint8_t* block = (page->kind & KIND_LARGE) ? (uint8_t*)(page->origin + (index << LARGE_STRIDE_SHIFT))
                                              : page_block(page, index);
  size_t request = block_size - slack;
  size_t width = min_size(slack, FENCE_SIZE);
  fence_bytes_t wanted = fence_pattern(page, index);
  size_t bad = 0;
  while (bad + 1 < width && block[request + bad] == wanted[FENCE_SIZE - width + bad]) bad++;
  if (slack > FENCE_SIZE && block[request + bad] == wanted[bad]) bad = slack - 1;  // so it is the last byte
  sec_violation(&(sec_report_t){
                    .fault = MI_FAULT_OVERFLOW,
                    .address = block + request + bad,
                    .page = page,
                    .index = index,
                    .block = block,
                    .block_size = block_size,
                    .request = request,
                    .offset = (ptrdiff_t)bad,
                },
                (sec_severity_t)mim_process.hook.fence_severity);
}

void sec_fence_before_broken(page_t* page, uintptr_t index) {
  uint8_t* block = page_block(page, index);
  uint16_t state = state_get(page, index);
  sec_violation(&(sec_report_t){
                    .fault = MI_FAULT_UNDERFLOW,
                    .address = block - 1,
                    .page = page,
                    .index = index,
                    .block = block,
                    .block_size = page->block_size,
                    .request = state_is_live(state) ? page->block_size - (state & STATE_SLACK_MASK) : 0,
                    .offset = -1,
                },
                (sec_severity_t)mim_process.hook.fence_severity);
}
