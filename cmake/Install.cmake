# What `cmake --install` puts where: libraries and single objects, headers, pkg-config files, and the package that
# find_package(mimalloc 1.0) finds.
#
# Each product has an export of its own, and each build type a file in it, so that a secure, a plain and a debug build
# can be installed one after the other into the same prefix.
#
# The components (mimalloc, mimalloc-secure: the shared objects; dev; tools) are what Package.cmake makes packages of.

include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/mimalloc")
set(pkgconfig_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

# From the directory of the .pc file to the prefix, so that an installed tree may be moved.
file(RELATIVE_PATH MIM_PC_PREFIX "/p/${pkgconfig_dir}" "/p")
string(REGEX REPLACE "/$" "" MIM_PC_PREFIX "${MIM_PC_PREFIX}")

foreach(product IN LISTS MIM_PRODUCTS)
  set(output "${product}${MIM_SUFFIX}")
  install(TARGETS ${product} ${product}-static EXPORT ${product}-targets
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT ${product} NAMELINK_COMPONENT dev
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT dev)
  install(FILES "${PROJECT_BINARY_DIR}/${output}.o" DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT dev)
  install(EXPORT ${product}-targets DESTINATION "${package_dir}" COMPONENT dev)

  set(MIM_PC_NAME "${output}")
  set(MIM_PC_THREADS "${CMAKE_THREAD_LIBS_INIT}")
  configure_file("${PROJECT_SOURCE_DIR}/cmake/mimalloc.pc.in" "${PROJECT_BINARY_DIR}/${output}.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/${output}.pc" DESTINATION "${pkgconfig_dir}" COMPONENT dev)
endforeach()

install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT dev
  FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")

# Tools read reports and statistics of any build; they are the same in all.
install(PROGRAMS "${PROJECT_SOURCE_DIR}/scripts/mimalloc-run" "${PROJECT_SOURCE_DIR}/scripts/mimalloc-report"
  "${PROJECT_SOURCE_DIR}/scripts/mimalloc-heap-map" "${PROJECT_SOURCE_DIR}/scripts/mimalloc-stats-prometheus"
  "${PROJECT_SOURCE_DIR}/scripts/mimalloc-top"
  DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT tools)
install(FILES "${PROJECT_SOURCE_DIR}/scripts/mimalloc_watch.py"
  DESTINATION "${CMAKE_INSTALL_DATADIR}/mimalloc" COMPONENT tools)
install(FILES "${PROJECT_SOURCE_DIR}/scripts/completion/mimalloc-run" "${PROJECT_SOURCE_DIR}/scripts/completion/mimalloc-top"
  DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions" COMPONENT tools)
install(FILES "${PROJECT_SOURCE_DIR}/docs/man/mimalloc-run.1" "${PROJECT_SOURCE_DIR}/docs/man/mimalloc-report.1"
  "${PROJECT_SOURCE_DIR}/docs/man/mimalloc-heap-map.1" "${PROJECT_SOURCE_DIR}/docs/man/mimalloc-stats-prometheus.1"
  "${PROJECT_SOURCE_DIR}/docs/man/mimalloc-top.1"
  DESTINATION "${CMAKE_INSTALL_MANDIR}/man1" COMPONENT tools)
install(FILES "${PROJECT_SOURCE_DIR}/docs/man/mimalloc.7" DESTINATION "${CMAKE_INSTALL_MANDIR}/man7"
  COMPONENT tools)

configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/mimalloc-config.cmake.in"
  "${PROJECT_BINARY_DIR}/mimalloc-config.cmake" INSTALL_DESTINATION "${package_dir}"
  PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/mimalloc-config-version.cmake"
  VERSION ${PROJECT_VERSION} COMPATIBILITY SameMajorVersion)
install(FILES "${PROJECT_BINARY_DIR}/mimalloc-config.cmake" "${PROJECT_BINARY_DIR}/mimalloc-config-version.cmake"
  DESTINATION "${package_dir}" COMPONENT dev)
