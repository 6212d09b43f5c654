// Mail: freed blocks on their way to the thread that owns their page.
//
// A thread that frees blocks of others collects them in letters, one for each of the last few owners it met, and hands
// a letter over with one atomic operation when it holds LETTER_BLOCKS blocks or LETTER_BYTES bytes, when another owner
// needs its place, at the generic path's interval, and when the thread ends. The owner takes its whole inbox at once.
//
// A letter may reach a thread that does not own the page any more, or a thread that has ended (its inbox is closed
// then, and the sender keeps the letter): each block is routed anew by the owner its page has at that time. So a stale
// address of an inbox is harmless, as tld_t are never given back to the OS.
#include "internal.h"

#define LETTER_BYTES ((uint32_t)(64 * KIB))
#define MAIL_FLUSH_INTERVAL 256u  // blocks sent: a thread that only frees never takes the generic path

lock_t mim_letter_lock;
static letter_t* spare_letters;  // under the lock

#define SPARE_MAX 16

static letter_t* letter_get(tld_t* me) {
  letter_t* letter = me->letters;
  if (letter != NULL) {
    me->letters = letter->next;
    me->letter_count--;
  } else {
    lock_acquire(&mim_letter_lock);
    letter = spare_letters;
    if (letter != NULL) spare_letters = letter->next;
    lock_release(&mim_letter_lock);
    if (letter == NULL) letter = mim_meta_alloc(sizeof(letter_t));
    if (letter == NULL) return NULL;
  }
  letter->next = NULL;
  letter->count = 0;
  letter->bytes = 0;
  return letter;
}

static void letter_put(tld_t* me, letter_t* letter) {
  if (me->letter_count < SPARE_MAX) {
    letter->next = me->letters;
    me->letters = letter;
    me->letter_count++;
    return;
  }
  lock_acquire(&mim_letter_lock);
  letter->next = spare_letters;
  spare_letters = letter;
  lock_release(&mim_letter_lock);
}

// Frees the blocks of a letter for which there is no inbox, or of one that came.
static void letter_open(tld_t* me, letter_t* letter) {
  for (uint32_t i = 0; i < letter->count; i++) {
    if (i + 4 < letter->count) __builtin_prefetch(mim_page_of(letter->blocks[i + 4]), 1);
    mim_free_delivered(me, letter->blocks[i]);
  }
  letter_put(me, letter);
}

static void letter_hand_over(tld_t* me, outbox_t* box) {
  letter_t* letter = box->letter;
  tld_t* to = box->to;
  box->letter = NULL;
  box->to = NULL;
  if (letter == NULL) return;
  mim_count(&me->stats.mailed, letter->count);
  letter_t* head = atomic_load_explicit(&to->inbox, memory_order_relaxed);
  do {
    if (head == INBOX_CLOSED) {
      letter_open(me, letter);
      return;
    }
    letter->next = head;
  } while (!atomic_compare_exchange_weak_explicit(&to->inbox, &head, letter, memory_order_release,
                                                  memory_order_relaxed));
}

void mim_mail_send(tld_t* me, tld_t* owner, void* p, size_t bytes, bool at_once) {
  outbox_t* box = &me->outbox[((uintptr_t)owner / CACHE_LINE) % OUTBOX_COUNT];
  if (box->to != owner) letter_hand_over(me, box);
  // Handing over may have opened the letter here, and that may have begun another one in the same place.
  while (box->letter != NULL && box->to != owner) letter_hand_over(me, box);
  if (box->letter == NULL) {
    box->letter = letter_get(me);
    if (box->letter == NULL) return;  // out of memory: the block is lost, nothing else
    box->to = owner;
  }
  letter_t* letter = box->letter;
  letter->blocks[letter->count++] = p;
  letter->bytes += (uint32_t)min_size(bytes, LETTER_BYTES);
  if (at_once || letter->count == LETTER_BLOCKS || letter->bytes >= LETTER_BYTES) letter_hand_over(me, box);
  if (++me->mail_count % MAIL_FLUSH_INTERVAL == 0) mim_mail_flush(me);
}

void mim_mail_flush(tld_t* me) {
  for (size_t i = 0; i < OUTBOX_COUNT; i++) letter_hand_over(me, &me->outbox[i]);
}

static void inbox_take(tld_t* me, letter_t* replacement) {
  letter_t* letter = atomic_exchange_explicit(&me->inbox, replacement, memory_order_acquire);
  if (letter == INBOX_CLOSED) return;
  while (letter != NULL) {
    letter_t* next = letter->next;
    letter_open(me, letter);
    letter = next;
  }
}

void mim_mail_deliver(tld_t* me) {
  if (atomic_load_explicit(&me->inbox, memory_order_relaxed) != NULL) inbox_take(me, NULL);
}

void mim_mail_close(tld_t* me) {
  mim_mail_flush(me);
  inbox_take(me, INBOX_CLOSED);
  mim_mail_flush(me);
  while (me->letters != NULL) {
    letter_t* letter = me->letters;
    me->letters = letter->next;
    lock_acquire(&mim_letter_lock);
    letter->next = spare_letters;
    spare_letters = letter;
    lock_release(&mim_letter_lock);
  }
  me->letter_count = 0;
}
