# The libraries of a build for Windows, under the names that the rest knows. Debian's packages for Linux bring their headers, which are
# for every system; what they are found by there is not. A folder of links leads to just those headers: /usr/include itself would bring
# the C library of Linux.
set(links ${PROJECT_BINARY_DIR}/headers)
file(MAKE_DIRECTORY ${links})
foreach(library IN ITEMS boost spdlog fmt CLI catch2)
  if(NOT EXISTS /usr/include/${library})
    message(FATAL_ERROR "the headers of ${library} are missing: tools/setup windows installs them")
  endif()
  file(CREATE_LINK /usr/include/${library} ${links}/${library} SYMBOLIC)
endforeach()

function(riskreg_headers target)
  add_library(${target} INTERFACE IMPORTED GLOBAL)
  target_include_directories(${target} SYSTEM INTERFACE ${links})
  target_compile_definitions(${target} INTERFACE ${ARGN})
endfunction()
riskreg_headers(Boost::headers)
riskreg_headers(spdlog::spdlog SPDLOG_FMT_EXTERNAL FMT_HEADER_ONLY)
riskreg_headers(CLI11::CLI11)
riskreg_headers(Catch2::Catch2)

# As the library that it is where there is one, of its one source file.
add_library(riskreg_boost_json STATIC ${CMAKE_CURRENT_LIST_DIR}/boost_json.cpp)
target_compile_features(riskreg_boost_json PUBLIC cxx_std_20)
target_include_directories(riskreg_boost_json SYSTEM PUBLIC ${links})
target_compile_definitions(riskreg_boost_json PUBLIC BOOST_JSON_STATIC_LINK BOOST_ALL_NO_LIB)
add_library(Boost::json ALIAS riskreg_boost_json)

# What the programs say of themselves: UTF-8 in paths and arguments, long paths.
add_library(riskreg_manifest OBJECT ${CMAKE_CURRENT_LIST_DIR}/program.rc)

# The one that needs no DLL beside the program.
find_library(ZLIB_LIBRARY libz.a REQUIRED)
