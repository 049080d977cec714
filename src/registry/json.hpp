/// Every listing of a registry, and every answer to an operator's deed, as JSON: what `riskctl --json` prints, and what every other
/// door to a registry has to answer.
///
/// `write(out, what, …)` adds the members of one object to one that is open; `to_json(what, …)` is the whole object on one line. The
/// text is an interface: members are added at the end of an object, none is renamed. Throws what the reader throws.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "persist/migrate.hpp"
#include "persist/strict_json.hpp"
#include "registry/reports.hpp"
#include "riskreg/reconcile.hpp"
#include "riskreg/registry.hpp"

namespace riskreg::registry {

using persist::JsonWriter;

// ---- listings ----

void write(JsonWriter& out, const OrderView& order, const Reader& reader);
/// For an answer that has named the order already.
void write_without_id(JsonWriter& out, const OrderView& order, const Reader& reader);
/// `exposure` and `limits`.
void write(JsonWriter& out, const ExposureView& row, const Reader& reader);
void write(JsonWriter& out, const StatusReport& report, const Reader& reader);
void write(JsonWriter& out, const SessionView& session, const Reader& reader);
/// `now_ns`: in force at this time, or not.
void write(JsonWriter& out, const RestrictionView& entry, const Reader& reader, std::int64_t now_ns);
void write(JsonWriter& out, const ApprovalView& approval, const Reader& reader);
/// `verify`; `status` of the same registry.
void write(JsonWriter& out, const AuditView& audit, const StatusView& status);
void write(JsonWriter& out, const Finding& finding);
void write(JsonWriter& out, const CheckpointInfo& info);
void write(JsonWriter& out, const JournalInfo& info);

// ---- answers ----

/// `result` and what belongs to it.
void write(JsonWriter& out, const Verdict& verdict, const Reader& reader);
/// The same about a scope, as it was asked for.
void write_answer(JsonWriter& out, std::string_view scope, const Verdict& verdict, const Reader& reader);
/// Behind the answer to a halt.
void write(JsonWriter& out, const AfterHalt& after, const Verdict& verdict);
/// Behind the answer to a resume: the scope is released, and may be stopped all the same.
void write_effective(JsonWriter& out, const ExposureView& row, const Reader& reader);
/// Behind the answer to a change of limits: the member `changes`.
void write(JsonWriter& out, const std::vector<FieldChange>& changes);
/// Of a request that was named: the verdict on it, or, through the host's socket, the event that did it or else why not.
struct Approved {
    std::uint64_t request;
    const Verdict& verdict;
};
void write(JsonWriter& out, const Approved& approved, const Reader& reader);
struct ApprovedByHost {
    std::uint64_t request;
    std::optional<std::uint64_t> seq;
    std::string_view why;
};
void write(JsonWriter& out, const ApprovedByHost& approved);
struct Created {
    const StatusView& status;
};
void write(JsonWriter& out, const Created& created);
struct Destroyed {
    std::string_view name;
    const std::vector<std::string>& left;  ///< files that are not a registry's
};
void write(JsonWriter& out, const Destroyed& destroyed);
struct Checkpointed {
    const StatusView& status;
    bool written;
};
void write(JsonWriter& out, const Checkpointed& checkpointed);
void write(JsonWriter& out, const persist::Migration& done, std::string_view output);
void write(JsonWriter& out, const RecoverView& view, const StatusView& status);
void write(JsonWriter& out, const RollReport& report);
void write(JsonWriter& out, const LoadReport& report, const Reader& reader);
/// A difference from the venue: `break`, or `newer` than its statement.
void write(JsonWriter& out, const Break& what, const Reader& reader);
/// And what was tried.
void write(JsonWriter& out, const Settlement& settlement, const Reader& reader);
void write(JsonWriter& out, const ReconcileSummary& summary);

template <class... What>
[[nodiscard]] std::string to_json(const What&... what) {
    JsonWriter out;
    out.begin_object();
    write(out, what...);
    return out.end_object().text();
}

}  // namespace riskreg::registry
