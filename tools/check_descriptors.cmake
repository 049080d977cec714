# ctest "descriptors": nothing but src/base/descriptor_posix.cpp asks the system for a descriptor.
#   cmake -DROOT=<source> -P tools/check_descriptors.cmake
# What is opened elsewhere may get the number 0, 1 or 2 of a program that closed its own, and is open in the programs it starts.
cmake_minimum_required(VERSION 3.25)
if(NOT ROOT)
  message(FATAL_ERROR "say where: -DROOT=<source>")
endif()

# Names that belong to the system: any call of them counts.
set(functions openat openat2 creat shm_open mq_open fopen fopen64 freopen fdopen tmpfile opendir fdopendir scandir mkstemp mkostemp mkstemps
  mkostemps socket socketpair pipe pipe2 memfd_create memfd_secret eventfd signalfd timerfd_create inotify_init inotify_init1 fanotify_init
  dup dup2 dup3 accept4 epoll_create epoll_create1 popen pidfd_open pidfd_getfd userfaultfd perf_event_open io_uring_setup gzopen gzdopen
  nftw ftw fts_open openlog getaddrinfo)
# Names that are ours, too: the system's when they are written with nothing but :: before them, or in a file that sees its header.
set(shared_names open accept)
# Names of things, wherever they stand.
set(words F_DUPFD F_DUPFD_CLOEXEC ifstream ofstream fstream filebuf directory_iterator recursive_directory_iterator shared_memory_object
  managed_shared_memory managed_mapped_file file_mapping rotating_file_sink_mt rotating_file_sink_st basic_file_sink_mt basic_file_sink_st
  daily_file_sink_mt SYS_open SYS_openat SYS_socket SYS_memfd_create SYS_dup SYS_dup2 SYS_dup3 SYS_pidfd_open)

# file | name | why
set(allowed
  "src/base/descriptor_posix.cpp|.*|it is the one place"
  "tools/common/program_posix.cpp|F_DUPFD_CLOEXEC|a copy of stdout, above 2, that is closed in the next line: a close tells errors of its own"
  "tools/riskctl/order_flow.cpp|gzdopen|takes over what base opened"
  "bench/cases_durable.cpp|unqualified open|of a registry, bench/place.hpp"
  "bench/peers/peer_boost_map.cpp|(managed_)?shared_memory(_object)?|a foreign library that opens for itself, behind filled 0 to 2"
)

set(broken 0)
set(checked 0)

function(is_allowed file name result)
  set(${result} FALSE PARENT_SCOPE)
  foreach(entry IN LISTS allowed)
    string(REPLACE "|" ";" parts "${entry}")
    list(GET parts 0 path)
    list(GET parts 1 pattern)
    if(file STREQUAL path AND name MATCHES "^${pattern}$")
      set(${result} TRUE PARENT_SCOPE)
    endif()
  endforeach()
endfunction()

# The names among `names` in the text that stand before `behind`, a pattern, and behind what makes them no member of ours.
macro(find_names file text names before behind)
  list(JOIN ${names} "|" alternatives)
  string(REGEX MATCHALL "${before}(${alternatives})${behind}" found "${text}")
  foreach(hit IN LISTS found)
    string(REGEX REPLACE "^${before}(${alternatives})${behind}$" "\\${group}" name "${hit}")
    string(PREPEND name "${label}")
    is_allowed("${file}" "${name}" fine)
    if(NOT fine)
      message(SEND_ERROR "descriptors: ${file}: ${name}: descriptors come from base/descriptor.hpp")
      math(EXPR broken "${broken} + 1")
    endif()
  endforeach()
endmacro()

# Code alone: no comments, no text in quotes, no characters that CMake's lists do not survive, spaces where one thing ends.
function(code_of file result)
  file(READ "${ROOT}/${file}" text)
  string(REGEX REPLACE "[][;\\\\]" " " text "${text}")
  string(REGEX REPLACE "//[^\n]*" "" text "${text}")
  string(REGEX REPLACE "\"[^\"\n]*\"" "text" text "${text}")
  set(${result} " ${text}" PARENT_SCOPE)
endfunction()

file(GLOB_RECURSE sources RELATIVE "${ROOT}" "${ROOT}/src/*.[ch]pp" "${ROOT}/src/*.h" "${ROOT}/include/*.hpp" "${ROOT}/include/*.h"
  "${ROOT}/tools/*.[ch]pp" "${ROOT}/tools/*.h" "${ROOT}/bench/*.[ch]pp" "${ROOT}/bench/*.h")
foreach(file IN LISTS sources)
  code_of("${file}" text)
  math(EXPR checked "${checked} + 1")
  set(group 3)
  set(label "")
  # A call: behind `::` that nothing stands before, or behind something that is neither a name, a member's dot nor an arrow.
  find_names("${file}" "${text}" functions "([^A-Za-z0-9_.>:]|[^A-Za-z0-9_>]::|std::)([ \n]*)" "[ \n]*[(]")
  find_names("${file}" "${text}" shared_names "([^A-Za-z0-9_>]::)([ \n]*)" "[ \n]*[(]")
  if(text MATCHES "#[ ]*include[ ]*<(fcntl.h|sys/socket.h)>")
    set(label "unqualified ")
    find_names("${file}" "${text}" shared_names "([=(,!?&|{}<+-]|[^:]:|return|\n)([ \n]+|)" "[ \n]*[(]")
  endif()
  set(group 2)
  set(label "")
  find_names("${file}" "${text}" words "([^A-Za-z0-9_])" "[^A-Za-z0-9_]")
endforeach()

if(checked EQUAL 0)
  message(SEND_ERROR "descriptors: found no sources under ${ROOT}: nothing was checked")
  math(EXPR broken "${broken} + 1")
endif()
message(STATUS "descriptors: ${checked} files, ${broken} broken rules")
