// Quarantine: what the rest of the layer needs of quarantine.c. All of it is called by the thread that owns the page.
#ifndef SEC_QUARANTINE_H
#define SEC_QUARANTINE_H

#include "secure.h"

// Do frees into this page go through the quarantine?
bool sec_quarantine_wants(const page_t* page);
// Takes in a block that was checked and wiped. False: it is to be free at once.
bool sec_quarantine_take(page_t* page, uintptr_t index);
// Checks a block of a page that is KIND_QUICK but not KIND_QUICK_BACK, wipes it and takes it in. False: something is
// wrong, or there is no quarantine; nothing was done.
bool sec_quarantine_keep(page_t* page, void* p, family_t family);
// Lets all blocks out. After sec_quarantine_close none comes in any more.
void sec_quarantine_flush(tld_t* tld);
void sec_quarantine_close(tld_t* tld);

#endif
