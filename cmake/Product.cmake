# One product, plain or secure, in its three forms:
#
#   NAME          the shared object, to preload or to link
#   NAME-static   an archive with a single member: all or nothing of it is linked, so that malloc and free cannot come
#                 from different allocators
#   NAME-obj      that member itself, to be put first on a link line
#
# and NAME-objects, the objects as compiled, for tests of internal functions. SHARED_SOURCES are in the shared object
# only; there, calls of the functions named after WRAP go to their __wrap_FUNCTION.

# All objects of a product as one, in which the names shared only between its files (hidden ones, and libsodium's) have
# become local: they can neither clash with a program's nor be reached from it.
function(mim_single_object name output)
  set(object "${PROJECT_BINARY_DIR}/${output}.o")
  set(partial "${PROJECT_BINARY_DIR}/${output}-partial.o")
  set(link_map "${PROJECT_BINARY_DIR}/${output}-object.map")
  set(localize --localize-hidden)
  if(ARGN)
    list(APPEND localize --wildcard --localize-symbol=crypto_* --localize-symbol=randombytes*
                         --localize-symbol=sodium_* --localize-symbol=_sodium_* --localize-symbol=_crypto_*)
  endif()
  add_custom_command(
    OUTPUT "${object}"
    BYPRODUCTS "${link_map}"
    COMMAND "${CMAKE_LINKER}" -r -Map=${link_map} -o "${partial}" "$<TARGET_OBJECTS:${name}-objects>" ${ARGN}
    COMMAND "${CMAKE_OBJCOPY}" ${localize} "${partial}" "${object}"
    COMMAND "${CMAKE_COMMAND}" -E rm -f "${partial}"
    DEPENDS "$<TARGET_OBJECTS:${name}-objects>" ${ARGN}
    COMMENT "Linking ${output}.o"
    COMMAND_EXPAND_LISTS VERBATIM)
  set_source_files_properties("${object}" PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
  add_custom_target(${name}-object ALL DEPENDS "${object}")
  add_dependencies(${name}-object ${name}-objects)

  add_library(${name}-obj INTERFACE)
  add_dependencies(${name}-obj ${name}-object)
  target_include_directories(${name}-obj INTERFACE "${PROJECT_SOURCE_DIR}/include")
  target_link_libraries(${name}-obj INTERFACE "${object}" Threads::Threads)

  add_library(${name}-static STATIC "${object}")
  add_dependencies(${name}-static ${name}-object)
  set_target_properties(${name}-static PROPERTIES LINKER_LANGUAGE C OUTPUT_NAME ${output})
  target_include_directories(${name}-static INTERFACE
    "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>" "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
  target_link_libraries(${name}-static INTERFACE Threads::Threads)
endfunction()

function(mim_add_product name)
  cmake_parse_arguments(arg "SECURE" "" "SOURCES;SHARED_SOURCES;WRAP" ${ARGN})
  set(output "${name}${MIM_SUFFIX}")
  set(archive "")

  add_library(${name}-objects OBJECT ${arg_SOURCES})
  set(objects ${name}-objects)
  set(shared_objects "$<TARGET_OBJECTS:${name}-objects>")
  if(arg_SHARED_SOURCES)
    add_library(${name}-shared-objects OBJECT ${arg_SHARED_SOURCES})
    list(APPEND objects ${name}-shared-objects)
    list(APPEND shared_objects "$<TARGET_OBJECTS:${name}-shared-objects>")
  endif()
  if(arg_SECURE)
    set(archive ${MIM_SODIUM_ARCHIVE})
  endif()
  foreach(target IN LISTS objects)
    set_target_properties(${target} PROPERTIES
      C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS ON POSITION_INDEPENDENT_CODE ON)
    target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/include")
    target_compile_options(${target} PRIVATE ${MIM_COMPILE_FLAGS} ${MIM_WARNING_FLAGS}
      "$<$<CONFIG:Release>:-O2>")
    if(MI_TRACK STREQUAL "asan")
      target_compile_options(${target} PRIVATE -fno-sanitize=address)  # see src/track.h
    endif()
    target_compile_definitions(${target} PRIVATE MIM_DEBUG=${MIM_DEBUG} ${MIM_DEFINITIONS})
    if(arg_SECURE)
      target_compile_definitions(${target} PRIVATE MIM_SECURE=1 ${MIM_ENTROPY_DEFINITION})
      target_include_directories(${target} SYSTEM PRIVATE ${MIM_SODIUM_INCLUDE})
    else()
      target_compile_definitions(${target} PRIVATE MIM_SECURE=0)
    endif()
  endforeach()

  set(exports "${PROJECT_SOURCE_DIR}/cmake/mimalloc.map")
  set(link_map "${PROJECT_BINARY_DIR}/${output}-shared.map")
  add_library(${name} SHARED ${shared_objects})
  set_target_properties(${name} PROPERTIES
    LINKER_LANGUAGE C OUTPUT_NAME ${output} VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
    LINK_DEPENDS "${exports}")
  target_include_directories(${name} INTERFACE
    "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>" "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
  target_link_options(${name} PRIVATE ${MIM_LINK_FLAGS} "-Wl,--version-script=${exports}" -Wl,--exclude-libs,ALL
    "-Wl,-Map=${link_map}")
  foreach(wrapped IN LISTS arg_WRAP)
    target_link_options(${name} PRIVATE "-Wl,--wrap=${wrapped}")
  endforeach()
  target_link_libraries(${name} PRIVATE ${archive} Threads::Threads)

  mim_single_object(${name} ${output} ${archive})
endfunction()
