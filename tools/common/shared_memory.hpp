/// Memory that a program shares with the processes that it starts.
#pragma once

#include <cstddef>
#include <string>

namespace riskreg::program {

/// Memory of zeros that processes started from here see, too. Throws riskreg::Error{system}.
class SharedMemory {
public:
    explicit SharedMemory(std::size_t size);
    /// In a process that was started with `word`. Throws Error{bad_input} where processes are forked.
    SharedMemory(std::size_t size, const std::string& word);
    ~SharedMemory();
    SharedMemory(const SharedMemory&) = delete;
    SharedMemory& operator=(const SharedMemory&) = delete;

    [[nodiscard]] void* address() const noexcept { return address_; }
    /// For the command line of a process that is started anew.
    [[nodiscard]] std::string word() const;

private:
    void* address_ = nullptr;
    void* section_ = nullptr;
    std::size_t size_;
};

}  // namespace riskreg::program
