// Four eyes: a second person without access to the registry approves at the host's socket; who it is, the kernel says.
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <vector>

#include "base/descriptor.hpp"
#include "riskreg/registry.hpp"
#include "support/child.hpp"
#include "support/cli.hpp"
#include "support/temp_registry.hpp"

namespace {

using namespace riskreg;
using namespace riskreg::testing;
using riskreg::test::Child;

constexpr std::uint32_t kSecond = 65534, kThird = 65533, kStranger = 65532;

std::string config(const std::string& more) {
    return R"({"capacity":{"orders":1024,"executions":1024,"ring_events":1024,"sessions":8},"persistence":{"mode":"async"},)"
           R"("require_limits":false,"allow_limit_without_reference":true,"four_eyes":true,)" +
           more +
           R"("instruments":[{"id":"ESH4","tick":"0.25"}],"accounts":[{"id":"A1"}],"strategies":[{"id":"s1","account":"A1"}],"limits":[]})";
}

bool may_be_others() {
    if (::geteuid() == 0 && std::system("setpriv --reuid 65534 --regid 65534 --clear-groups true 2>/dev/null") == 0)
        return true;
    std::puts("SKIPPED: only root can be other users");
    return false;
}

/// A registry with a host, and a request that waits.
class Desk {
public:
    explicit Desk(const std::string& more = R"("approvers":[65534,65533],)") : name_("fe" + std::to_string(::getpid())) {
        cli_.create(name_, config(more));
        ProcessConfig process;
        process.state_dir = cli_.directory() + "/state";
        process.host_snapshotter = true;
        registry_.emplace(Registry::open(name_, process));
        riskreg::test::wait_until([&] { return registry_->status().host_state == "running"; });
        // The program where every user may read it.
        std::filesystem::copy_file(RISKREG_BIN_DIR "/riskctl", cli_.directory() + "/riskctl");
        std::filesystem::permissions(cli_.directory(), std::filesystem::perms(0711));
        request_ = ask();
    }
    [[nodiscard]] std::uint64_t ask() {
        REQUIRE(registry_->halt(scope(), TradingState::halted, "test").result == Result::ok);
        const Verdict verdict = registry_->resume(scope(), TradingState::active, "checked");
        REQUIRE(verdict.request != 0);
        return verdict.request;
    }
    /// `riskctl approve` as that user, with --owner.
    [[nodiscard]] CliResult approve(std::uint32_t uid, std::uint64_t request, const std::string& owner = "0") const {
        const std::string user = std::to_string(uid);
        const std::string out = cli_.directory() + "/said";
        const std::string command = "setpriv --reuid " + user + " --regid " + user + " --clear-groups '" + cli_.directory() +
                                    "/riskctl' approve " + name_ + " " + std::to_string(request) + " --json --owner " + owner +
                                    " >'" + out + "' 2>'" + out + ".err'";
        // The socket is there a moment after the host.
        CliResult result;
        riskreg::test::wait_until([&] {
            const int status = std::system(command.c_str());
            result.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
            REQUIRE(base::read_text(out, result.out));
            REQUIRE(base::read_text(out + ".err", result.err));
            return result.err.find("nobody answers") == std::string::npos;
        });
        return result;
    }
    [[nodiscard]] TradingState state() const { return registry_->reader().exposure(scope()).state; }
    [[nodiscard]] Scope scope() const { return registry_->reader().scope("strategy:s1"); }
    [[nodiscard]] std::uint64_t request() const { return request_; }
    [[nodiscard]] Registry& registry() { return *registry_; }
    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] const Cli& cli() const { return cli_; }

private:
    Cli cli_;
    std::string name_;
    std::optional<Registry> registry_;
    std::uint64_t request_ = 0;
};

/// A connection to the socket as we are.
int connect_to(const std::string& registry) {
    const std::string name = "riskreg." + std::to_string(::geteuid()) + "." + registry;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, name.data(), name.size());
    const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    riskreg::test::wait_until(
        [&] { return ::connect(socket, reinterpret_cast<sockaddr*>(&address), size) == 0 || errno == EAGAIN; });
    return socket;
}

std::string said_to(int socket, const std::string& text) {
    static_cast<void>(::send(socket, text.data(), text.size(), MSG_NOSIGNAL));
    char answer[256];
    const ssize_t size = ::recv(socket, answer, sizeof answer, 0);
    return size <= 0 ? std::string() : std::string(answer, static_cast<std::size_t>(size));
}

}  // namespace

