# ctest "reasons": every DenyReason of include/riskreg/types.hpp is provoked by a test of tests/reasons_test.cpp, that is, a
# call there is expected to be refused with it.
#   cmake -DROOT=<repository> -P tools/check_reasons.cmake
cmake_minimum_required(VERSION 3.25)
if(NOT ROOT)
  cmake_path(GET CMAKE_CURRENT_LIST_DIR PARENT_PATH ROOT)
endif()

file(READ "${ROOT}/include/riskreg/types.hpp" types)
if(NOT types MATCHES "enum class DenyReason[^{]*{([^}]*)}")
  message(FATAL_ERROR "reasons: include/riskreg/types.hpp has no enum class DenyReason")
endif()
string(REGEX MATCHALL "[a-z_]+ =" reasons "${CMAKE_MATCH_1}")
list(TRANSFORM reasons REPLACE " =" "")
list(REMOVE_ITEM reasons none)
list(LENGTH reasons count)
if(count LESS 40)
  message(FATAL_ERROR "reasons: only ${count} enumerators of DenyReason were recognised")
endif()

# Semicolons end statements, and would end elements of a list, too.
file(READ "${ROOT}/tests/reasons_test.cpp" tests)
string(REPLACE ";" "\n;" tests "${tests}")
string(REGEX REPLACE "//[^\n]*" "" tests "${tests}")
string(REPLACE ";" "@" tests "${tests}")

set(missing "")
foreach(reason IN LISTS reasons)
  # As an argument of refuses(…), or compared in a CHECK; a mention anywhere else proves nothing.
  if(NOT tests MATCHES "(refuses|CHECK|REQUIRE)\\([^@]*DenyReason::${reason}[^a-z_]" AND
     NOT tests MATCHES "{DenyReason::${reason}, &Limits::")
    list(APPEND missing ${reason})
  endif()
endforeach()
if(missing)
  list(JOIN missing ", " missing)
  message(FATAL_ERROR "reasons: no test of tests/reasons_test.cpp is refused with ${missing}")
endif()
message(STATUS "reasons: all ${count} are provoked")
