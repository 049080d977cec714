# Windows programs by Debian's g++-mingw-w64, run by its wine: preset "windows", `tools/setup windows`.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR AMD64)
set(triple x86_64-w64-mingw32)

# -posix: std::thread and std::mutex by winpthreads.
find_program(CMAKE_CXX_COMPILER ${triple}-g++-posix REQUIRED)
find_program(CMAKE_RC_COMPILER ${triple}-windres REQUIRED)
if(NOT CMAKE_FIND_ROOT_PATH)
  set(CMAKE_FIND_ROOT_PATH /usr/${triple})
endif()
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

# Nothing but what Windows itself has is needed beside a program; tables of its objects are larger than the usual format holds.
set(CMAKE_CXX_FLAGS_INIT "-D_WIN32_WINNT=0x0A00 -DNOMINMAX -DWIN32_LEAN_AND_MEAN -Wa,-mbig-obj")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-static")

find_program(riskreg_wine NAMES wine64 wine PATHS /usr/lib/wine)
if(riskreg_wine)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${riskreg_wine})
endif()
