# cmake -D SOURCE=... -D OUT=... -D VERSION=... -D COMPILER=... -D FLAGS=... -D HDF5=... -P build_info.cmake
set(COMMIT "unknown")
find_program(GIT git)
if(GIT)
  execute_process(COMMAND ${GIT} -C ${SOURCE} describe --always --abbrev=12 --dirty --exclude=*
                  OUTPUT_VARIABLE described RESULT_VARIABLE failed OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(NOT failed)
    set(COMMIT "${described}")
  endif()
endif()
configure_file(${SOURCE}/train/build_info.h.in ${OUT} @ONLY)
