// Loaded objects: the program and its libraries, and where the unwind tables of the one an address lies in are. By
// _dl_find_object of glibc 2.35, which takes no lock.
//
// Rules: as for trace.c, but with an older C library, where the loader's lock is taken. Any thread, signal handlers too.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "object.h"

#include <dlfcn.h>
#include <link.h>
#include <sys/auxv.h>

#ifdef DLFO_EH_SEGMENT_TYPE

extern __typeof__(_dl_find_object) _dl_find_object __attribute__((weak));

// The loader makes the tables before anyone allocates. A program without one (linked statically: no AT_BASE) makes them
// itself, and allocates for that: until constructors run there is nothing to look in.
static _Atomic(bool) tables_ready;

__attribute__((constructor)) static void tables_constructor(void) {
  atomic_store_explicit(&tables_ready, true, memory_order_relaxed);
}

static bool tables_are_ready(void) {
  if (mim_likely(atomic_load_explicit(&tables_ready, memory_order_relaxed))) return true;
  if (getauxval(AT_BASE) == 0) return false;
  atomic_store_explicit(&tables_ready, true, memory_order_relaxed);
  return true;
}

// Of a program linked statically only the code is said to be mapped, and its tables lie outside of that. What is mapped
// stands in the program's own headers.
static void widen(sec_object_t* object) {
  const ElfW(Phdr)* header = (const ElfW(Phdr)*)getauxval(AT_PHDR);
  size_t count = header != NULL ? (size_t)getauxval(AT_PHNUM) : 0;
  uintptr_t start = UINTPTR_MAX, end = 0;
  for (size_t i = 0; i < count; i++) {
    if (header[i].p_type != PT_LOAD) continue;
    uintptr_t from = object->base + header[i].p_vaddr, to = from + header[i].p_memsz;
    if (from < start) start = from;
    if (to > end) end = to;
  }
  if (start > object->start || end < object->end) return;  // another object's headers
  object->start = start;
  object->end = end;
}

bool sec_object_find(uintptr_t address, sec_object_t* object) {
  struct dl_find_object found;
  if (_dl_find_object == NULL || !tables_are_ready() || _dl_find_object((void*)address, &found) != 0) return false;
  object->start = (uintptr_t)found.dlfo_map_start;
  object->end = (uintptr_t)found.dlfo_map_end;
  object->frames = found.dlfo_eh_frame;
  object->base = found.dlfo_link_map != NULL ? found.dlfo_link_map->l_addr : object->start;
  const char* name = found.dlfo_link_map != NULL ? found.dlfo_link_map->l_name : NULL;
  object->name = name != NULL && name[0] != 0 ? name : NULL;
  if ((uintptr_t)object->frames - object->start >= object->end - object->start) widen(object);
  return true;
}

#else  // an older C library: this takes the loader's lock, which a thread may take twice

typedef struct search_s {
  uintptr_t address;
  sec_object_t* object;
} search_t;

static int object_visit(struct dl_phdr_info* info, size_t size, void* arg) {
  (void)size;
  search_t* search = arg;
  sec_object_t object = {UINTPTR_MAX, 0, info->dlpi_addr, NULL, NULL};
  for (unsigned i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr)* header = &info->dlpi_phdr[i];
    uintptr_t start = info->dlpi_addr + header->p_vaddr;
    if (header->p_type == PT_GNU_EH_FRAME) object.frames = (const uint8_t*)start;
    if (header->p_type != PT_LOAD) continue;
    if (start < object.start) object.start = start;
    if (start + header->p_memsz > object.end) object.end = start + header->p_memsz;
  }
  if (search->address < object.start || search->address >= object.end) return 0;
  if (info->dlpi_name != NULL && info->dlpi_name[0] != 0) object.name = info->dlpi_name;
  *search->object = object;
  return 1;
}

bool sec_object_find(uintptr_t address, sec_object_t* object) {
  search_t search = {address, object};
  return dl_iterate_phdr(object_visit, &search) == 1;
}

#endif

bool sec_trace_module(const void* address, uintptr_t* base, const char** name) {
  sec_object_t object;
  if (!sec_object_find((uintptr_t)address, &object)) return false;
  *base = object.base;
  *name = object.name;
  if (object.name == NULL) {
    const char* program = (const char*)getauxval(AT_EXECFN);
    *name = program != NULL ? program : "";
  }
  return true;
}

size_t sec_trace_own(void* const* frames, size_t count) {
  sec_object_t ours, object;
  if (!sec_object_find((uintptr_t)&sec_trace_own, &ours) || ours.name == NULL) return 0;
  size_t skip = 0;
  while (skip < count && sec_object_find((uintptr_t)frames[skip], &object) && object.start == ours.start) skip++;
  return skip > 0 ? skip - 1 : 0;
}
