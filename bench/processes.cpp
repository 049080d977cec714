#include "processes.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>

#include "segment/process.hpp"

namespace riskreg::bench {

namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kPatienceNs = 120'000 * kMs;

Board* map_board(int descriptor) {
    void* memory = ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (memory == MAP_FAILED) throw std::runtime_error("cannot map the memory that the processes share");
    return static_cast<Board*>(memory);
}

template <std::size_t N>
void write_text(char (&to)[N], const std::string& text) {
    if (text.size() >= N) throw std::runtime_error("too long: " + text);
    std::memcpy(to, text.c_str(), text.size() + 1);
}

[[noreturn]] void become(const char* role, int descriptor, unsigned seat, pid_t parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    ::fcntl(descriptor, F_SETFD, 0);   // the one thing that it takes along
    const std::string board = std::to_string(descriptor), number = std::to_string(seat);
    ::execl("/proc/self/exe", "riskreg-latency", "--role", role, board.c_str(), number.c_str(), nullptr);
    std::perror("riskreg-latency: exec");
    ::_exit(1);
}

}  // namespace

SharedBoard::SharedBoard(const std::string& state_dir, const std::string& registry)
    : memory_(base::open_memory("riskreg-latency", base::Kept::by_children_too)) {
    if (!memory_.is_open() || ::ftruncate(memory_.get(), sizeof(Board)) != 0)
        throw std::runtime_error("cannot make the memory that the processes share");
    board_ = map_board(memory_.get());
    write_text(board_->state_dir, state_dir);
    write_text(board_->registry, registry);
    board_->cpus = usable_cpus();
}

SharedBoard::~SharedBoard() { ::munmap(board_, sizeof(Board)); }

Child::Child(const SharedBoard& board, const char* role, unsigned seat) : role_(role) {
    std::fflush(nullptr);
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("cannot start a process");
    if (pid_ == 0) become(role, board.descriptor(), seat, parent);
}

Child::~Child() {
    if (pid_ <= 0) return;
    send_kill();
    reap();
}

void Child::send_kill() const noexcept { ::kill(pid_, SIGKILL); }

void Child::reap() noexcept {
    if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
}

void Child::wait() {
    int status = 0;
    if (pid_ > 0) ::waitpid(pid_, &status, 0);
    pid_ = -1;
    if (status != 0) throw std::runtime_error(std::string("a process failed: ") + role_);
}

bool Child::is_running() const noexcept {
    siginfo_t ended{};
    return ::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == 0;
}

Children start(const SharedBoard& board, const char* role, unsigned count) {
    Children children;
    for (unsigned seat = 0; seat < count; ++seat) children.emplace_back(board, role, seat);
    return children;
}

void wait(Children& children) {
    for (Child& child : children) child.wait();
}

namespace {

template <class AllRun>
void await_while(const std::atomic<std::uint64_t>& word, std::uint64_t value, AllRun all_run) {
    const std::int64_t deadline = segment::monotonic_ns() + kPatienceNs;
    const auto is_there = [&] { return word.load(std::memory_order_acquire) >= value; };
    while (!is_there()) {
        segment::sleep_ns(kMs / 5);
        if (!all_run() && !is_there()) throw std::runtime_error("a process ended before its time");
        if (segment::monotonic_ns() > deadline) throw std::runtime_error("a process did not come along");
    }
}

}  // namespace

void await(const std::atomic<std::uint64_t>& word, std::uint64_t value, const Children& children) {
    await_while(word, value, [&] {
        return std::all_of(children.begin(), children.end(), [](const Child& child) { return child.is_running(); });
    });
}

void await(const std::atomic<std::uint64_t>& word, std::uint64_t value, const Child& child) {
    await_while(word, value, [&] { return child.is_running(); });
}

void spin_for(const std::atomic<std::uint64_t>& word, std::uint64_t value) noexcept {
    for (unsigned spins = 1; word.load(std::memory_order_acquire) < value; ++spins)
        spins % 4096 == 0 ? segment::yield_cpu() : segment::pause_cpu();
}

const cpu_set_t& usable_cpus() {
    static const cpu_set_t cpus = [] {
        cpu_set_t set;
        CPU_ZERO(&set);
        if (::sched_getaffinity(0, sizeof set, &set) != 0) CPU_SET(0, &set);
        return set;
    }();
    return cpus;
}

unsigned cpu_count(const cpu_set_t& cpus) noexcept { return static_cast<unsigned>(CPU_COUNT(&cpus)); }

void pin(const cpu_set_t& cpus, unsigned i) noexcept {
    unsigned left = i % cpu_count(cpus);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (!CPU_ISSET(cpu, &cpus) || left-- > 0) continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        ::sched_setaffinity(0, sizeof one, &one);
        return;
    }
}

void unpin(const cpu_set_t& cpus) noexcept { ::sched_setaffinity(0, sizeof cpus, &cpus); }

int run_as_child(int argc, char** argv, std::span<const Role> roles) {
    if (argc != 5 || std::strcmp(argv[1], "--role") != 0) return -1;
    try {
        Board& board = *map_board(std::atoi(argv[3]));
        for (const Role& role : roles)
            if (std::strcmp(role.name, argv[2]) == 0) return role.run(board, static_cast<unsigned>(std::atoi(argv[4]))), 0;
        throw std::runtime_error("no such role");
    } catch (const std::exception& error) {
        std::fprintf(stderr, "riskreg-latency: %s: %s\n", argv[2], error.what());
        return 1;
    }
}

}  // namespace riskreg::bench
