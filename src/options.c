// Options: their values, the environment they are read from, and the functions that get, set and print them.
//
// All of it is made from options.def. Values are plain words that any thread may read and set; each has an origin. The
// environment is read once, in one pass, before the first block is handed out, and not at all in a process with raised
// privileges: who starts a setuid program must not choose how hard its heap is checked. A value that is not accepted
// gives one warning, which names it and what is accepted, and the default stands.
//
// Options of the secure build are fixed when the library has started: its policy is then read-only memory.
#include <limits.h>

#include "internal.h"
#include "mimalloc-secure.h"

typedef enum kind_e {
  SWITCH,
  LEVEL,
  NUMBER,
  BYTES,
  KIBS,
  PROFILE,
  VIOLATION,
  SEVERITY,
  FOREIGN,
  REPORT,
  GUARDS,
  MAP
} kind_t;
typedef enum effect_e { USED, SECURE, UNUSED } effect_t;

// ---- words ----------------------------------------------------------------------------------------------------------

typedef struct word_s {
  const char* text;
  long value;
} word_t;

// The first word of a value is the one that is printed.
static const word_t switch_words[] = {{"on", 1}, {"off", 0},  {"1", 1},     {"0", 0}, {"yes", 1},
                                      {"no", 0}, {"true", 1}, {"false", 0}, {NULL, 0}};
static const word_t profile_words[] = {{"fast", MI_PROFILE_FAST},
                                       {"default", MI_PROFILE_DEFAULT},
                                       {"strict", MI_PROFILE_STRICT},
                                       {"fuzz", MI_PROFILE_FUZZ},
                                       {NULL, 0}};
static const word_t violation_words[] = {{"abort", MI_SEVERITY_ABORT}, {"report", MI_SEVERITY_REPORT}, {NULL, 0}};
static const word_t severity_words[] = {{"abort", MI_SEVERITY_ABORT},
                                        {"report", MI_SEVERITY_REPORT},
                                        {"off", MI_SEVERITY_OFF},
                                        {"inherit", MI_SEVERITY_INHERIT},
                                        {NULL, 0}};
static const word_t foreign_words[] = {{"abort", MI_FOREIGN_ABORT},
                                       {"libc", MI_FOREIGN_LIBC},
                                       {"ignore", MI_FOREIGN_IGNORE},
                                       {"pass", MI_FOREIGN_LIBC},
                                       {NULL, 0}};
static const word_t report_words[] = {{"text", MI_REPORT_TEXT}, {"json", MI_REPORT_JSON}, {NULL, 0}};
static const word_t guards_words[] = {{"auto", 0}, {"mprotect", 1}, {NULL, 0}};

static const word_t map_words[] = {{"off", 0}, {NULL, 0}};

static const word_t* words_of(kind_t kind) {
  switch (kind) {
    case PROFILE:
      return profile_words;
    case VIOLATION:
      return violation_words;
    case SEVERITY:
      return severity_words;
    case FOREIGN:
      return foreign_words;
    case REPORT:
      return report_words;
    case GUARDS:
      return guards_words;
    case MAP:
      return map_words;
    default:
      return NULL;
  }
}

// ---- the table ------------------------------------------------------------------------------------------------------

typedef struct option_s {
  const char* name;
  kind_t kind;
  effect_t effect;
  long min, max;
  const char* help;
} option_t;

#define OPTION(name, kind, initial, min, max, effect, help) [mi_option_##name] = {#name, kind, effect, min, max, help},
#define LEGACY(old, name)
static const option_t options[] = {
#include "options.def"
};
#undef OPTION
#undef LEGACY
_Static_assert(sizeof(options) / sizeof(options[0]) == _mi_option_last, "options.def and mi_option_t differ");

typedef struct setting_s {
  _Atomic(long) value;
  _Atomic(int) origin;
} setting_t;

#define OPTION(name, kind, initial, min, max, effect, help) [mi_option_##name] = {initial, ORIGIN_DEFAULT},
#define LEGACY(old, name)
static setting_t settings[] = {
#include "options.def"
};
#undef OPTION
#undef LEGACY

typedef struct legacy_s {
  const char* name;
  mi_option_t option;
} legacy_t;

#define OPTION(name, kind, initial, min, max, effect, help)
#define LEGACY(old, name) {#old, mi_option_##name},
static const legacy_t legacies[] = {
#include "options.def"
};
#undef OPTION
#undef LEGACY
#define LEGACY_COUNT (sizeof(legacies) / sizeof(legacies[0]))

static char report_path[MIM_PATH_MAX];
static char map_path[MIM_PATH_MAX];
static _Atomic(bool) have_read_environment;

