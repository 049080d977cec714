#include "riskctl/input.hpp"

#include <windows.h>

#include <errno.h>
#include <fcntl.h>

#include <cstring>

#include "base/system_win32.hpp"
#include "common/program.hpp"
#include "riskreg/error.hpp"

namespace riskctl {

namespace {

bool is_stdin(const std::string& path) { return path.empty() || path == "-"; }

int standard_input() noexcept { return static_cast<int>(reinterpret_cast<std::intptr_t>(::GetStdHandle(STD_INPUT_HANDLE))); }

}  // namespace

Input::Input(const std::string& path)
    : file_(is_stdin(path) ? riskreg::base::Descriptor() : riskreg::base::open_path(path, O_RDONLY)),
      descriptor_(is_stdin(path) ? standard_input() : file_.get()) {
    if (descriptor_ < 0) throw riskreg::Error(riskreg::Errc::bad_input, "cannot read " + path + ": " + std::strerror(errno));
}

/// Whoever asks the program to end also ends the read that waits (program_win32.cpp), as often as it takes.
std::size_t Input::read(char* bytes, std::size_t most) {
    for (;;) {
        if (riskreg::program::end_wanted()) return 0;
        DWORD got = 0;
        if (::ReadFile(riskreg::base::win32::handle_of(descriptor_), bytes, static_cast<DWORD>(most), &got, nullptr)) {
            return got;
        }
        switch (const DWORD error = ::GetLastError()) {
            case ERROR_BROKEN_PIPE:
            case ERROR_HANDLE_EOF: return 0;
            case ERROR_OPERATION_ABORTED: continue;
            default:
                throw riskreg::Error(riskreg::Errc::bad_input,
                                     "cannot read the commands: " + riskreg::base::win32::error_text(error));
        }
    }
}

}  // namespace riskctl
