# One library per folder:
#
#   ktrdr_library(DEPENDS core api PRIVATE yaml-cpp)
#
# in libs/<name>/CMakeLists.txt makes the target ktrdr_<name> from src/*.cc with the include root include/, a test
# program from tests/*_test.cc and, where testing/ has headers, the target ktrdr_<name>_testing (fakes and contract
# suites, include root testing/include) that other libraries' tests name under TESTING.
#
#   DEPENDS   our libraries that its public headers use: they must be declared before, so dependencies point down
#   USES      our libraries that only its .cc files use
#   PRIVATE   foreign targets that only its .cc files use
#   TESTING   further targets of its tests
#
# fuzz/<target>_fuzz.cc makes, in the preset fuzz, the program <name>_<target>_fuzz; scripts/fuzz.sh runs it.
#
# tests/<group>/*_test.cc makes the test program <name>_<group>_test, which is one test of ctest as a whole: for tests
# that share something dear to start. All others run each in a process of its own.
find_package(GTest REQUIRED)
include(GoogleTest)

function(ktrdr_library)
  cmake_parse_arguments(ARG "" "" "DEPENDS;USES;PRIVATE;TESTING" ${ARGN})
  get_filename_component(name ${CMAKE_CURRENT_SOURCE_DIR} NAME)
  set(target ktrdr_${name})
  foreach(dependency ${ARG_DEPENDS} ${ARG_USES})
    if(NOT TARGET ktrdr_${dependency})
      message(FATAL_ERROR "${name} may not use ${dependency}: dependencies point down (see the list in CMakeLists.txt)")
    endif()
  endforeach()
  list(TRANSFORM ARG_DEPENDS PREPEND ktrdr_)
  list(TRANSFORM ARG_USES PREPEND ktrdr_)

  file(GLOB sources CONFIGURE_DEPENDS src/*.cc)
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS include/*.h)
  add_library(${target} STATIC ${sources})
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS include FILES ${headers})
  target_include_directories(${target} PRIVATE src)
  target_link_libraries(${target} PUBLIC ${ARG_DEPENDS} PRIVATE ${ARG_USES} ${ARG_PRIVATE} ktrdr_options)

  set(testing_target "")
  file(GLOB_RECURSE testing_headers CONFIGURE_DEPENDS testing/*.h)
  file(GLOB testing_sources CONFIGURE_DEPENDS testing/*.cc)
  if(testing_headers)
    set(testing_target ${target}_testing)
    add_library(${testing_target} INTERFACE)
    target_include_directories(${testing_target} INTERFACE testing/include)
    target_link_libraries(${testing_target} INTERFACE ${target} GTest::gtest GTest::gmock)
    if(testing_sources)
      target_sources(${testing_target} INTERFACE ${testing_sources})
    endif()
  endif()

  set(test_libraries ${target} ${testing_target} ${ARG_TESTING} ${ARG_USES} ${ARG_PRIVATE})
  file(GLOB fuzz_sources CONFIGURE_DEPENDS fuzz/*_fuzz.cc)
  if(KTRDR_SANITIZE STREQUAL "fuzz")
    foreach(source ${fuzz_sources})
      ktrdr_fuzz_program(${source} "${test_libraries};ktrdr_core_testing")
    endforeach()
  endif()
  file(GLOB tests CONFIGURE_DEPENDS tests/*_test.cc)
  if(tests)
    ktrdr_test_program(${name}_test "${tests}" "${test_libraries}")
    gtest_discover_tests(${name}_test TEST_PREFIX ${name}/ DISCOVERY_TIMEOUT 60
                         PROPERTIES TIMEOUT 120 LABELS unit)
  endif()
  file(GLOB grouped_tests CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR}/tests tests/*/*_test.cc)
  foreach(test ${grouped_tests})
    get_filename_component(group ${test} DIRECTORY)
    list(APPEND groups ${group})
    list(APPEND tests_of_${group} tests/${test})
  endforeach()
  list(REMOVE_DUPLICATES groups)
  foreach(group ${groups})
    ktrdr_test_program(${name}_${group}_test "${tests_of_${group}}" "${test_libraries}")
    add_test(NAME ${name}/${group} COMMAND ${name}_${group}_test)
    set_tests_properties(${name}/${group} PROPERTIES TIMEOUT 300 LABELS unit)
  endforeach()
endfunction()

# A program that libFuzzer drives; its seeds are in fuzz/corpus/<target>. All of them: the target fuzz_programs.
function(ktrdr_fuzz_program source libraries)
  get_filename_component(name ${CMAKE_CURRENT_SOURCE_DIR} NAME)
  get_filename_component(target ${source} NAME_WE)
  string(REGEX REPLACE "_fuzz$" "" target ${target})
  set(program ${name}_${target})
  add_executable(${program} EXCLUDE_FROM_ALL ${source} ${ARGN})
  target_include_directories(${program} PRIVATE src)
  target_link_libraries(${program} PRIVATE ${libraries} ktrdr_options)
  target_link_options(${program} PRIVATE -fsanitize=fuzzer)
  if(NOT TARGET fuzz_programs)
    add_custom_target(fuzz_programs)
  endif()
  add_dependencies(fuzz_programs ${program})
endfunction()

function(ktrdr_test_program program sources libraries)
  add_executable(${program} ${sources})
  target_include_directories(${program} PRIVATE src)
  target_link_libraries(${program} PRIVATE ${libraries} ktrdr_options ktrdr_core_testing
                        GTest::gtest GTest::gmock GTest::gtest_main)
endfunction()

# A program in apps/<name>: main() and its wiring, nothing else.
function(ktrdr_application)
  cmake_parse_arguments(ARG "" "" "DEPENDS;PRIVATE" ${ARGN})
  get_filename_component(name ${CMAKE_CURRENT_SOURCE_DIR} NAME)
  list(TRANSFORM ARG_DEPENDS PREPEND ktrdr_)
  file(GLOB sources CONFIGURE_DEPENDS *.cc)
  add_executable(${name} ${sources})
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS} ${ARG_PRIVATE} ktrdr_options)
endfunction()
