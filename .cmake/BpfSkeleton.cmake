# bpf_skeleton(NAME): compile NAME.bpf.c with clang for the BPF target and turn
# the object into NAME.skel.h with bpftool. Target NAME_skeleton carries it.
find_program(BPF_CLANG NAMES clang clang-19 clang-16 clang-15 clang-14 REQUIRED)
find_program(BPF_BPFTOOL NAMES bpftool PATHS /usr/sbin /usr/lib/linux-tools REQUIRED)

function(bpf_skeleton name)
    set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.bpf.o)
    set(skeleton ${CMAKE_CURRENT_BINARY_DIR}/${name}.skel.h)
    # <linux/types.h> wants <asm/types.h>, which Debian keeps by architecture.
    add_custom_command(OUTPUT ${object}
        COMMAND ${BPF_CLANG} -O2 -g -target bpf -mcpu=v2 -std=gnu17 -Wall -Wextra
                -ffile-prefix-map=${CMAKE_SOURCE_DIR}=.
                -I${CMAKE_SOURCE_DIR} -I${CMAKE_CURRENT_SOURCE_DIR}
                -I/usr/include/${CMAKE_LIBRARY_ARCHITECTURE}
                -c ${CMAKE_CURRENT_SOURCE_DIR}/${name}.bpf.c -o ${object} -MD -MF ${object}.d
        DEPENDS ${name}.bpf.c
        DEPFILE ${object}.d
        COMMENT "BPF ${name}.bpf.o" VERBATIM)
    add_custom_command(OUTPUT ${skeleton}
        COMMAND ${BPF_BPFTOOL} gen skeleton ${object} name ${name}_bpf > ${skeleton}
        DEPENDS ${object}
        COMMENT "BPF skeleton ${name}.skel.h" VERBATIM)
    add_custom_target(${name}_skeleton_header DEPENDS ${skeleton})
    add_library(${name}_skeleton INTERFACE)
    add_dependencies(${name}_skeleton ${name}_skeleton_header)
    target_include_directories(${name}_skeleton SYSTEM INTERFACE ${CMAKE_CURRENT_BINARY_DIR})
endfunction()
