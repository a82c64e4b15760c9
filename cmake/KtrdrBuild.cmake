# Compiler settings that every target shares.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_VERIFY_INTERFACE_HEADER_SETS ON)  # every public header must compile alone
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set_property(GLOBAL PROPERTY JOB_POOLS torch_pool=2)  # a torch file costs over 1 GB: two at a time
set(KTRDR_SANITIZE "" CACHE STRING "address, thread, fuzz or empty")

add_library(ktrdr_options INTERFACE)
target_compile_options(ktrdr_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor -Woverloaded-virtual
  -Wno-missing-field-initializers  # {.name = "x"} leaves the rest at its default: that is what it is for
  -Werror
  -ffp-contract=off           # a fused multiply-add would change bits from one CPU to the next
  -fstack-protector-strong)
if(KTRDR_SANITIZE STREQUAL "address")
  # With it, g++ 12 takes parts of std::regex for uninitialized.
  target_compile_options(ktrdr_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
                         -Wno-maybe-uninitialized)
  target_link_options(ktrdr_options INTERFACE -fsanitize=address,undefined)
elseif(KTRDR_SANITIZE STREQUAL "thread")
  target_compile_options(ktrdr_options INTERFACE -fsanitize=thread -Wno-tsan)
  target_link_options(ktrdr_options INTERFACE -fsanitize=thread)
elseif(KTRDR_SANITIZE STREQUAL "fuzz")
  # Clang, because libFuzzer is part of it. Its warnings are not ours: g++ is the compiler that we keep silent. Not all
  # of UBSan: its checks of every pointer make clang need minutes for one file of templates.
  set(checks fuzzer-no-link,address,bool,bounds,enum,float-cast-overflow,integer-divide-by-zero,return,shift,signed-integer-overflow,unreachable)
  target_compile_options(ktrdr_options INTERFACE -w -fsanitize=${checks} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(ktrdr_options INTERFACE -fsanitize=address,undefined)
endif()

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()
