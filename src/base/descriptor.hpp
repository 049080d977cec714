/// The one way to a descriptor. A program may have closed its 0, 1 or 2 before it calls us; what the kernel would then give us is
/// the number that somebody else still takes for stdin, stdout or stderr, and a greeting would be written over a segment.
///
/// So what is closed of 0 to 2 is filled, for good, with something that answers EBADF as a closed number does, before anything is opened.
/// A program that wants the number again closes it, or puts its file there (dup2, freopen).
///
/// So every descriptor of the library, the tools and the benchmarks comes from here: above 2, close-on-exec, and, unless it is asked
/// for otherwise, closed in forked children (an open file lock would live on in them: probe e10). The ctest `descriptors` reads the
/// sources for calls that go past this file.
///
/// Errors     nothing throws; a Descriptor that is not open leaves the reason in errno.
/// Threads    all functions, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace riskreg::base {

/// Who may use a descriptor after a fork: the process that opened it, or its children, too.
enum class Kept : std::uint8_t { by_this_process, by_children_too };

/// Grows by one in every forked child, without a system call.
[[nodiscard]] std::uint64_t fork_epoch() noexcept;

/// Owns one descriptor above 2. In a forked child one that is kept by_this_process is not open any more.
class Descriptor {
public:
    Descriptor() noexcept = default;
    /// Takes a raw one over: one of 0–2 is moved up, close-on-exec is set. -1 is "not open".
    explicit Descriptor(int raw, Kept kept = Kept::by_this_process) noexcept;
    Descriptor(Descriptor&& other) noexcept;
    Descriptor& operator=(Descriptor&& other) noexcept;
    ~Descriptor() { close(); }

    [[nodiscard]] bool is_open() const noexcept { return get() >= 0; }
    [[nodiscard]] int get() const noexcept;
    void close() noexcept;
    /// Gives the number away, for a class that keeps plain numbers; `close_released` closes it.
    [[nodiscard]] int release() noexcept;

private:
    int value_ = -1;
    Kept kept_ = Kept::by_this_process;
    std::uint64_t fork_epoch_ = 0;
};

/// `epoch` is the fork_epoch() of when it was released: in a child of then nothing happens.
void close_released(int descriptor, std::uint64_t epoch) noexcept;

/// For libraries that take a number of the C runtime and close it themselves; -1: errno says why.
[[nodiscard]] int release_to_runtime(Descriptor descriptor) noexcept;

/// As open and openat with these flags; close-on-exec is added. `directory` is a descriptor or AT_FDCWD. On Windows there are open_path,
/// the directory by its path, and what stands behind it; a descriptor is a handle there.
[[nodiscard]] Descriptor open_path(const std::string& path, int flags, unsigned mode = 0,
                                   Kept kept = Kept::by_this_process) noexcept;
[[nodiscard]] Descriptor open_at(int directory, const std::string& path, int flags, unsigned mode = 0) noexcept;
/// Memory without a name, of size 0.
[[nodiscard]] Descriptor open_memory(const char* label, Kept kept) noexcept;
/// As socket and accept4.
[[nodiscard]] Descriptor open_socket(int domain, int type, int protocol) noexcept;
[[nodiscard]] Descriptor accept_from(const Descriptor& listener) noexcept;
/// The two ends of a pipe, reading end first; both or none.
[[nodiscard]] std::pair<Descriptor, Descriptor> open_pipe(Kept kept) noexcept;
[[nodiscard]] std::pair<Descriptor, Descriptor> open_socket_pair(int domain, int type, Kept kept) noexcept;

/// Names in a directory, without "." and "..". False: errno says why.
[[nodiscard]] bool list_directory(int directory, std::vector<std::string>& names);
[[nodiscard]] bool list_directory(const std::string& path, std::vector<std::string>& names);

/// The text of a small file, /proc for instance; at most `most` bytes of it. False: errno says why.
[[nodiscard]] bool read_text(const std::string& path, std::string& text, std::size_t most = 1U << 20);

/// For the programs of ours, first thing in main: a 0, 1 or 2 that is closed leads to /dev/null from now on, so that what is meant for
/// a person is lost, as whoever closed it wanted, and not an error.
void fill_standard_descriptors() noexcept;

}  // namespace riskreg::base
