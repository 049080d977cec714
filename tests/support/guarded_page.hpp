/// A page of memory behind which nothing may be read.
#pragma once

#include <cstddef>

#ifdef _WIN32
#include <windows.h>
#else
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace riskreg::test {

class GuardedPage {
public:
    GuardedPage();
    ~GuardedPage();
    GuardedPage(const GuardedPage&) = delete;
    GuardedPage& operator=(const GuardedPage&) = delete;
    /// Behind its last byte; nullptr: it is not to be had.
    [[nodiscard]] char* end() const noexcept { return memory_ == nullptr ? nullptr : static_cast<char*>(memory_) + size_; }

private:
    std::size_t size_;
    void* memory_;
};

#ifdef _WIN32
inline GuardedPage::GuardedPage() : size_(4096), memory_(::VirtualAlloc(nullptr, 2 * size_, MEM_RESERVE, PAGE_NOACCESS)) {
    if (memory_ != nullptr) memory_ = ::VirtualAlloc(memory_, size_, MEM_COMMIT, PAGE_READWRITE);
}
inline GuardedPage::~GuardedPage() { ::VirtualFree(memory_, 0, MEM_RELEASE); }
#else
inline GuardedPage::GuardedPage()
    : size_(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))),
      memory_(::mmap(nullptr, 2 * size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    if (memory_ == MAP_FAILED || ::mprotect(static_cast<char*>(memory_) + size_, size_, PROT_NONE) != 0) memory_ = nullptr;
}
inline GuardedPage::~GuardedPage() { ::munmap(memory_, 2 * size_); }
#endif

}  // namespace riskreg::test
