# Where the secure product's root key comes from: ENTROPY = sodium (libsodium, linked in statically) or getrandom.
#
# Sets MIM_ENTROPY_DEFINITION, and for sodium MIM_SODIUM_ARCHIVE and MIM_SODIUM_INCLUDE.
#
# Static and hidden on purpose. A shared libsodium could be interposed by the program (whoever defines randombytes_buf
# then supplies our seed), and a preloaded object with a dependency that is missing somewhere, in a chroot say, keeps
# every program there from starting.

set(ENTROPY sodium CACHE STRING "Source of the root key: sodium (libsodium, static) or getrandom (no dependency)")
set_property(CACHE ENTROPY PROPERTY STRINGS sodium getrandom)

set(MIM_SODIUM_ARCHIVE "")
if(ENTROPY STREQUAL "getrandom")
  set(MIM_ENTROPY_DEFINITION MIM_ENTROPY_GETRANDOM)
elseif(ENTROPY STREQUAL "sodium")
  set(MIM_ENTROPY_DEFINITION MIM_ENTROPY_SODIUM)
  set(other_ways "Install it (Debian: libsodium-dev and pkg-config), or configure with -DENTROPY=getrandom, \
or build the plain products only with -DMI_SECURE=OFF.")
  find_package(PkgConfig)
  if(NOT PKG_CONFIG_FOUND)
    message(FATAL_ERROR "pkg-config, by which libsodium is looked for, is not there. ${other_ways}")
  endif()
  pkg_check_modules(SODIUM libsodium>=1.0.18)
  if(NOT SODIUM_FOUND)
    message(FATAL_ERROR "libsodium 1.0.18 or later is not there. ${other_ways}")
  endif()
  find_library(MIM_SODIUM_LIBRARY NAMES libsodium.a HINTS ${SODIUM_LIBDIR} ${SODIUM_STATIC_LIBRARY_DIRS})
  mark_as_advanced(MIM_SODIUM_LIBRARY)
  if(NOT MIM_SODIUM_LIBRARY)
    message(FATAL_ERROR "libsodium ${SODIUM_VERSION} is there, but not its static library libsodium.a. ${other_ways}")
  endif()
  set(MIM_SODIUM_ARCHIVE "${MIM_SODIUM_LIBRARY}")
  set(MIM_SODIUM_INCLUDE ${SODIUM_INCLUDE_DIRS})
  message(STATUS "Entropy: libsodium ${SODIUM_VERSION}, ${MIM_SODIUM_ARCHIVE}")
else()
  message(FATAL_ERROR "ENTROPY=${ENTROPY} is not known; it is sodium or getrandom")
endif()
