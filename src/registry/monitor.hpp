/// Marks, losses and soft levels: the duty of the snapshotter's host that looks at the tables themselves. One thread of the
/// host, with and without a journal.
#pragma once

#include <array>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "core/decide.hpp"
#include "core/exclusive.hpp"
#include "core/watch.hpp"
#include "registry/host.hpp"

namespace riskreg::registry {

/// A round every few milliseconds. Which rows changed is told by the events since the round before, so that a registry in
/// which nothing happens costs a few loads, however many rows it has. The lock is taken only to write, for a few events
/// at a time, and what was seen without it is looked at again under it.
class Monitor {
public:
    /// `timeout_ns`: how long to wait for the registry's lock; what cannot be written is looked at again.
    Monitor(Host& host, std::int64_t timeout_ns);
    ~Monitor();
    Monitor(const Monitor&) = delete;
    Monitor& operator=(const Monitor&) = delete;

    /// Asks the rounds to end. Any thread; more than once.
    void ask_to_stop() noexcept;
    /// Nothing more is written by it.
    [[nodiscard]] bool has_ended() noexcept;

private:
    struct RowMemory {
        std::int64_t marked_ns = 0;             // when we marked it, or began to host; boot time
        bool changed = false;                   // it is in changed_
        bool exposed = false;                   // it is in its instrument's list
    };
    struct InstrumentMemory {
        std::vector<std::uint32_t> exposed;     // its rows that a mark matters to
        std::uint64_t reference_seq = 0;        // as last looked at
        std::int64_t due_ns = 0;                // when a mark within the threshold follows all the same
    };
    enum class What : std::uint8_t { mark, loss, level };
    /// Something to be written.
    struct Wish {
        What what = What::mark;
        std::uint32_t row = 0;
        std::uint32_t instrument = 0;
        bool overdue = false;
        core::Use use;
    };
    /// A level that was passed upwards, to be told when the lock is free.
    struct Passed {
        std::uint32_t row = 0;
        core::Use use;
    };
    static constexpr std::size_t kChunk = 8;
    using Chunk = std::array<Passed, kChunk>;

    void run() noexcept;
    [[nodiscard]] bool wait(std::int64_t ns) noexcept;
    void forget() noexcept;
    [[nodiscard]] bool round();
    void tell_clocks_ahead();
    [[nodiscard]] bool gather();
    [[nodiscard]] bool take_event(std::uint64_t seq);
    void row_changed(std::uint32_t row);
    void look_at_row(std::uint32_t row);
    void look_at_levels(std::uint32_t row);
    void note_exposure(std::uint32_t row, std::uint32_t instrument);
    [[nodiscard]] bool look_at_references();
    void look_at_mark(std::uint32_t row, std::uint32_t instrument, std::int64_t reference);
    bool write_wishes();
    [[nodiscard]] bool write_chunk(std::size_t begin, std::size_t end);
    [[nodiscard]] bool write(core::Exclusive tables, const Wish& wish, Passed& passed) noexcept;
    void decide_mark(const Wish& wish, const core::Caller& caller, core::Decision& out) noexcept;
    void decide_level(const Wish& wish, const core::Caller& caller, core::Decision& out) noexcept;
    [[nodiscard]] bool has_room() const noexcept;
    void tell(const Passed& passed);

    Host& host_;
    core::State& state_;
    const std::int64_t timeout_ns_;
    std::vector<RowMemory> rows_;
    std::vector<InstrumentMemory> instruments_;
    std::vector<std::uint32_t> changed_rows_;
    std::vector<std::uint32_t> looking_at_;
    std::vector<Wish> wishes_;
    std::int64_t now_ns_ = 0;                   // monotonic, of this round
    std::int64_t steady_ns_ = 0;                // boot time, of this round
    std::int64_t told_ahead_ns_ = 0;
    std::uint64_t told_ahead_ = 0;              // of StatusWords::clocks_ahead
    std::uint64_t seen_ = 0;                    // events that were looked at; 0: none, so that every row is
    std::atomic<bool> stopping_{false};
    std::mutex mutex_;
    std::condition_variable changed_;
    bool ended_ = false;
    std::thread thread_;
};

}  // namespace riskreg::registry
