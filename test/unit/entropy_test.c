// The root key and ChaCha20: vectors of RFC 8439; the ladder under filters that deny getrandom before the library
// starts and after; what happens without any source; how many system calls it takes.
#include "child.h"

#include <pthread.h>

#include "secure.h"

// ---- ChaCha20 -------------------------------------------------------------------------------------------------------

typedef void(cipher_t)(uint8_t* out, size_t size, uint64_t nonce, const uint8_t key[32]);
static cipher_t* const ciphers[] = {sec_chacha20, sec_chacha20_portable};

static void from_hex(uint8_t* out, const char* hex) {
  for (size_t i = 0; hex[2 * i] != 0; i++) {
    unsigned byte;
    assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
    out[i] = (uint8_t)byte;
  }
}

// RFC 8439, appendix A.1: key stream blocks.
static const struct {
  uint8_t key_at, key_byte;  // the only byte of the key that is not 0
  unsigned block;
  uint64_t nonce;
  const char* stream;
} vectors[] = {
    {0, 0, 0, 0,
     "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
     "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"},
    {0, 0, 1, 0,
     "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
     "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f"},
    {31, 1, 1, 0,
     "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a"
     "8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0"},
    {1, 0xFF, 2, 0,
     "72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca"
     "13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096"},
    {0, 0, 0, (uint64_t)2 << 56,
     "c2c64d378cd536374ae204b9ef933fcd1a8b2288b3dfa49672ab765b54ee27c7"
     "8a970e0e955c14f3a88e741b97c286f75f8fc299e8148362fa198a39531bed6d"},
};

static void test_vectors(void** state) {
  (void)state;
  for (size_t c = 0; c < 2; c++) {
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
      uint8_t key[32] = {0}, expected[64], stream[64 * 3];
      key[vectors[i].key_at] = vectors[i].key_byte;
      from_hex(expected, vectors[i].stream);
      ciphers[c](stream, sizeof(stream), vectors[i].nonce, key);
      assert_memory_equal(stream + 64 * vectors[i].block, expected, 64);
    }
  }
}

static void test_ciphers_agree(void** state) {
  (void)state;
  uint64_t seed = 1;
  for (size_t size = 1; size <= 600; size++) {
    uint8_t key[32], one[602], two[602];
    for (size_t i = 0; i < 32; i++) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      key[i] = (uint8_t)(seed >> 56);
    }
    memset(one, 0xAA, sizeof(one));
    memset(two, 0xAA, sizeof(two));
    ciphers[0](one, size, seed, key);
    ciphers[1](two, size, seed, key);
    assert_memory_equal(one, two, sizeof(one));
    assert_int_equal(one[size], 0xAA);  // not a byte more than asked for
  }
}

// ---- the root -------------------------------------------------------------------------------------------------------

static void test_root(void** state) {
  (void)state;
  uint8_t first[32], second[32], zero[32] = {0};
  errno = 77;
  assert_true(sec_entropy_root(first));
  assert_true(sec_entropy_root(second));
  assert_int_equal(errno, 77);
  assert_memory_not_equal(first, second, 32);
  assert_memory_not_equal(first, zero, 32);
  assert_true(sec_entropy_fresh(second));
  assert_memory_not_equal(first, second, 32);
}

static void test_memzero(void** state) {
  (void)state;
  char bytes[40];
  memset(bytes, 1, sizeof(bytes));
  sec_memzero(bytes + 1, 38);
  for (size_t i = 0; i < 40; i++) assert_int_equal(bytes[i], i == 0 || i == 39);
}

// ---- filters --------------------------------------------------------------------------------------------------------

// Denied from before the process starts: says whether the root is a whole one, and shows that allocation works.
static int role_root(void) {
  uint8_t key[32];
  bool whole = sec_entropy_root(key);
  void* p = malloc(100);
  printf("root %s, %s\n", whole ? "whole" : "provisional", p != NULL ? "works" : "fails");
  free(p);
  return 0;
}

static void test_denied_before(void** state) {
  (void)state;
  static const struct {
    int error;
    const char* expected;
  } cases[] = {
      {EAGAIN, "root provisional, works\n"},  // early boot: does not wait
      {ENOSYS, "root whole, works\n"},        // /dev/urandom
      {EPERM, "root whole, works\n"},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    static child_t child;
    child_again(&child, (again_t){.role = "root", .denied = SYS_getrandom, .error = cases[i].error});
    assert_true(child_exited(&child, 0));
    assert_string_equal(child.text, cases[i].expected);
  }
}

