// A library whose note leads to nonsense: tables that hold whatever NONSENSE says, a number for each variant.
#include <stdint.h>

typedef struct entry_s {
  char name[24];
  uint32_t at, size;
} entry_t;
typedef struct table_s {
  const void* base;
  const entry_t* entries;
  uint64_t count;
} table_t;
typedef struct root_s {
  uint32_t version, entry_bytes;
  const table_t* const* core;
  const table_t* const* layer;
} root_t;

// A slot that looks used, and sizes that no memory has.
static const uint64_t huge[8] = {~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull};
static const entry_t entries[] = {
    {"process.slots\033[2J", 0, 8},
    {"process.slots", 0, 8},
    {"region.committed", 0, 8},
    {"region.count", 0, 8},
    {"region.limit", 0, 8},
    {"region.extra", 0, 8},
    {"ended", 0, NONSENSE == 5 ? 24 : 0xFFFFFFFF},
    {"bin.odd", 0x7FFFFFFF, 0},
    {"threads.count", 0, 24},
    {"threads.all", 0, 8},
    {"process.meta", 0, 8},
    {"process.meta_size", 0, 8},
};
static const table_t table = {huge, entries, sizeof(entries) / sizeof(entries[0])};
#if NONSENSE == 1  // lists that never end
static const table_t* const list[] = {&table, &table, &table};
#elif NONSENSE == 2  // more entries than there can be
static const table_t many = {huge, entries, ~0ull};
static const table_t* const list[] = {&many, 0};
#elif NONSENSE == 5  // whole, and not enough
static const table_t* const list[] = {&table, 0};
#else                // an address that is none; entries of a size that none has
static const table_t* const list[] = {(const table_t*)8, 0};
#endif
__attribute__((used, visibility("hidden")))
const root_t nonsense = {100, NONSENSE == 3 ? 0xFFFFFFFF : sizeof(entry_t), list, list};
__asm__(
    ".pushsection .note.mimalloc, \"a\", %note\n"
    "  .balign 4\n"
    "  .long 9, 8, 1\n"
    "  .asciz \"mimalloc\"\n"
    "  .balign 4\n"
    "  .long 1, nonsense - .\n"
    ".popsection\n");
