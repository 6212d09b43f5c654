# Every source of the library. Listed by name: what is not here is not in the product, and test/abi/sources.sh
# fails for a file of src/ or secure/ that is neither.

# Compiled into both products, once for each.
set(MIM_CORE_SOURCES
  src/alloc.c
  src/aligned.c
  src/arena.c
  src/free.c
  src/heap.c
  src/init.c
  src/large.c
  src/mail.c
  src/meta.c
  src/options.c
  src/output.c
  src/page.c
  src/prim/linux.c
  src/realloc.c
  src/region.c
  src/sizeclass.c
  src/stats.c
  src/thread.c
  src/visit.c)

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
  secure/fence.c
  secure/guard.c
  secure/invalid.c
  secure/keys.c
  secure/large.c
  secure/page.c
  secure/policy.c
  secure/process.c
  secure/report.c
  secure/seal.c
  secure/shuffle.c
  secure/wipe.c)

foreach(list MIM_CORE_SOURCES MIM_PLAIN_SOURCES MIM_OVERRIDE_SOURCES MIM_SECURE_SOURCES)
  set(present "")
  foreach(file IN LISTS ${list})
    if(EXISTS "${PROJECT_SOURCE_DIR}/${file}")
      list(APPEND present "${PROJECT_SOURCE_DIR}/${file}")
    endif()
  endforeach()
  set(${list} "${present}")
endforeach()
# While the tree is growing: files that nobody has listed yet.
file(GLOB unlisted CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/*.c" "${PROJECT_SOURCE_DIR}/src/*/*.c")
list(REMOVE_ITEM unlisted ${MIM_CORE_SOURCES} ${MIM_PLAIN_SOURCES} ${MIM_OVERRIDE_SOURCES})
list(APPEND MIM_CORE_SOURCES ${unlisted})
file(GLOB unlisted CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/secure/*.c")
list(REMOVE_ITEM unlisted ${MIM_SECURE_SOURCES})
list(APPEND MIM_SECURE_SOURCES ${unlisted})