static bool is_option(mi_option_t option) {
  return (int)option >= 0 && option < _mi_option_last;
}

long mim_option(mi_option_t option) {
  return atomic_load_explicit(&settings[option].value, memory_order_relaxed);
}

option_origin_t mim_option_origin(mi_option_t option) {
  return (option_origin_t)atomic_load_explicit(&settings[option].origin, memory_order_relaxed);
}

const char* mim_option_report_path(void) {
  return report_path;
}

const char* mim_option_map_path(void) {
  return map_path;
}

static void store(mi_option_t option, long value, option_origin_t origin) {
  atomic_store_explicit(&settings[option].value, value, memory_order_relaxed);
  atomic_store_explicit(&settings[option].origin, (int)origin, memory_order_relaxed);
}

// ---- text -----------------------------------------------------------------------------------------------------------

static char lower(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

// Equal but for case, over `length` characters of `text`, which `word` ends with.
static bool same_word(const char* text, size_t length, const char* word) {
  for (size_t i = 0; i < length; i++) {
    if (word[i] == 0 || lower(text[i]) != lower(word[i])) return false;
  }
  return word[length] == 0;
}

static bool find_word(const word_t* words, const char* text, long* value) {
  for (; words != NULL && words->text != NULL; words++) {
    if (!same_word(text, strlen(text), words->text)) continue;
    *value = words->value;
    return true;
  }
  return false;
}

// The name of the variable: MIMALLOC_PURGE_DELAY.
#define VARIABLE_MAX 64
static const char* variable_name(mi_option_t option, char buf[VARIABLE_MAX]) {
  int length = mim_format(buf, VARIABLE_MAX, "MIMALLOC_%s", options[option].name);
  for (int i = 0; i < length && i < VARIABLE_MAX - 1; i++) {
    if (buf[i] >= 'a' && buf[i] <= 'z') buf[i] = (char)(buf[i] - 'a' + 'A');
  }
  return buf;
}

#define TEXT_MAX 200
static const char* value_text(mi_option_t option, long value, char buf[TEXT_MAX]) {
  kind_t kind = options[option].kind;
  if (kind == REPORT && value == MI_REPORT_FILE) return report_path;
  if (kind == MAP && value != 0) return map_path;
  for (const word_t* word = words_of(kind); word != NULL && word->text != NULL; word++) {
    if (word->value == value) return word->text;
  }
  mim_format(buf, TEXT_MAX, kind == KIBS ? "%ld KiB" : "%ld", value);
  return buf;
}

// What the environment may say, as the end of "expected ...".
static const char* accepted_text(mi_option_t option, char buf[TEXT_MAX]) {
  const option_t* entry = &options[option];
  switch (entry->kind) {
    case SWITCH:
      return "1, on, yes, true, 0, off, no or false";
    case LEVEL:
      mim_format(buf, TEXT_MAX, "a number from %ld to %ld, or on or off", entry->min, entry->max);
      return buf;
    case NUMBER:
      mim_format(buf, TEXT_MAX, "a number from %ld to %ld", entry->min, entry->max);
      return buf;
    case BYTES:
      mim_format(buf, TEXT_MAX, "bytes from %ld to %ld, with or without K, M, G or T", entry->min, entry->max);
      return buf;
    case KIBS:
      mim_format(buf, TEXT_MAX, "bytes from %ldK to %ldK, with or without K, M, G or T", entry->min, entry->max);
      return buf;
    case REPORT:
      return "text, json, or an absolute path of less than 512 characters";
    case MAP:
      return "off, or an absolute path of less than 512 characters";
    default:
      break;
  }
  size_t used = 0;
  for (const word_t* word = words_of(entry->kind); word->text != NULL; word++) {
    const char* between = used == 0 ? "" : word[1].text == NULL ? " or " : ", ";
    used += (size_t)mim_format(buf + used, TEXT_MAX - used, "%s%s", between, word->text);
  }
  return buf;
}

// ---- parsing --------------------------------------------------------------------------------------------------------

// Decimal digits with a sign. Stores where they end; false when there are none or they do not fit.
static bool parse_digits(const char* text, const char** end, long* value) {
  bool negative = *text == '-';
  if (*text == '-' || *text == '+') text++;
  if (*text < '0' || *text > '9') return false;
  long total = 0;
  for (; *text >= '0' && *text <= '9'; text++) {
    int digit = negative ? '0' - *text : *text - '0';
    if (__builtin_mul_overflow(total, 10L, &total) || __builtin_add_overflow(total, (long)digit, &total)) return false;
  }
  *end = text;
  *value = total;
  return true;
}

static bool parse_number(const char* text, long* value) {
  const char* end;
  return parse_digits(text, &end, value) && *end == 0;
}

// Bytes: digits and perhaps K, M, G or T, in any case, with or without B or iB behind it.
static bool parse_bytes(const char* text, long* value) {
  const char* end;
  if (!parse_digits(text, &end, value)) return false;
  static const char units[] = "kmgt";
  long unit = 1;
  for (int i = 0; units[i] != 0 && *end != 0; i++) {
    if (lower(*end) != units[i]) continue;
    unit = 1L << (10 * (i + 1));
    end++;
    if (lower(*end) == 'i' && lower(end[1]) == 'b') end++;
    break;
  }
  if (lower(*end) == 'b') end++;
  return *end == 0 && !__builtin_mul_overflow(*value, unit, value);
}

static bool parse_path(const char* text, char path[MIM_PATH_MAX]) {
  size_t length = strlen(text);
  if (text[0] != '/' || length >= MIM_PATH_MAX) return false;
  memcpy(path, text, length + 1);
  return true;
}

// The value a text stands for; false when it is not accepted.
static bool parse(mi_option_t option, const char* text, long* value) {
  const option_t* entry = &options[option];
  switch (entry->kind) {
    case SWITCH:
      return find_word(switch_words, text, value);
    case LEVEL:
      if (!parse_number(text, value) && !find_word(switch_words, text, value)) return false;
      break;
    case NUMBER:
      if (!parse_number(text, value)) return false;
      break;
    case BYTES:
      if (!parse_bytes(text, value)) return false;
      break;
    case KIBS:
      if (!parse_bytes(text, value)) return false;
      *value = *value / 1024 + (*value % 1024 > 0);
      break;
    case REPORT:
      if (parse_path(text, report_path)) {
        *value = MI_REPORT_FILE;
        return true;
      }
      if (!find_word(report_words, text, value)) return false;
      break;
    case MAP:
      *value = parse_path(text, map_path);
      return *value == 1 || find_word(map_words, text, value);
    default:
      if (!find_word(words_of(entry->kind), text, value) && !parse_number(text, value)) return false;
      break;
  }
  return *value >= entry->min && *value <= entry->max;
}

// ---- the environment ------------------------------------------------------------------------------------------------

#define PREFIX "MIMALLOC_"
#define PREFIX_LENGTH (sizeof(PREFIX) - 1)

// `entry` is the whole "MIMALLOC_NAME=value".
static void read_variable(mi_option_t option, const char* entry, const char* text) {
  if (*text == 0 || mim_option_origin(option) != ORIGIN_DEFAULT) return;  // nothing said, or said before
  long value;
  if (parse(option, text, &value)) {
    store(option, value, ORIGIN_ENVIRONMENT);
    return;
  }
  char standing[TEXT_MAX], accepted[TEXT_MAX];
  mim_notice("%.*s: '%.80s' is not accepted: expected %s; it stays %s", (int)(text - entry - 1), entry, text,
             accepted_text(option, accepted), value_text(option, mim_option(option), standing));
  store(option, mim_option(option), ORIGIN_REJECTED);
}

static bool find_option(const char* name, size_t length, mi_option_t* option) {
  for (int i = 0; i < _mi_option_last; i++) {
    if (!same_word(name, length, options[i].name)) continue;
    *option = (mi_option_t)i;
    return true;
  }
  return false;
}

static bool find_legacy(const char* name, size_t length, mi_option_t* option) {
  for (size_t i = 0; i < LEGACY_COUNT; i++) {
    if (!same_word(name, length, legacies[i].name)) continue;
    *option = legacies[i].option;
    return true;
  }
  return false;
}

// One pass over the environment. The names of the table first, so that they win over older names; then these, and with
// them what is no option at all.
static void read_environment(char** environment, bool legacy) {
  for (; *environment != NULL; environment++) {
    const char* entry = *environment;
    if (strncmp(entry, PREFIX, PREFIX_LENGTH) != 0) continue;
    const char* name = entry + PREFIX_LENGTH;
    const char* equals = strchr(name, '=');
    if (equals == NULL) continue;
    size_t length = (size_t)(equals - name);
    mi_option_t option;
    bool current = find_option(name, length, &option);
    if (current != !legacy) continue;
    if (current || find_legacy(name, length, &option)) {
      read_variable(option, entry, equals + 1);
    } else {
      mim_verbose("there is no option %.*s: it has no effect", (int)(equals - entry), entry);
    }
  }
}

void mim_options_init(void) {
  if (atomic_exchange_explicit(&have_read_environment, true, memory_order_relaxed)) return;
  if (mim_os_secure_mode()) return;
  char** environment = mim_os_environ();
  if (environment == NULL) return;
  read_environment(environment, false);
  read_environment(environment, true);
}

// ---- the functions of the interface ---------------------------------------------------------------------------------

long mi_option_get(mi_option_t option) {
  mim_options_init();
  return is_option(option) ? mim_option(option) : 0;
}

long mi_option_get_clamp(mi_option_t option, long min, long max) {
  long value = mi_option_get(option);
  return value < min ? min : value > max ? max : value;
}

size_t mi_option_get_size(mi_option_t option) {
  long value = mi_option_get(option);
  if (value <= 0) return 0;
  size_t size;
  size_t unit = options[option].kind == KIBS ? KIB : 1;
  return mul_overflows((size_t)value, unit, &size) ? SIZE_MAX : size;
}

bool mi_option_is_enabled(mi_option_t option) {
  return mi_option_get(option) != 0;
}

// May the program give the option this value? Says why not.
static bool may_set(mi_option_t option, long value) {
  mim_options_init();
  if (!is_option(option)) {
    mim_notice("mi_option_set: %d is not an option: expected 0 to %d", (int)option, _mi_option_last - 1);
    return false;
  }
  const option_t* entry = &options[option];
  if (value < entry->min || value > entry->max) {
    char standing[TEXT_MAX];
    mim_notice("mi_option_set: '%s': %ld is not accepted: expected %ld to %ld; it stays %s", entry->name, value,
               entry->min, entry->max, value_text(option, mim_option(option), standing));
    return false;
  }
  bool fixed = entry->effect == SECURE && mi_is_secure() && mim_process_is_ready();
  if (fixed && value != mim_option(option)) {
    char name[VARIABLE_MAX];
    mim_notice("mi_option_set: '%s' is fixed since the library started: set %s in the environment", entry->name,
               variable_name(option, name));
    return false;
  }
  return true;
}

void mi_option_set(mi_option_t option, long value) {
  if (may_set(option, value)) store(option, value, ORIGIN_PROGRAM);
}

void mi_option_set_default(mi_option_t option, long value) {
  if (!may_set(option, value)) return;
  option_origin_t origin = mim_option_origin(option);
  if (origin == ORIGIN_DEFAULT || origin == ORIGIN_REJECTED) store(option, value, origin);
}

void mi_option_set_enabled(mi_option_t option, bool enable) {
  mi_option_set(option, enable);
}

void mi_option_set_enabled_default(mi_option_t option, bool enable) {
  mi_option_set_default(option, enable);
}

void mi_option_enable(mi_option_t option) {
  mi_option_set(option, 1);
}

void mi_option_disable(mi_option_t option) {
  mi_option_set(option, 0);
}

// ---- print ----------------------------------------------------------------------------------------------------------

static const char* origin_text(option_origin_t origin) {
  switch (origin) {
    case ORIGIN_ENVIRONMENT:
      return "environment";
    case ORIGIN_PROGRAM:
      return "program";
    case ORIGIN_REJECTED:
      return "default; the environment's value was not accepted";
    default:
      return "default";
  }
}

void mi_options_print_out(mi_output_fun* out, void* arg) {
  mim_options_init();
  int version = mi_version();
  bool with_help = mim_option(mi_option_verbose) > 1;
  mim_print_to(out, arg, "mimalloc: version %d.%d.%d, profile %s\n", version / 100, version / 10 % 10, version % 10,
               mi_profile_name());
  for (int i = 0; i < _mi_option_last; i++) {
    mi_option_t option = (mi_option_t)i;
    const option_t* entry = &options[option];
    bool idle = entry->effect == UNUSED || (entry->effect == SECURE && !mi_is_secure());
    char text[TEXT_MAX];
    mim_print_to(out, arg, "mimalloc: option '%s': %s (%s%s)%s%s\n", entry->name,
                 value_text(option, mim_option(option), text), origin_text(mim_option_origin(option)),
                 idle ? "; no effect" : "", with_help ? ": " : "", with_help ? entry->help : "");
  }
  if (mim_os_secure_mode()) mim_print_to(out, arg, "mimalloc: raised privileges: the environment is not read\n");
}

void mi_options_print(void) {
  mi_options_print_out(NULL, NULL);
}

#if MIM_FUZZING
// For the fuzzer of the parser: reads this environment, with every option at its default before.
void mim_options_read(char** environment) {
  static setting_t defaults[_mi_option_last];
  static bool kept;
  if (!kept) memcpy(defaults, settings, sizeof(defaults));
  kept = true;
  for (int i = 0; i < _mi_option_last; i++) {
    store((mi_option_t)i, atomic_load(&defaults[i].value), (option_origin_t)atomic_load(&defaults[i].origin));
  }
  read_environment(environment, false);
  read_environment(environment, true);
}
#endif
