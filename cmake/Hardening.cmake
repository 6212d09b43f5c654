# Compiler and linker flags of the products, each used only when the toolchain accepts it.
#
# Sets MIM_COMPILE_FLAGS (all objects), MIM_WARNING_FLAGS and MIM_LINK_FLAGS (shared objects).

include(CheckCCompilerFlag)
include(CheckCSourceCompiles)

function(mim_probe_compile list flag)
  string(MAKE_C_IDENTIFIER "HAVE_C${flag}" variable)
  check_c_compiler_flag("${flag}" ${variable})
  if(${variable})
    set(${list} "${${list}};${flag}" PARENT_SCOPE)
  endif()
endfunction()

function(mim_probe_link list flag)
  string(MAKE_C_IDENTIFIER "HAVE_LD${flag}" variable)
  # unknown -z keywords are only warned about
  set(CMAKE_REQUIRED_LINK_OPTIONS "${flag}" "-Wl,--fatal-warnings")
  check_c_source_compiles("int main(void) { return 0; }" ${variable})
  if(${variable})
    set(${list} "${${list}};${flag}" PARENT_SCOPE)
  endif()
endfunction()

# ---- compiling -------------------------------------------------------------------------------------------------------

set(MIM_COMPILE_FLAGS -fvisibility=hidden -ftls-model=initial-exec)
foreach(flag
    -fno-semantic-interposition
    -fno-plt
    # malloc followed by memset must not become calloc in the file that defines calloc, and results of functions
    # named malloc must not be assumed what the allocator itself has to establish
    -fno-builtin-malloc -fno-builtin-calloc -fno-builtin-realloc -fno-builtin-free -fno-builtin-strdup
    -fno-builtin-strndup -fno-builtin-aligned_alloc
    -fstack-clash-protection
    # The shadow stack, at no cost. Not the landing pads of `full`: they are two instructions more for each pair of
    # calls, and count only when everything linked in has them, which libsodium's archive and the C library's start
    # files have not.
    -fcf-protection=return
    -fno-strict-aliasing
    "-fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=")
  mim_probe_compile(MIM_COMPILE_FLAGS "${flag}")
endforeach()
if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  # the same bits wherever the tree is built; a debugger wants to find the sources
  mim_probe_compile(MIM_COMPILE_FLAGS "-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=")
endif()

set(MIM_WARNING_FLAGS -Wall -Wextra -Wshadow -Wconversion)
foreach(flag -Wstrict-prototypes -Wmissing-prototypes -Wvla)
  mim_probe_compile(MIM_WARNING_FLAGS "${flag}")
endforeach()
if(MI_WERROR)
  list(APPEND MIM_WARNING_FLAGS -Werror)
endif()

# ---- linking ---------------------------------------------------------------------------------------------------------

# Not `-z nodlopen`: it would forbid dlopen of the library, which language bindings (Python's ctypes) and programs
# that only use the mi_ names do, and stops no attack that could not call malloc anyway. `-z nodelete`: blocks, thread
# destructors and fork handlers outlive every dlclose.
set(MIM_LINK_FLAGS "")
foreach(flag
    -Wl,-z,relro
    -Wl,-z,now
    -Wl,-z,noexecstack
    -Wl,-z,separate-code
    -Wl,-z,text
    -Wl,-z,nodelete
    -Wl,-z,shstk
    -Wl,--as-needed
    -Wl,--hash-style=gnu)
  mim_probe_link(MIM_LINK_FLAGS "${flag}")
endforeach()
if(NOT MI_SANITIZE)
  mim_probe_link(MIM_LINK_FLAGS -Wl,-z,defs)  # a sanitizer's runtime comes with the program
endif()
