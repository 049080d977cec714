#include "common/program.hpp"

#include <windows.h>

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <shellapi.h>
#include <stdio.h>

#include <cstring>
#include <iostream>
#include <thread>
#include <vector>

#include "base/descriptor.hpp"
#include "base/system_win32.hpp"
#include "segment/process.hpp"

namespace riskreg::program {

namespace {

constexpr std::int64_t kLeaveNs = 5'000'000'000;
constexpr std::int64_t kLastWordsNs = 400'000'000;   // of them, for what is said and flushed at the end
constexpr std::int64_t kAgainNs = 50'000'000;        // how often a read that waits is ended, until the program has seen it

std::atomic<bool> ending_flag{false};
std::atomic<std::int64_t> ending_since_ns{0};
std::atomic<void*> main_thread{nullptr};
const char* ending_name = "riskreg";
bool left_behind = false;   // something is not on disk

void write_at_once(std::string_view text) noexcept {
    HANDLE output = ::GetStdHandle(STD_ERROR_HANDLE);
    DWORD wrote = 0;
    if (output != nullptr && output != INVALID_HANDLE_VALUE)
        ::WriteFile(output, text.data(), static_cast<DWORD>(text.size()), &wrote, nullptr);
}

[[noreturn]] void end_now() noexcept {
    write_at_once(ending_name);
    write_at_once(
        ": could not end in order within 5 s: something hangs, and what was not on disk may still not be "
        "(riskctl status says how far it is)\n");
    ::TerminateProcess(::GetCurrentProcess(), kOutputLost);
    for (;;) ::Sleep(INFINITE);
}

/// Ends reads that wait for a command, and after 5 s the program.
void watch_over_end() noexcept {
    const std::int64_t until = segment::monotonic_ns() + kLeaveNs;
    while (segment::monotonic_ns() < until) {
        if (void* thread = main_thread; thread != nullptr) ::CancelSynchronousIo(thread);
        segment::sleep_ns(kAgainNs);
    }
    end_now();
}

void begin_to_end() noexcept {
    if (ending_flag.exchange(true)) return;
    ending_since_ns = segment::monotonic_ns();
    try {
        std::thread(watch_over_end).detach();
    } catch (...) {
        // No thread: it ends as soon as it can, without a limit.
    }
}

/// In a thread of the system's. After a console that is closed, a logoff or a shutdown the process is gone as soon as this returns.
BOOL WINAPI on_control(DWORD control) {
    begin_to_end();
    if (control == CTRL_CLOSE_EVENT || control == CTRL_LOGOFF_EVENT || control == CTRL_SHUTDOWN_EVENT) ::Sleep(INFINITE);
    return TRUE;
}

/// Lines end in \n, text is UTF-8, and colours work where a console shows them.
void prepare_streams() noexcept {
    for (FILE* stream : {stdin, stdout, stderr})
        // What a person types ends in \r\n, and is read as the C library gives it.
        if (stream != stdin || ::_isatty(::_fileno(stdin)) == 0) ::_setmode(::_fileno(stream), _O_BINARY);
    ::SetConsoleOutputCP(CP_UTF8);
    ::SetConsoleCP(CP_UTF8);
    for (const DWORD which : {STD_OUTPUT_HANDLE, STD_ERROR_HANDLE}) {
        DWORD mode = 0;
        HANDLE console = ::GetStdHandle(which);
        if (::GetConsoleMode(console, &mode)) ::SetConsoleMode(console, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
    }
    // A console shows each line, everything else is written in large pieces.
    static char buffer[1U << 16];
    if (::_isatty(::_fileno(stdout)) == 0) std::setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
}

}  // namespace

char** arguments(int& count, char** given) {
    static std::vector<std::string> texts;
    static std::vector<char*> pointers;
    int size = 0;
    wchar_t** words = ::CommandLineToArgvW(::GetCommandLineW(), &size);
    if (words == nullptr) return given;
    for (int i = 0; i < size; ++i) texts.push_back(base::win32::narrow(words[i]));
    ::LocalFree(words);
    for (std::string& text : texts) pointers.push_back(text.data());
    pointers.push_back(nullptr);
    count = size;
    return pointers.data();
}

void end_on_signals(const char* name) {
    ending_name = name;
    HANDLE self = nullptr;
    if (::DuplicateHandle(::GetCurrentProcess(), ::GetCurrentThread(), ::GetCurrentProcess(), &self, 0, FALSE,
                          DUPLICATE_SAME_ACCESS))
        main_thread = self;
    ::SetConsoleCtrlHandler(on_control, TRUE);
}

void ask_to_end() noexcept { begin_to_end(); }
void watch_hangups() {}
bool hung_up() noexcept { return false; }
bool end_wanted() noexcept { return ending_flag; }
const std::atomic<bool>& ending() noexcept { return ending_flag; }

void say(const std::string& line) noexcept {
    try {
        write_at_once(line + "\n");
    } catch (...) {
        // No memory for it.
    }
}

Leaving::~Leaving() {
    std::fflush(stderr);
    const std::int64_t since = ending_since_ns, now = segment::monotonic_ns();
    const std::int64_t left = (since == 0 ? now : since) + kLeaveNs - kLastWordsNs - now;
    const LeaveView view = registry_.leave(std::max(left, kLastWordsNs));
    if (view.durable) return;
    left_behind = true;
    say(std::string(program_) + ": events " + std::to_string(view.durable_upto + 1) + " to " + std::to_string(view.committed) +
        " are in memory only, not on disk: " + view.why + " (riskctl doctor " + name_ + " says what to do)");
}

int finish(const char* name, int code) noexcept {
    std::cout.flush();
    errno = 0;
    const bool lost = std::fflush(stdout) != 0 || std::ferror(stdout) != 0;
    if (left_behind && code == 0) code = kOutputLost;
    if (!lost) return code;
    std::fprintf(stderr, "%s: output not written in full: %s\n", name,
                 errno != 0 ? std::strerror(errno) : "an earlier write failed");
    return code == 0 || code == 1 ? kOutputLost : code;
}

int run(const char* name, const std::function<int()>& body) {
    base::fill_standard_descriptors();
    prepare_streams();
    return finish(name, body());
}

}  // namespace riskreg::program
