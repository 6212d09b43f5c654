// ChaCha20 (RFC 8439, section 2.3) in portable C: the keystream of builds without libsodium (MIM_ENTROPY_GETRANDOM). In
// other builds nothing calls it but a test, which compares the two.
//
//   state   0..3 constants | 4..11 key | 12, 13 counter of blocks, from 0 | 14, 15 nonce
//
// The layout is the original one, with a counter and a nonce of 64 bits each; for a nonce whose high half is that of
// an RFC 8439 nonce it gives the same blocks, which is how the test vectors apply. No tables, no branches on secrets:
// constant time. Thread rule: no state.
#include "secure.h"

#define ROUNDS 20

static uint32_t load_32(const uint8_t* p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void store_32(uint8_t* p, uint32_t word) {
  p[0] = (uint8_t)word;
  p[1] = (uint8_t)(word >> 8);
  p[2] = (uint8_t)(word >> 16);
  p[3] = (uint8_t)(word >> 24);
}

static uint32_t rotate(uint32_t word, unsigned bits) {
  return word << bits | word >> (32 - bits);
}

static void quarter_round(uint32_t* s, unsigned a, unsigned b, unsigned c, unsigned d) {
  s[a] += s[b];
  s[d] = rotate(s[d] ^ s[a], 16);
  s[c] += s[d];
  s[b] = rotate(s[b] ^ s[c], 12);
  s[a] += s[b];
  s[d] = rotate(s[d] ^ s[a], 8);
  s[c] += s[d];
  s[b] = rotate(s[b] ^ s[c], 7);
}

static void block(uint8_t out[64], const uint32_t input[16]) {
  uint32_t s[16];
  memcpy(s, input, sizeof(s));
  for (unsigned round = 0; round < ROUNDS; round += 2) {
    for (unsigned i = 0; i < 4; i++) quarter_round(s, i, 4 + i, 8 + i, 12 + i);
    for (unsigned i = 0; i < 4; i++) quarter_round(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
  }
  for (unsigned i = 0; i < 16; i++) store_32(out + 4 * i, s[i] + input[i]);
  sec_memzero(s, sizeof(s));
}

void sec_chacha20_portable(uint8_t* out, size_t size, uint64_t nonce, const uint8_t key[32]) {
  uint32_t input[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};  // "expand 32-byte k"
  for (unsigned i = 0; i < 8; i++) input[4 + i] = load_32(key + 4 * i);
  input[14] = (uint32_t)nonce;
  input[15] = (uint32_t)(nonce >> 32);
  uint8_t bytes[64];
  for (size_t done = 0; done < size; done += sizeof(bytes)) {
    block(bytes, input);
    memcpy(out + done, bytes, min_size(size - done, sizeof(bytes)));
    if (++input[12] == 0) input[13]++;
  }
  sec_memzero(bytes, sizeof(bytes));
  sec_memzero(input, sizeof(input));
}
