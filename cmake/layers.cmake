# ow_layer(<name> USES <layer>... LIBS <library>...): lib/<name>/*.c as the static library ow_<name>.
#
# Headers lie beside the sources and are included as "model/decide.h". With lib/ as include root every layer would see every
# header, so each layer has a root of its own, which holds one link to its folder: build/<preset>/include/<name>/<name>.
# USES is linked PRIVATE, so a layer sees only what it names: a wrong include does not compile.
#
# Sources are globbed (CONFIGURE_DEPENDS: looked at again at each build), because files come and go in several hands at once.

function(ow_layer name)
    cmake_parse_arguments(ARG "" "" "USES;LIBS" ${ARGN})
    set(root ${CMAKE_BINARY_DIR}/include/${name})
    file(MAKE_DIRECTORY ${root})
    file(CREATE_LINK ${CMAKE_SOURCE_DIR}/lib/${name} ${root}/${name} SYMBOLIC)

    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/lib/${name}/*.c)
    if(NOT sources)
        message(STATUS "lib/${name} has no source yet")
        set(sources ${CMAKE_BINARY_DIR}/empty/${name}.c)
        file(CONFIGURE OUTPUT ${sources} CONTENT "typedef int ow_${name}_has_no_source_yet;\n")
    endif()

    add_library(ow_${name} STATIC ${sources})
    target_include_directories(ow_${name} PUBLIC ${root})
    list(TRANSFORM ARG_USES PREPEND ow_ OUTPUT_VARIABLE uses)
    target_link_libraries(ow_${name} PRIVATE ow_flags ${uses} ${ARG_LIBS})
    set_property(GLOBAL PROPERTY OW_USES_${name} ${ARG_USES})
    set_property(GLOBAL APPEND PROPERTY OW_LAYERS ${name})
    ow_header_check(${name} "${uses}")
endfunction()

# Each header must compile by itself: target `headers` (part of `./dev lint`).
function(ow_header_check name uses)
    file(GLOB headers CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}/lib ${CMAKE_SOURCE_DIR}/lib/${name}/*.h)
    if(NOT TARGET headers)
        add_custom_target(headers)
    endif()
    set(sources "")
    foreach(header IN LISTS headers)
        set(source ${CMAKE_BINARY_DIR}/headers/${header}.c)
        file(CONFIGURE OUTPUT ${source} CONTENT "#include \"${header}\"\n#include \"${header}\" /* twice: the guard */\n")
        list(APPEND sources ${source})
    endforeach()
    if(sources)
        add_library(ow_${name}_headers OBJECT EXCLUDE_FROM_ALL ${sources})
        target_compile_options(ow_${name}_headers PRIVATE -Wno-pedantic -Wno-unused)
        target_link_libraries(ow_${name}_headers PRIVATE ow_flags ow_${name} ${uses})
        set_target_properties(ow_${name}_headers PROPERTIES INTERPROCEDURAL_OPTIMIZATION OFF C_CLANG_TIDY "")
        add_dependencies(headers ow_${name}_headers)
    endif()
endfunction()
