/// Compares the live tables with the replica while both move (protocol.md 5).
#pragma once

#include <functional>
#include <string>

#include "core/state.hpp"

namespace riskreg::registry {

/// Reads a live record with sequence s; when the replica has s, too, both must be equal. What is ahead of the replica is
/// left for the next cycle. One thread; wait-free for writers.
class Verifier {
public:
    Verifier(const core::State& live, const core::State& replica) : live_(live), replica_(replica) {}

    /// Compares the next `records` records; `differs` gets for each difference where it is, down to the field. Returns how many
    /// were equal.
    std::uint64_t step(std::uint64_t records, const std::function<void(const std::string&)>& differs);
    [[nodiscard]] std::uint64_t cycles() const noexcept { return cycles_; }
    /// Records of one cycle now.
    [[nodiscard]] std::uint64_t size() const noexcept;

private:
    enum class Outcome : std::uint8_t { equal, later, different };
    struct Compared {
        Outcome outcome = Outcome::equal;
        std::string where;  // different: the record and its first field that differs
    };
    /// What one cycle goes through.
    struct Part {
        const char* name;
        std::uint64_t (*count)(const core::State&);
        Compared (Verifier::*compare)(std::uint32_t index) const;
    };
    static const Part kParts[];

    template <class T>
    [[nodiscard]] Compared compare(const layout::Versioned<T>& live, const layout::Versioned<T>& replica) const;
    template <class T>
    [[nodiscard]] Compared compare_words(const T& live, const T& replica, std::uint64_t seq) const;
    /// Visits pairs of records and keeps the worst of what it finds.
    [[nodiscard]] auto into(Compared& worst) const;
    [[nodiscard]] Compared compare_row(std::uint32_t row) const;
    [[nodiscard]] Compared compare_order(std::uint32_t slot) const;
    [[nodiscard]] Compared compare_execution(std::uint32_t slot) const;
    template <auto Table>
    [[nodiscard]] Compared compare_slot(std::uint32_t index) const;
    [[nodiscard]] Outcome compare_at(std::uint64_t index, std::string& what) const;

    const core::State& live_;
    const core::State& replica_;
    std::uint64_t next_ = 0;
    std::uint64_t cycles_ = 0;
};

}  // namespace riskreg::registry
