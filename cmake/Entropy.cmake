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
  set(other_ways "Install it (Debian: libsodium-dev), or configure with -DENTROPY=getrandom, or build the plain product \
only with -DMI_SECURE=OFF.")
  find_package(PkgConfig QUIET)
  if(PKG_CONFIG_FOUND)
    pkg_check_modules(SODIUM QUIET libsodium)  # where to look; without pkg-config, in the usual places
  endif()
  find_path(MIM_SODIUM_INCLUDE NAMES sodium/version.h HINTS ${SODIUM_INCLUDEDIR} ${SODIUM_INCLUDE_DIRS})
  find_library(MIM_SODIUM_LIBRARY NAMES libsodium.a HINTS ${SODIUM_LIBDIR} ${SODIUM_LIBRARY_DIRS})
  mark_as_advanced(MIM_SODIUM_INCLUDE MIM_SODIUM_LIBRARY)
  if(NOT MIM_SODIUM_INCLUDE OR NOT MIM_SODIUM_LIBRARY)
    message(FATAL_ERROR "libsodium's headers or its static library libsodium.a are not there. ${other_ways}")
  endif()
  file(STRINGS "${MIM_SODIUM_INCLUDE}/sodium/version.h" MIM_SODIUM_VERSION REGEX "define SODIUM_VERSION_STRING")
  string(REGEX REPLACE ".*\"([0-9.]+).*" "\\1" MIM_SODIUM_VERSION "${MIM_SODIUM_VERSION}")
  if(MIM_SODIUM_VERSION VERSION_LESS 1.0.18)
    message(FATAL_ERROR "libsodium ${MIM_SODIUM_VERSION} is too old; 1.0.18 is needed. ${other_ways}")
  endif()
  set(MIM_SODIUM_ARCHIVE "${MIM_SODIUM_LIBRARY}")
  message(STATUS "Entropy: libsodium ${MIM_SODIUM_VERSION}, ${MIM_SODIUM_ARCHIVE}")
else()
  message(FATAL_ERROR "ENTROPY=${ENTROPY} is not known; it is sodium or getrandom")
endif()
