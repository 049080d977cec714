/// A small registry of its own for one test: live in shared memory, gone when the test ends.
#pragma once

#include <string>

#include "core/state.hpp"
#include "riskreg/registry.hpp"
#include "segment/mapping.hpp"

namespace riskreg::test {

/// Instruments ES and NQ, account A1, strategies s1 … s4 (on_death leave) and `halts` (on_death halt_strategy);
/// tables so small that an audit takes microseconds; limits on every kind of scope, too wide to be met by accident.
[[nodiscard]] SharedConfig tiny_config();
/// The same with books, content, messages and breakers kept, so that a call writes them, too. Nothing is refused for them.
[[nodiscard]] SharedConfig controlled_config();

/// A fresh directory under $TMPDIR or /tmp, removed with everything in it.
class TempDir {
public:
    TempDir();
    ~TempDir();
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    std::string path_;
};

/// A registry created in a directory of its own, and destroyed by force. In forked children the destructor must not
/// run: they end by a signal or by _exit.
class TempRegistry {
public:
    explicit TempRegistry(const SharedConfig& config = tiny_config());
    ~TempRegistry();
    TempRegistry(const TempRegistry&) = delete;
    TempRegistry& operator=(const TempRegistry&) = delete;

    [[nodiscard]] const std::string& state_dir() const noexcept { return directory_.path(); }
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    /// Deadlines that only a hang can miss, also under a sanitizer on a busy host.
    [[nodiscard]] ProcessConfig process(const std::string& strategy = {}) const;
    [[nodiscard]] Registry attach(const std::string& strategy = {}) const { return Registry::open(name_, process(strategy)); }
    [[nodiscard]] Reader look() const { return Reader::open(name_, directory_.path()); }

private:
    TempDir directory_;
    std::string name_ = "desk";
};

/// The live bytes of a registry, for tests that look beneath the public interface or that do damage.
class LiveSegment {
public:
    LiveSegment(const TempRegistry& place, segment::Access access);
    [[nodiscard]] core::State& state() noexcept { return state_; }
    [[nodiscard]] const core::State& state() const noexcept { return state_; }
    [[nodiscard]] std::size_t size_bytes() const noexcept { return mapping_.size_bytes(); }

private:
    segment::Mapping mapping_;
    core::State state_;
};

/// Digest of the tables as a recovery leaves them, and of the sessions, without what a clock wrote: two registries
/// with the same history have the same one.
[[nodiscard]] std::uint64_t timeless_digest(const core::State& live);

}  // namespace riskreg::test
