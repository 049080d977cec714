/// A new trading day: what of the tables goes on, and what is cleared (semantics.md 16).
#pragma once

#include <memory>

#include "core/copy.hpp"
#include "core/decide.hpp"

namespace riskreg::core {

/// The event that ends the day, to be the next one of these tables. Denied while the log is tight: what the journal does not
/// hold yet must go on in the ring of the next day.
void decide_rolled(const State& state, const Caller& caller, std::string_view reason, Decision& out) noexcept;

/// Zeroed memory of the same geometry becomes tables in which nothing has happened yet; what is fixed at creation comes from
/// `before`. The header is left to the caller.
void make_blank(const State& before, State& after) noexcept;

/// The next day's tables, made while the old day goes on. `before` are tables that nobody else changes, of sequence `base` or later;
/// whoever pauses may apply further events to them and has to `follow` each.
///
/// Where an order goes must not depend on what ends meanwhile, or one fill would move all the others. So everything that went on at
/// `base` has its place, in the order of the slots, and keeps it even when it ends before the day does: it is then known for a day
/// more. What comes, or comes back to life, behind `base` is appended in the order in which it came; `OrderState::roll_key` tells
/// which is which, also to a replica and to a replay (INV-11).
///
/// Goes on    what is live, and what a reported gap still reserves, with every id of its chain and its executions; what was touched
///            behind `base` and went on then;
///            positions, which become the start of the day, and their marks; limits, trading states, latches; the restricted
///            list, open approvals; sessions, which are the same processes as before; reference prices and their owners.
/// Cleared    other orders and their ids, executions, quarantine; totals and result of the day; counts of messages, of
///            content and of breakers; alerts; settled approvals.
class DayRoll {
public:
    /// `after` is blank, or filled by an earlier roll. Records that the roll changes get the sequence `stamp`. Throws std::bad_alloc.
    DayRoll(const State& before, State& after, std::uint64_t base, std::uint64_t stamp);
    ~DayRoll();
    DayRoll(const DayRoll&) = delete;
    DayRoll& operator=(const DayRoll&) = delete;

    /// Linear in the rows and in the ids of the day. Throws std::bad_alloc. False when a pause said so: begin anew.
    [[nodiscard]] bool make_tables(const Pause& pause);
    /// The same for what decide needs beside them (core/derived.hpp).
    [[nodiscard]] bool make_books(const Pause& pause);
    /// One event more, which `before` has applied. Costs as much as the event touches, whatever the size of the tables.
    void follow(const layout::Event& event) noexcept;
    /// The words of the log: `before` stands at `event.header.seq` − 1.
    void finish(const layout::RolledEvent& event) noexcept;

private:
    struct Work;
    std::unique_ptr<Work> work_;
};

/// All of it at once, for tables at rest at sequence event.seq − 1. A function of its arguments, whatever the capacity: so a live roll,
/// a replica and a replay of the journal come to the same tables (INV-11). What is derived is not made. Throws std::bad_alloc.
void roll_tables(const State& before, State& after, const layout::RolledEvent& event);

/// The last event that is committed here has ended the day.
[[nodiscard]] bool ends_the_day(const State& state) noexcept;

/// `apply` for tables that nobody else sees: they go on with the day that `rolled` begins. Throws std::bad_alloc.
void apply_to_private(State& state, const layout::Event& event);

}  // namespace riskreg::core
