// What of lifecycle.hpp is the same on every system: which names are legal, and what stands in LOCK.
#include "segment/lifecycle.hpp"

#include <algorithm>
#include <string_view>

#include "base/descriptor.hpp"
#include "riskreg/error.hpp"
#include "segment/lock_file.hpp"
#include "segment/process.hpp"

namespace riskreg::segment {

void require_valid_name(const std::string& name) {
    const auto legal = [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
    };
    const bool valid =
        !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), legal) && name != "." && name != "..";
    if (!valid)
        throw Error(Errc::bad_input,
                    "name: '" + name + "' is not the name of a registry: allowed are 1 to 64 of A-Z a-z 0-9 . _ -");
}

namespace {

std::string lower(std::string text) {
    for (char& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return text;
}

/// CON, PRN, AUX, NUL, COM1 … LPT9 are devices of other systems, in any case.
bool is_device(const std::string& name) {
    const std::string small = lower(name);
    if (small == "con" || small == "prn" || small == "aux" || small == "nul") return true;
    const bool numbered = small.size() == 4 && small[3] >= '1' && small[3] <= '9';
    return numbered && (small.starts_with("com") || small.starts_with("lpt"));
}

}  // namespace

void require_new_name(const std::string& state_dir, const std::string& name) {
    require_valid_name(name);
    const auto plain = [](char c) { return c != '.' && c != '_' && c != '-'; };
    const std::string begin = "name: '" + name + "' cannot be that of a new registry: ";
    if (!plain(name.front()) || !plain(name.back()))
        throw Error(Errc::bad_input, begin + "it must begin and end with a letter or a digit");
    if (is_device(name))
        throw Error(Errc::bad_input, begin + "con, prn, aux, nul, com1 to com9 and lpt1 to lpt9 are devices on other systems");
    std::vector<std::string> there;
    static_cast<void>(base::list_directory(state_dir, there));
    for (const std::string& other : there)
        if (other != name && lower(other) == lower(name))
            throw Error(Errc::bad_input, begin + state_dir + " has '" + other + "', which differs in case only");
}

namespace {

void write_content(const base::Descriptor& lock, const std::string& path, LockContent content) {
    content.magic = kLockMagic;
    content.check = content.sum();
    write_lock(lock, path, &content, sizeof content);
}

std::array<std::uint64_t, 2> draw_token() {
    return {random_bits() | 1, random_bits()};  // 0 says that there is none
}

}  // namespace

void LifecycleLock::ensure_token() {
    const LockRecord now = record();
    const std::uint64_t size = facts_of_lock(descriptor_, directory_ + "/LOCK").size;
    if (size > 0 && size < sizeof(LockContent::token))
        throw Error(Errc::foreign, directory_ +
                                       "/LOCK is too short for one of a registry, and is left as it is: if it is nobody's, "
                                       "remove it");
    LockContent content{identity().token, 0, static_cast<std::uint64_t>(now.stage), now.place, now.epoch, 0};
    if (content.token[0] != 0 && now.marked) return;
    if (content.token[0] == 0) content.token = draw_token();
    write_content(descriptor_, directory_ + "/LOCK", content);
}

void LifecycleLock::replace_token(std::uint64_t first, std::uint64_t second) {
    write_content(descriptor_, directory_ + "/LOCK", {{first, second}, 0, 0, {}, 0, 0});
}

void LifecycleLock::replace_token() {
    const std::array<std::uint64_t, 2> token = draw_token();
    replace_token(token[0], token[1]);
}

void LifecycleLock::write_record(Stage stage, const MemoryPlace& place, std::uint64_t epoch) {
    const LockRecord now = record();
    // An adoption finds it as it was nearly always, and would wait for the disk for nothing.
    if (now.marked && now.stage == stage && now.place == place && now.epoch == epoch) return;
    write_content(descriptor_, directory_ + "/LOCK", {identity().token, 0, static_cast<std::uint64_t>(stage), place, epoch, 0});
}

LockRecord LifecycleLock::record() const {
    LockContent content{};
    const std::int64_t got = read_lock(descriptor_, &content, sizeof content);
    if (got != static_cast<std::int64_t>(sizeof content) || content.magic != kLockMagic || content.check != content.sum())
        return {};
    return {true, static_cast<Stage>(content.stage), content.place, content.epoch};
}

LockIdentity LifecycleLock::identity() const {
    const LockFacts facts = facts_of_lock(descriptor_, directory_ + "/LOCK");
    LockIdentity id{facts.device, facts.inode, {}};
    const std::int64_t size = read_lock(descriptor_, id.token.data(), sizeof id.token);
    // An error is no answer: taken for "no token", it would make a living segment look like a stranger's.
    if (size < 0) fail_by_errno("cannot read " + directory_ + "/LOCK");
    // A short read is a LOCK whose first creator was killed: no token yet, and so no segment of it either.
    if (size != static_cast<std::int64_t>(sizeof id.token)) id.token = {};
    return id;
}

bool is_own_file(const std::string& name) noexcept {
    const auto is = [&](std::string_view prefix, std::string_view suffix) {
        return name.size() > prefix.size() + suffix.size() && name.starts_with(prefix) && name.ends_with(suffix);
    };
    return name == "LOCK" || name == "riskreg.log" || is("riskreg.", ".log") || is("journal-", ".log") ||
           is("checkpoint-", ".json") || is(".tmp-", "") || is(".lost-", "") ||
           (is(".v", ".json") && name.find("-checkpoint-") != std::string::npos);  // kept by a migration
}

}  // namespace riskreg::segment
