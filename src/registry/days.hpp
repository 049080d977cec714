/// The trading days that one registration has been attached to, and the way from one to the next. Internal to the registry layer.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "registry/day.hpp"
#include "registry/reader_impl.hpp"
#include "segment/inside.hpp"

namespace riskreg::registry {

/// The segments that one registration has been attached to, day by day; the newest one counts. One that has ended goes as soon as no
/// call and no reader is in it (segment/inside.hpp), with the threads of that day.
class Days {
public:
    Days();
    ~Days();
    Days(const Days&) = delete;
    Days& operator=(const Days&) = delete;

    /// Attaches for the first time. Throws Error, and DayEnded where the day ends meanwhile.
    void begin(const std::string& name, const ProcessConfig& config);
    /// Of the day that counts.
    [[nodiscard]] const Reader& reader() const noexcept { return reader_; }

    /// Whoever uses what these return is Inside.
    [[nodiscard]] Day& now() const noexcept { return *newest_.load(std::memory_order_acquire); }
    /// The same, on the next day already when that has begun.
    [[nodiscard]] Day& today() noexcept;
    /// The day after `ended`, attached to when nobody has before. Null when that is not possible now. Bounded by the deadline
    /// of attaching.
    Day* follow(const Day& ended) noexcept;

    /// Runs a call, and again when the day ended under it, or is about to: nothing has happened then.
    template <class Call>
    auto call(Call run) noexcept(noexcept(run(std::declval<Day&>(), std::declval<Attempt&>())));

    /// Everything ends in order; oldest day first. False: something hangs, and these must stay.
    [[nodiscard]] bool leave(std::int64_t by_ns) noexcept;
    /// False in a child that was forked after the attach, and where there is nothing.
    [[nodiscard]] bool is_ours() const noexcept;
    /// Behind `leave`: what was not brought to disk.
    [[nodiscard]] LeaveView judge_leaving() noexcept;

private:
    class Keeper;
    struct Ended {
        std::unique_ptr<Day> day;
        segment::WereInside inside;
    };

    // Calls.
    template <class Call, class Answer>
    [[gnu::noinline]] void call_again(Call& run, Day* day, Attempt& attempt, Answer& answer);
    /// `follow` for a call. New risk waits for it within its own deadline only: null, then. Whatever takes risk back, and facts,
    /// would rather be late than refused.
    Day* arrive(const Day& ended, const Attempt& attempt) noexcept;
    /// Waits until the call may be made again. False: its deadline came first.
    [[nodiscard]] static bool wait_for_next_day(const Day& day, const Attempt& attempt) noexcept;
    static void wait_held(const Day& day) noexcept;

    // From day to day.
    [[nodiscard]] std::unique_ptr<Day> first_day(const std::string& name, const ProcessConfig& config);
    /// The day before, if there is one, has its place among `ended_` reserved.
    void add(std::unique_ptr<Day> day) noexcept;
    [[nodiscard]] bool leave_day(Day& day, std::int64_t by_ns) noexcept;

    // Beside the calls.
    /// A thread of its own from now on, if it has none yet.
    void keep_an_eye() noexcept;
    /// What that thread does every few milliseconds.
    void look_after() noexcept;
    void map_ahead(Day& day) noexcept;
    void forget_ahead(Day& day) noexcept;
    void give_up_ended() noexcept;

    std::atomic<Day*> newest_{nullptr};
    Shown shown_;
    Reader reader_;
    std::mutex mutex_;  // of what follows, and of the way into the next day
    std::unique_ptr<Day> held_;  // `newest_`
    std::vector<Ended> ended_;
    std::optional<segment::Mapping> ahead_;  // of the next day, while it is being prepared
    bool closing_ = false;
    std::atomic<bool> leaving_{false};
    std::unique_ptr<Keeper> keeper_;
    std::atomic<bool> kept_{false};  // it runs
    std::uint64_t left_at_ = 0;  // committed when the last session had left
};

template <class Call, class Answer>
void Days::call_again(Call& run, Day* day, Attempt& attempt, Answer& answer) {
    // More than a few days do not end under one call.
    for (int times = 0; times < 1000; ++times) {
        const Again why = attempt.why != Again::no ? attempt.why : drains(answer) ? Again::drains : Again::no;
        if (why == Again::no || (why == Again::drains && attempt.last)) return;
        if (why == Again::day_ended) day = arrive(*day, attempt);
        // It has not been decided, and the same call may be made again: it says that there was no lock to be had.
        if (day == nullptr) return;
        if (why == Again::held) wait_held(*day), attempt.let_go = true;
        attempt.last = why == Again::drains && !wait_for_next_day(*day, attempt);
        attempt.again = true;
        attempt.why = Again::no;
        answer = run(*day, attempt);
    }
}

template <class Call>
auto Days::call(Call run) noexcept(noexcept(run(std::declval<Day&>(), std::declval<Attempt&>()))) {
    const segment::Inside inside;
    Attempt attempt;
    Day& day = now();
    auto answer = run(day, attempt);
    if (attempt.why != Again::no || drains(answer)) [[unlikely]]
        call_again(run, &day, attempt, answer);
    return answer;
}

}  // namespace riskreg::registry
