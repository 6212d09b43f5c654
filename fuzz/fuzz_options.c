// fuzz_options: what is parsed. An input is text: entries of an environment, separated by 0 bytes or new lines, the last
// of them perhaps a format for the library's own small printf. The environment is read as at start, every option is
// asked for and printed, and the statistics are formatted into buffers of every size. Nothing may crash, no value may
// lie outside of what its option accepts, and no text may be longer than its buffer.
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../src/internal.h"
#include "mimalloc-secure.h"
#include "mimalloc-stats.h"
#include "os.h"
#include "state.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

#define ENTRIES 64

static void must_hold(bool holds, const char* what, long value) {
  if (holds) return;
  fprintf(stderr, "fuzz_options: %s (%ld)\n", what, value);
  abort();
}

static void swallow(const char* text, void* arg) {
  *(size_t*)arg += strlen(text);
}

// Ranges as options.def has them.
typedef struct range_s {
  const char* name;
  long least, most;
} range_t;
#define OPTION(name, kind, initial, min, max, effect, help) {#name, min, max},
#define LEGACY(old, name)
static const range_t ranges[] = {
#include "../src/options.def"
};
#undef OPTION
#undef LEGACY

static void check_options(void) {
  for (int i = 0; i < _mi_option_last; i++) {
    mi_option_t option = (mi_option_t)i;
    long value = mi_option_get(option);
    long most = option == mi_option_report ? MI_REPORT_FILE : ranges[i].most;  // a path, which only the environment has
    must_hold(value >= ranges[i].least && value <= most, ranges[i].name, value);
    long clamped = mi_option_get_clamp(option, 0, 10);
    must_hold(clamped >= 0 && clamped <= 10, "mi_option_get_clamp is out of bounds", clamped);
    (void)mi_option_get_size(option);
    (void)mi_option_is_enabled(option);
  }
  size_t length = 0;
  mi_options_print_out(swallow, &length);
  must_hold(length > 0, "no options are printed", 0);
}

static void check_settings(const uint8_t* data, size_t size) {
  for (size_t i = 0; i + 10 <= size && i < 200; i += 10) {
    long value;
    memcpy(&value, data + i + 2, sizeof(value));
    int number = (int)(data[i] % (unsigned)(_mi_option_last + 4)) - 2;
    bool known = number >= 0 && number < _mi_option_last;
    mi_option_t option = (mi_option_t)number;
    switch (data[i + 1] % 4) {
      case 0: mi_option_set(option, value); break;
      case 1: mi_option_set_default(option, value); break;
      case 2: mi_option_set(option, (long)(data[i + 2])); break;
      default: mi_option_set_enabled(option, data[i + 2] % 2 == 0); break;
    }
    if (!known) must_hold(mi_option_get(option) == 0, "a number that is no option has a value", number);
  }
}

// The same text in a buffer that is large enough, and in one that is not.
static void check_format(const char* text, size_t length, size_t room) {
  static char whole[4096], part[4096];
  room %= sizeof(part);
  memset(part, 0x5A, sizeof(part));
  int wanted = mim_format(whole, sizeof(whole), "%.*s|%-20.60s|%8zu|%#x|%lld|%p", (int)(length % 50), text, text, length,
                          (unsigned)room, -(long long)length, (const void*)text);
  int again = mim_format(part, room, "%.*s|%-20.60s|%8zu|%#x|%lld|%p", (int)(length % 50), text, text, length,
                         (unsigned)room, -(long long)length, (const void*)text);
  must_hold(wanted == again, "the length of a formatted text hangs on its buffer", again);
  must_hold((size_t)wanted == strlen(whole), "the length of a formatted text is wrong", wanted);
  must_hold((unsigned char)part[room] == 0x5A, "a formatted text runs over its buffer", (long)room);
  if (room > 0) must_hold(memcmp(whole, part, strlen(part)) == 0 && strlen(part) < room, "a cut text differs", 0);
}

static void check_stats(size_t room) {
  static char text[1 << 16];
  room = room % sizeof(text);
  memset(text, 0x5A, sizeof(text));
  char* json = mi_stats_get_json(room, text);
  must_hold((unsigned char)text[room] == 0x5A, "statistics run over their buffer", (long)room);
  must_hold(json == NULL || strlen(json) < room, "statistics are longer than their buffer", (long)room);
  mi_stats_t stats;
  memset(&stats, 0, sizeof(stats));
  stats.size = room % (sizeof(stats) + 8);
  stats.version = room % 7 == 0 ? 2 : MI_STAT_VERSION;
  bool given = mi_stats_get(&stats);
  must_hold(!given || stats.version == MI_STAT_VERSION, "statistics of another version are given", (long)stats.version);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static bool started;
  size_t printed = 0;
  if (!started) {
    mi_process_init();
    mi_thread_init();
    if (os_simulated) state_keep(0);
    started = true;
  }
  if (size > 8192) size = 8192;
  mi_register_output(swallow, &printed);
  char* text = malloc(size + 1);
  if (text == NULL) return 0;
  memcpy(text, data, size);
  text[size] = 0;
  char* entries[ENTRIES + 1];
  size_t count = 0;
  for (size_t i = 0; i < size && count < ENTRIES; i++) {
    if (i == 0 || text[i - 1] == 0) entries[count++] = text + i;
    if (text[i] == '\n') text[i] = 0;
  }
  entries[count] = NULL;
  mim_options_read(entries);
  check_options();
  check_settings(data, size);
  check_options();
  check_format(count == 0 ? "" : entries[count - 1], size, size > 1 ? (size_t)data[0] << 4 | data[1] >> 4 : 0);
  check_stats(size > 3 ? (size_t)data[2] << 8 | data[3] : 0);
  mi_register_output(swallow, &printed);
  mi_option_set(mi_option_heap_map, 0);  // or a map would be written when the fuzzer ends, wherever the input said
  free(text);
  static size_t outlives;
  mi_register_output(swallow, &outlives);
  if (os_simulated) state_restore(0);
  return 0;
}
