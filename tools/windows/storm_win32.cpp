// The lock under TerminateProcess: processes take one mutex of shared memory in a loop and change three words that must agree, while the
// parent ends one after the other at random moments, every other time the one that is inside. Exit status 0: never two inside, never a
// half-made change seen, nobody stuck.
//
//   riskreg-storm [KILLS [PROCESSES [bad]]]     default 500 4; "bad" leaves the repair out, and must fail
//   riskreg-storm --cost                        what a pair of lock and unlock takes here
#include <windows.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <new>
#include <string>
#include <vector>

#include "base/system_win32.hpp"
#include "common/program.hpp"
#include "common/shared_memory.hpp"
#include "segment/process.hpp"
#include "segment/robust_mutex.hpp"

namespace {

using namespace riskreg;
using segment::LockResult;
using segment::RobustMutex;

constexpr std::int64_t kStuckNs = 20'000'000'000;

/// What all processes see.
struct Stage {
    alignas(64) std::array<unsigned char, 64> mutex;
    alignas(64) std::uint64_t first, second, third;
    std::uint64_t inside;  // id of the thread that is, 0: nobody
    alignas(64) std::uint64_t acquired, owner_died, torn, broken, stolen, timed_out;
    std::int64_t longest_wait_ns;
};

void add(std::uint64_t& count) { __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED); }
std::uint64_t get(const std::uint64_t& count) { return __atomic_load_n(&count, __ATOMIC_RELAXED); }

void repair(Stage& stage) {
    const std::uint64_t newest = std::max({stage.first, stage.second, stage.third});
    stage.first = stage.second = stage.third = newest;
}

void work_inside(Stage& stage, std::uint64_t self) {
    if (__atomic_exchange_n(&stage.inside, self, __ATOMIC_ACQ_REL) != 0) add(stage.broken);
    if (stage.first != stage.second || stage.second != stage.third) add(stage.torn);
    // Long enough to be hit in the middle.
    volatile std::uint64_t* const words[] = {&stage.first, &stage.second, &stage.third};
    for (volatile std::uint64_t* word : words) {
        *word = *word + 1;
        for (int i = 0; i < 20; ++i) segment::pause_cpu();
    }
    if (__atomic_exchange_n(&stage.inside, 0, __ATOMIC_ACQ_REL) != self) add(stage.broken);
}

int play(Stage& stage, bool repairs) {
    RobustMutex mutex(stage.mutex.data());
    const std::uint64_t self = ::GetCurrentThreadId();
    for (;;) {
        const std::int64_t before = segment::monotonic_ns();
        const LockResult result = mutex.lock(kStuckNs);
        const std::int64_t waited = segment::monotonic_ns() - before;
        if (result != LockResult::held && result != LockResult::owner_died) {
            add(stage.timed_out);
            continue;
        }
        stage.longest_wait_ns = std::max(stage.longest_wait_ns, waited);
        if (result == LockResult::owner_died) {
            add(stage.owner_died);
            if (repairs) repair(stage);
            __atomic_store_n(&stage.inside, 0, __ATOMIC_RELEASE);
            mutex.make_consistent();
        }
        work_inside(stage, self);
        add(stage.acquired);
        if (!mutex.unlock()) add(stage.stolen);
        for (int i = 0; i < 10; ++i) segment::pause_cpu();
    }
}

struct Child {
    HANDLE process = nullptr;
    DWORD thread = 0;
};

class Parent {
public:
    Parent(std::uint64_t kills, std::size_t processes, bool repairs) : kills_(kills), repairs_(repairs), children_(processes) {}
    ~Parent() {
        for (Child& child : children_) end(child);
    }
    Parent(const Parent&) = delete;
    Parent& operator=(const Parent&) = delete;

