#include "make_peers.hpp"

namespace riskreg::bench::peers {

Peers available_peers() {
    Peers peers;
    const auto add = [&](const PeerType& type) { peers.types.push_back(type); };
    const auto lacks = [&](const char* name, const char* why) { peers.absent.push_back(std::string(name) + ": " + why); };
    add({"peer_riskreg", true, Writers::processes, make_riskreg});
#ifdef RISKREG_PEER_LMDB
    add({"peer_lmdb", true, Writers::processes, make_lmdb});
#else
    lacks("peer_lmdb", "built without liblmdb");
#endif
#ifdef RISKREG_PEER_SQLITE
    add({"peer_sqlite", true, Writers::processes, make_sqlite});
#else
    lacks("peer_sqlite", "built without libsqlite3");
#endif
#ifdef RISKREG_PEER_REDIS
    if (redis_server().empty()) lacks("peer_redis", "no redis-server in the path");
    else add({"peer_redis", true, Writers::processes, make_redis});
#else
    lacks("peer_redis", "built without libhiredis");
#endif
#ifdef RISKREG_PEER_ROCKSDB
    add({"peer_rocksdb", true, Writers::threads, make_rocksdb});
#else
    lacks("peer_rocksdb", "built without librocksdb");
#endif
    add({"peer_boost_map", false, Writers::processes, make_boost_map});
    add({"peer_json_file", true, Writers::processes, make_json_file});
    return peers;
}

}  // namespace riskreg::bench::peers
