# The page of `calvaria serve`: target calvaria_web, part of ALL, makes ${CMAKE_BINARY_DIR}/web from serve/web. Without npm, or where its
# registry cannot be reached, everything else is built and this says so. As a script (cmake -P) it is that target's work:
#   cmake -D SOURCE=serve/web -D STAGE=build/web-stage -D OUT=build/web -D NPM=... -D NODE=... -P cmake/web.cmake
if(CMAKE_SCRIPT_MODE_FILE)
  function(web_run what)
    execute_process(COMMAND ${ARGN} WORKING_DIRECTORY ${STAGE} RESULT_VARIABLE code OUTPUT_VARIABLE said ERROR_VARIABLE said)
    if(NOT code EQUAL 0)
      string(REGEX MATCH "^[^\n]*\n?[^\n]*" said "${said}")
      message("${said}")
      message("The page was not made (${what} failed): calvaria serve offers its API alone. Everything else is built; the next build tries again.")
      set(WEB_FAILED TRUE PARENT_SCOPE)
    endif()
  endfunction()

  file(COPY ${SOURCE}/ DESTINATION ${STAGE} PATTERN node_modules EXCLUDE)
  file(SHA256 ${STAGE}/package-lock.json wanted)
  set(have "")
  if(EXISTS ${STAGE}/node_modules/.from)
    file(READ ${STAGE}/node_modules/.from have)
  endif()
  if(NOT have STREQUAL wanted) # exactly the lock file's versions, none of their install scripts; quick to give up when offline
    web_run("npm ci" ${NPM} ci --ignore-scripts --no-audit --no-fund --prefer-offline --loglevel=error
            --fetch-retries=1 --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=5000)
    if(NOT WEB_FAILED)
      file(WRITE ${STAGE}/node_modules/.from ${wanted})
    endif()
  endif()
  if(NOT WEB_FAILED)
    set(ENV{COLOURS} ${SOURCE}/../../data/picture/colours.h)
    web_run("build.mjs" ${NODE} build.mjs ${OUT})
  endif()
  return()
endif()

# A sanitized build tests the server, not the page.
if(CALVARIA_SANITIZE)
  set(web_default OFF)
else()
  set(web_default ON)
endif()
option(CALVARIA_WEB "Make the page of calvaria serve (needs npm)" ${web_default})
find_program(NPM_PROGRAM npm)
find_program(NODE_PROGRAM NAMES node nodejs)

if(NOT CALVARIA_WEB)
  return()
endif()
if(NOT NPM_PROGRAM OR NOT NODE_PROGRAM)
  message(STATUS "npm was not found: the page of calvaria serve is left out, its API is there (on Debian and Ubuntu: apt-get install nodejs npm)")
  return()
endif()

set(web_sources build.mjs icon.svg index.html runs.html package-lock.json package.json style.css
                src/adjust.js src/app.js src/charts.js src/compare.js src/edit.js src/labels.js src/list.js src/mine.js
                src/pair.js src/result.js src/runs.js src/server.js src/shaders.js src/slices.js src/surfaces.js
                src/tools.js src/views.js src/volume.js src/words.js licences/niivue.txt)
list(TRANSFORM web_sources PREPEND ${CMAKE_SOURCE_DIR}/serve/web/)
add_custom_command(
  OUTPUT ${CMAKE_BINARY_DIR}/web/index.html
  COMMAND ${CMAKE_COMMAND} -D SOURCE=${CMAKE_SOURCE_DIR}/serve/web -D STAGE=${CMAKE_BINARY_DIR}/web-stage -D OUT=${CMAKE_BINARY_DIR}/web
          -D NPM=${NPM_PROGRAM} -D NODE=${NODE_PROGRAM} -P ${CMAKE_CURRENT_LIST_FILE}
  DEPENDS ${web_sources} ${CMAKE_SOURCE_DIR}/data/picture/colours.h ${CMAKE_CURRENT_LIST_FILE}
  COMMENT "Making the page (npm ci, esbuild)")
add_custom_target(calvaria_web ALL DEPENDS ${CMAKE_BINARY_DIR}/web/index.html)
install(DIRECTORY ${CMAKE_BINARY_DIR}/web/ DESTINATION share/calvaria/web COMPONENT calvaria OPTIONAL)
