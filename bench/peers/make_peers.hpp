/// The makers of all peers; each is defined in the file of its peer, which is built where its library is found.
#pragma once

#include "peer.hpp"

namespace riskreg::bench::peers {

std::unique_ptr<Peer> make_riskreg(const Setup& setup);
std::unique_ptr<Peer> make_lmdb(const Setup& setup);
std::unique_ptr<Peer> make_sqlite(const Setup& setup);
std::unique_ptr<Peer> make_redis(const Setup& setup);
std::unique_ptr<Peer> make_rocksdb(const Setup& setup);
std::unique_ptr<Peer> make_boost_map(const Setup& setup);
std::unique_ptr<Peer> make_json_file(const Setup& setup);

/// Where redis-server lies; empty: not in $PATH.
[[nodiscard]] std::string redis_server();

}  // namespace riskreg::bench::peers
