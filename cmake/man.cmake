# Manual pages, from the programs' own help and the library's header (scripts/man).
include(GNUInstallDirs)
function(calvaria_man page from component)
  set(target ${CMAKE_BINARY_DIR}/${page})
  add_custom_command(OUTPUT ${target} VERBATIM DEPENDS ${ARGN} ${CMAKE_SOURCE_DIR}/scripts/man
    COMMAND sh -c "\"$1\" \"$2\" > \"$3\"" sh ${CMAKE_SOURCE_DIR}/scripts/man ${from} ${target}
    COMMENT "Writing ${page}")
  string(MAKE_C_IDENTIFIER man_${page} name)
  add_custom_target(${name} ALL DEPENDS ${target})
  string(REGEX MATCH "[0-9]$" section ${page})
  install(FILES ${target} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section} COMPONENT ${component})
endfunction()
calvaria_man(calvaria.1 $<TARGET_FILE:calvaria> calvaria calvaria)
calvaria_man(calvaria-infer.1 $<TARGET_FILE:calvaria-infer> infer calvaria-infer)
calvaria_man(calvaria.3 ${CMAKE_SOURCE_DIR}/lib/calvaria.h dev ${CMAKE_SOURCE_DIR}/lib/calvaria.h)
