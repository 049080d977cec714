#include "registry/alarm.hpp"

#include <spdlog/pattern_formatter.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "persist/event_json.hpp"
#include "registry/log_file.hpp"
#include "segment/process.hpp"

namespace riskreg::registry {

using namespace layout;

namespace {

constexpr std::uint64_t kFileBytes = 10U << 20;
constexpr unsigned kOlderFiles = 5;
constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::size_t kKinds = 256;                  // told apart; of those beyond, the oldest counts as another kind
constexpr std::uint64_t kLinesPerSecond = 100;       // of all kinds: a log must not fill the disk either
constexpr std::uint64_t kReopened = 1;                // kind of what a place in the program does not say
constexpr std::chrono::milliseconds kLook{100};
constexpr std::chrono::milliseconds kLeave{250};

spdlog::level::level_enum level_of(Severity severity) noexcept {
    switch (severity) {
        case Severity::info: return spdlog::level::info;
        case Severity::warning: return spdlog::level::warn;
        case Severity::critical: return spdlog::level::critical;
    }
    return spdlog::level::critical;
}

}  // namespace

/// The queue, what may go into it, and the thread that empties it. The thread holds it, too: whoever leaves does not wait for a write
/// that hangs.
class Alarm::Writer {
public:
    explicit Writer(const Options& options)
        : registry_(options.registry),
          to_stderr_(options.to_stderr),
          file_(options.directory + "/riskreg", kFileBytes, kOlderFiles),
          // UTC, as every other time that is shown.
          formatter_("%Y-%m-%dT%H:%M:%S.%eZ %l [%P] %n: %v", spdlog::pattern_time_type::utc) {}

    /// How many lines this makes that are warnings or worse: none for one of a kind that had its line within the second.
    std::uint64_t put(const std::shared_ptr<Writer>& self, Severity severity, std::string_view text, std::uint64_t kind) {
        const std::lock_guard guard(mutex_);
        const std::int64_t now = segment::monotonic_ns();
        Kind& known = kind_of(kind, now);
        std::uint64_t lines = tell_of_more(known, now);
        if (known.next_ns > now || !has_room_in_second(now)) {
            ++known.more;
            known.next_ns = std::max(known.next_ns, second_ns_ + kSecondNs);
            known.severity = std::max(known.severity, severity);
            known.last = {spdlog::log_clock::now(), severity, std::string(text)};
        } else {
            known.next_ns = now + kSecondNs;
            lines += queue({spdlog::log_clock::now(), severity, std::string(text)});
        }
        start(self);
        changed_.notify_one();
        return lines + std::exchange(owed_, 0);
    }

    /// Lines that the thread made by itself.
    std::uint64_t owed() noexcept {
        const std::lock_guard guard(mutex_);
        return std::exchange(owed_, 0);
    }

    [[nodiscard]] bool is_writing(const std::shared_ptr<Writer>& self) {
        const std::lock_guard guard(mutex_);
        start(self);
        return started_;
    }

    [[nodiscard]] std::size_t waiting() noexcept {
        const std::lock_guard guard(mutex_);
        return lines_.size() + (writing_ ? 1 : 0);
    }

    void reopen(const std::shared_ptr<Writer>& self) {
        {
            const std::lock_guard guard(mutex_);
            reopen_ = true;
        }
        static_cast<void>(put(self, Severity::info, "the log was opened anew", kReopened));
    }

    /// Everything is written, or the time is over.
    void leave() {
        std::unique_lock guard(mutex_);
        for (Kind& kind : kinds_) kind.next_ns = 0;
        stopping_ = true;
        changed_.notify_all();
        if (!started_) return;
        const bool ended = changed_.wait_for(guard, kLeave, [this] { return ended_; });
        std::thread thread = std::move(thread_);
        guard.unlock();
        ended ? thread.join() : thread.detach();
    }

private:
    struct Line {
        spdlog::log_clock::time_point time;
        Severity severity = Severity::info;
        std::string text;
    };
    struct Kind {
        std::uint64_t id = 0;  // 0: none
        std::int64_t next_ns = 0;  // no line before
        std::uint64_t more = 0;  // since the last one
        Severity severity = Severity::info;  // of those
        Line last;
    };

