# Generated headers, each in the including target's own generated/ root.

# ow_embed(<target> <file> <header> <symbol>): <file> as `static const char <symbol>[]`, with a NUL at its end.
function(ow_embed target file header symbol)
    set(input ${CMAKE_SOURCE_DIR}/${file})
    set(root ${CMAKE_BINARY_DIR}/generated/${target})
    file(GLOB there CONFIGURE_DEPENDS ${input}) # not EXISTS: configured again when it appears
    if(NOT there)
        message(STATUS "${file} is not there yet: no ${header}")
        return()
    endif()
    add_custom_command(
        OUTPUT ${root}/${header}
        COMMAND ${CMAKE_COMMAND} -DINPUT=${input} -DOUTPUT=${root}/${header} -DSYMBOL=${symbol} -P ${CMAKE_SOURCE_DIR}/cmake/embed_file.cmake
        DEPENDS ${input} ${CMAKE_SOURCE_DIR}/cmake/embed_file.cmake
        VERBATIM)
    target_sources(${target} PRIVATE ${root}/${header})
    target_include_directories(${target} PRIVATE ${root})
endfunction()

# ow_version_header(<target>): "ow_version.h" with OW_VERSION and OW_COMMIT. Looked at in each build, rewritten only on a change.
function(ow_version_header target)
    set(root ${CMAKE_BINARY_DIR}/generated/version)
    add_custom_target(ow_version
        COMMAND ${CMAKE_COMMAND} -DSOURCE_DIR=${CMAKE_SOURCE_DIR} -DVERSION=${PROJECT_VERSION} -DOUTPUT=${root}/ow_version.h
                -P ${CMAKE_SOURCE_DIR}/cmake/version.cmake
        BYPRODUCTS ${root}/ow_version.h
        COMMENT "version and commit"
        VERBATIM)
    add_dependencies(${target} ow_version)
    target_include_directories(${target} PUBLIC ${root})
endfunction()
