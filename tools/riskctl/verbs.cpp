// The list of verbs, in the order of `riskctl --help`.
#include "riskctl/verbs.hpp"

namespace riskctl {

// Each is defined beside its code.
Verb create_verb(), destroy_verb(), halt_verb(), resume_verb(), clock_verb(), approve_verb(), limit_verb(), restrict_verb();
Verb exec_verb(), replay_verb(), roll_verb(), load_verb(), reconcile_verb();
Verb status_verb(), orders_verb(), order_verb(), sessions_verb(), restricted_verb(), approvals_verb(), events_verb();
Verb exposure_verb(), limits_verb(), verify_verb(), doctor_verb();
Verb checkpoint_verb(), checkpoint_info_verb(), journal_info_verb(), migrate_verb(), recover_verb();

std::span<const Verb> verbs() {
    static const Verb list[] = {
        create_verb(),       exec_verb(),     replay_verb(),   status_verb(),     orders_verb(),     order_verb(),
        exposure_verb(),     limits_verb(),   sessions_verb(), restricted_verb(), approvals_verb(),  events_verb(),
        verify_verb(),       doctor_verb(),   halt_verb(),     resume_verb(),     clock_verb(),      approve_verb(),
        limit_verb(),        restrict_verb(), destroy_verb(),  roll_verb(),       checkpoint_verb(), checkpoint_info_verb(),
        journal_info_verb(), migrate_verb(),  recover_verb(),  load_verb(),       reconcile_verb(),
    };
    return list;
}

}  // namespace riskctl
