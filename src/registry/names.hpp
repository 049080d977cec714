/// The names of the closed sets of the registry layer and its public headers; how lists work: base/names.hpp.
#pragma once

#include "base/names.hpp"
#include "registry/reports.hpp"
#include "riskreg/reconcile.hpp"
#include "riskreg/registry.hpp"

namespace riskreg::base {

template <>
struct NamesOf<ReaderEnd> {
    using enum ReaderEnd;
    static constexpr auto list = std::to_array<Name<ReaderEnd>>(
        {{none, "none"}, {rolled, "rolled"}, {poisoned, "poisoned"}, {destroyed, "destroyed"}, {replaced, "replaced"}});
};

template <>
struct NamesOf<BreakKind> {
    using enum BreakKind;
    static constexpr auto list = std::to_array<Name<BreakKind>>({{missing_here, "missing_here"},
                                                                 {missing_at_venue, "missing_at_venue"},
                                                                 {quantity, "quantity"},
                                                                 {price, "price"},
                                                                 {status, "status"},
                                                                 {position, "position"},
                                                                 {fill_missing, "fill_missing"}});
};

template <>
struct NamesOf<RecoverOutcome> {
    using enum RecoverOutcome;
    static constexpr auto list =
        std::to_array<Name<RecoverOutcome>>({{running, "running"}, {adopted, "adopted"}, {rebuilt, "rebuilt"}});
};

template <>
struct NamesOf<registry::Health> {
    using enum registry::Health;
    static constexpr auto list = std::to_array<Name<registry::Health>>({{ok, "ok"}, {note, "note"}, {problem, "problem"}});
};

template <>
struct NamesOf<ReconcileMode> {
    using enum ReconcileMode;
    static constexpr auto list =
        std::to_array<Name<ReconcileMode>>({{report, "report"}, {adopt, "adopt"}, {correct, "correct"}});
};

}  // namespace riskreg::base