    Kind& kind_of(std::uint64_t id, std::int64_t now) {
        Kind* oldest = kinds_.data();
        for (Kind& kind : kinds_) {
            if (kind.id == id) return kind;
            if (kind.next_ns < oldest->next_ns) oldest = &kind;
        }
        // What it still had to tell is told now.
        if (oldest->id != 0) oldest->next_ns = std::min(oldest->next_ns, now), owed_ += tell_of_more(*oldest, now);
        *oldest = Kind{};
        oldest->id = id;
        return *oldest;
    }

    bool has_room_in_second(std::int64_t now) noexcept {
        if (now - second_ns_ >= kSecondNs) second_ns_ = now, in_second_ = 0;
        return ++in_second_ <= kLinesPerSecond;
    }

    /// The second of this kind is over, and there were more.
    std::uint64_t tell_of_more(Kind& kind, std::int64_t now) {
        if (kind.more == 0 || kind.next_ns > now) return 0;
        Line line = std::move(kind.last);
        if (kind.more > 1)
            line.text = "(" + std::to_string(kind.more) + " of this kind within a second, the last:) " + line.text;
        line.severity = kind.severity;
        kind.more = 0;
        kind.severity = Severity::info;
        kind.next_ns = now + kSecondNs;
        return queue(std::move(line));
    }

    /// 1 when it is a line to be counted, written or not.
    std::uint64_t queue(Line line) noexcept {
        const std::uint64_t counts = line.severity == Severity::info ? 0 : 1;
        try {
            if (lines_.size() >= kQueued) ++lost_;
            else lines_.push_back(std::move(line));
        } catch (...) {
            ++lost_;
        }
        return counts;
    }

    void start(const std::shared_ptr<Writer>& self) noexcept {
        if (started_ || stopping_) return;
        try {
            const segment::SignalsBlocked blocked;
            thread_ = std::thread([self] { self->run(); });
            started_ = true;
        } catch (...) {
            // No thread, no memory: the lines wait, and the next one asks again.
        }
    }

    void run() noexcept {
        std::unique_lock guard(mutex_);
        for (;;) {
            const bool more = tell_what_is_due();
            if (lines_.empty() && stopping_) break;
            if (lines_.empty()) {
                more ? static_cast<void>(changed_.wait_for(guard, kLook)) : changed_.wait(guard);
                continue;
            }
            Line line = std::move(lines_.front());
            lines_.pop_front();
            writing_ = true;
            const std::uint64_t lost = std::exchange(lost_, 0);
            const bool reopen = std::exchange(reopen_, false);
            guard.unlock();
            if (reopen) file_.close();
            const bool written = write_all(line, lost);
            guard.lock();
            writing_ = false;
            if (!written) lost_ += lost + 1;
        }
        ended_ = true;
        changed_.notify_all();
    }

    /// True when something will be due later.
    bool tell_what_is_due() noexcept {
        const std::int64_t now = segment::monotonic_ns();
        bool more = false;
        for (Kind& kind : kinds_) {
            try {
                owed_ += tell_of_more(kind, now);
            } catch (...) {
                // No memory: it stays due.
            }
            more |= kind.more != 0;
        }
        return more;
    }

    bool write_all(const Line& line, std::uint64_t lost) noexcept {
        try {
            if (lost == 0) return write(line);
            return write({line.time, Severity::warning,
                          std::to_string(lost) + " lines before this one could not be written to this log"}) &&
                   write(line);
        } catch (...) {
            return false;
        }
    }

    bool write(const Line& line) {
        const spdlog::details::log_msg message(line.time, spdlog::source_loc{}, registry_, level_of(line.severity), line.text);
        spdlog::memory_buf_t text;
        formatter_.format(message, text);
        if (to_stderr_) show({text.data(), text.size()});
        return file_.append({text.data(), text.size()});
    }

