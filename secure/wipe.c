// Wipe, off the fast path: what happens when a freed block is not zero any more. See wipe.h.
#include "secure.h"

void sec_wipe_broken(page_t* page, uintptr_t index) {
  uint8_t* block = page_block(page, index);
  size_t bad = 0;
  while (bad + 1 < page->block_size && block[bad] == 0) bad++;  // the last byte, if it is none before
  sec_violation(&(sec_report_t){
                    .fault = MI_FAULT_WRITE_AFTER_FREE,
                    .address = block + bad,
                    .page = page,
                    .index = index,
                    .block = block,
                    .block_size = page->block_size,
                    .offset = (ptrdiff_t)bad,
                },
                (sec_severity_t)mim_process.hook.on_violation);
  memset(block, 0, page->block_size);
  if (page->kind & KIND_DENSE) block[page->block_size - 1] = fence_last(page, index);
}
