// The heap map: what lies where in the region, as text for scripts/mimalloc-heap-map, which draws it.
//
// With MIMALLOC_HEAP_MAP=/path, each process writes the file /path.PID when it ends: a line for the process, one for
// each segment (which slices are free, which of them still hold memory, where guards lie) and one for each page (where,
// how large, blocks of what size, how many in use, whose). Lines are words divided by spaces; numbers are decimal but
// for addresses and sets of slices, which are hexadecimal.
//
// Allocates nothing and changes nothing. Other threads may run meanwhile: each number is one that held at some time.
// A segment is read under the region's lock, pages under none.
#include "internal.h"
#include "mimalloc-secure.h"

#define LINE_MAX 640

static void put_line(int fd, const char* line, int length) {
  mim_os_write(fd, line, min_size((size_t)length, LINE_MAX - 1));
}

static int put_set(char* line, int used, const char* name, const uint64_t* set) {
  used += mim_format(line + used, LINE_MAX - (size_t)used, " %s ", name);
  for (size_t i = 0; i < SEGMENT_WORDS; i++) {  // the last slice first, as numbers are written
    used += mim_format(line + used, LINE_MAX - (size_t)used, "%016llx", (unsigned long long)set[SEGMENT_WORDS - 1 - i]);
  }
  return used;
}

static void put_segment(int fd, size_t index) {
  segment_info_t info;
  mim_region_segment(index, &info);
  char line[LINE_MAX];
  int used = mim_format(line, sizeof(line), "segment %zu at %p open %u arena %d", index, (void*)info.start, info.open,
                        info.arena);
  used = put_set(line, used, "free", info.free);
  used = put_set(line, used, "resident", info.resident);
  used = put_set(line, used, "tails", info.tails);
  used = put_set(line, used, "guards", info.guards);
  used += mim_format(line + used, sizeof(line) - (size_t)used, "\n");
  put_line(fd, line, used);
}

__attribute__((no_sanitize("thread"))) static void put_page(int fd, const page_t* page) {
  bool large = (page->kind & KIND_LARGE) != 0;
  const char* state = page->flags & PAGE_SEALED ? "sealed" : large ? "large" : "blocks";
  tld_t* owner = mim_page_owner(page);
  char line[LINE_MAX];
  int used = mim_format(line, sizeof(line),
                        "page %p slices %u %s size %zu stride %u used %u capacity %u room %u "
                        "thread %u\n",
                        (void*)mim_page_start(page), page->slices, state,
                        large ? page->large_size : (size_t)page->block_size, page->stride, page->used,
                        large ? 1 : page->capacity, large ? 1 : page->reserved, owner == NULL ? 0 : owner->thread_id);
  put_line(fd, line, used);
}

static void write_map(int fd) {
  char line[LINE_MAX];
  int used =
      mim_format(line, sizeof(line), "mimalloc-heap-map 1 process %u profile %s slice %zu os_page %zu tail %zu\n",
                 mim_os_process_id(), mi_profile_name(), SLICE_SIZE, mim_os_page_size(), hook_page_tail());
  put_line(fd, line, used);
  size_t last = SIZE_MAX;
  for (size_t i = mim_region_slice_next(SIZE_MAX); i < mim_region_slices(); i = mim_region_slice_next(i)) {
    if (i / SEGMENT_SLICES != last) {
      last = i / SEGMENT_SLICES;
      put_segment(fd, last);
    }
    if (mim_page_look(&mim_process.slots[i])) put_page(fd, &mim_process.slots[i]);
  }
  put_line(fd, "end\n", 4);
}

void mim_map_exit(void) {
  static _Atomic(bool) done;
  const char* path = mim_option_map_path();
  if (mim_option(mi_option_heap_map) == 0 || path[0] == 0 || atomic_exchange(&done, true)) return;
  char name[MIM_PATH_MAX + 16];
  mim_format(name, sizeof(name), "%s.%u", path, mim_os_process_id());
  int fd = mim_os_file_open(name, true);
  if (fd < 0) {
    mim_notice("the heap map '%s' cannot be written", name);
    return;
  }
  write_map(fd);
  mim_os_file_close(fd);
}
