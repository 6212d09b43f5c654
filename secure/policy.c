// Policy: which mechanisms run, and what follows when they find something. Decided once at start, from the build, the
// profile and the options, into mim_process.hook, which is then sealed.
//
// A profile is a sum of mechanisms, and a row of the one table below. Two rules for what the environment or the program
// may change (and in a process with raised privileges the environment is not read at all):
//   - mechanisms and amounts can be raised, never lowered below those of the profile the library was built with; a
//     build with MIM_ALLOW_LOWER (Debug builds; CMake: MI_ALLOW_LOWER) does what it is told;
//   - what follows a finding is the operator's choice: abort or report, and the family, size and foreign checks may be
//     turned off one by one. Real programs need these ways round; without them people would turn off everything.
//
// MIMALLOC_VERBOSE=1 prints what is in effect and who said so. Thread rule: once, under the process's start lock.
#include "../src/watch.h"
#include "secure.h"

// ---- the tables -----------------------------------------------------------------------------------------------------

enum {
  SUM_FAST = SEC_PAGE_GUARD | SEC_LARGE_SEAL,
  SUM_DEFAULT = SUM_FAST | SEC_FENCE | SEC_WIPE | SEC_BLOCK_GUARD | SEC_FAMILY | SEC_SIZED | SEC_SAMPLE,
  SUM_STRICT = SUM_DEFAULT | SEC_QUARANTINE | SEC_ISOLATE | SEC_CHECKED_MEMORY | SEC_FAULT_REPORT,
  SUM_FUZZ = SUM_STRICT,
};

typedef struct profile_s {
  const char* name;
  uint32_t mechanisms;
  uint32_t wipe_limit;
  uint32_t sample_rate;
  uint32_t sample_pause;  // ms
  size_t quarantine;
} profile_t;

static const profile_t profiles[] = {
    [MI_PROFILE_NONE] = {"none", 0, 0, 0, 0, 0},
    [MI_PROFILE_FAST] = {"fast", SUM_FAST, 0, 0, 0, 0},
    [MI_PROFILE_DEFAULT] = {"default", SUM_DEFAULT, 1024, 5000, 5, 0},
    [MI_PROFILE_STRICT] = {"strict", SUM_STRICT, UINT32_MAX, 1000, 1, 256 * KIB},
    [MI_PROFILE_FUZZ] = {"fuzz", SUM_FUZZ, UINT32_MAX, 1, 0, 256 * KIB},
};

static const watch_t policy_watch[] = {
    WATCH_MEMBER("profile", process_t, hook.profile),  // one of these numbers
    WATCH_NUMBER("profile.fast", MI_PROFILE_FAST),     WATCH_NUMBER("profile.default", MI_PROFILE_DEFAULT),
    WATCH_NUMBER("profile.strict", MI_PROFILE_STRICT), WATCH_NUMBER("profile.fuzz", MI_PROFILE_FUZZ),
};
const watch_table_t sec_watch_policy = WATCH_TABLE(&mim_process, policy_watch);

// The classic levels of MI_SECURE=n builds, and the profile that contains what each of them did.
static const mi_profile_t levels[] = {
    [0] = MI_PROFILE_FAST,     // nothing: the least there is
    [1] = MI_PROFILE_FAST,     // guards round metadata
    [2] = MI_PROFILE_FAST,     // and behind pages
    [3] = MI_PROFILE_FAST,     // and encoded free lists
    [4] = MI_PROFILE_DEFAULT,  // and checks for double frees and overflows; what MI_SECURE=ON is
    [5] = MI_PROFILE_STRICT,   // everything
};

#ifndef MIM_SECURE_LEVEL
#define MIM_SECURE_LEVEL 4
#endif
_Static_assert(MIM_SECURE_LEVEL >= 0 && MIM_SECURE_LEVEL <= 5, "MI_SECURE is ON, or a level from 0 to 5");

#ifdef MIM_ALLOW_LOWER
#define MAY_LOWER 1
#else
#define MAY_LOWER 0
#endif

static const struct {
  uint32_t bit;
  const char* name;
} mechanism_names[] = {
    {SEC_FENCE, "fence"},
    {SEC_WIPE, "wipe"},
    {SEC_PAGE_GUARD, "page-guard"},
    {SEC_BLOCK_GUARD, "block-guard"},
    {SEC_LARGE_SEAL, "large-seal"},
    {SEC_FAMILY, "family"},
    {SEC_SIZED, "sized"},
    {SEC_QUARANTINE, "quarantine"},
    {SEC_SAMPLE, "sample"},
    {SEC_ISOLATE, "isolate"},
    {SEC_CHECKED_MEMORY, "checked-memory"},
    {SEC_FAULT_REPORT, "fault-report"},
};

// ---- taking options -------------------------------------------------------------------------------------------------

static bool is_given(mi_option_t option) {
  option_origin_t origin = mim_option_origin(option);
  return origin == ORIGIN_ENVIRONMENT || origin == ORIGIN_PROGRAM;
}

static const char* origin_name(mi_option_t option) {
  return mim_option_origin(option) == ORIGIN_PROGRAM ? "program" : "environment";
}

