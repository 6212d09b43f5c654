// The sandbox of echod: a seccomp filter, set after start and for good. What it does not list ends the process.
#ifndef SANDBOX_H
#define SANDBOX_H

#include <stdbool.h>

// For this thread and those it starts; to be called before there are others. False: errno says why not.
bool sandbox_close(void);

#endif
