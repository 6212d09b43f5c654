// Keys: everything random but the root. ChaCha20 expands the root key to a key of this generation of the process, that
// to a key for each thread, and that to pools of random bytes. No system call after start: a sandbox does not matter.
//
//   root (sealed) --+--> generation key --+--> thread's key --> pool of 256 bytes: 32 next key | 224 handed out
//       fresh, pid --+      (wiped page)   +--> process's pool
//
// Fast key erasure: the first 32 bytes of each refill replace the key, bytes handed out are zeroed, so what is read
// from memory later tells nothing of what was drawn before.
//
// Forks: the generation key and its epoch lie in an OS page that the kernel wipes in a child (MADV_WIPEONFORK), however
// the child was made: fork, _Fork, clone. Epoch 0 means "forked since": the next draw makes a new generation of the
// sealed root, fresh bytes if the kernel gives any, process id and clock. Each thread's pool knows its key's epoch, so
// one comparison a draw covers both. Where the kernel cannot wipe (before 4.14), the process id is compared instead.
// A vfork child shares the memory of its parent and goes on with the same stream, which is right.
//
// Thread rule: a thread draws from its own pool without a lock; everything shared is under sec_keys_lock.
// Stops: prediction of keys from what was drawn before, by other threads, or by the parent or a sibling.
// Does not stop: parent and child share the keys of pages made before the fork.
// Costs: about 200 instructions a draw of 8 bytes, refills included; two or three draws a page, one a magazine.
#include "secure.h"

#define POOL_FIRST 32u  // the bytes below are the next key

// Lies alone in its OS page.
typedef struct generation_s {
  _Atomic(uint32_t) epoch;  // 0: this process is a child that has no generation yet
  uint32_t process_id;      // where pages cannot be wiped
  uint64_t count;           // keys derived
  uint8_t key[32];
  hook_thread_t pool;       // the process's own
} generation_t;

lock_t sec_keys_lock;

static generation_t unwiped;                   // where there is no OS page for it
static generation_t* generation = &unwiped;
static bool wiped;                             // the kernel wipes it in children
static uint32_t last_epoch;                    // of this process and its ancestors; survives a fork
static _Atomic(bool) provisional;              // the root was made before the kernel's pool was ready

static void store_key(uint8_t key[32], const uint8_t from[32], uint64_t nonce) {
  uint8_t next[32];
  sec_chacha20(next, sizeof(next), nonce, from);
  memcpy(key, next, sizeof(next));
  sec_memzero(next, sizeof(next));
}

// Lock held. The first generation is the root's own; later ones differ from it, and from those of other processes, by
// fresh bytes, or by who and when they are if the kernel gives none.
static void generation_begin(void) {
  generation_t* g = generation;
  uint8_t fresh[32] = {0};
  uint32_t epoch = last_epoch + 1;
  if (epoch == 0) epoch = 1;
  memcpy(g->key, mim_process.hook.root_key, sizeof(g->key));
  if (epoch > 1) {
    if (sec_entropy_fresh(fresh)) {
      for (size_t i = 0; i < sizeof(fresh); i++) g->key[i] ^= fresh[i];
      sec_memzero(fresh, sizeof(fresh));
      atomic_store_explicit(&provisional, false, memory_order_relaxed);
    }
    store_key(g->key, g->key, (uint64_t)epoch << 32 | mim_os_process_id());
    store_key(g->key, g->key, mim_os_clock_ns());
  }
  g->process_id = mim_os_process_id();
  g->count = 0;
  last_epoch = epoch;
  atomic_store_explicit(&g->epoch, epoch, memory_order_release);
}

// Lock held.
static void begin_if_forked(void) {
  uint32_t epoch = atomic_load_explicit(&generation->epoch, memory_order_relaxed);
  bool other = !wiped && generation->process_id != mim_os_process_id();
  if (epoch == 0 || other) generation_begin();
}

static void pool_fill(hook_thread_t* pool) {
  sec_chacha20(pool->pool, sizeof(pool->pool), pool->counter++, pool->key);
  memcpy(pool->key, pool->pool, sizeof(pool->key));
  memset(pool->pool, 0, sizeof(pool->key));
  pool->pool_used = POOL_FIRST;
}

// Lock held. A key of its own for a pool.
static void pool_start(hook_thread_t* pool) {
  uint32_t epoch = atomic_load_explicit(&generation->epoch, memory_order_relaxed);
  store_key(pool->key, generation->key, ++generation->count);
  pool->counter = 0;
  pool->epoch = epoch;
  pool_fill(pool);
}