static mi_profile_t choose_profile(void) {
  mi_profile_t built = levels[MIM_SECURE_LEVEL];
  if (!is_given(mi_option_profile)) {
    mim_verbose("secure: profile %s (build)", profiles[built].name);
    return built;
  }
  mi_profile_t wanted = (mi_profile_t)mim_option(mi_option_profile);
  const char* origin = origin_name(mi_option_profile);
  if (wanted < built && !MAY_LOWER) {
    mim_notice("profile %s is below %s, which this library was built with, and is not taken (%s)",
               profiles[wanted].name, profiles[built].name, origin);
    return built;
  }
  mim_verbose("secure: profile %s (%s)", profiles[wanted].name, origin);
  return wanted;
}

// The amount an option asks for, unless that is weaker than `standing`. `strength` tells how strong an amount is.
static uint64_t choose_amount(mi_option_t option, const char* name, uint64_t standing, uint64_t wanted,
                              uint64_t (*strength)(uint64_t)) {
  if (!is_given(option)) {
    mim_verbose("secure: %s %llu (profile)", name, (unsigned long long)standing);
    return standing;
  }
  if (strength(wanted) < strength(standing) && !MAY_LOWER) {
    mim_notice("%s %llu is weaker than %llu, the profile's, and is not taken (%s)", name, (unsigned long long)wanted,
               (unsigned long long)standing, origin_name(option));
    return standing;
  }
  mim_verbose("secure: %s %llu (%s)", name, (unsigned long long)wanted, origin_name(option));
  return wanted;
}

static uint64_t more_is_stronger(uint64_t amount) {
  return amount;
}

static uint64_t rarer_is_weaker(uint64_t rate) {
  return rate == 0 ? 0 : UINT64_MAX - rate;
}

static sec_severity_t from_public(long severity, sec_severity_t inherited) {
  switch (severity) {
    case MI_SEVERITY_OFF:
      return SEC_OFF;
    case MI_SEVERITY_REPORT:
      return SEC_REPORT;
    case MI_SEVERITY_ABORT:
      return SEC_ABORT;
    default:
      return inherited;
  }
}

const char* sec_severity_name(sec_severity_t severity) {
  return severity == SEC_ABORT ? "abort" : severity == SEC_REPORT ? "report" : "off";
}

// The severity of one check, and whether its mechanism runs. `may_go`: turning it off is one of the ways round.
static sec_severity_t choose_severity(mi_option_t option, const char* name, uint32_t bit, bool may_go) {
  hook_process_t* policy = &mim_process.hook;
  sec_severity_t standing = (policy->mechanisms & bit) ? (sec_severity_t)policy->on_violation : SEC_OFF;
  sec_severity_t chosen = standing;
  const char* origin = "profile";
  if (is_given(option) && mim_option(option) != MI_SEVERITY_INHERIT) {
    chosen = from_public(mim_option(option), standing);
    origin = origin_name(option);
    if (chosen == SEC_OFF && standing != SEC_OFF && !may_go && !MAY_LOWER) {
      mim_notice("%s off is weaker than the profile, and is not taken (%s)", name, origin);
      chosen = standing;
      origin = "profile";
    }
  }
  policy->mechanisms = chosen == SEC_OFF ? policy->mechanisms & ~bit : policy->mechanisms | bit;
  mim_verbose("secure: %s %s (%s)", name, sec_severity_name(chosen), origin);
  return chosen;
}

// ---- one by one -----------------------------------------------------------------------------------------------------

// Builds that may lower take MIM_MECHANISMS=NAME,NAME (empty: none) in place of the profile's mechanisms, to measure or
// test single ones. Amounts are those of `default`, or of `strict` where `default` has none.
static void choose_one_by_one(profile_t* profile) {
  const char* list = MAY_LOWER && !mim_os_secure_mode() ? mim_os_getenv("MIM_MECHANISMS") : NULL;
  if (list == NULL) return;
  uint32_t sum = 0;
  while (*list != 0) {
    size_t length = strcspn(list, ",");
    uint32_t bit = 0;
    for (size_t i = 0; i < sizeof(mechanism_names) / sizeof(mechanism_names[0]); i++) {
      const char* name = mechanism_names[i].name;
      if (strlen(name) == length && memcmp(name, list, length) == 0) bit = mechanism_names[i].bit;
    }
    if (bit == 0) {
      mim_notice("MIM_MECHANISMS: there is no mechanism '%.*s'; docs/mechanisms/policy.md names them", (int)length,
                 list);
    }
    sum |= bit;
    list += length + (list[length] == ',');
  }
  profile->mechanisms = sum;
  profile->wipe_limit = sum & SEC_WIPE ? profiles[MI_PROFILE_DEFAULT].wipe_limit : 0;
  profile->sample_rate = sum & SEC_SAMPLE ? profiles[MI_PROFILE_DEFAULT].sample_rate : 0;
  profile->sample_pause = sum & SEC_SAMPLE ? profiles[MI_PROFILE_DEFAULT].sample_pause : 0;
  profile->quarantine = sum & SEC_QUARANTINE ? profiles[MI_PROFILE_STRICT].quarantine : 0;
}

