# Target Llhttp: the distribution's shared library where it has one, otherwise
# the C sources that Debian 12 ships in the package node-llhttp.
pkg_check_modules(LIBLLHTTP QUIET IMPORTED_TARGET libllhttp)
add_library(Llhttp INTERFACE)
if(LIBLLHTTP_FOUND)
    target_link_libraries(Llhttp INTERFACE PkgConfig::LIBLLHTTP)
else()
    find_path(LLHTTP_INCLUDE_DIR llhttp.h PATH_SUFFIXES llhttp
              HINTS /usr/share/include/llhttp)
    find_path(LLHTTP_SOURCE_DIR llhttp.c PATHS /usr/share/llhttp)
    if(NOT LLHTTP_INCLUDE_DIR OR NOT LLHTTP_SOURCE_DIR)
        message(FATAL_ERROR "llhttp not found: install libllhttp-dev, or node-llhttp on Debian 12")
    endif()
    add_library(llhttp_static STATIC ${LLHTTP_SOURCE_DIR}/llhttp.c
                ${LLHTTP_SOURCE_DIR}/api.c ${LLHTTP_SOURCE_DIR}/http.c)
    target_include_directories(llhttp_static SYSTEM PUBLIC ${LLHTTP_INCLUDE_DIR})
    target_compile_options(llhttp_static PRIVATE -w -O2)
    target_link_libraries(Llhttp INTERFACE llhttp_static)
endif()
