// Entropy: the root key, drawn once a process. The only file that knows libsodium.
//
// The ladder, at the first allocation:
//   1. one byte by getrandom(GRND_NONBLOCK). EAGAIN: the kernel's pool is not ready (early boot); the key is then
//      provisional, and keys.c asks again. Nothing here ever blocks a process that boots the machine.
//   2. 32 bytes by libsodium's randombytes_buf, once. Without getrandom it waits for /dev/random and reads
//      /dev/urandom. Without those either it calls sodium_misuse, which is ours: a report, and the process ends.
//   3. the kernel's AT_RANDOM bytes, clock and addresses, through ChaCha20, mixed in: defence in depth, and all there
//      is while the key is provisional. AT_RANDOM itself is never used raw: the C library's canaries are made of it.
//
// MIM_ENTROPY_GETRANDOM builds the same ladder without libsodium; ChaCha20 is then that of chacha20.c.
// MIM_FIXED_SEED (a 64-bit number; fuzzing builds only) replaces what came of all that, so that runs can be repeated.
//
// Thread rule: sec_entropy_root only under the process's start lock (libsodium's first use is not thread-safe); the
// rest from any thread. errno is kept.
// Stops: prediction of any key. Does not stop: who knows the kernel's random numbers.
// Costs: three calls of getrandom a process (two without libsodium), however much it allocates.
#include "secure.h"

#if defined(MIM_ENTROPY_SODIUM) == defined(MIM_ENTROPY_GETRANDOM)
#error "define one of MIM_ENTROPY_SODIUM and MIM_ENTROPY_GETRANDOM"
#endif

#ifdef MIM_FIXED_SEED
#define FIXED_SEED_GIVEN 1
#define FIXED_SEED ((uint64_t)(MIM_FIXED_SEED))
#else
#define FIXED_SEED_GIVEN 0
#define FIXED_SEED ((uint64_t)0)
#endif

#define DOMAIN_DRAWN 0
#define DOMAIN_MIXED 1

void sec_memzero(void* p, size_t size) {
  memset(p, 0, size);
  __asm__ __volatile__("" : : "r"(p) : "memory");  // the stores count although nobody reads them
}

#ifdef MIM_ENTROPY_SODIUM

#define SODIUM_STATIC 1
#include <sodium/core.h>
#include <sodium/crypto_stream_chacha20.h>
#include <sodium/randombytes.h>
#include <sodium/version.h>

#if SODIUM_LIBRARY_VERSION_MAJOR < 10 || (SODIUM_LIBRARY_VERSION_MAJOR == 10 && SODIUM_LIBRARY_VERSION_MINOR < 3)
#error "libsodium 1.0.18 or later is needed"
#endif

// libsodium keeps sodium_misuse beside sodium_init; defining it here keeps that file, and with it most of the library,
// out of ours, and turns its silent abort into a report. The next two are weak references of its ChaCha20: the portable
// code is what we want. All weak, so that a program linked with both static libraries gets no name twice.
#define ours __attribute__((weak, visibility("hidden")))
ours void sodium_misuse(void);
ours int sodium_runtime_has_avx2(void);
ours int sodium_runtime_has_ssse3(void);

void sodium_misuse(void) {
  sec_fatal(MI_FAULT_NO_ENTROPY, NULL, "neither getrandom nor /dev/urandom gives random bytes");
}

int sodium_runtime_has_avx2(void) {
  return 0;
}

int sodium_runtime_has_ssse3(void) {
  return 0;
}

static void draw(uint8_t key[32]) {
  randombytes_buf(key, 32);
}

void sec_chacha20(uint8_t* out, size_t size, uint64_t nonce, const uint8_t key[32]) {
  uint8_t bytes[8];
  for (unsigned i = 0; i < 8; i++) bytes[i] = (uint8_t)(nonce >> (8 * i));
  (void)crypto_stream_chacha20(out, size, bytes, key);  // fails for lengths above 2^38 only
}

#else

void sec_chacha20(uint8_t* out, size_t size, uint64_t nonce, const uint8_t key[32]) {
  sec_chacha20_portable(out, size, nonce, key);
}

static void draw(uint8_t key[32]) {
  if (mim_os_random(key, 32) == 0 || mim_os_random_device(key, 32) == 0) return;
  sec_fatal(MI_FAULT_NO_ENTROPY, NULL, "neither getrandom nor /dev/urandom gives random bytes");
}

#endif

// What can be known of this process without asking for random numbers: not secret enough alone, free to add.
static bool gather(uint8_t mix[32]) {
  const void* auxv = mim_os_auxv_random();
  uint64_t clock = mim_os_clock_ns() ^ ((uint64_t)mim_os_process_id() << 32);
  uint64_t place = (uint64_t)(uintptr_t)mix ^ ((uint64_t)(uintptr_t)&mim_process << 24);
  memset(mix, 0, 32);
  if (auxv != NULL) memcpy(mix, auxv, 16);
  memcpy(mix + 16, &clock, 8);
  memcpy(mix + 24, &place, 8);
  return auxv != NULL;
}

static bool root_drawn(uint8_t key[32]) {
  int saved = errno;
  uint8_t drawn[32] = {0};
  uint8_t mix[32];
  uint8_t other[32];
  uint8_t probe;
  bool ready = mim_os_random(&probe, 1) != EAGAIN;
  if (ready) draw(drawn);
  if (!gather(mix) && !ready) {
    sec_fatal(MI_FAULT_NO_ENTROPY, NULL, "the kernel's pool is not ready and it gave no AT_RANDOM");
  }
  sec_chacha20(key, 32, DOMAIN_DRAWN, drawn);
  sec_chacha20(other, 32, DOMAIN_MIXED, mix);
  for (size_t i = 0; i < 32; i++) key[i] ^= other[i];
  sec_memzero(drawn, sizeof(drawn));
  sec_memzero(mix, sizeof(mix));
  sec_memzero(other, sizeof(other));
  errno = saved;
  return ready;
}

static void fix(uint8_t key[32]) {
  const uint64_t words[4] = {FIXED_SEED, 0, 0, 0};
  if (FIXED_SEED_GIVEN) memcpy(key, words, 32);
}

bool sec_entropy_root(uint8_t key[32]) {
  bool ready = root_drawn(key);
  fix(key);
  return ready;
}

bool sec_entropy_fresh(uint8_t key[32]) {
  int saved = errno;
  bool drawn = mim_os_random(key, 32) == 0;
  fix(key);
  errno = saved;
  return drawn;
}