// ---- putting it together --------------------------------------------------------------------------------------------

static void choose_amounts(const profile_t* profile) {
  hook_process_t* policy = &mim_process.hook;
  long zero_free = mim_option(mi_option_zero_free);
  uint64_t limit = zero_free < 0 || zero_free > (long)UINT32_MAX ? UINT32_MAX : (uint64_t)zero_free;
  policy->wipe_limit =
      (uint32_t)choose_amount(mi_option_zero_free, "zero_free", profile->wipe_limit, limit, more_is_stronger);
  uint64_t kept = (uint64_t)mim_option(mi_option_quarantine) * KIB;
  policy->quarantine =
      (size_t)choose_amount(mi_option_quarantine, "quarantine", profile->quarantine, kept, more_is_stronger);
  // The name that mimalloc gives the same thing counts when ours is not given.
  bool other = !is_given(mi_option_sample_rate) && is_given(mi_option_guarded_sample_rate);
  mi_option_t rate_option = other ? mi_option_guarded_sample_rate : mi_option_sample_rate;
  uint64_t rate = (uint64_t)mim_option(rate_option);
  if (rate > UINT32_MAX) rate = UINT32_MAX;
  policy->sample_rate =
      (uint32_t)choose_amount(rate_option, "sample_rate", profile->sample_rate, rate, rarer_is_weaker);
  policy->sample_pause = is_given(rate_option) ? 0 : profile->sample_pause;  // a rate that was asked for is kept

  const struct {
    uint32_t bit;
    bool on;
  } amounts[] = {{SEC_WIPE, policy->wipe_limit != 0},
                 {SEC_QUARANTINE, policy->quarantine != 0},
                 {SEC_SAMPLE, policy->sample_rate != 0}};
  for (size_t i = 0; i < sizeof(amounts) / sizeof(amounts[0]); i++) {
    policy->mechanisms = amounts[i].on ? policy->mechanisms | amounts[i].bit : policy->mechanisms & ~amounts[i].bit;
  }
}

static void choose_severities(void) {
  hook_process_t* policy = &mim_process.hook;
  bool given = is_given(mi_option_on_violation);
  policy->on_violation = (int)(given ? from_public(mim_option(mi_option_on_violation), SEC_ABORT) : SEC_ABORT);
  mim_verbose("secure: on_violation %s (%s)", sec_severity_name((sec_severity_t)policy->on_violation),
              given ? origin_name(mi_option_on_violation) : "build");
  policy->fence_severity = (int)choose_severity(mi_option_fence, "fence", SEC_FENCE, false);
  policy->family_severity = (int)choose_severity(mi_option_family_check, "family_check", SEC_FAMILY, true);
  policy->size_severity = (int)choose_severity(mi_option_size_check, "size_check", SEC_SIZED, true);
  policy->memory_severity = (int)choose_severity(mi_option_checked_memory, "checked_memory", SEC_CHECKED_MEMORY, false);
  policy->foreign_policy = (int)mim_option(mi_option_foreign);
}

static void choose_report(void) {
  hook_process_t* policy = &mim_process.hook;
  policy->report_form = (int)mim_option(mi_option_report);
  const char* path = mim_option_report_path();
  size_t length = strlen(path);
  if (length >= sizeof(policy->report_path)) length = 0;
  memcpy(policy->report_path, path, length);
  policy->report_path[length] = 0;
}

static void print_mechanisms(uint32_t mechanisms) {
  char text[256];
  size_t used = 0;
  text[0] = 0;
  for (size_t i = 0; i < sizeof(mechanism_names) / sizeof(mechanism_names[0]); i++) {
    if (!(mechanisms & mechanism_names[i].bit)) continue;
    used += (size_t)mim_format(text + used, sizeof(text) - used, " %s", mechanism_names[i].name);
  }
  mim_verbose("secure: mechanisms:%s", text);
}

void sec_policy_init(void) {
  hook_process_t* policy = &mim_process.hook;
  mi_profile_t profile = choose_profile();
  policy->profile = (int)profile;
  profile_t row = profiles[profile];
  choose_one_by_one(&row);
  policy->mechanisms = row.mechanisms;
  choose_amounts(&row);
  choose_severities();
  choose_report();
  if (is_given(mi_option_fault_report)) {
    bool wanted = mim_option(mi_option_fault_report) != 0;
    // Off is no weakening: the fault itself ends the process all the same.
    policy->mechanisms &= ~(uint32_t)SEC_FAULT_REPORT;
    if (wanted) policy->mechanisms |= SEC_FAULT_REPORT;
  }
  print_mechanisms(policy->mechanisms);
}

// ---- questions ------------------------------------------------------------------------------------------------------

mi_profile_t mi_profile(void) {
  // Before start it is what the build says, which is what messages of the start itself should show.
  return mim_process.hook.profile == 0 ? levels[MIM_SECURE_LEVEL] : (mi_profile_t)mim_process.hook.profile;
}

const char* mi_profile_name(void) {
  return profiles[mi_profile()].name;
}

bool mi_is_secure(void) {
  return true;
}
