/// What the benchmark asks of every system that it compares.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "job.hpp"

namespace riskreg::bench::peers {

/// The connection of one process (of one thread, where a store cannot be shared by processes). An answer means: done, and
/// in synced mode on disk. Throws std::exception when the store itself fails; the run is void then.
class Session {
public:
    Session() = default;
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    virtual ~Session() = default;
    [[nodiscard]] virtual Answer register_order(const Order& order) = 0;
    /// `unknown`: there is no such order, or it is canceled already.
    [[nodiscard]] virtual Answer cancel(std::uint16_t account, std::string_view id) = 0;
};

struct Setup {
    std::string dir;   ///< empty, of this peer alone: in /dev/shm for memory mode, on the disk for synced mode
    bool synced = false;
    SharedConfig config;   ///< limits; riskreg takes the rest, too
};

/// One store. Between calls a peer whose sessions may be processes holds nothing open that a forked child must not inherit.
class Peer {
public:
    Peer() = default;
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;
    virtual ~Peer() = default;   ///< ends every process of the store; its files go with the directory
    /// Once, before the first session: orders that are live, and all rows with them and with the limits.
    virtual void load(const std::vector<Order>& orders, const std::vector<Row>& rows) = 0;
    [[nodiscard]] virtual std::unique_ptr<Session> open(std::uint16_t strategy) = 0;
    /// Everything that is stored, canceled orders included; for the check at the end.
    virtual void visit_orders(const std::function<void(const Order&)>& visit) = 0;
    virtual void visit_rows(const std::function<void(std::uint32_t, const Row&)>& visit) = 0;
    /// What the store's own audit found; empty: nothing, or there is none.
    [[nodiscard]] virtual std::string own_audit() { return {}; }
};

enum class Writers { processes, threads };

struct PeerType {
    const char* name;
    bool has_synced;
    Writers writers;
    std::function<std::unique_ptr<Peer>(const Setup&)> make;
};

/// Those of this build, riskreg first, and what is missing with the reason.
struct Peers {
    std::vector<PeerType> types;
    std::vector<std::string> absent;
};
[[nodiscard]] Peers available_peers();

}  // namespace riskreg::bench::peers
