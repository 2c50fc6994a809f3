# Compiler flags as one target, `ow_flags`, that every target of ours links: nothing is set globally.
# Each flag is probed, because gcc 12 and clang 14 do not know the same ones.

include(CheckCCompilerFlag)
include(CheckLinkerFlag)
include(CheckPIESupported)

check_pie_supported()
add_library(ow_flags INTERFACE)
target_compile_definitions(ow_flags INTERFACE _GNU_SOURCE=) # OFD locks, among others

# ow_probe(<flag>...): adds the flags that this compiler accepts.
function(ow_probe)
    foreach(flag IN LISTS ARGN)
        string(MAKE_C_IDENTIFIER "HAS${flag}" has)
        set(CMAKE_REQUIRED_FLAGS -Werror)
        check_c_compiler_flag(${flag} ${has})
        if(${has})
            target_compile_options(ow_flags INTERFACE ${flag})
        endif()
    endforeach()
endfunction()

function(ow_probe_link)
    foreach(flag IN LISTS ARGN)
        string(MAKE_C_IDENTIFIER "HAS${flag}" has)
        check_linker_flag(C ${flag} ${has})
        if(${has})
            target_link_options(ow_flags INTERFACE ${flag})
        endif()
    endforeach()
endfunction()

set(CMAKE_REQUIRED_QUIET ON)

# Warnings. Library headers lie in /usr/include, so they leak none.
set(CMAKE_COMPILE_WARNING_AS_ERROR ${ONCEWARD_WERROR})
ow_probe(
    # both
    -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes
    -Wmissing-declarations -Wold-style-definition -Wcast-qual -Wcast-align -Wpointer-arith -Wwrite-strings -Wformat=2 -Wvla
    -Walloca -Wundef -Wswitch-enum -Wimplicit-fallthrough -Wnull-dereference -Wdouble-promotion -Wfloat-equal -Wredundant-decls
    -Wnested-externs -Wdate-time -Wenum-conversion
    # gcc 12
    -Wduplicated-cond -Wduplicated-branches -Wlogical-op -Wjump-misses-init -Wstringop-overflow=4 -Walloc-zero
    -Warith-conversion -Wtrampolines -Wbidi-chars=any
    # clang 14
    -Wcomma -Wthread-safety -Wconditional-uninitialized -Wassign-enum -Wunreachable-code -Wdocumentation
    -Wmissing-variable-declarations -Wextra-semi-stmt)

# Hardening (OpenSSF guide).
ow_probe(-fstack-protector-strong -fstack-clash-protection -fcf-protection=full -fno-strict-overflow
         -fno-delete-null-pointer-checks -ftrivial-auto-var-init=zero)
ow_probe_link(LINKER:-z,relro LINKER:-z,now LINKER:-z,noexecstack LINKER:-z,nodlopen LINKER:--as-needed)

if(ONCEWARD_SANITIZE)
    target_compile_options(ow_flags INTERFACE -fsanitize=${ONCEWARD_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(ow_flags INTERFACE -fsanitize=${ONCEWARD_SANITIZE})
else()
    ow_probe(-Wframe-larger-than=8192) # sanitizers grow the frames
    # Fortify needs the optimiser, and does not go with the sanitizers.
    target_compile_options(ow_flags INTERFACE $<$<CONFIG:Release>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=3>)
endif()

# What TSan has to see of librdkafka's threads. Every program links it; it is empty without TSan.
if(ONCEWARD_SANITIZE MATCHES thread)
    add_library(ow_threads_seen OBJECT tests/support/tsan/c11_threads.c)
    target_link_libraries(ow_threads_seen PRIVATE ow_flags)
else()
    add_library(ow_threads_seen INTERFACE)
endif()

if(ONCEWARD_FAILPOINTS)
    target_compile_definitions(ow_flags INTERFACE ONCEWARD_FAILPOINTS)
endif()

if(ONCEWARD_COVERAGE)
    target_compile_options(ow_flags INTERFACE --coverage -fprofile-update=atomic)
    target_link_options(ow_flags INTERFACE --coverage)
endif()

if(ONCEWARD_LTO)
    include(CheckIPOSupported)
    check_ipo_supported(RESULT lto OUTPUT lto_why LANGUAGES C)
    if(lto)
        set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
    else()
        message(WARNING "no link-time optimisation: ${lto_why}")
    endif()
endif()
