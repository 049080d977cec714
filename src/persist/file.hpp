/// Files of one registry: a directory that stays open, files in it, and every error as a number that is looked at.
/// Nothing here throws: what an error means is decided by who wrote.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/descriptor.hpp"

namespace riskreg::persist {

/// What an error is to us: a closed set. Which number of which system it is stands in io_error_<system>.cpp.
enum class IoKind : std::uint8_t {
    none,
    other,            ///< is told as the system's own text, and never decided by
    device,           ///< the device failed
    no_space,
    interrupted,
    try_again,
    no_memory,
    no_descriptors,
    missing,
    link,             ///< a symbolic link where a file was asked for
    invalid,
    existing,
    too_large,
    not_supported,    ///< this file system has no such call, or not for this file
    no_key,
};

/// 0, or the number that the operating system gave: it is shown to people, and decided by as its kind.
struct [[nodiscard]] IoError {
    int number = 0;
    [[nodiscard]] static IoError of(IoKind kind) noexcept;
    [[nodiscard]] IoKind kind() const noexcept;
    explicit operator bool() const noexcept { return number != 0; }
    /// Worth trying again on the same file: no space, interrupted, out of some resource.
    [[nodiscard]] bool is_transient() const noexcept;
    [[nodiscard]] bool is_no_space() const noexcept;
    [[nodiscard]] bool is_missing() const noexcept;
    /// Says something of the file, not of this process or this moment: gone, a link, no file at all.
    [[nodiscard]] bool is_of_the_file() const noexcept;
    [[nodiscard]] bool is_existing() const noexcept;
    /// This file system has no such call, or not for this file.
    [[nodiscard]] bool is_not_supported() const noexcept;
    [[nodiscard]] std::string text() const;
};

/// Who may use a file, as far as it matters for a secret.
struct FileAccess {
    bool is_regular = false;
    std::uint32_t mode = 0;      ///< permission bits
    std::uint64_t owner = 0;
    std::uint64_t caller = 0;    ///< effective uid of this process
};

/// Which file or directory it is, whatever its name is now.
struct FileIdentity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};
using DirectoryIdentity = FileIdentity;

/// One open file. Moves, does not copy; closes itself.
class File {
public:
    File() noexcept = default;
    /// Of base::Descriptor::release.
    explicit File(int descriptor) noexcept : descriptor_(descriptor), fork_epoch_(base::fork_epoch()) {}
    File(File&& other) noexcept;
    File& operator=(File&& other) noexcept;
    ~File() { close(); }

    [[nodiscard]] bool is_open() const noexcept { return descriptor_ >= 0; }
    void close() noexcept;
    /// All of it; goes on after a short write and, a bounded number of times, after an interruption.
    IoError write_at(const void* bytes, std::size_t size, std::uint64_t offset) const noexcept;
    /// `got` < `size` only at the end of the file.
    IoError read_at(void* bytes, std::size_t size, std::uint64_t offset, std::size_t& got) const noexcept;
    /// Data and what is needed to read it back. Never called again on this file after it failed: the pages are then
    /// marked clean whatever became of them.
    IoError sync() const noexcept;
    IoError size(std::uint64_t& bytes) const noexcept;
    IoError access(FileAccess& out) const noexcept;
    IoError identity(FileIdentity& out) const noexcept;
    /// False when no directory entry leads here any more, or it cannot be told.
    [[nodiscard]] bool is_linked() const noexcept;
    /// Open file lock on byte 0: the host of the snapshotter holds it on its journal file as long as it lives. The kernel shows it
    /// through every mount and PID namespace, and drops it with the process.
    IoError try_lock() const noexcept;
    [[nodiscard]] bool is_locked_by_others() const noexcept;
    /// Drops the file's clean pages from the cache, so that reading it again asks the disk. Best effort.
    void drop_cache() const noexcept;

private:
    int descriptor_ = -1;
    std::uint64_t fork_epoch_ = 0;  // in a forked child the number is not ours any more
};

/// The directory of one registry. Files are opened relative to it and never through symbolic links.
class Directory {
public:
    Directory() noexcept = default;
    static IoError open(const std::string& path, Directory& out) noexcept;

    IoError create(const std::string& name, File& out) const noexcept;  ///< fails when it exists
    IoError open_file(const std::string& name, File& out, bool writable = false) const noexcept;
    IoError rename(const std::string& from, const std::string& to) const noexcept;
    /// A second name for a file; fails when there is something of that name.
    IoError link(const std::string& from, const std::string& to) const noexcept;
    IoError remove(const std::string& name) const noexcept;
    /// Creations, renames and removals are on disk after this.
    IoError sync() const noexcept;
    IoError list(std::vector<std::string>& names) const;
    /// The path still leads to the directory that was opened.
    [[nodiscard]] bool is_current() const noexcept;
    [[nodiscard]] DirectoryIdentity identity() const noexcept;
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    File handle_;
    int descriptor_ = -1;
    std::string path_;
};

/// A whole file of at most `most` bytes, by path; for key files. `access` is of the very file that was read; of one that is not
/// regular nothing is read.
IoError read_whole(const std::string& path, std::size_t most, std::string& out, FileAccess& access);

/// `<prefix><20 digits><suffix>`, and back; 0 when `name` is none.
[[nodiscard]] std::string numbered_name(std::string_view prefix, std::uint64_t number, std::string_view suffix);
[[nodiscard]] std::uint64_t number_of_name(std::string_view name, std::string_view prefix, std::string_view suffix) noexcept;

inline constexpr const char* kTemporaryPrefix = ".tmp-";
/// Files that are kept for a person, and read by nobody.
inline constexpr const char* kLostPrefix = ".lost-";

/// Removes what a killed writer left half made. Best effort.
void sweep_temporaries(const Directory& directory);

}  // namespace riskreg::persist
