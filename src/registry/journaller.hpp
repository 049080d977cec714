/// Ring → journal → disk → `durable` → wake. One thread, which waits for nothing else (protocol.md 5).
#pragma once

#include <string>
#include <vector>

#include "persist/journal_writer.hpp"
#include "persist/recovery.hpp"
#include "registry/host_health.hpp"
#include "registry/ring_reader.hpp"
#include "registry/space.hpp"
#include "registry/surroundings.hpp"

namespace riskreg::registry {

class Journaller {
public:
    explicit Journaller(Host& host);

    /// Until host.stop; then what is committed is written and synced, and a gap closed unless another host will, within a bounded
    /// time. True when everything that it wrote is synced, so that a successor may go on in the same file, whose lock is given up.
    [[nodiscard]] bool run();
    /// Files are begun while somebody waits, for want of a thread that prepares them.
    [[nodiscard]] bool lacks_thread() noexcept;

private:
    /// The last block with events that is on disk: what the next file follows.
    struct ChainEnd {
        std::uint64_t number = 0, last_seq = 0, hash = 0, base_seq = 0;
    };

    void start();
    [[nodiscard]] bool find_tail(std::uint64_t durable, persist::Tail& tail);
    void round();
    void drain();
    [[nodiscard]] bool ready();
    [[nodiscard]] bool open_directory();
    [[nodiscard]] bool begin_file();
    [[nodiscard]] bool take_space(SpacePreparer::Space& space);
    void want_space() noexcept;
    void write_batch(std::uint64_t committed);
    [[nodiscard]] bool append_block();
    [[nodiscard]] bool sync();
    void publish(std::uint64_t synced) noexcept;
    void idle();
    void rest() noexcept;
    void seal_when_quiet();
    void begin_gap(layout::Fault fault, const std::string& why);
    [[nodiscard]] bool has_to_close_gap() const noexcept;
    [[nodiscard]] bool handle_gap();
    [[nodiscard]] bool begin_behind_gap();
    [[nodiscard]] bool mark_gap();
    void end_gap();
    void failed(layout::Fault fault, persist::IoError error, bool abandon_file, const std::string& why = {});
    void healed();
    void housekeep();
    void wait_in_peace(std::int64_t ns);

    Host& host_;
    core::State& state_;
    HostHealth health_;
    Surroundings surroundings_;
    persist::Directory directory_;
    bool directory_open_ = false;
    persist::JournalWriter writer_;
    ChainEnd chain_;
    std::uint64_t newest_number_ = 0;
    std::uint64_t unsynced_ = 0;  // events written behind the last sync
    bool unsealed_ = false;
    std::int64_t quiet_since_ns_ = 0;
    std::int64_t housekept_ns_ = 0;
    std::int64_t watched_ns_ = 0;
    std::int64_t asked_ns_ = 0;  // a waiter was seen
    bool draining_ = false;
    bool started_ = false;  // it is known what the files hold
    bool unprepared_ = false;  // no thread for the next file's space
    std::uint32_t seen_tick_ = 0;
    std::vector<layout::Event> batch_;
    Backoff backoff_;
    SpacePreparer preparer_;
};

}  // namespace riskreg::registry