static uint64_t pool_take(hook_thread_t* pool) {
  uint64_t random;
  memcpy(&random, pool->pool + pool->pool_used, sizeof(random));
  memset(pool->pool + pool->pool_used, 0, sizeof(random));
  pool->pool_used += (uint32_t)sizeof(random);
  return random;
}

// A pool of zeroes has pool_used 0, which counts as used up.
static bool pool_has(const hook_thread_t* pool) {
  return pool->pool_used - POOL_FIRST <= SEC_POOL_SIZE - POOL_FIRST - sizeof(uint64_t);
}

static mim_cold void thread_start(hook_thread_t* thread) {
  lock_acquire(&sec_keys_lock);
  begin_if_forked();
  pool_start(thread);
  lock_release(&sec_keys_lock);
}

static mim_cold void thread_refill(hook_thread_t* thread) {
  uint32_t epoch = atomic_load_explicit(&generation->epoch, memory_order_acquire);
  bool other = !wiped && generation->process_id != mim_os_process_id();
  if (epoch == 0 || epoch != thread->epoch || other) {
    thread_start(thread);
  } else if (!pool_has(thread)) {
    pool_fill(thread);
  }
}

uint64_t sec_random64(hook_thread_t* thread) {
  uint32_t epoch = atomic_load_explicit(&generation->epoch, memory_order_relaxed);
  if (mim_unlikely(epoch != thread->epoch || !pool_has(thread) || !wiped)) thread_refill(thread);
  return pool_take(thread);
}

uint64_t sec_random_process(void) {
  lock_acquire(&sec_keys_lock);
  begin_if_forked();
  hook_thread_t* pool = &generation->pool;
  if (pool->epoch != atomic_load_explicit(&generation->epoch, memory_order_relaxed)) pool_start(pool);
  if (!pool_has(pool)) pool_fill(pool);
  uint64_t random = pool_take(pool);
  lock_release(&sec_keys_lock);
  return random;
}

void sec_keys_thread(hook_thread_t* thread) {
  // The kernel's pool may be ready by now: a new generation, of which every thread takes a key at its next draw.
  if (mim_unlikely(atomic_load_explicit(&provisional, memory_order_relaxed))) {
    uint8_t fresh[32];
    if (sec_entropy_fresh(fresh)) {
      lock_acquire(&sec_keys_lock);
      if (atomic_load_explicit(&provisional, memory_order_relaxed)) generation_begin();
      lock_release(&sec_keys_lock);
    }
    sec_memzero(fresh, sizeof(fresh));
  }
  thread_start(thread);
}

void* sec_region_hint(size_t size) {
  // Anywhere in the lower half of the address space that leaves room for the range itself.
  uintptr_t low = (uintptr_t)1 << 40, high = ((uintptr_t)1 << 47) - (uintptr_t)(1 * TIB);
  if (size >= high - low) return NULL;
  uintptr_t room = (high - low - size) / SLICE_SIZE;
  return (void*)(low + (uintptr_t)(((unsigned __int128)sec_random_process() * room) >> 64) * SLICE_SIZE);
}

void sec_keys_fork_child(void) {
  lock_reset(&sec_keys_lock);
  sec_memzero(generation, sizeof(*generation));  // what the kernel does, where it does not
}

// A page that is wiped in children, between two that are never opened.
static generation_t* wiped_page(void) {
  size_t os_page = mim_os_page_size();
  uint8_t* start = mim_os_reserve(3 * os_page, os_page, NULL);
  if (start == NULL) return NULL;
  uint8_t* page = start + os_page;
  if (mim_os_open(page, os_page) && mim_os_wipe_on_fork(page, os_page)) {
    mim_os_name(page, os_page, "mimalloc keys");
    return (generation_t*)page;
  }
  mim_os_release(start, 3 * os_page);
  return NULL;
}

void sec_keys_seed(void) {
  bool ready = sec_entropy_root(mim_process.hook.root_key);
  atomic_store_explicit(&provisional, !ready, memory_order_relaxed);
  int saved = errno;
  generation_t* page = wiped_page();
  errno = saved;
  lock_acquire(&sec_keys_lock);
  if (page != NULL) generation = page;
  wiped = page != NULL;
  generation_begin();
  lock_release(&sec_keys_lock);
}
