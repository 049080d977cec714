/// What a host says of its journal and of itself, in the host words and in the alarm log. Internal to the registry layer.
#pragma once

#include <string>

#include "registry/host.hpp"

namespace riskreg::registry {

/// By the thread that journals.
class HostHealth {
public:
    explicit HostHealth(Host& host) noexcept : host_(host), words_(*host.state.host) {}

    /// An attempt failed. `why`: instead of the error's own text. Alarms when it is another fault than before; a repeated one needs no
    /// memory.
    void failed(layout::Fault fault, persist::IoError error, const std::string& why, bool new_file);
    /// Everything written is on disk. A gap, or something that lacks, goes on being shown.
    void healed();

    void gap_begins(layout::Fault fault, const std::string& why);
    void gap_reaches(std::uint64_t seq) noexcept;
    void gap_ends();

    /// A thread or memory lacks beside the journal, or (`none`) does not any more. A fault of the disk stands before it, and is
    /// followed by it. Needs no memory itself.
    void lacks(layout::Fault lack) noexcept;

private:
    void lack_begins(layout::Fault lack) noexcept;
    void show(layout::Fault fault, persist::IoError error) noexcept;
    void begin_now() noexcept;
    void degrade() noexcept;

    Host& host_;
    layout::HostWords& words_;
};

}  // namespace riskreg::registry
