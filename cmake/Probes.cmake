# Static probes for tracers (src/probes.h): adds MIM_PROBES=1 to MIM_DEFINITIONS when <sys/sdt.h> is there and
# MI_PROBES is not OFF.

include(CheckIncludeFile)

option(MI_PROBES "Build static probes in where <sys/sdt.h> is there" ON)
if(MI_PROBES)
  check_include_file(sys/sdt.h HAVE_SYS_SDT_H)
  if(HAVE_SYS_SDT_H)
    list(APPEND MIM_DEFINITIONS MIM_PROBES=1)
  endif()
endif()
