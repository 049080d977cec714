# What of the tests runs under wine: those of layers that ask nothing of the system, unchanged; and cases through the programs, run.
# Left out: whatever forks, steps through instructions, or interposes calls.
add_library(riskreg_test_main OBJECT ${CMAKE_CURRENT_LIST_DIR}/main.cpp)
target_link_libraries(riskreg_test_main PUBLIC Catch2::Catch2 Boost::headers)

function(riskreg_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/tools)
  target_compile_definitions(${name} PRIVATE RISKREG_SOURCE_DIR="Z:${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE riskreg riskreg_test_main ${ARG_LINKS})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 900 ENVIRONMENT "${wine_environment}")
endfunction()

set(wine_environment "WINEPREFIX=${PROJECT_BINARY_DIR}/wine;WINEDEBUG=-all")

add_library(model_support OBJECT model/model.cpp model/controls.cpp model/times.cpp model/command.cpp model/clock.cpp model/world.cpp
  model/compare.cpp model/recorded.cpp model/recheck.cpp)
target_include_directories(model_support PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(model_support PUBLIC riskreg Boost::headers)
add_library(desk_support OBJECT support/desk.cpp support/plain_registry.cpp)
target_include_directories(desk_support PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(desk_support PUBLIC riskreg Catch2::Catch2)

foreach(name IN ITEMS layout_test base_test names_test clock_test config_test)
  riskreg_test(${name} SOURCES ${name}.cpp)
endforeach()
riskreg_test(limit_table_test SOURCES limit_table_test.cpp support/plain_registry.cpp)
riskreg_test(log_test SOURCES log_test.cpp support/config_text.cpp support/plain_registry.cpp)
riskreg_test(property_test SOURCES property_test.cpp model/drive.cpp support/plain_registry.cpp LINKS model_support)
riskreg_test(reducing_test SOURCES reducing_test.cpp model/drive.cpp support/plain_registry.cpp LINKS model_support)
riskreg_test(model_clock_test SOURCES model_clock_test.cpp LINKS model_support)
foreach(name IN ITEMS tables_test audit_test)
  riskreg_test(${name} SOURCES ${name}.cpp LINKS desk_support)
endforeach()

# Through the programs; `crossing` also needs this system's own, of the preset "dev".
set(linux_programs ${PROJECT_SOURCE_DIR}/build/dev/bin)
foreach(case IN ITEMS session paths crossing roll deaths storm demo service)
  add_test(NAME windows_${case} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/windows/run ${case} ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}
    ${CMAKE_CROSSCOMPILING_EMULATOR} ${linux_programs})
  set_tests_properties(windows_${case} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 1800 RUN_SERIAL ON ENVIRONMENT "${wine_environment}")
endforeach()
