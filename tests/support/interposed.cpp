#include "support/interposed.hpp"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

namespace riskreg::test {

namespace {

using Clock = std::chrono::steady_clock;

/// For execve: the strings live in `texts`.
std::vector<char*> pointers_to(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    for (std::string& text : texts) pointers.push_back(text.data());
    pointers.push_back(nullptr);
    return pointers;
}

std::vector<std::string> environment_with(const std::map<std::string, std::string>& more) {
    std::vector<std::string> texts;
    for (char** entry = environ; *entry != nullptr; ++entry) texts.emplace_back(*entry);
    for (const auto& [name, value] : more) texts.push_back(name + "=" + value);
    return texts;
}

}  // namespace

std::map<std::string, std::string> Interposing::environment() const {
    if (directory.empty()) return {};
    std::map<std::string, std::string> variables{{"LD_PRELOAD", RISKREG_BIN_DIR "/libriskreg_interpose.so"},
                                                 {interpose::kDirectory, directory}};
    if (!counters.empty()) variables[interpose::kCounters] = counters;
    if (!trace.empty()) variables[interpose::kTrace] = trace;
    if (sync_delay_us > 0) variables[interpose::kSyncDelay] = std::to_string(sync_delay_us);
    if (!hang.empty()) variables[interpose::kHang] = hang;
    if (!no_threads.empty()) variables[interpose::kNoThreads] = no_threads;
    if (free_threads != 0) variables[interpose::kFreeThreads] = std::to_string(free_threads);
    if (!only.empty()) variables[interpose::kOnly] = only;
    if (fault.value.empty()) return variables;
    variables[interpose::kFailAt] = std::to_string(fail_at);
    variables[interpose::kFault] = fault.value;
    variables[interpose::kPersistent] = fault.persistent ? "1" : "0";
    return variables;
}

Seen seen_by(const std::string& counters) {
    const std::string bytes = slurp(counters);
    Seen seen;
    if (bytes.size() < sizeof(interpose::Counters)) return seen;
    std::memcpy(&seen.calls, bytes.data(), sizeof seen.calls);
    std::memcpy(&seen.failed, bytes.data() + sizeof seen.calls, sizeof seen.failed);
    seen.first_failed = bytes.c_str() + offsetof(interpose::Counters, first_failed);
    return seen;
}

Process::Process(const std::string& program, std::vector<std::string> arguments, const std::string& error_file,
                 const Interposing& interposing) {
    ::signal(SIGPIPE, SIG_IGN);   // a child that ended is no reason for the test to end
    arguments.insert(arguments.begin(), RISKREG_BIN_DIR "/" + program);
    std::vector<std::string> variables = environment_with(interposing.environment());
    const std::vector<char*> argv = pointers_to(arguments);
    const std::vector<char*> envp = pointers_to(variables);
    int in[2], out[2];
    if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0) throw std::runtime_error("pipe2 failed");
    const int errors = ::open(error_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    pid_ = ::fork();
    if (pid_ == 0) {
        ::signal(SIGPIPE, SIG_DFL);
        ::dup2(in[0], 0);
        ::dup2(out[1], 1);
        ::dup2(errors, 2);
        ::execve(argv[0], argv.data(), envp.data());
        ::_exit(127);
    }
    ::close(in[0]);
    ::close(out[1]);
    ::close(errors);
    input_ = in[1];
    output_ = out[0];
}

Process::~Process() {
    if (is_running()) send(SIGKILL);
    static_cast<void>(wait(std::chrono::seconds(10)));
    close_input();
    ::close(output_);
}

void Process::write(const std::string& text) {
    for (std::size_t done = 0; done < text.size();) {
        const ssize_t written = ::write(input_, text.data() + done, text.size() - done);
        if (written <= 0) return;   // it has ended; its answers will show that
        done += static_cast<std::size_t>(written);
    }
}

void Process::close_input() {
    if (input_ >= 0) ::close(input_);
    input_ = -1;
}

std::optional<std::string> Process::read_line(std::chrono::milliseconds patience) {
    const auto deadline = Clock::now() + patience;
    for (;;) {
        if (const std::size_t end = buffer_.find('\n'); end != std::string::npos) {
            std::string line = buffer_.substr(0, end);
            buffer_.erase(0, end + 1);
            return line;
        }
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
        pollfd wanted{output_, POLLIN, 0};
        if (left.count() < 0 || ::poll(&wanted, 1, static_cast<int>(left.count())) <= 0) return {};
        char chunk[4096];
        const ssize_t size = ::read(output_, chunk, sizeof chunk);
        if (size <= 0) return {};
        buffer_.append(chunk, static_cast<std::size_t>(size));
    }
}

std::optional<int> Process::wait(std::chrono::milliseconds patience) {
    const auto deadline = Clock::now() + patience;
    while (!status_) {
        int status = 0;
        if (::waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
        else if (Clock::now() > deadline) return {};
        else std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return status_;
}

bool Process::is_running() { return !wait(std::chrono::milliseconds(0)).has_value(); }

void Process::send(int signal) const {
    if (!status_) ::kill(pid_, signal);
}

std::string slurp(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

FastDir::FastDir() {
    const bool in_memory = ::access("/dev/shm", W_OK) == 0;
    std::string pattern =
        (in_memory ? std::string("/dev/shm") : std::filesystem::temp_directory_path().string()) + "/riskreg-disk-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary directory");
    path_ = pattern;
}

FastDir::~FastDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::string journaled_config(int orders, int ring_events, int checkpoint_interval_s, int keep_checkpoints) {
    return R"({"capacity":{"orders":)" + std::to_string(orders) +
           R"(,"instruments":4,"accounts":2,"strategies":4,"sessions":8,)" + R"("executions":)" + std::to_string(orders) +
           R"(,"ring_events":)" + std::to_string(ring_events) + "}," +
           R"("persistence":{"mode":"async","checkpoint_interval_s":)" + std::to_string(checkpoint_interval_s) +
           R"(,"keep_checkpoints":)" + std::to_string(keep_checkpoints) + "}," +
           R"("require_limits":false,"allow_limit_without_reference":true,"self_match":"allow",)"
           R"("instruments":[{"id":"ESH4","tick":"0.25","lot":"1","multiplier":"50","currency":"USD"}],)"
           R"("accounts":[{"id":"A1","currency":"USD"}],"strategies":[{"id":"s1","account":"A1","on_death":"leave"},)"
           R"({"id":"s2","account":"A1","on_death":"leave"}],"limits":[]})";
}

}  // namespace riskreg::test