TEST_CASE("a second person without access approves, and it is said that the kernel knew who", "[four-eyes]") {
    if (!may_be_others()) return;
    Desk desk;
    const std::int64_t asked_ns = desk.registry().status().last_steady_ns;
    const CliResult done = desk.approve(kSecond, desk.request());
    INFO(done.out << done.err);
    CHECK(done.code == 0);
    CHECK(desk.registry().status().last_steady_ns > asked_ns);   // it has its own boot time, as every event
    CHECK(text_of(done.lines().at(0), "verified") == "true");
    CHECK(desk.state() == TradingState::active);
    CHECK(text_of(desk.cli().run("approvals --json " + desk.name()).lines().at(0), "verified") == "true");
    const std::string events = desk.cli().run("events --type state_changed " + desk.name()).out;
    CHECK_THAT(events, Catch::Contains(R"("uid":65534,"asked_by":0,"verified":true)"));
    CHECK(desk.approve(kSecond, desk.request()).code == 1);   // it is open no more
}

TEST_CASE("who asked, who is no approver, and who names another request approves nothing", "[four-eyes]") {
    if (!may_be_others()) return;
    Desk desk;
    for (const auto& [uid, request, reason] :
         {std::tuple{0U, desk.request(), "not_allowed"}, std::tuple{kStranger, desk.request(), "not_allowed"},
          std::tuple{kThird, desk.request() + 1, "invalid_field"}}) {
        INFO(uid << ' ' << request);
        const CliResult refused = desk.approve(uid, request);
        CHECK(refused.code == 1);
        CHECK(text_of(refused.lines().at(0), "reason") == reason);
        CHECK(desk.state() == TradingState::halted);
    }
    CHECK(desk.approve(kThird, desk.request()).code == 0);
}

TEST_CASE("without approvers any other user may approve", "[four-eyes]") {
    if (!may_be_others()) return;
    Desk desk("");
    CHECK(desk.approve(kStranger, desk.request()).code == 0);
}

TEST_CASE("who has taken the name of somebody's socket is not believed", "[four-eyes]") {
    if (!may_be_others()) return;
    const Desk desk;
    // The registry is root's; nobody of user 65533 answers, whatever the name says.
    const std::string name = "riskreg.65533." + desk.name();
    const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, name.data(), name.size());
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(listener, 4) == 0);
    const CliResult refused = desk.approve(kSecond, desk.request(), "65533");
    CHECK(refused.code == 3);
    CHECK_THAT(refused.err, Catch::Contains("is user 0 and not 65533: nothing was asked"));
    ::close(listener);
}

TEST_CASE("nothing but an approval is answered, and who says nothing or too much holds up nobody", "[four-eyes]") {
    Desk desk("");
    for (const char* line : {"status\n", "approve\n", "approve x\n", "approve -1\n", "approve 0\n", "approve 1 2\n", "\n",
                             "approve 18446744073709551616\n"}) {
        const int socket = connect_to(desk.name());
        CHECK(said_to(socket, line) == "denied invalid_field\n");
        ::close(socket);
    }
    std::vector<int> silent;
    for (int i = 0; i < 15; ++i) silent.push_back(connect_to(desk.name()));
    const int asking = connect_to(desk.name());
    CHECK(said_to(asking, "approve 999999\n") == "denied invalid_field\n");
    ::close(asking);
    const int talking = connect_to(desk.name());
    CHECK(said_to(talking, std::string(4096, 'x')).empty());
    ::close(talking);
    // After their second they are gone, and their places are free.
    for (const int socket : silent) {
        char nothing;
        CHECK(::recv(socket, &nothing, 1, 0) <= 0);
        ::close(socket);
    }
    CHECK(desk.state() == TradingState::halted);
}

TEST_CASE("an approval by an attached process says that nobody has verified who it was", "[four-eyes]") {
    if (!may_be_others()) return;
    Desk desk;
    const std::string command = "setpriv --ruid 65534 '" RISKREG_BIN_DIR "/riskctl' approve " + desk.name() + " " +
                                std::to_string(desk.request()) + " --state-dir '" + desk.cli().directory() +
                                "/state' >/dev/null";
    REQUIRE(std::system(command.c_str()) == 0);
    CHECK(text_of(desk.cli().run("approvals --json " + desk.name()).lines().at(0), "verified") == "false");
    CHECK_THAT(desk.cli().run("events --type state_changed " + desk.name()).out,
               Catch::Contains(R"("asked_by":0,"verified":false)"));
}
