/// A new trading day: what of the tables goes on, and what is cleared (semantics.md 16).
#pragma once

#include "core/decide.hpp"

namespace riskreg::core {

/// The event that ends the day, to be the next one of these tables. Denied while the log is tight: what the journal does not
/// hold yet must go on in the ring of the next day.
void decide_rolled(const State& state, const Caller& caller, std::string_view reason, Decision& out) noexcept;

/// Zeroed memory of the same geometry becomes tables in which nothing has happened yet; what is fixed at creation comes from
/// `before`. The header is left to the caller.
void make_blank(const State& before, State& after) noexcept;

/// Fills blank tables, or those that an earlier call has filled, with the day that `event` begins. `before` are tables at
/// rest at sequence event.seq − 1. A function of its arguments, whatever the capacity: so a live roll, a replica and a
/// replay of the journal come to the same tables (INV-11). Allocates nothing; linear in the rows and in the ids of the day.
///
/// Goes on    what is live, and what a reported gap still reserves, with every id of its chain and its executions;
///            positions, which become the start of the day, and their marks; limits, trading states, latches; the restricted
///            list, open approvals; sessions, which are the same processes as before; reference prices and their owners.
/// Cleared    other orders and their ids, executions, quarantine; totals and result of the day; counts of messages, of
///            content and of breakers; alerts; settled approvals.
/// What is derived is not made: core/derived.hpp.
void roll_tables(const State& before, State& after, const layout::RolledEvent& event) noexcept;

/// The last event that is committed here has ended the day.
[[nodiscard]] bool ends_the_day(const State& state) noexcept;

/// `apply` for tables that nobody else sees: they go on with the day that `rolled` begins. Throws std::bad_alloc.
void apply_to_private(State& state, const layout::Event& event);

}  // namespace riskreg::core
