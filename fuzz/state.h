// The library put back into a known state after each run, so that a run depends on its input alone. Where the driver
// has it so (afl.c), or with FUZZ_FAST=1, and not with FUZZ_FAST=0; needs a build with clang, which puts the library's
// variables together (sections.h). os_simulated (os.h) says whether it is so.
#ifndef FUZZ_STATE_H
#define FUZZ_STATE_H

// Known states, by number below STATES (os.h): what is now is one of them. Nothing of the library runs meanwhile, and the
// calling thread is the only one it knows.
void state_keep(unsigned which);
void state_restore(unsigned which);

#endif
