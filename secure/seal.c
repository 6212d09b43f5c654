// Seal: after start, the OS page with the configuration, the root key and the places of both reservations is read-only,
// and where the kernel has mseal(2) (Linux 6.10) it cannot be made writable, unmapped or replaced any more.
//
// Stops: a write that reaches the library's data turning checks off, or redirecting the lookup of pages; a write of the
// root key, from which every later key, also of forked children, is derived.
// Does not stop: reading it; writes to what has to change: the pages' own metadata, keys of threads.
// Costs: three system calls at start, and an OS page.
//
// Thread rule: sec_seal once, under the process's start lock.
#include "secure.h"

static int state;  // of mim_os_seal

void sec_seal(void) {
  size_t os_page = mim_process.hook.os_page;
  size_t size = align_up(sizeof(mim_process), os_page);
  // With OS pages above 4 KiB something else may lie in the same page, which must stay writable.
  bool alone = (uintptr_t)&mim_process % os_page == 0 && sizeof(mim_process) % os_page == 0;
  if (!alone) return;
  int saved = errno;
  state = mim_os_seal(&mim_process, size);
  errno = saved;
}

int sec_seal_state(void) {
  return state;
}
