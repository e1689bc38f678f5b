# One library per folder. USES names the rooms and packages it may include: the law base <- {nn, data} <- infer <- {lib, train, serve} <- cli
# holds because nothing else is on a room's link line, and tests/test_layering.sh reads the includes.
add_library(calvaria_flags INTERFACE)
target_compile_options(calvaria_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes
                       -Wmissing-prototypes -Wvla -Wno-sign-conversion -fno-math-errno -fno-trapping-math)
target_compile_definitions(calvaria_flags INTERFACE _POSIX_C_SOURCE=200809L _DEFAULT_SOURCE)
target_include_directories(calvaria_flags INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
target_link_libraries(calvaria_flags INTERFACE OpenMP::OpenMP_C m)
# The same bytes whatever folder it is built in: no path of this machine in asserts and debug information.
# A compiler launcher (ccache) that is shared between folders makes paths relative itself.
if(NOT CMAKE_C_COMPILER_LAUNCHER)
  target_compile_options(calvaria_flags INTERFACE -ffile-prefix-map=${CMAKE_SOURCE_DIR}/= -ffile-prefix-map=${CMAKE_BINARY_DIR}/=build/)
endif()

# Hardening, where compiler, linker and processor have it. scripts/check_hardening looks for it in the programs.
include(CheckCCompilerFlag)
include(CheckLinkerFlag)
foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection=full)
  string(MAKE_C_IDENTIFIER "HAVE${flag}" have)
  check_c_compiler_flag(${flag} ${have})
  if(${have})
    target_compile_options(calvaria_flags INTERFACE ${flag})
  endif()
endforeach()
foreach(flag -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
  string(MAKE_C_IDENTIFIER "HAVE${flag}" have)
  check_linker_flag(C ${flag} ${have})
  if(${have})
    target_link_options(calvaria_flags INTERFACE ${flag})
  endif()
endforeach()
if(NOT CALVARIA_SANITIZE AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug") # the sanitizers check the same and more
  target_compile_options(calvaria_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden) # libcalvaria gives away what calvaria.h declares, and nothing else
include(CheckPIESupported)
check_pie_supported()
if(CALVARIA_WERROR)
  target_compile_options(calvaria_flags INTERFACE -Werror)
endif()
if(CALVARIA_FUZZ)
  target_compile_options(calvaria_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(CALVARIA_SANITIZE)
  target_compile_options(calvaria_flags INTERFACE -fsanitize=${CALVARIA_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all) # else undefined behaviour is a line in the log of a test that passes
  target_link_options(calvaria_flags INTERFACE -fsanitize=${CALVARIA_SANITIZE})
endif()

function(calvaria_library name)
  cmake_parse_arguments(LIBRARY "" "" "SOURCES;USES" ${ARGN})
  add_library(calvaria_${name} STATIC ${LIBRARY_SOURCES})
  target_link_libraries(calvaria_${name} PUBLIC calvaria_flags ${LIBRARY_USES})
endfunction()

# C code from a protobuf schema, in generated/: NAME.pb-c.c, NAME.pb-c.h. ret_code names both; the target calvaria_NAME_code makes them alone.
function(calvaria_protobuf name schema ret_code)
  set(folder ${CMAKE_BINARY_DIR}/generated)
  get_filename_component(schema_folder ${CMAKE_CURRENT_SOURCE_DIR}/${schema} DIRECTORY)
  set(code ${folder}/${name}.pb-c.c ${folder}/${name}.pb-c.h)
  add_custom_command(OUTPUT ${code} DEPENDS ${schema} VERBATIM
    COMMAND ${CMAKE_COMMAND} -E make_directory ${folder} # no other target has to come first
    COMMAND ${PROTOC_C} --c_out=${folder} -I ${schema_folder} ${CMAKE_CURRENT_SOURCE_DIR}/${schema})
  add_custom_target(calvaria_${name}_code DEPENDS ${code})
  set_source_files_properties(${folder}/${name}.pb-c.c PROPERTIES COMPILE_OPTIONS "-w")
  set(${ret_code} ${code} PARENT_SCOPE)
endfunction()

function(calvaria_program name)
  cmake_parse_arguments(PROGRAM "" "" "SOURCES;USES" ${ARGN})
  add_executable(${name} ${PROGRAM_SOURCES})
  target_link_libraries(${name} PRIVATE calvaria_flags ${PROGRAM_USES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
endfunction()

# calvaria_test(test_conv LABEL quick USES calvaria_nn): tests/.../test_conv.c and the checks of tests/check.c. Exit 77 is a skip.
function(calvaria_test name)
  cmake_parse_arguments(TEST "" "LABEL" "SOURCES;USES;ARGS" ${ARGN})
  if(NOT TEST_SOURCES)
    set(TEST_SOURCES ${name}.c)
  endif()
  add_executable(${name} ${TEST_SOURCES})
  target_link_libraries(${name} PRIVATE calvaria_flags calvaria_check ${TEST_USES})
  add_test(NAME ${name} COMMAND ${name} ${TEST_ARGS} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set(seconds 600)
  if(CALVARIA_SANITIZE)
    set(seconds 3000)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${TEST_LABEL}" SKIP_RETURN_CODE 77 TIMEOUT ${seconds})
endfunction()
