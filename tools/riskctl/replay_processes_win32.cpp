#include "riskctl/replay_processes.hpp"

#include <windows.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "base/system_win32.hpp"

namespace riskctl {

using riskreg::program::SharedMemory;

struct ShareProcesses::Handles {
    std::vector<HANDLE> running;
};

ShareProcesses::ShareProcesses(std::uint32_t count, const SharedMemory& memory, const std::function<int(std::uint32_t)>&)
    : handles_(new Handles) {
    std::fflush(nullptr);
    for (; started_ < count; ++started_) {
        const std::string share = " --share " + std::to_string(started_) + "," + memory.word();
        std::wstring line = std::wstring(::GetCommandLineW()) + riskreg::base::win32::wide(share);
        STARTUPINFOW how{};
        how.cb = sizeof how;
        PROCESS_INFORMATION made{};
        if (!::CreateProcessW(riskreg::base::win32::path_of(riskreg::base::win32::program_path()).c_str(), line.data(), nullptr,
                              nullptr, TRUE, 0, nullptr, nullptr, &how, &made))
            break;
        ::CloseHandle(made.hThread);
        handles_->running.push_back(made.hProcess);
    }
    left_ = started_;
}

ShareProcesses::~ShareProcesses() {
    for (HANDLE process : handles_->running) ::CloseHandle(process);
    delete handles_;
}

bool ShareProcesses::take_ended(int& code) {
    std::vector<HANDLE>& running = handles_->running;
    const auto ended =
        std::find_if(running.begin(), running.end(), [](HANDLE one) { return ::WaitForSingleObject(one, 0) == WAIT_OBJECT_0; });
    if (ended == running.end()) return false;
    DWORD status = 1;
    ::GetExitCodeProcess(*ended, &status);
    // Exit codes of ours are small: what is not was an exception, or somebody's TerminateProcess.
    constexpr DWORD kMostOfOurs = 8;
    if (status > kMostOfOurs)
        std::fprintf(stderr, "riskctl: process %lu was ended with 0x%lx\n", ::GetProcessId(*ended), status);
    code = status > kMostOfOurs ? 1 : static_cast<int>(status);
    ::CloseHandle(*ended);
    running.erase(ended);
    --left_;
    return true;
}

}  // namespace riskctl
