// The root of the tables that tools read (watch.h), the note that leads to it, and the tables of structures that many
// files share.
//
// The note is an ELF note of owner "mimalloc" and type 1 in a loaded segment, so it is found through the program headers
// of a process, whether the library is preloaded, linked or part of a static program, stripped or not. It holds
// WATCH_LAYOUT and, as a distance from the place where that is written, where mim_watch lies.
#include "watch.h"

static const watch_t types[] = {
    WATCH_NUMBER("slice.bytes", SLICE_SIZE),
    WATCH_NUMBER("segment.slices", SEGMENT_SLICES),
    WATCH_NUMBER("debug", MIM_DEBUG),
    WATCH_NUMBER("bin.bytes", sizeof(bin_t)),
    WATCH_NUMBER("bin.large", BIN_LARGE),
    WATCH_NUMBER("bin.odd", BIN_ODD),
    WATCH_MEMBER("bin.size", bin_t, block_size),
    WATCH_NUMBER("thread.bytes", sizeof(tld_t)),
    WATCH_MEMBER("thread.next", tld_t, next),
    WATCH_MEMBER("thread.number", tld_t, thread_id),
    WATCH_MEMBER("thread.stats", tld_t, stats),
    WATCH_NUMBER("page.bytes", sizeof(page_t)),
    WATCH_NUMBER("page.is_large", KIND_LARGE),    // in page.kind
    WATCH_NUMBER("page.is_sealed", PAGE_SEALED),  // in page.flags
    WATCH_NUMBER("page.owner_tags", OWNER_FULL),  // bits of page.owner that are no part of the address
    WATCH_MEMBER("page.back", page_t, back),
    WATCH_MEMBER("page.owner", page_t, owner),
    WATCH_MEMBER("page.size", page_t, block_size),
    WATCH_MEMBER("page.kind", page_t, kind),
    WATCH_MEMBER("page.capacity", page_t, capacity),
    WATCH_MEMBER("page.reserved", page_t, reserved),
    WATCH_MEMBER("page.large_size", page_t, large_size),
    WATCH_MEMBER("page.used", page_t, used),
    WATCH_MEMBER("page.slices", page_t, slices),
    WATCH_MEMBER("page.bin", page_t, bin),
    WATCH_MEMBER("page.flags", page_t, flags),
};
static const watch_table_t types_table = WATCH_TABLE(NULL, types);

static const watch_t process[] = {
    WATCH_MEMBER("process.region_size", process_t, region_size),
    WATCH_MEMBER("process.slots", process_t, slots),
    WATCH_MEMBER("process.meta", process_t, meta),
    WATCH_MEMBER("process.meta_size", process_t, meta_size),
};
static const watch_table_t process_table = WATCH_TABLE(&mim_process, process);

static const watch_t bins[] = {{"bins", 0, sizeof(bin_t) * BIN_COUNT}};
static const watch_table_t bins_table = WATCH_TABLE(mim_bins, bins);

static const watch_table_t* const core[] = {
    &types_table,       &process_table,
    &bins_table,        &mim_watch_arena,
    &mim_watch_ended,   &mim_watch_meta,
    &mim_watch_region,  &mim_watch_segment,
    &mim_watch_since,   &mim_watch_stats,
    &mim_watch_subproc, &mim_watch_subprocs,
    &mim_watch_threads, NULL,
};

const watch_root_t mim_watch = {MI_MALLOC_VERSION, sizeof(watch_t), core, mim_watch_layer};

#define TEXT(number) TEXT_OF(number)
#define TEXT_OF(number) #number
__asm__(".pushsection .note.mimalloc, \"a\", %note\n"
        "  .balign 4\n"
        "  .long 9, 8, 1\n"  // bytes of the owner's name, of what is said; the type
        "  .asciz \"mimalloc\"\n"
        "  .balign 4\n"
        "  .long " TEXT(WATCH_LAYOUT) "\n"
        "  .long mim_watch - .\n"
        ".popsection\n");
