# How every file of the project is compiled. Third-party headers come in as system headers.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}")

find_program(CCACHE ccache)
if(CCACHE)
  # Without these it compiles every file that uses a precompiled header anew.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros "${CCACHE}")
endif()

# A release compiles several files of a module as one (CMAKE_UNITY_BUILD): most of its time went into the same headers,
# again and again. Two of a module's files may not give the same name to different things, even in unnamed namespaces.
# The other builds compile each file by itself, so that each includes what it uses.
set(CMAKE_UNITY_BUILD_BATCH_SIZE 8)

# The flags every module and test is built with.
add_library(acme_flags INTERFACE)
target_compile_options(acme_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Wimplicit-fallthrough -Werror)

if(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_options(acme_flags INTERFACE
    -fstack-protector-strong -fstack-clash-protection -fcf-protection=full -ftrivial-auto-var-init=zero)
  target_compile_definitions(acme_flags INTERFACE _FORTIFY_SOURCE=3 _GLIBCXX_ASSERTIONS)
  target_link_options(acme_flags INTERFACE -Wl,-z,relro,-z,now -Wl,--as-needed)
  set(CMAKE_POSITION_INDEPENDENT_CODE ON)
  include(CheckPIESupported)
  check_pie_supported(LANGUAGES CXX)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # g++ 12 finds faults in std::string's own moves once they are inlined; without a precompiled header it hides them, as
    # they stand in a system header.
    target_compile_options(acme_flags INTERFACE -Wno-array-bounds -Wno-restrict -Wno-stringop-overflow -Wno-stringop-overread)
  endif()
endif()

if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(acme_flags INTERFACE -Wno-subobject-linkage) # it takes the files of a batch for headers
endif()

if(GATEHOUSE_SANITIZE)
  target_compile_options(acme_flags INTERFACE -fsanitize=${GATEHOUSE_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(acme_flags INTERFACE -fsanitize=${GATEHOUSE_SANITIZE})
  if(GATEHOUSE_SANITIZE MATCHES "undefined")
    target_compile_options(acme_flags INTERFACE -fno-sanitize-recover=all)
  endif()
  if(GATEHOUSE_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(acme_flags INTERFACE -Wno-tsan) # g++ 12 warns of Asio's fences
  endif()
endif()

if(GATEHOUSE_COVERAGE)
  target_compile_options(acme_flags INTERFACE --coverage -fprofile-abs-path)
  target_link_options(acme_flags INTERFACE --coverage)
endif()

if(GATEHOUSE_FUZZ)
  target_compile_options(acme_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

if(GATEHOUSE_TIDY)
  find_program(CLANG_TIDY NAMES clang-tidy-19 REQUIRED)
  set(CMAKE_CXX_CLANG_TIDY "${CLANG_TIDY}" --quiet)
endif()

# acme_precompiled(<target>): the target takes in cmake/precompiled.h, compiled once for all that have the same flags.
# Includes stay checked all the same: a module sees only what its view shows, and clang compiles without it.
function(acme_precompiled target)
  if(NOT GATEHOUSE_PRECOMPILED)
    return()
  endif()
  if(NOT TARGET acme_precompiled_headers)
    file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/precompiled.cc" CONTENT "")  # its time changes with its content alone
    add_library(acme_precompiled_headers OBJECT "${PROJECT_BINARY_DIR}/precompiled.cc")
    target_link_libraries(acme_precompiled_headers PRIVATE acme_flags nlohmann_json::nlohmann_json Threads::Threads)
    target_precompile_headers(acme_precompiled_headers PRIVATE "${PROJECT_SOURCE_DIR}/cmake/precompiled.h")
    target_compile_options(acme_precompiled_headers PRIVATE -fpch-preprocess)
  endif()
  target_precompile_headers(${target} REUSE_FROM acme_precompiled_headers)
  target_compile_options(${target} PRIVATE -fpch-preprocess)
endfunction()
