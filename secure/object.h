// Loaded objects: what trace.c needs of them.
#ifndef SEC_OBJECT_H
#define SEC_OBJECT_H

#include "secure.h"

typedef struct sec_object_s {
  uintptr_t start, end;   // where it is mapped
  uintptr_t base;         // what to subtract for an address as the file has it
  const uint8_t* frames;  // .eh_frame_hdr
  const char* name;       // NULL: the program itself
} sec_object_t;

// False: the address lies in none, or it cannot be known yet.
bool sec_object_find(uintptr_t address, sec_object_t* object);

#endif
