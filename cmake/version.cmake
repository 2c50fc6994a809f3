# cmake -DSOURCE_DIR= -DVERSION= -DOUTPUT= -P version.cmake: writes ow_version.h where it would change. Works without git.
set(commit unknown)
find_program(GIT git)
if(GIT AND EXISTS ${SOURCE_DIR}/.git)
    execute_process(COMMAND ${GIT} -C ${SOURCE_DIR} describe --always --dirty --abbrev=12 --exclude=*
                    OUTPUT_VARIABLE out RESULT_VARIABLE failed OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    if(NOT failed)
        set(commit ${out})
    endif()
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#pragma once\n\n#define OW_VERSION \"${VERSION}\"\n#define OW_COMMIT \"${commit}\"\n" NEWLINE_STYLE UNIX)
