// What fault.c and signals.c share; apart from secure.h, since it needs <signal.h>.
#ifndef SEC_FAULT_H
#define SEC_FAULT_H

#include <signal.h>
#include <stdbool.h>

// Is this a signal whose handler we hold in place of the program?
bool sec_fault_takes(int signal);
// What sigaction(2) does, to the handler that the program wants. Only for signals that are taken.
int sec_fault_sigaction(int signal, const struct sigaction* action, struct sigaction* old);
// libc's own.
int sec_real_sigaction(int signal, const struct sigaction* action, struct sigaction* old);

#endif
