/// What is derived from the records and kept beside them for decide: books of own orders, the content index, times of messages.
#pragma once

#include <functional>
#include <string>

#include "core/copy.hpp"
#include "core/state.hpp"

namespace riskreg::core {

/// Makes it anew, for tables that were rebuilt from disk, copied or rolled; afterwards apply keeps it. Nobody else may use
/// the tables meanwhile. Linear in the ids of the day.
void rebuild_derived(State& state) noexcept;

/// Looks at the derived tables of `live` beside those of `anew`, which were made anew from the same records. No version and
/// no lock guards derived tables, so they are looked at piece by piece, each while the log stands still; `anew` is brought up
/// to it before. Writers neither wait for this nor notice it.
class DerivedCheck {
public:
    /// `anew` is a copy of `live`, or `live` itself with other derived tables where nobody writes.
    DerivedCheck(const State& live, State& anew, std::function<void(std::string)> report)
        : live_(live), anew_(anew), report_(std::move(report)) {}

    /// Calls `look(i)` for every i below `count`, possibly more than once; reports the texts that are not empty.
    template <class Look>
    void each(std::uint64_t count, Look look) {
        std::uint64_t size = kMostAtOnce;
        for (std::uint64_t at = 0; at < count && complete_;) {
            const std::uint64_t end = std::min(at + size, count);
            std::string found;
            const auto piece = [&] {
                found.clear();
                for (std::uint64_t i = at; i < end && found.empty(); ++i) found = look(i);
            };
            if (seen_at_rest(piece, end - at == 1 ? kAttempts : 1)) {
                if (!found.empty()) report_(std::move(found));
                at = end;
                size = std::min(size * 2, kMostAtOnce);
            } else if (end - at == 1) {
                complete_ = false;
            } else {
                size = (end - at + 1) / 2;
            }
        }
    }

    [[nodiscard]] const State& live() const noexcept { return live_; }
    [[nodiscard]] const State& anew() const noexcept { return anew_; }
    /// False when writers were too busy, or one is dead in the middle of an event: then not everything was looked at.
    [[nodiscard]] bool complete() const noexcept { return complete_; }

private:
    static constexpr std::uint64_t kMostAtOnce = 64;
    static constexpr int kAttempts = 2000;

    template <class Piece>
    bool seen_at_rest(Piece& piece, int attempts) {
        for (int attempt = 0; attempt < attempts; ++attempt) {
            if (anew_.log != live_.log && !catch_up(anew_, live_)) return false;
            if (layout::load_acquire(live_.log->applied) != anew_.log->committed) continue;
            piece();
            layout::fence_acquire();
            if (layout::load_relaxed(live_.log->committed) == anew_.log->committed) return true;
        }
        return false;
    }

    const State& live_;
    State& anew_;
    std::function<void(std::string)> report_;
    bool complete_ = true;
};

/// The derived tables of `live` against its records, of which `copy` is a consistent copy (core/copy.hpp). It goes on with
/// `live`, and gets derived tables of its own. True when everything was looked at.
bool check_derived(const State& live, State& copy, const std::function<void(std::string)>& report);

/// The same where nobody writes: under the lock, or for private tables.
void check_derived(const State& state, const std::function<void(std::string)>& report);

}  // namespace riskreg::core
