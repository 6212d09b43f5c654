# What CPack makes of the installed files: Debian packages and an archive.
#
#   cmake -S . -B out/package -DMI_PACKAGE=ON -DBUILD_TESTING=OFF -DCMAKE_INSTALL_PREFIX=/usr
#   cmake --build out/package && cd out/package && cpack -G DEB
#
#   libmimalloc1, libmimalloc-secure1   one library each, as Debian wants it: named after the SONAME
#   libmimalloc-hardened-dev            headers, archives, objects, pkg-config and CMake files (the short name is taken
#                                       in Debian, by a package of a higher version)
#   mimalloc-tools                      mimalloc-run and the tools that read reports, statistics, heap maps and running processes
#
# Only of builds with both products and their usual names. The components are those of the install rules.

option(MI_PACKAGE "Prepare packages: install changelog and copyright of each, and let cpack make them" OFF)
set(MI_PACKAGE_CONTACT "The authors of mimalloc-hardened <noreply@mimalloc-hardened.invalid>" CACHE STRING
  "Maintainer of the packages, as \"Name <address>\"; whoever hands packages on gives their own")
if(MI_PACKAGE AND NOT MI_PACKAGE_CONTACT MATCHES "^[^<>]+ <[^<> @]+@[^<> @]+>$")
  message(FATAL_ERROR "MI_PACKAGE_CONTACT=${MI_PACKAGE_CONTACT} is not of the form: Name <name@host>")
endif()
if(MI_PACKAGE AND NOT DEFINED MI_SECURE AND NOT MIM_SUFFIX AND NOT MI_SANITIZE)
  set(version "${PROJECT_VERSION}")
  set(packages libmimalloc1 libmimalloc-secure1 libmimalloc-hardened-dev mimalloc-tools)
  set(component_libmimalloc1 mimalloc)
  set(component_libmimalloc-secure1 mimalloc-secure)
  set(component_libmimalloc-hardened-dev dev)
  set(component_mimalloc-tools tools)

  # Each package has a changelog and a copyright file; gzip -n, so that no date gets in.
  set(doc_dir "${PROJECT_BINARY_DIR}/package")
  file(MAKE_DIRECTORY "${doc_dir}")
  find_program(MIM_GZIP gzip)
  foreach(package IN LISTS packages)
    configure_file("${PROJECT_SOURCE_DIR}/cmake/package/changelog.in" "${doc_dir}/${package}/changelog" @ONLY)
    if(MIM_GZIP)
      execute_process(COMMAND "${MIM_GZIP}" -9nf "${doc_dir}/${package}/changelog" COMMAND_ERROR_IS_FATAL ANY)
    endif()
    install(FILES "${doc_dir}/${package}/changelog.gz" "${PROJECT_SOURCE_DIR}/cmake/package/copyright"
      DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/${package}" COMPONENT ${component_${package}})
  endforeach()

  # Manual pages as Debian has them. Into CPack's copy only: what `cmake --install` installs stays as it is.
  file(WRITE "${doc_dir}/compress.cmake" "
file(GLOB_RECURSE pages \"\${CPACK_TEMPORARY_INSTALL_DIRECTORY}/*.[1-9]\")
list(FILTER pages INCLUDE REGEX \"/share/man/man[1-9]/\")
foreach(page IN LISTS pages)
  execute_process(COMMAND \"${MIM_GZIP}\" -9nf \"\${page}\" COMMAND_ERROR_IS_FATAL ANY)
endforeach()
")
  set(CPACK_PRE_BUILD_SCRIPTS "${doc_dir}/compress.cmake")
  set(CPACK_GENERATOR "DEB;TGZ")
  set(CPACK_PACKAGE_NAME mimalloc-hardened)
  set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "memory allocator, fast or hardened")
  set(CPACK_PACKAGE_VERSION "${version}")
  set(CPACK_PACKAGE_CONTACT "${MI_PACKAGE_CONTACT}")
  set(CPACK_PACKAGING_INSTALL_PREFIX "${CMAKE_INSTALL_PREFIX}")
  set(CPACK_STRIP_FILES ON)
  set(CPACK_COMPONENTS_ALL mimalloc mimalloc-secure dev tools)
  set(CPACK_COMPONENTS_GROUPING IGNORE)
  set(CPACK_DEB_COMPONENT_INSTALL ON)
  set(CPACK_ARCHIVE_COMPONENT_INSTALL OFF)
  set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
  set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

  foreach(package IN LISTS packages)
    string(TOUPPER "${component_${package}}" component)
    set(CPACK_DEBIAN_${component}_PACKAGE_NAME ${package})
    set(CPACK_DEBIAN_${component}_PACKAGE_SECTION libs)
    set(CPACK_DEBIAN_${component}_PACKAGE_PRIORITY optional)
  endforeach()
  set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
  set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION utils)
  set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS
    "libmimalloc1 (= ${version}), libmimalloc-secure1 (= ${version}), libc6-dev")
  set(CPACK_DEBIAN_DEV_PACKAGE_CONFLICTS libmimalloc-dev)
  set(CPACK_DEBIAN_TOOLS_PACKAGE_DEPENDS "libmimalloc-secure1 (>= ${version}), python3, binutils")
  set(CPACK_DEBIAN_TOOLS_PACKAGE_SHLIBDEPS OFF)
  set(CPACK_DEBIAN_TOOLS_PACKAGE_ARCHITECTURE all)

  set(CPACK_COMPONENT_MIMALLOC_DESCRIPTION "Replaces malloc and free, and new and delete, in programs as they are, linked
 or preloaded. This library is fast and does no checks.")
  set(CPACK_COMPONENT_MIMALLOC-SECURE_DESCRIPTION "Replaces malloc and free, and new and delete, in programs as they are, linked
 or preloaded. It notices when a program misuses its heap (writes beyond a
 block, frees it twice, uses it after the free), says what happened, and ends
 the program instead of letting it go on with a damaged heap.")
  set(CPACK_COMPONENT_DEV_DESCRIPTION "Headers, static libraries, single objects, and files for pkg-config and CMake
 of the fast and of the hardened allocator.")
  set(CPACK_COMPONENT_TOOLS_DESCRIPTION "Runs programs with the hardened allocator, and checks that it will have an
 effect; makes its reports readable, draws maps of the heap, shows the heap of
 a running process, and turns statistics into the text form of Prometheus.")
  file(WRITE "${doc_dir}/libmimalloc1/shlibs" "libmimalloc 1 libmimalloc1 (>= ${version})\n")
  set(CPACK_DEBIAN_MIMALLOC_PACKAGE_CONTROL_EXTRA
    "${PROJECT_SOURCE_DIR}/cmake/package/triggers;${doc_dir}/libmimalloc1/shlibs")
  file(WRITE "${doc_dir}/libmimalloc-secure1/shlibs" "libmimalloc-secure 1 libmimalloc-secure1 (>= ${version})\n")
  set(CPACK_DEBIAN_MIMALLOC-SECURE_PACKAGE_CONTROL_EXTRA
    "${PROJECT_SOURCE_DIR}/cmake/package/triggers;${doc_dir}/libmimalloc-secure1/shlibs")
  include(CPack)
endif()