    int run() {
        RobustMutex(stage_.mutex.data()).initialise();
        for (Child& child : children_) child = start();
        const std::int64_t begin = segment::monotonic_ns();
        for (std::uint64_t kill = 0; kill < kills_; ++kill) {
            segment::sleep_ns(static_cast<std::int64_t>(chance() % 20'000'000));
            Child& victim = kill % 2 == 0 ? any() : who_is_inside();
            end(victim);
            victim = start();
        }
        const bool goes_on = moves();
        report(static_cast<double>(segment::monotonic_ns() - begin) / 1e9, goes_on);
        return goes_on && get(stage_.torn) + get(stage_.broken) + get(stage_.stolen) + get(stage_.timed_out) == 0 ? 0 : 1;
    }

private:
    Child start() {
        std::wstring line = L"riskreg-storm --play " + base::win32::wide(memory_.word() + (repairs_ ? " good" : " bad"));
        STARTUPINFOW how{};
        how.cb = sizeof how;
        PROCESS_INFORMATION made{};
        if (!::CreateProcessW(base::win32::path_of(base::win32::program_path()).c_str(), line.data(), nullptr, nullptr, TRUE, 0,
                              nullptr, nullptr, &how, &made))
            return {};
        ::CloseHandle(made.hThread);
        return {made.hProcess, made.dwThreadId};
    }
    static void end(Child& child) {
        if (child.process == nullptr) return;
        ::TerminateProcess(child.process, 9);
        ::WaitForSingleObject(child.process, 5000);
        ::CloseHandle(child.process);
        child = {};
    }
    Child& any() { return children_[chance() % children_.size()]; }
    /// Looks for a while until somebody is.
    Child& who_is_inside() {
        for (int look = 0; look < 200'000; ++look) {
            const std::uint64_t inside = get(stage_.inside);
            for (Child& child : children_)
                if (child.thread == inside && inside != 0) return child;
        }
        return any();
    }
    [[nodiscard]] bool moves() const {
        const std::uint64_t before = get(stage_.acquired);
        const std::int64_t until = segment::monotonic_ns() + kStuckNs;
        while (get(stage_.acquired) < before + 100 && segment::monotonic_ns() < until) segment::sleep_ns(1'000'000);
        return get(stage_.acquired) >= before + 100;
    }
    std::uint64_t chance() {
        seed_ ^= seed_ << 13, seed_ ^= seed_ >> 7, seed_ ^= seed_ << 17;
        return seed_;
    }
    void report(double seconds, bool goes_on) const {
        const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
        std::printf(
            "%llu kills, %zu processes, %.1f s: %llu acquisitions, %llu dead owners, %llu broken, %llu torn, %llu stolen, "
            "%llu time-outs, longest wait %.1f ms, afterwards %s\n",
            number(kills_), children_.size(), seconds, number(get(stage_.acquired)), number(get(stage_.owner_died)),
            number(get(stage_.broken)), number(get(stage_.torn)), number(get(stage_.stolen)), number(get(stage_.timed_out)),
            static_cast<double>(stage_.longest_wait_ns) / 1e6, goes_on ? "it goes on" : "everybody is stuck");
    }

    program::SharedMemory memory_{sizeof(Stage)};
    Stage& stage_ = *new (memory_.address()) Stage{};
    std::uint64_t kills_;
    bool repairs_;
    std::vector<Child> children_;
    std::uint64_t seed_ = static_cast<std::uint64_t>(segment::monotonic_ns()) | 1;
};

/// Nobody else is there: the best of several rounds, and their median.
int cost() {
    alignas(64) std::array<unsigned char, 64> memory{};
    RobustMutex mutex(memory.data());
    mutex.initialise();
    constexpr int kPairs = 1'000'000;
    std::array<double, 9> rounds{};
    for (double& round : rounds) {
        const std::int64_t before = segment::monotonic_ns();
        for (int i = 0; i < kPairs; ++i) {
            static_cast<void>(mutex.lock(1'000'000'000));
            static_cast<void>(mutex.unlock());
        }
        round = static_cast<double>(segment::monotonic_ns() - before) / kPairs;
    }
    std::sort(rounds.begin(), rounds.end());
    std::printf("lock and unlock, nobody else: %.1f ns at best, %.1f ns median of %zu\n", rounds.front(),
                rounds[rounds.size() / 2], rounds.size());
    return 0;
}

int run(int argc, char** argv) {
    const std::vector<std::string> words(argv + 1, argv + argc);
    if (words.size() == 3 && words[0] == "--play") {
        const program::SharedMemory memory(sizeof(Stage), words[1]);
        return play(*static_cast<Stage*>(memory.address()), words[2] == "good");
    }
    if (!words.empty() && words[0] == "--cost") return cost();
    const std::uint64_t kills = words.empty() ? 500 : std::stoull(words[0]);
    const std::size_t processes = words.size() < 2 ? 4 : std::stoul(words[1]);
    return Parent(kills, std::max<std::size_t>(processes, 1), words.size() < 3 || words[2] != "bad").run();
}

}  // namespace

int main(int argc, char** argv) {
    return program::run("riskreg-storm", [&] {
        char** const words = program::arguments(argc, argv);  // before `argc` is read: it may change that
        return ::run(argc, words);
    });
}
