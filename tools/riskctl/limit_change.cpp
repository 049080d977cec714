#include "riskctl/limit_change.hpp"

#include <cstdio>

namespace riskctl {

using namespace riskreg;

namespace {

std::string amount_of(const FieldChange& change, std::int64_t value) {
    return persist::format_amount(change.field.unit, value);
}

/// "max_long=1 is below its use of 30, headroom -29: orders that increase are refused until …"
std::string consequence_of(const FieldChange& change) {
    const std::string limit = amount_of(change, change.after.value);
    const std::string begin = std::string(change.field.name) + "=" + limit +
                              (change.is_loss() ? " is reached by" : " is below") + " its use of " +
                              amount_of(change, *change.used) + ", headroom " + amount_of(change, change.headroom()) + ": ";
    if (change.is_loss())
        return begin + "the scope goes to what on_loss says, until the limit is raised and the scope is resumed";
    if (change.field.unit == Unit::messages) return begin + "new orders are refused until enough messages have left the window";
    return begin + "orders that increase are refused until the use is " + limit + " or less";
}

}  // namespace

std::string text_of_changes(const std::vector<FieldChange>& changes) {
    std::string text;
    for (const FieldChange& change : changes) {
        text += "\n  " + std::string(change.field.name) + " " + registry::text_of(change.field, change.before) + " -> " +
                registry::text_of(change.field, change.after);
        if (change.used)
            text += ", used " + amount_of(change, *change.used) + ", headroom " + amount_of(change, change.headroom()) + " (" +
                    std::string(name_of(change.field.unit)) + ")";
    }
    return text;
}

void warn_of_exceeded(const std::string& scope, const std::vector<FieldChange>& changes) {
    for (const FieldChange& change : changes)
        if (change.is_exceeded())
            std::fprintf(stderr, "riskctl: warning: %s: %s\n", scope.c_str(), consequence_of(change).c_str());
}

}  // namespace riskctl
