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

  file(GLOB tests CONFIGURE_DEPENDS tests/*_test.cc)
  if(tests)
    add_executable(${name}_test ${tests})
    target_include_directories(${name}_test PRIVATE src)
    target_link_libraries(${name}_test PRIVATE ${target} ${testing_target} ${ARG_TESTING} ${ARG_USES} ${ARG_PRIVATE}
                          ktrdr_options ktrdr_core_testing GTest::gtest GTest::gmock GTest::gtest_main)
    gtest_discover_tests(${name}_test TEST_PREFIX ${name}/ DISCOVERY_TIMEOUT 60
                         PROPERTIES TIMEOUT 120 LABELS unit)
  endif()
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