    /// A terminal that is held, a pipe that nobody reads: the file does not wait for them.
    void show(std::string_view line) {
        if (hidden_ != 0 &&
            write_to_stderr("(" + std::to_string(hidden_) + " lines could not be shown here; riskreg.log has them)\n"))
            hidden_ = 0;
        if (hidden_ != 0 || !write_to_stderr(line)) ++hidden_;
    }

    const std::string registry_;
    const bool to_stderr_;
    LogFile file_;  // of the thread
    spdlog::pattern_formatter formatter_;  // of the thread
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Line> lines_;
    std::array<Kind, kKinds> kinds_;
    std::uint64_t lost_ = 0;
    std::uint64_t owed_ = 0;  // lines that nobody has counted in the segment yet
    std::int64_t second_ns_ = 0;
    std::uint64_t in_second_ = 0;
    std::uint64_t hidden_ = 0;  // of the thread: lines that stderr did not take
    bool reopen_ = false, writing_ = false, started_ = false, stopping_ = false, ended_ = false;
    std::thread thread_;
};

Alarm::Alarm(core::State& state, const Options& options)
    : state_(state), show_orders_(options.show_orders), writer_(std::make_shared<Writer>(options)) {}

Alarm::~Alarm() {
    writer_->leave();
    count(writer_->owed());
}

void Alarm::count(std::uint64_t lines) noexcept {
    if (lines != 0) __atomic_add_fetch(&state_.host->alarms, lines, __ATOMIC_RELAXED);
}

void Alarm::raise_kind(Severity severity, std::string_view text, std::uint64_t kind) noexcept {
    try {
        count(writer_->put(writer_, severity, text, kind));
    } catch (...) {
        // No memory for a line: it counts.
        count(severity == Severity::info ? 0 : 1);
    }
}

void Alarm::raise(Severity severity, std::string_view text, std::source_location where) noexcept {
    raise_about(0, severity, text, where);
}

void Alarm::raise_about(std::uint64_t thing, Severity severity, std::string_view text, std::source_location where) noexcept {
    const std::uint64_t place = base::mix(reinterpret_cast<std::uintptr_t>(where.file_name()) + where.line());
    raise_kind(severity, text, base::mix(place + thing));
}

bool Alarm::is_writing() noexcept {
    count(writer_->owed());
    return writer_->is_writing(writer_);
}

std::size_t Alarm::waiting() noexcept { return writer_->waiting(); }

void Alarm::reopen() noexcept {
    try {
        writer_->reopen(writer_);
    } catch (...) {
        // No memory: the inode of the file is looked at before each line all the same.
    }
}

namespace {

/// Events of one type about one scope, one session, or one account.
std::uint64_t kind_of(const Event& event) noexcept {
    const EventHeader& h = event.header;
    const bool of_session = h.type >= EventType::session_attached && h.type <= EventType::session_fenced;
    const std::uint32_t row = of_session ? h.session : row_of(event);
    const std::uint64_t of = row != kNoSlot ? row : h.account;
    return base::mix((std::uint64_t{static_cast<std::uint16_t>(h.type)} << 48) +
                     (std::uint64_t{static_cast<std::uint8_t>(h.result)} << 40) + of);
}

}  // namespace

void Alarm::look_at(const Event& event) noexcept {
    const EventHeader& h = event.header;
    const bool odd = h.result == Result::anomaly || h.type == EventType::quarantined || (h.flags & kFirmReducing) != 0;
    const bool control = layout::traits_of(h.type).is_control;
    if (!odd && !control) return;
    try {
        if (show_orders_ || control)
            return raise_kind(Severity::warning, persist::event_to_json(state_, event), kind_of(event));
        std::string text = "event " + std::to_string(h.seq) + " " + std::string(persist::name_of(h.type)) + ": ";
        text += h.result == Result::anomaly ? "anomaly" : "quarantined";
        for (const std::string_view flag : persist::names_of_flags(h.answer_flags)) text.append(" ").append(flag);
        if (h.account < state_.geometry.accounts) text.append(", account ").append(state_.account_records[h.account].id.view());
        raise_kind(Severity::warning, text + ", order *** (riskctl events shows it)", kind_of(event));
    } catch (...) {
        raise(Severity::critical, "an event could not be described");
    }
}

}  // namespace riskreg::registry
