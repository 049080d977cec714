#include "demo/processes.hpp"

#include <windows.h>

#include <atomic>
#include <cstdio>
#include <filesystem>

#include "base/system_win32.hpp"
#include "demo/clock.hpp"
#include "riskreg/error.hpp"
#include "segment/mapping.hpp"
#include "segment/process.hpp"

namespace demo {

namespace win32 = riskreg::base::win32;

namespace {

std::atomic<bool> interrupt_seen{false};

BOOL WINAPI on_control(DWORD) {
    interrupt_seen = true;
    return TRUE;
}

constexpr DWORD kReapTimeoutMs = 5000;
constexpr UINT kKilled = 9;

/// Whatever is in it is gone when the last handle of this process is: children die with their parent.
HANDLE job() {
    static HANDLE const all = [] {
        HANDLE made = ::CreateJobObjectW(nullptr, nullptr);
        JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits{};
        limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
        ::SetInformationJobObject(made, JobObjectExtendedLimitInformation, &limits, sizeof limits);
        return made;
    }();
    return all;
}

/// As CommandLineToArgvW takes it apart again.
std::string quoted(const std::string& word) {
    std::string text = "\"";
    std::size_t backslashes = 0;
    for (const char c : word) {
        if (c == '"') text.append(backslashes + 1, '\\');
        backslashes = c == '\\' ? backslashes + 1 : 0;
        text += c;
    }
    return text.append(backslashes, '\\') + "\"";
}

PROCESS_INFORMATION create_process(const std::string& program, const std::vector<std::string>& words, bool silent) {
    std::string text = quoted(program);
    for (const std::string& word : words) text += " " + quoted(word);
    std::wstring line = win32::wide(text);
    STARTUPINFOW how{};
    how.cb = sizeof how;
    SECURITY_ATTRIBUTES inherited{sizeof inherited, nullptr, TRUE};
    HANDLE null = INVALID_HANDLE_VALUE;
    if (silent) {
        null = ::CreateFileW(L"NUL", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, &inherited,
                             OPEN_EXISTING, 0, nullptr);
        how.dwFlags = STARTF_USESTDHANDLES;
        how.hStdInput = how.hStdOutput = how.hStdError = null;
    }
    PROCESS_INFORMATION made{};
    // Stopped until it is in the job. A console's Ctrl-C is the director's alone.
    const bool started = ::CreateProcessW(win32::path_of(program).c_str(), line.data(), nullptr, nullptr, TRUE,
                                          CREATE_SUSPENDED | CREATE_NEW_PROCESS_GROUP, nullptr, nullptr, &how, &made) != 0;
    const DWORD error = ::GetLastError();
    if (null != INVALID_HANDLE_VALUE) ::CloseHandle(null);
    if (!started) throw riskreg::Error(riskreg::Errc::system, "cannot start " + program + ": " + win32::error_text(error));
    ::AssignProcessToJobObject(job(), made.hProcess);
    ::ResumeThread(made.hThread);
    ::CloseHandle(made.hThread);
    return made;
}

using ProcessCall = LONG(WINAPI*)(HANDLE);

/// What debuggers use: there is no other way to stop all threads of a process at once.
ProcessCall call_of(const char* name) noexcept {
    FARPROC found = ::GetProcAddress(::GetModuleHandleW(L"ntdll.dll"), name);
    return reinterpret_cast<ProcessCall>(reinterpret_cast<void*>(found));
}

}  // namespace

bool interrupted() noexcept { return interrupt_seen; }
void watch_for_interruption() { ::SetConsoleCtrlHandler(on_control, TRUE); }

std::string program_folder() { return std::filesystem::path(win32::wide(win32::program_path())).parent_path().string(); }

std::string make_private_directory() {
    wchar_t folder[MAX_PATH + 2]{};
    ::GetTempPathW(MAX_PATH, folder);
    const std::string path = win32::narrow(folder) + "riskreg-demo-" + std::to_string(riskreg::segment::random_bits());
    if (!::CreateDirectoryW(win32::path_of(path).c_str(), static_cast<SECURITY_ATTRIBUTES*>(win32::owner_only())))
        throw riskreg::Error(riskreg::Errc::system, "cannot make " + path + ": " + win32::error_text(::GetLastError()));
    return path;
}

bool remove_segment(const std::string& segment) { return riskreg::segment::remove_segment(segment); }

ProcessId Children::start(std::string what, const std::vector<std::string>& words, const std::function<int()>&) {
    std::fflush(nullptr);
    std::vector<std::string> all{"--child"};
    all.insert(all.end(), words.begin(), words.end());
    const PROCESS_INFORMATION made = create_process(win32::program_path(), all, false);
    children_.push_back({static_cast<ProcessId>(made.dwProcessId), std::move(what), made.dwThreadId, made.hProcess});
    return children_.back().pid;
}

ProcessId Children::start_riskd(const std::string& name, const std::string& state_dir) {
    const PROCESS_INFORMATION made =
        create_process(program_folder() + "\\riskd.exe", {name, "--state-dir", state_dir, "--quiet"}, true);
    children_.push_back({static_cast<ProcessId>(made.dwProcessId), "riskd", made.dwThreadId, made.hProcess});
    return children_.back().pid;
}

std::uint32_t Children::main_thread_of(ProcessId child) const {
    for (const Child& c : children_)
        if (c.pid == child) return c.thread;
    return 0;
}

bool Children::stop(ProcessId child) {
    static const ProcessCall suspend = call_of("NtSuspendProcess");
    for (const Child& c : children_)
        if (c.pid == child) return suspend != nullptr && suspend(c.handle) >= 0;
    return false;
}

void Children::go_on(ProcessId child) const {
    static const ProcessCall resume = call_of("NtResumeProcess");
    for (const Child& c : children_)
        if (c.pid == child && resume != nullptr) resume(c.handle);
}

void Children::kill(ProcessId child) {
    for (const Child& c : children_)
        if (c.pid == child) ::TerminateProcess(c.handle, kKilled);
    reap(child);
}

void Children::kill_all() { kill_all_but(0); }

void Children::kill_all_but(ProcessId survivor) {
    std::vector<ProcessId> doomed;
    for (const Child& child : children_)
        if (child.pid != survivor) doomed.push_back(child.pid), ::TerminateProcess(child.handle, kKilled);
    for (const ProcessId pid : doomed) reap(pid);
}

void Children::reap(ProcessId child) {
    std::erase_if(children_, [child](const Child& c) {
        if (c.pid != child) return false;
        ::WaitForSingleObject(c.handle, kReapTimeoutMs);
        ::CloseHandle(c.handle);
        return true;
    });
}

std::string Children::deserter() {
    for (const Child& child : children_) {
        if (::WaitForSingleObject(child.handle, 0) != WAIT_OBJECT_0) continue;
        DWORD status = 0;
        ::GetExitCodeProcess(child.handle, &status);
        std::string text = child.what + " ended with status " + std::to_string(status);
        reap(child.pid);
        return text;
    }
    return {};
}

}  // namespace demo