static void denied_after(void* arg) {
  if (!deny_call(SYS_getrandom, *(int*)arg, -1)) _exit(99);
  uint8_t key[32];
  if (sec_entropy_fresh(key)) _exit(1);
  for (int i = 0; i < 100000; i++) free(malloc((size_t)i % 4000));  // needs keys all the time
  _exit(0);
}

static void test_denied_after(void** state) {
  (void)state;
  int errors[] = {EAGAIN, ENOSYS, EPERM};
  for (size_t i = 0; i < 3; i++) {
    static child_t child;
    child_run(&child, denied_after, &errors[i]);
    assert_true(child_exited(&child, 0));
  }
}

static void without_any(void* arg) {
  (void)arg;
  uint8_t key[32];
  if (!deny_call(SYS_getrandom, EPERM, -1) || !deny_call(SYS_openat, EACCES, -1)) _exit(99);
  sec_entropy_root(key);
}

// Fails closed, and says why.
static void test_no_source(void** state) {
  (void)state;
  static child_t child;
  static const char expected[] =
      "mimalloc: violation: no-entropy: 0x0 there are no random numbers to make keys from\n";
  child_run(&child, without_any, NULL);
  assert_true(child_killed(&child, SIGABRT));
  assert_int_equal(strncmp(child.text, expected, strlen(expected)), 0);
}

// ---- system calls ---------------------------------------------------------------------------------------------------

static void* work(void* arg) {
  void* blocks[64] = {NULL};
  for (size_t i = 0; i < 100000; i++) {
    size_t k = (i * 7) % 64;
    free(blocks[k]);
    blocks[k] = malloc(16 + (i * 37) % 9000);
  }
  for (size_t k = 0; k < 64; k++) free(blocks[k]);
  return arg;
}

static int role_idle(void) {
  free(malloc(1));
  return 0;
}

static int role_busy(void) {
  pthread_t threads[8];
  for (size_t i = 0; i < 8; i++) pthread_create(&threads[i], NULL, work, NULL);
  for (size_t i = 0; i < 8; i++) pthread_join(threads[i], NULL);
  return 0;
}

static void run_strace(void* arg) {
  (void)arg;
  execlp("strace", "strace", "--version", (char*)NULL);
  _exit(97);
}

static size_t count_calls(const char* role) {
  static child_t child;
  static char command[4300], path[4096];
  ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
  assert_true(length > 0);
  path[length] = 0;
  snprintf(command, sizeof(command), "exec strace -f -qq -e trace=getrandom '%s' %s", path, role);
  char* argv[] = {(char*)"sh", (char*)"-c", command, NULL};
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  pid_t process = fork();
  if (process == 0) {
    dup2(ends[1], 2);
    execv("/bin/sh", argv);
    _exit(96);
  }
  close(ends[1]);
  child_collect(&child, process, ends[0]);
  if (!child_exited(&child, 0)) return SIZE_MAX;
  size_t count = 0;
  for (const char* at = child.text; (at = strstr(at, "getrandom(")) != NULL; at++) count++;
  return count;
}

// As many calls at the start as ever, and none after.
static void test_constant_calls(void** state) {
  (void)state;
  static child_t probe;
  child_run(&probe, run_strace, NULL);
  if (child_exited(&probe, 97)) skip();
  size_t idle = count_calls("idle");
  if (idle == SIZE_MAX) skip();  // tracing is not allowed here
  assert_in_range(idle, 2, 6);
  assert_int_equal(count_calls("busy"), idle);
}

int main(int argc, char** argv) {
  if (argc > 1) {
    if (strcmp(argv[1], "root") == 0) return role_root();
    if (strcmp(argv[1], "idle") == 0) return role_idle();
    if (strcmp(argv[1], "busy") == 0) return role_busy();
    return 2;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_vectors),       cmocka_unit_test(test_ciphers_agree), cmocka_unit_test(test_root),
      cmocka_unit_test(test_memzero),       cmocka_unit_test(test_denied_before), cmocka_unit_test(test_denied_after),
      cmocka_unit_test(test_no_source),     cmocka_unit_test(test_constant_calls),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
