#include "registry/log_file.hpp"

#include <windows.h>

#include <fcntl.h>

#include <algorithm>

#include "base/system_win32.hpp"

namespace riskreg::registry {

using base::win32::FileFacts;
using base::win32::handle_of;

namespace {

bool has_name(const base::Descriptor& file, const std::string& path, std::uint64_t& size) noexcept {
    FileFacts opened, named;
    if (!file.is_open() || !base::win32::facts_of(handle_of(file.get()), opened) || !base::win32::facts_at(path, named))
        return false;
    size = opened.size;
    return opened.file == named.file && opened.volume == named.volume;
}

bool write_all(HANDLE file, std::string_view text, std::size_t& done) noexcept {
    for (done = 0; done < text.size();) {
        DWORD wrote = 0;
        if (!::WriteFile(file, text.data() + done, static_cast<DWORD>(text.size() - done), &wrote, nullptr) || wrote == 0)
            return false;
        done += wrote;
    }
    return true;
}

}  // namespace

std::string LogFile::path(unsigned age) const { return stem_ + (age == 0 ? "" : "." + std::to_string(age)) + ".log"; }

bool LogFile::be_open() {
    if (has_name(file_, path(0), size_)) return true;
    file_ = base::open_path(path(0), O_WRONLY | O_APPEND | O_CREAT, 0600);
    FileFacts facts;
    const bool plain = file_.is_open() && base::win32::facts_of(handle_of(file_.get()), facts) &&
                       (facts.attributes & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_REPARSE_POINT)) == 0;
    if (!plain) return file_.close(), false;
    size_ = facts.size;
    return true;
}

/// Where somebody has an older one open without letting it be renamed, it stays, and the newest grows on until he has closed it.
void LogFile::rotate() {
    file_.close();
    for (unsigned age = older_; age > 0; --age)
        ::MoveFileExW(base::win32::path_of(path(age - 1)).c_str(), base::win32::path_of(path(age)).c_str(),
                      MOVEFILE_REPLACE_EXISTING);
}

bool LogFile::append(std::string_view line) noexcept {
    try {
        if (!be_open()) return false;
        if (size_ != 0 && size_ + line.size() > most_bytes_) {
            rotate();
            torn_ = false;
            if (!be_open()) return false;
        }
        std::size_t done = 0;
        if (torn_ && size_ != 0 && !write_all(handle_of(file_.get()), "\n", done)) return false;
        torn_ = true;
        if (!write_all(handle_of(file_.get()), line, done)) return torn_ = done != 0, false;
        return torn_ = false, true;
    } catch (...) {
        return false;  // no memory for a path
    }
}

/// A console or a file takes it at once. A pipe that is full cannot be seen from its writing end: there this may wait for who reads it.
bool write_to_stderr(std::string_view line) noexcept {
    HANDLE output = ::GetStdHandle(STD_ERROR_HANDLE);
    if (output == nullptr || output == INVALID_HANDLE_VALUE) return false;
    std::size_t done = 0;
    return write_all(output, line, done);
}

}  // namespace riskreg::registry
