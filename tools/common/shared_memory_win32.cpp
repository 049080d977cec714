#include "common/shared_memory.hpp"

#include <windows.h>

#include "riskreg/error.hpp"

namespace riskreg::program {

namespace {

void* map(void* section, std::size_t size) {
    void* address = ::MapViewOfFile(section, FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, size);
    if (address == nullptr) throw Error(Errc::system, "cannot map memory to share with other processes");
    return address;
}

}  // namespace

SharedMemory::SharedMemory(std::size_t size) : size_(size) {
    SECURITY_ATTRIBUTES inherited{sizeof inherited, nullptr, TRUE};
    section_ = ::CreateFileMappingW(INVALID_HANDLE_VALUE, &inherited, PAGE_READWRITE, 0, static_cast<DWORD>(size), nullptr);
    if (section_ == nullptr) throw Error(Errc::system, "cannot map memory to share with other processes");
    address_ = map(section_, size);
}

SharedMemory::SharedMemory(std::size_t size, const std::string& word)
    : section_(reinterpret_cast<void*>(static_cast<std::uintptr_t>(std::stoull(word)))), size_(size) {
    address_ = map(section_, size);
}

SharedMemory::~SharedMemory() {
    ::UnmapViewOfFile(address_);
    ::CloseHandle(section_);
}

std::string SharedMemory::word() const { return std::to_string(reinterpret_cast<std::uintptr_t>(section_)); }

}  // namespace riskreg::program
