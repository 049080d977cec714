#include "layout/describe.hpp"

#include "layout/segment.hpp"

namespace riskreg::layout {

namespace {

void append_line(std::string& text, const std::string& name, std::size_t first, const char* between, std::size_t second) {
    text += name + ' ' + std::to_string(first) + between + std::to_string(second) + '\n';
}

template <class T>
void append_record(std::string& text) {
    const std::string type(Fields<T>::name);
    append_line(text, type + " size", sizeof(T), " align ", alignof(T));
    for (const Field& field : Fields<T>::list)
        append_line(text, type + '.' + std::string(field.name), field.offset, " ", field.size);
}

/// A record that is missing here is missing in the layout's hash, too. The order is that of the golden file.
template <class... Record>
void append_records(std::string& text) {
    (append_record<Record>(text), ...);
}

/// Members of the event's union that are not there yet.
template <auto... Member>
void append_new_events(std::string& text, MemberList<Member...>) {
    const auto append = [&text]<class T>(T Event::*) {
        if constexpr (Described<T>)
            if (text.find('\n' + std::string(Fields<T>::name) + " size") == std::string::npos) append_record<T>(text);
    };
    (append(Member), ...);
}

}  // namespace

std::string describe_layout() {
    std::string text = "layout_version " + std::to_string(kLayoutVersion) + '\n';
    append_records<Reason, OrderIdentity, VenueId, OrderState, OrderSlot>(text);
    append_records<RowCounters, RowControl, RowDay, RowLatch, Row, RowCold>(text);
    append_records<RowValue, RowRiskLimits, RowMeters, RowAlerts, RowRisk, BudgetRing, BreakerCounts, BreakerTimes, BreakerSlot,
                   BookCount, BookNode, RestrictionRecord, RestrictionSlot, ApprovalRecord, ApprovalSlot>(text);
    append_records<ExecutionIdentity, ExecutionState, ExecutionSlot, QuarantineSlot>(text);
    append_records<SessionRecord, SessionSlot, StrategyState, StrategySlot, ReferencePrice, ReferenceOwner, ReferenceCell>(
        text);
    append_records<InstrumentRecord, AccountRecord, StrategyRecord>(text);
    append_records<EventHeader, RowDelta, ValueDelta, RegisterEvent, OrderAfter, LifeEvent, DeniedEvent, QuarantineEvent,
                   PositionEvent, MarkedEvent, StateEvent, LimitsEvent, RiskLimitsEvent, RestrictionEvent, ApprovalEvent,
                   AlertEvent, RolledEvent, ClockEvent, SessionEvent, ReferenceOwnerEvent, Event>(text);
    append_new_events(text, Fields<Event>::Members{});
    append_records<Geometry, Offsets, Header, LogWords, StatusWords, Watermarks, Wakes, HostWords, Control>(text);
    return text;
}

}  // namespace riskreg::layout
