# Every source of the library. Listed by name: what is not here is not in the product, and test/abi/sources.sh
# fails for a file of src/ or secure/ that is neither.

# Compiled into both products, once for each.
set(MIM_CORE_SOURCES
  src/alloc.c
  src/api.c
  src/api_heap.c
  src/api_new.c
  src/arena.c
  src/free.c
  src/heap.c
  src/init.c
  src/mail.c
  src/map.c
  src/meta.c
  src/options.c
  src/output.c
  src/page.c
  src/prim/linux.c
  src/prim/linux_report.c
  src/realloc.c
  src/region.c
  src/sizeclass.c
  src/spare.c
  src/stats.c
  src/thread.c
  src/visit.c
  src/watch.c)

# The plain product only.
set(MIM_PLAIN_SOURCES
  src/plain.c)

# libc's names and operator new and delete: not in builds with -DMI_OVERRIDE=OFF.
set(MIM_OVERRIDE_SOURCES
  src/override/libc.c
  src/override/cxx.c)

# The secure product only.
set(MIM_SECURE_SOURCES
  secure/chacha20.c
  secure/entropy.c
  secure/entry.c
  secure/fault.c
  secure/fence.c
  secure/guard.c
  secure/hold.c
  secure/invalid.c
  secure/isolate.c
  secure/keys.c
  secure/memory.c
  secure/policy.c
  secure/process.c
  secure/quarantine.c
  secure/report.c
  secure/sample.c
  secure/seal.c
  secure/signals.c
  secure/object.c
  secure/row.c
  secure/trace.c
  secure/wipe.c)

# The secure product's shared library only, where libc's names are overridden; the library's own calls of these go past
# the overridden names.
set(MIM_SECURE_SHARED_SOURCES
  secure/override_memory.c)
set(MIM_SECURE_WRAPPED memcpy memmove memset)

foreach(list MIM_CORE_SOURCES MIM_PLAIN_SOURCES MIM_OVERRIDE_SOURCES MIM_SECURE_SOURCES MIM_SECURE_SHARED_SOURCES)
  list(TRANSFORM ${list} PREPEND "${PROJECT_SOURCE_DIR}/")
endforeach()

file(GLOB_RECURSE unlisted CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/*.c" "${PROJECT_SOURCE_DIR}/secure/*.c")
list(REMOVE_ITEM unlisted ${MIM_CORE_SOURCES} ${MIM_PLAIN_SOURCES} ${MIM_OVERRIDE_SOURCES} ${MIM_SECURE_SOURCES}
  ${MIM_SECURE_SHARED_SOURCES})
if(unlisted)
  message(WARNING "cmake/Sources.cmake does not list, and nothing is built from: ${unlisted}")
endif()
