#include "registry/alarm.hpp"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <mutex>

#include "core/genesis.hpp"
#include "persist/event_json.hpp"
#include "registry/log_file_posix.hpp"
#include "segment/process_posix.hpp"

namespace riskreg::registry {

using namespace layout;

namespace {

constexpr std::uint64_t kFileBytes = 10U << 20;
constexpr unsigned kOlderFiles = 5;
constexpr std::uint64_t kEventsPerSecond = 20;   // a loop of odd events must not fill the disk, nor hold up the journal

spdlog::level::level_enum level_of(Severity severity) noexcept {
    switch (severity) {
        case Severity::info: return spdlog::level::info;
        case Severity::warning: return spdlog::level::warn;
        case Severity::critical: return spdlog::level::critical;
    }
    return spdlog::level::critical;
}

/// spdlog's own file sinks open by themselves, below 3 if there is room.
class FileSink : public spdlog::sinks::base_sink<std::mutex> {
public:
    explicit FileSink(const std::string& stem) : file_(stem, kFileBytes, kOlderFiles) {}

protected:
    void sink_it_(const spdlog::details::log_msg& message) override {
        spdlog::memory_buf_t line;
        formatter_->format(message, line);
        file_.append({line.data(), line.size()});
    }
    void flush_() override {}

private:
    LogFile file_;
};

}  // namespace

struct Alarm::Impl {
    std::shared_ptr<spdlog::logger> logger;
};

Alarm::Alarm(core::State& state, const Options& options)
    : state_(state), show_orders_(options.show_orders), impl_(std::make_unique<Impl>()) {
    std::vector<spdlog::sink_ptr> sinks;
    if (options.to_stderr) sinks.push_back(std::make_shared<spdlog::sinks::stderr_sink_mt>());
    // In a read-only or vanished directory it stays silent: what can be said is said to stderr, if anybody listens there.
    sinks.push_back(std::make_shared<FileSink>(options.directory + "/riskreg"));
    impl_->logger = std::make_shared<spdlog::logger>(options.registry, sinks.begin(), sinks.end());
    // UTC, as every other time that is shown.
    impl_->logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l [%P] %n: %v", spdlog::pattern_time_type::utc);
    impl_->logger->flush_on(spdlog::level::trace);
    impl_->logger->set_error_handler([](const std::string&) {});
}

Alarm::~Alarm() = default;

void Alarm::raise(Severity severity, const std::string& text) noexcept {
    if (severity != Severity::info) __atomic_add_fetch(&state_.host->alarms, 1, __ATOMIC_RELAXED);
    try {
        impl_->logger->log(level_of(severity), "{}", text);
    } catch (...) {
        // Counted above, and `status` shows the count.
    }
}

namespace {

bool is_control(EventType type) noexcept {
    switch (type) {
        case EventType::state_changed:
        case EventType::limits_changed:
        case EventType::risk_limits_changed:
        case EventType::restricted_changed:
        case EventType::reconciled:
        case EventType::recovered:
        case EventType::rolled:
        case EventType::session_dead:
        case EventType::session_fenced:
        case EventType::clock_set:
        case EventType::journal_gap: return true;
        default: return false;
    }
}

}  // namespace

/// The first few of each second; then one line that says how many more there were.
bool Alarm::admit(std::int64_t now_ns) {
    if (now_ns - second_begin_ns_ >= 1'000'000'000) {
        if (in_second_ > kEventsPerSecond)
            raise(Severity::warning, std::to_string(in_second_ - kEventsPerSecond) +
                                         " more odd events within a second (riskctl events shows them)");
        second_begin_ns_ = now_ns;
        in_second_ = 0;
    }
    return ++in_second_ <= kEventsPerSecond;
}

void Alarm::look_at(const Event& event) noexcept {
    const EventHeader& h = event.header;
    const bool odd = h.result == Result::anomaly || h.type == EventType::quarantined || (h.flags & kFirmReducing) != 0;
    if (!odd && !is_control(h.type)) return;
    try {
        if (!is_control(h.type) && !admit(segment::monotonic_ns())) return;
        if (show_orders_ || is_control(h.type)) return raise(Severity::warning, persist::event_to_json(state_, event));
        std::string text = "event " + std::to_string(h.seq) + " " + std::string(persist::name_of(h.type)) + ": ";
        text += h.result == Result::anomaly ? "anomaly" : "quarantined";
        for (const std::string_view flag : persist::names_of_flags(h.answer_flags)) text.append(" ").append(flag);
        if (h.account < state_.geometry.accounts) text.append(", account ").append(state_.account_records[h.account].id.view());
        raise(Severity::warning, text + ", order *** (riskctl events shows it)");
    } catch (...) {
        raise(Severity::critical, "an event could not be described");
    }
}

}  // namespace riskreg::registry
