#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <optional>

#include "base/descriptor.hpp"
#include "registry/approval_socket.hpp"
#include "riskreg/error.hpp"
#include "segment/process.hpp"

namespace riskreg::registry {

namespace {

constexpr std::size_t kConnections = 16;
constexpr std::size_t kLineBytes = 64;
constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr int kLookMs = 20;   // how soon a wish to end is noticed
constexpr std::int64_t kAnswerNs = 5 * kSecondNs;

struct Address {
    sockaddr_un bytes{};
    socklen_t size = 0;
    [[nodiscard]] const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&bytes); }
};

/// A name without a file: it begins with a zero byte, and goes when its socket does.
std::optional<Address> address_of(const std::string& name) noexcept {
    Address address;
    if (name.size() + 1 > sizeof address.bytes.sun_path) return std::nullopt;
    address.bytes.sun_family = AF_UNIX;
    std::memcpy(address.bytes.sun_path + 1, name.data(), name.size());
    address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    return address;
}

/// Who is on the other side: of who connected, as it was then; of who listens, as it was when it began to.
std::optional<std::uint32_t> peer_of(const base::Descriptor& connection) noexcept {
    ucred who{};
    socklen_t size = sizeof who;
    if (::getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) return std::nullopt;
    return who.uid;
}

base::Descriptor listen_at(const std::string& name) noexcept {
    const std::optional<Address> address = address_of(name);
    if (!address) return errno = ENAMETOOLONG, base::Descriptor();
    base::Descriptor listener = base::open_socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (!listener.is_open()) return listener;
    if (::bind(listener.get(), address->get(), address->size) != 0 || ::listen(listener.get(), kConnections) != 0)
        listener.close();
    return listener;
}

struct Connection {
    base::Descriptor socket;
    std::int64_t deadline_ns = 0;
    std::string line;
};

class Server {
public:
    using Answer = std::function<std::string(std::uint32_t, std::string_view)>;
    Server(base::Descriptor listener, const Answer& answer) : listener_(std::move(listener)), answer_(answer) {}

    void look() {
        std::vector<pollfd> waiting{{listener_.get(), POLLIN, 0}};
        for (const Connection& connection : connections_) waiting.push_back({connection.socket.get(), POLLIN, 0});
        if (::poll(waiting.data(), waiting.size(), kLookMs) < 0) return;
        const std::int64_t now = segment::monotonic_ns();
        for (std::size_t i = connections_.size(); i-- > 0;)
            if ((waiting[i + 1].revents != 0 && !goes_on(connections_[i])) || now > connections_[i].deadline_ns)
                connections_.erase(connections_.begin() + static_cast<std::ptrdiff_t>(i));
        if (waiting[0].revents != 0) take();
    }

private:
    void take() {
        for (;;) {
            base::Descriptor socket = base::accept_from(listener_);
            if (!socket.is_open()) return;
            ::fcntl(socket.get(), F_SETFL, O_NONBLOCK);
            if (connections_.size() < kConnections)
                connections_.push_back({std::move(socket), segment::monotonic_ns() + kSecondNs, {}});
        }
    }
    /// False when nothing more is to be heard from it.
    bool goes_on(Connection& connection) {
        std::array<char, kLineBytes> piece{};
        const ssize_t size = ::recv(connection.socket.get(), piece.data(), piece.size(), 0);
        if (size < 0) return errno == EAGAIN || errno == EINTR;
        connection.line.append(piece.data(), static_cast<std::size_t>(size));
        const std::size_t end = connection.line.find('\n');
        if (end == std::string::npos) return size > 0 && connection.line.size() < kLineBytes;
        if (const auto uid = peer_of(connection.socket)) {
            const std::string text = answer_(*uid, std::string_view(connection.line).substr(0, end));
            static_cast<void>(::send(connection.socket.get(), text.data(), text.size(), MSG_NOSIGNAL));
        }
        return false;
    }

    base::Descriptor listener_;
    const Answer& answer_;
    std::vector<Connection> connections_;
};

void rest(const std::atomic<bool>& stopping, std::int64_t ns) noexcept {
    for (std::int64_t slept = 0; slept < ns && !stopping; slept += kLookMs * 1'000'000LL)
        segment::sleep_ns(kLookMs * 1'000'000LL);
}

}  // namespace

void serve_approvals(const std::string& name, const std::atomic<bool>& stopping, const Server::Answer& answer,
                     const std::function<void(const std::string&)>& complain) {
    bool complained = false;
    while (!stopping) {
        try {
            base::Descriptor listener = listen_at(name);
            if (!listener.is_open()) {
                if (!complained) complain("nobody can approve at the socket @" + name + ": " + std::strerror(errno));
                complained = true;
                rest(stopping, kSecondNs);
                continue;
            }
            Server server(std::move(listener), answer);
            while (!stopping) server.look();
        } catch (...) {
            rest(stopping, kSecondNs);   // no memory
        }
    }
}

std::string ask_for_approval(const std::string& registry, std::uint32_t owner, const std::string& line) {
    const std::string name = approval_socket_name(owner, registry);
    const std::optional<Address> address = address_of(name);
    const base::Descriptor socket = base::open_socket(AF_UNIX, SOCK_STREAM, 0);
    if (!address || !socket.is_open() || ::connect(socket.get(), address->get(), address->size) != 0)
        throw Error(Errc::missing, "nobody answers for '" + registry + "' of user " + std::to_string(owner) + " (@" + name +
                                       ": " + std::strerror(errno) +
                                       "): it needs four_eyes, a running riskd, and the same network namespace");
    // Anybody may take that name.
    if (peer_of(socket) != owner)
        throw Error(Errc::foreign, "who answers at @" + name + " is user " +
                                       std::to_string(peer_of(socket).value_or(0xFFFF'FFFFU)) + " and not " +
                                       std::to_string(owner) + ": nothing was asked");
    const timeval wait{kAnswerNs / kSecondNs, 0};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    const std::string text = line + "\n";
    std::string answer;
    std::array<char, 256> piece{};
    ssize_t size = ::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL);
    while (size > 0 && answer.find('\n') == std::string::npos && answer.size() < 4096) {
        size = ::recv(socket.get(), piece.data(), piece.size(), 0);
        if (size > 0) answer.append(piece.data(), static_cast<std::size_t>(size));
    }
    if (answer.find('\n') == std::string::npos)
        throw Error(Errc::busy, "the host of '" + registry +
                                    "' did not answer; whether it was approved, its owner sees in "
                                    "`riskctl approvals`");
    return answer.substr(0, answer.find('\n'));
}

std::uint32_t user_named(const std::string& user) {
    std::uint32_t number = 0;
    const auto [stop, error] = std::from_chars(user.data(), user.data() + user.size(), number);
    if (error == std::errc{} && stop == user.data() + user.size()) return number;
    passwd entry{};
    passwd* found = nullptr;
    std::array<char, 16384> text{};
    if (::getpwnam_r(user.c_str(), &entry, text.data(), text.size(), &found) != 0 || found == nullptr)
        throw Error(Errc::bad_input, "--owner: seen '" + user + "', allowed: a user of this host, by name or number");
    return entry.pw_uid;
}

}  // namespace riskreg::registry
