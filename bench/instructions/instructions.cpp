// riskreg-instructions: performs each operation a fixed number of times, in the same order and with the same ids and times
// in every run. Callgrind counts the instructions between two brackets and writes one file for each operation; who calls
// callgrind and reads the files is bench/instructions/compare.
#include <gnu/libc-version.h>
#include <unistd.h>
#include <valgrind/callgrind.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "common/program.hpp"
#include "registry/attachment.hpp"
#include "riskreg/registry.hpp"
#include "segment/robust_mutex.hpp"
#include "segment/state_lock.hpp"
#include "workload.hpp"

namespace {

using namespace riskreg;
using namespace riskreg::bench;

constexpr std::size_t kLive = 1000, kWarm = 200, kCalls = 2000;
#if defined(__clang__)
constexpr const char* kCompiler = __VERSION__;
#else
constexpr const char* kCompiler = "g++ " __VERSION__;
#endif
constexpr std::int64_t kLot = 100'000'000, kQuantity = 10 * kLot;

// clang-format off
enum class Operation { bracket, lock_pair, registers, denied, amend, fill, cancel, find };
struct Named { Operation operation; const char* name; Controls controls; };
constexpr Named kOperations[] = {
    {Operation::bracket, "bracket", Controls::first_set},       // what the counting itself takes, to be taken off
    {Operation::lock_pair, "lock_pair", Controls::first_set},
    {Operation::registers, "register", Controls::first_set},
    {Operation::denied, "register_denied", Controls::first_set},
    {Operation::amend, "amend", Controls::first_set},
    {Operation::fill, "fill", Controls::first_set},
    {Operation::cancel, "cancel", Controls::first_set},
    {Operation::find, "find", Controls::first_set},
    {Operation::registers, "register_all_controls", Controls::all},
};
// clang-format on
constexpr std::size_t kSteps = kLive + std::size(kOperations) * (kWarm + kCalls);

void require(const Verdict& verdict, const char* what) {
    if (verdict.taken()) return;
    throw std::runtime_error(std::string(what) + " was refused: " + std::string(name_of(verdict.reason)));
}

/// A flow of orders in which every operation occurs once a step; one of them at a time is counted.
class Flow {
public:
    Flow(const std::string& name, const std::string& state_dir)
        : attachment_(registry::attach(name, state_dir, 1'000'000'000)) {
        ProcessConfig process;
        process.state_dir = state_dir;
        process.strategy = "S3";
        registry_.emplace(Registry::open(name, process));
        for (std::uint32_t i = 0; i < kInstruments; ++i)
            require(registry_->reference_price(InstrumentId{i}, Price{101'000'000'000}), "reference price");
        marks_are_looked_after(attachment_.state);
        for (std::size_t i = 0; i < 2 * kSteps; ++i) ids_.push_back(order_id(i));
        for (std::size_t i = 0; i < kLive; ++i) begin();
    }

    void count(Operation operation, const char* name) {
        counted_ = operation;
        for (std::size_t i = 0; i < kWarm; ++i) step();
        CALLGRIND_ZERO_STATS;
        for (std::size_t i = 0; i < kCalls; ++i) step();
        CALLGRIND_DUMP_STATS_AT(name);
    }

private:
    /// Counts what `call` does if it is this operation's turn.
    template <class Call>
    auto counting(Operation operation, Call call) {
        const bool on = operation == counted_;
        if (on) CALLGRIND_TOGGLE_COLLECT;
        auto result = call();
        if (on) CALLGRIND_TOGGLE_COLLECT;
        return result;
    }
    [[nodiscard]] OrderRequest order(std::size_t i) const {
        OrderRequest request = request_for(ids_[i], i);
        request.quantity = Quantity{kQuantity};
        return request;
    }
    void begin() {
        const OrderRequest request = order(next_++);
        require(counting(Operation::registers, [&] { return registry_->check_and_register(request); }), "register");
        require(registry_->acked(request.account, request.id), "acked");
    }
    void step() {
        const std::size_t oldest = next_ - kLive;
        counting(Operation::bracket, [] { return 0; });
        lock_pair();
        begin();
        deny(next_ + kSteps);
        amend(order(oldest + kLive / 4 * 3));
        fill(order(oldest + kLive / 2));
        find(order(oldest + kLive / 4));
        const OrderRequest ends = order(oldest);
        require(counting(Operation::cancel, [&] { return registry_->canceled(ends.account, ends.id); }), "cancel");
    }
    void lock_pair() {
        segment::RobustMutex mutex(segment::mutex_memory(attachment_.state));
        const bool held = counting(Operation::lock_pair, [&] {
            const bool locked = mutex.lock(1'000'000) == segment::LockResult::held;
            return mutex.unlock() && locked;
        });
        if (!held) throw std::runtime_error("the lock was not free");
    }
    void deny(std::size_t i) {
        const OrderRequest request = refused_request(ids_[i], i);
        const Verdict verdict = counting(Operation::denied, [&] { return registry_->check_and_register(request); });
        if (verdict.result != Result::denied || !verdict.has_numbers) throw std::runtime_error("a limit let it pass");
    }
    void amend(const OrderRequest& live) {
        ReplaceRequest request;
        request.id = live.id;
        request.account = live.account;
        request.price = Price{live.price->value + 10'000'000};
        request.quantity = Quantity{kQuantity + kLot};
        require(counting(Operation::amend, [&] { return registry_->replace_requested(request); }), "amend");
        require(registry_->replaced(live.account, live.id), "replaced");
    }
    void fill(const OrderRequest& live) {
        const auto filled = [&] { return registry_->filled(live.account, live.id, live.id, *live.price, Quantity{kLot}); };
        require(counting(Operation::fill, filled), "fill");
    }
    void find(const OrderRequest& live) {
        if (!counting(Operation::find, [&] { return registry_->find(live.account, live.id, view_); }))
            throw std::runtime_error("an order is not found");
    }

    registry::Attachment attachment_;
    std::optional<Registry> registry_;
    std::vector<std::string> ids_;
    std::size_t next_ = 0;
    Operation counted_ = Operation::bracket;
    OrderView view_;
};

using Names = std::vector<std::string_view>;

bool wanted(const Names& names, const Named& operation) {
    return names.empty() || std::find(names.begin(), names.end(), operation.name) != names.end();
}

/// Every wanted operation on a registry of these controls, which is audited afterwards.
void count_all(const std::string& state_dir, const Names& names, Controls controls) {
    const auto counts = [&](const Named& each) { return each.controls == controls && wanted(names, each); };
    if (std::none_of(std::begin(kOperations), std::end(kOperations), counts)) return;
    const std::string name = controls == Controls::all ? "all" : "first";
    SharedConfig config = bench_config(2 * kSteps, controls);
    config.capacity.executions = 2 * kSteps;  // a part is kept for facts
    Registry::create(name, config, state_dir);
    {
        Flow flow(name, state_dir);
        for (const Named& each : kOperations)
            if (counts(each)) flow.count(each.operation, each.name);
    }
    const AuditView audit = Reader::open(name, state_dir).audit();
    Registry::destroy(name, state_dir, false, true);
    if (!audit.violations.empty()) throw std::runtime_error("the audit: " + audit.violations.front());
}

int run(const std::string& state_dir, const Names& names) {
    try {
        for (const Controls controls : {Controls::first_set, Controls::all}) count_all(state_dir, names, controls);
        std::printf("{\"calls\": %zu, \"compiler\": \"%s\", \"libc\": \"%s\"}\n", kCalls, kCompiler, gnu_get_libc_version());
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "riskreg-instructions: %s\n", error.what());
        for (const char* name : {"first", "all"}) {
            try {
                Registry::destroy(name, state_dir, false, true);
            } catch (const std::exception&) {
                // It was not there.
            }
        }
        return 1;
    }
}

int run(int argc, char** argv) {
    const Names names(argv + 1, argv + argc);
    std::string state_dir = (std::filesystem::temp_directory_path() / "riskreg-instructions-XXXXXX").string();
    if (::mkdtemp(state_dir.data()) == nullptr) return std::perror("riskreg-instructions: mkdtemp"), 3;
    const int code = run(state_dir, names);
    std::filesystem::remove_all(state_dir);
    return code;
}

}  // namespace

int main(int argc, char** argv) {
    return riskreg::program::run("riskreg-instructions", [&] { return ::run(argc, argv); });
}
