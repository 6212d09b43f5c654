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

#define MAIL_FLUSH_INTERVAL 256u  // blocks sent: a thread that only frees never takes the generic path

lock_t mim_letter_lock;
static letter_t* spare_letters;  // under the lock

const letter_t mim_letter_none = {.to = (tld_t*)(uintptr_t)&mim_letter_none};

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
  uint32_t count = letter->count;
  for (uint32_t i = 0; i < count; i++) {
    void* p = letter->blocks[i];
    page_t* page = mim_page_of(p);
    if (mim_likely(page != NULL) && mim_likely(atomic_load_explicit(&page->owner, memory_order_acquire) == me)) {
      uintptr_t ref = hook_deliver(page, p);
      if (mim_likely(ref != 0)) mim_free_checked(page, ref);
    } else {
      mim_free_delivered(me, p);
    }
  }
  mim_count(&me->stats.delivered, count);
  letter_put(me, letter);
}

static void letter_hand_over(tld_t* me, letter_t** place) {
  letter_t* letter = *place;
  if (letter == &mim_letter_none) return;
  *place = (letter_t*)&mim_letter_none;
  tld_t* to = letter->to;
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

void mim_mail_init(tld_t* tld) {
  for (size_t i = 0; i < OUTBOX_COUNT; i++) tld->outbox[i] = (letter_t*)&mim_letter_none;
}

static void mail_sent(tld_t* me, uint32_t blocks) {
  me->mail_count += blocks;
  if (me->mail_count >= MAIL_FLUSH_INTERVAL) mim_mail_flush(me);
}

void mim_mail_send(tld_t* me, tld_t* owner, void* p, size_t bytes, bool at_once) {
  letter_t** place = mim_mail_place(me, owner);
  // Handing over may open the letter here, and that may begin another one in the same place.
  while (*place != &mim_letter_none && (*place)->to != owner) letter_hand_over(me, place);
  if (*place == &mim_letter_none) {
    letter_t* begun = letter_get(me);
    if (begun == NULL) return;  // out of memory: the block is lost, nothing else
    begun->to = owner;
    *place = begun;
  }
  letter_t* letter = *place;
  letter->blocks[letter->count++] = p;
  if (bytes > LETTER_SMALL) letter->bytes += (uint32_t)min_size(bytes, LETTER_BYTES);
  if (at_once || letter->count == LETTER_BLOCKS || letter->bytes >= LETTER_BYTES) letter_hand_over(me, place);
  mail_sent(me, 1);
}

void mim_mail_full(tld_t* me, letter_t** place) {
  letter_hand_over(me, place);
  mim_mail_deliver(me);  // a thread that only frees never takes malloc's generic path
  mail_sent(me, LETTER_BLOCKS);
}

void mim_mail_flush(tld_t* me) {
  me->mail_count = 0;
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
