#include "riskctl/limit_change.hpp"

#include <cstdint>
#include <cstdio>

namespace riskctl {

using namespace riskreg;

namespace {

std::string value_text(const persist::LimitField& field, const LimitValue& value) {
    if (value.kind == LimitValue::Kind::unset) return "unset";
    if (value.kind == LimitValue::Kind::unlimited) return "unlimited";
    return persist::format_amount(field.unit, value.value);
}

std::string amount_of(const FieldChange& change, std::int64_t value) {
    return persist::format_amount(change.field.unit, value);
}

bool is_loss(const persist::LimitField& field) noexcept { return field.is(core::kIsLoss); }

}  // namespace

bool FieldChange::is_exceeded() const noexcept {
    if (!used) return false;
    return core::is_broken(field, *used, after.value);
}

std::int64_t FieldChange::headroom() const noexcept {
    std::int64_t left = 0;
    return __builtin_sub_overflow(after.value, *used, &left) ? INT64_MIN : left;
}

std::string FieldChange::consequence() const {
    const std::string limit = amount_of(*this, after.value);
    const std::string begin = std::string(field.name) + "=" + limit + (is_loss(field) ? " is reached by" : " is below") +
                              " its use of " + amount_of(*this, *used) + ", headroom " + amount_of(*this, headroom()) + ": ";
    if (is_loss(field))
        return begin + "the scope goes to what on_loss says, until the limit is raised and the scope is resumed";
    if (field.unit == Unit::messages) return begin + "new orders are refused until enough messages have left the window";
    return begin + "orders that increase are refused until the use is " + limit + " or less";
}

std::vector<FieldChange> changes_of(const LimitsChange& change, LimitMask fields) {
    std::vector<FieldChange> changes;
    for (std::size_t i = 0; i < persist::kLimitFields.size(); ++i) {
        const persist::LimitField& field = persist::kLimitFields[i];
        if ((fields >> i & 1U) == 0) continue;
        FieldChange one{field, change.before.*field.member, change.after.*field.member, std::nullopt};
        for (const LimitUse& use : change.uses)
            if (use.limit == field.member) one.used = use.used;
        changes.push_back(one);
    }
    return changes;
}

std::string text_of_changes(const std::vector<FieldChange>& changes) {
    std::string text;
    for (const FieldChange& change : changes) {
        text += "\n  " + std::string(change.field.name) + " " + value_text(change.field, change.before) + " -> " +
                value_text(change.field, change.after);
        if (change.used)
            text += ", used " + amount_of(change, *change.used) + ", headroom " + amount_of(change, change.headroom()) + " (" +
                    std::string(name_of(change.field.unit)) + ")";
    }
    return text;
}

void write_changes(JsonWriter& out, const std::vector<FieldChange>& changes) {
    out.key("changes").begin_array();
    for (const FieldChange& change : changes) {
        out.begin_object().member("limit", change.field.name).member("unit", name_of(change.field.unit));
        out.member("before", value_text(change.field, change.before)).member("after", value_text(change.field, change.after));
        if (change.used) persist::write_amount(out, "used", change.field.unit, *change.used);
        if (change.used) persist::write_amount(out, "headroom", change.field.unit, change.headroom());
        out.member_bool("below_use", change.is_exceeded()).end_object();
    }
    out.end_array();
}

void warn_of_exceeded(const std::string& scope, const std::vector<FieldChange>& changes) {
    for (const FieldChange& change : changes)
        if (change.is_exceeded())
            std::fprintf(stderr, "riskctl: warning: %s: %s\n", scope.c_str(), change.consequence().c_str());
}

}  // namespace riskctl
