// There is no such socket on Windows: four eyes work among those who may attach, by `riskctl approve`.
#include "registry/approval_socket.hpp"
#include "riskreg/error.hpp"

namespace riskreg::registry {

namespace {
[[noreturn]] void refuse(const char* what) {
    throw Error(Errc::not_supported, std::string(what) +
                                         ": the approval socket does not exist on Windows; approve as a user who may "
                                         "attach to the registry, without --owner");
}
}  // namespace

void serve_approvals(const std::string&, const std::atomic<bool>&,
                     const std::function<std::string(std::uint32_t, std::string_view)>&,
                     const std::function<void(const std::string&)>&) {}

std::string ask_for_approval(const std::string&, std::uint32_t, const std::string&) { refuse("approve"); }

std::uint32_t user_named(const std::string&) { refuse("--owner"); }

}  // namespace riskreg::registry
