#include "common/shared_memory.hpp"

#include <sys/mman.h>

#include "riskreg/error.hpp"

namespace riskreg::program {

SharedMemory::SharedMemory(std::size_t size) : size_(size) {
    address_ = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address_ == MAP_FAILED) throw Error(Errc::system, "cannot map memory to share with other processes");
}

/// Children are forked here, and have it already.
SharedMemory::SharedMemory(std::size_t size, const std::string& word) : size_(size) {
    throw Error(Errc::bad_input,
                "seen '" + word + "', allowed: nothing; it is for processes that are started anew, and these are forked");
}

SharedMemory::~SharedMemory() { ::munmap(address_, size_); }

std::string SharedMemory::word() const { return {}; }

}  // namespace riskreg::program
