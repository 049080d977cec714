#include "persist/retention.hpp"

#include <algorithm>
#include <functional>

#include "base/crash_point.hpp"
#include "base/stop.hpp"
#include "persist/journal_format.hpp"

namespace riskreg::persist {

namespace {

struct Numbers {
    std::vector<std::uint64_t> checkpoints, journals;   // newest first; oldest first
};

Numbers numbers_of(const std::vector<std::string>& names, std::uint64_t newest) {
    Numbers out;
    for (const std::string& name : names) {
        const std::uint64_t seq = checkpoint_seq_of(name);
        if (seq != 0 && seq <= newest) out.checkpoints.push_back(seq);
        if (const std::uint64_t first = first_seq_of(name); first != 0) out.journals.push_back(first);
    }
    std::sort(out.checkpoints.begin(), out.checkpoints.end(), std::greater<>());
    std::sort(out.journals.begin(), out.journals.end());
    return out;
}

}  // namespace

/// Whole, of this registry, and readable with today's key; looked at once.
bool Retention::is_valid(std::uint64_t seq) {
    if (valid_.contains(seq)) return true;
    File file;
    CheckpointHead head;
    const bool whole = !directory_.open_file(checkpoint_name(seq), file) && verify_checkpoint(file, key_, head).empty() &&
                       head.seq == seq && head.epoch == rules_.epoch;
    if (whole) valid_.insert(seq);
    return whole;
}

void Retention::trim() {
    std::vector<std::string> names;
    if (directory_.list(names)) return;
    const auto [checkpoints, journals] = numbers_of(names, newest_);
    std::size_t kept = 0;
    std::uint64_t covered = 0;
    for (const std::uint64_t seq : checkpoints) {
        base::stop_point(0);
        if (kept == rules_.keep_checkpoints) static_cast<void>(directory_.remove(checkpoint_name(seq)));
        else if (is_valid(seq)) ++kept, covered = seq;
    }
    CRASH_POINT("checkpoints trimmed");
    if (kept < rules_.keep_checkpoints || directory_.sync() || rules_.keep_journal) return;
    for (std::size_t i = 0; i + 1 < journals.size() && journals[i + 1] <= covered + 1; ++i) {
        base::stop_point(0);
        static_cast<void>(directory_.remove(journal_name(journals[i])));
    }
    CRASH_POINT("journals trimmed");
    static_cast<void>(directory_.sync());
}

}  // namespace riskreg::persist
