# arm64 with Debian's cross compiler, and Debian's libraries of that architecture out of build/arm64/root (tools/arm64/fetch).
# Programs of the build run under qemu-user.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

cmake_path(SET riskreg_arm64_root NORMALIZE ${CMAKE_CURRENT_LIST_DIR}/../../build/arm64/root)
set(CMAKE_FIND_ROOT_PATH ${riskreg_arm64_root} /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
# What a library of ours needs itself, the linker looks for there.
set(CMAKE_EXE_LINKER_FLAGS_INIT "-Wl,-rpath-link,${riskreg_arm64_root}/usr/lib/aarch64-linux-gnu")
set(CMAKE_CROSSCOMPILING_EMULATOR
  qemu-aarch64 -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH=${riskreg_arm64_root}/usr/lib/aarch64-linux-gnu:/usr/aarch64-linux-gnu/lib)
