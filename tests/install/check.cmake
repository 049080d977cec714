# ctest "install": installs the build into an empty prefix, builds a consumer against it, runs it.
set(work ${BINARY}/install-test)
file(REMOVE_RECURSE ${work})
foreach(step IN ITEMS
    "${CMAKE_COMMAND};--install;${BINARY};--prefix;${work}/prefix"
    "${CMAKE_COMMAND};-S;${SOURCE};-B;${work}/build;-DCMAKE_PREFIX_PATH=${work}/prefix;-DCMAKE_CXX_FLAGS=${FLAGS}"
    "${CMAKE_COMMAND};--build;${work}/build"
    "${work}/build/consumer;${work}/state")
  execute_process(COMMAND ${step} RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${step}\n${output}")
  endif()
endforeach()
