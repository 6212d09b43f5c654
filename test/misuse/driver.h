// What the driver of the misuse cases offers to support.c beyond misuse.h, and the words of the line it talks over.
//
// When the descriptor REPORT_FD is open, the driver reports on it, one letter each: a phase_t when it begins, a
// verdict_t at the end; and "@START+SIZE;" (hexadecimal) for about(). Otherwise it says the same in words on standard
// output, for people who run a case by hand.
#ifndef TEST_MISUSE_DRIVER_H
#define TEST_MISUSE_DRIVER_H

#include "misuse.h"

enum { REPORT_FD = 37 };

// Ends the process with this verdict, from anywhere in a case.
void case_ends(verdict_t verdict) __attribute__((noreturn));

#endif
