// Everything that the segment layer may be refused, or refuses itself, provoked once: each case is the set-up, the code of the
// error and the words that have to be in it. The layers above add names and advice to these; they do not catch them.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <utility>

#include "riskreg/error.hpp"
#include "segment/lifecycle.hpp"
#include "segment/mapping.hpp"
#include "segment/process.hpp"
#include "segment/robust_mutex.hpp"
#include "support/child.hpp"
#include "support/refused_calls.hpp"
#include "support/temp_registry.hpp"

namespace riskreg::test {
namespace {

using segment::Access;
using segment::LifecycleLock;
using segment::Mapping;

constexpr std::size_t kSmall = 1 << 20;
constexpr uid_t kNobody = 65534;

/// What a call threw: the code, and the text.
struct Said {
    bool threw = false;
    Errc code{};
    char text[600] = {};
};

Said caught(const std::function<void()>& body) {
    Said said;
    try {
        body();
    } catch (const Error& error) {
        said.threw = true;
        said.code = error.code();
        std::strncpy(said.text, error.what(), sizeof said.text - 1);
    }
    return said;
}

/// The same in a process of its own, which `prepare` may cripple: it does not come back.
Said caught_in_child(const std::function<void()>& prepare, const std::function<void()>& body) {
    Shared<Said> said;
    Child child([&] {
        prepare();
        *said = caught(body);
    });
    REQUIRE(child.wait().left_with(0));
    return *said;
}

void require_refusal(const Said& said, Errc code, std::initializer_list<const char*> words) {
    INFO(said.text);
    REQUIRE(said.threw);
    CHECK(said.code == code);
    for (const char* word : words) CHECK_THAT(std::string(said.text), Catch::Contains(word));
}

std::string fresh_name() {
    static int number = 0;
    return "riskreg-segment-test." + std::to_string(::getpid()) + "." + std::to_string(++number);
}

/// A segment's name that is free again at the end.
struct Name {
    std::string text = fresh_name();
    Name() = default;
    Name(const Name&) = delete;
    Name& operator=(const Name&) = delete;
    ~Name() { static_cast<void>(segment::remove_segment(text)); }
};

bool needs_root() {
    if (::geteuid() == 0) return false;
    std::printf("SKIPPED: only root can be another user\n");
    return true;
}

void become_nobody() {
    if (::setresuid(kNobody, kNobody, kNobody) != 0) throw std::runtime_error("setresuid failed");
}

const auto refuse = [](long number, int error) { return [=] { refuse_system_call(number, error); }; };

}  // namespace

// ---- mapping -------------------------------------------------------------------------------------------------------

TEST_CASE("a segment that is not there, is there already, is another user's, or cannot be opened is refused in words",
          "[segment][input][inv-12]") {
    const Name name;
    require_refusal(caught([&] { Mapping::open(name.text, Access::read_only); }), Errc::missing,
                    {name.text.c_str(), "rebooted", "destroyed"});
    const Mapping made = Mapping::create(name.text, kSmall);
    require_refusal(caught([&] { Mapping::create(name.text, kSmall); }), Errc::busy, {name.text.c_str(), "exists already"});
    const auto no_descriptors = [] {
        const rlimit none{0, 0};
        if (::setrlimit(RLIMIT_NOFILE, &none) != 0) throw std::runtime_error("setrlimit failed");
    };
    require_refusal(caught_in_child(no_descriptors, [&] { Mapping::open(name.text, Access::read_only); }), Errc::system,
                    {name.text.c_str()});
    require_refusal(
        caught_in_child([] { refuse_shared_mappings(ENOMEM); }, [&] { Mapping::open(name.text, Access::read_only); }),
        Errc::system, {name.text.c_str()});
    if (needs_root()) return;
    require_refusal(caught_in_child(become_nobody, [&] { Mapping::open(name.text, Access::read_only); }), Errc::permission,
                    {"/dev/shm/", name.text.c_str(), "another user", "ls -l"});
}

TEST_CASE("a limit on the size of files is told from a full /dev/shm, and does not end the program of the library's user",
          "[segment][inv-12]") {
    const auto small_files = [] {
        const rlimit small{4096, 4096};
        ::signal(SIGXFSZ, SIG_DFL);
        if (::setrlimit(RLIMIT_FSIZE, &small) != 0) throw std::runtime_error("setrlimit failed");
    };
    const TempRegistry place;
    const TempRegistry gone;
    require_refusal(caught_in_child(small_files, [&] { Registry::create("other", tiny_config(), place.state_dir()); }),
                    Errc::no_space, {"may not make one so large", "ulimit -f", "LimitFSIZE"});
    CHECK(place.look().status().day == 1);
    require_refusal(caught_in_child(small_files,
                                    [&] {
                                        Registry op = place.attach();
                                        // Refused or thrown, but answered.
                                        if (!op.roll("evening").taken()) throw Error(Errc::no_space, "ulimit -f");
                                    }),
                    Errc::no_space, {"ulimit -f"});
    CHECK(place.look().status().day == 1);
    const auto nothing = caught_in_child(small_files, [&] { Registry::destroy(gone.name(), gone.state_dir(), false, true); });
    CHECK_FALSE(nothing.threw);
}

TEST_CASE("memory that cannot be reserved refuses the segment with the size and the remedy, and leaves nothing behind",
          "[segment][inv-12]") {
    const Name name;
    constexpr std::size_t kHuge = std::size_t{1} << 45;
    require_refusal(caught([&] { Mapping::create(name.text, kHuge); }), Errc::no_space,
                    {"/dev/shm is too small", "33554432 MiB", "remount,size=", "--shm-size", "capacity.orders"});
    CHECK_FALSE(segment::segment_exists(name.text));
    // Between the look and the reservation somebody else may have taken the room.
    require_refusal(caught_in_child(refuse(SYS_fallocate, ENOSPC), [&] { Mapping::create(name.text, kSmall); }), Errc::no_space,
                    {"/dev/shm is too small", "1 MiB"});
    CHECK_FALSE(segment::segment_exists(name.text));
    require_refusal(caught_in_child(refuse(SYS_fallocate, EPERM), [&] { Mapping::create(name.text, kSmall); }), Errc::system,
                    {"cannot reserve shared memory", "not permitted"});
    CHECK_FALSE(segment::segment_exists(name.text));
    require_refusal(caught_in_child([] { refuse_shared_mappings(ENOMEM); }, [&] { Mapping::create(name.text, kSmall); }),
                    Errc::system, {name.text.c_str()});
    CHECK_FALSE(segment::segment_exists(name.text));
    // Without an answer about the free room the reservation decides.
    CHECK_FALSE(caught_in_child(refuse(SYS_statfs, ENOSYS), [&] { Mapping::create(name.text, kSmall); }).threw);
    CHECK(segment::segment_exists(name.text));
}

TEST_CASE("a segment that its creator has not sized is told from one that is whole", "[segment]") {
    const Name name;
    const int descriptor = ::shm_open(name.text.c_str(), O_CREAT | O_EXCL | O_RDWR, 0600);
    REQUIRE(descriptor >= 0);
    for (const off_t size : {0, 100, 4095}) {
        REQUIRE(::ftruncate(descriptor, size) == 0);
        require_refusal(caught([&] { Mapping::open(name.text, Access::read_write); }), Errc::missing,
                        {name.text.c_str(), "being created", "its creator died"});
    }
    REQUIRE(::ftruncate(descriptor, 8192) == 0);
    ::close(descriptor);
    CHECK(segment::is_unfinished(Mapping::open(name.text, Access::read_only)));
}

TEST_CASE("a name leads to a segment, to none, or to another one, and who has it mapped can tell", "[segment]") {
    const Name name, other;
    CHECK_FALSE(segment::rename_segment(name.text, other.text));
    CHECK_FALSE(segment::remove_segment(name.text));
    Mapping mapping = Mapping::create(name.text, kSmall);
    CHECK(mapping.is_current());
    CHECK(mapping.rename(other.text));
    CHECK(mapping.is_current());
    CHECK(mapping.name() == other.text);
    CHECK_FALSE(mapping.rename("no/such/folder"));
    CHECK(segment::rename_segment(other.text, name.text));
    CHECK_FALSE(mapping.is_current());
    mapping = Mapping::create(other.text, kSmall);
    CHECK(mapping.is_current());
}

TEST_CASE("a wish for locked memory that the host refuses is answered, and the segment is as good as without", "[segment]") {
    const Name name;
    Mapping mapping = Mapping::create(name.text, kSmall);
    CHECK(mapping.advise(false, false));
    Shared<bool> granted;
    Child child([&] {
        refuse_system_call(SYS_mlock, EPERM);
        Mapping again = Mapping::open(name.text, Access::read_write);
        *granted = again.advise(false, true);
        again.base()[5000] = std::byte{7};
    });
    REQUIRE(child.wait().left_with(0));
    if (!RISKREG_SANITIZED) CHECK_FALSE(*granted);   // sanitizers make mlock do nothing, and succeed
    CHECK(mapping.base()[5000] == std::byte{7});
}

TEST_CASE("a segment of another user, build, boot, directory or PID namespace, or with a damaged header, is not attached",
          "[segment][attach][inv-12]") {
    const TempRegistry place;
    const LifecycleLock lock(place.state_dir(), place.name(), false);
    const segment::LockIdentity identity = lock.identity();
    const std::string path = "/dev/shm/" + segment::segment_name(identity, place.name(), 1);
    LiveSegment live(place, Access::read_write);
    layout::Header& header = *live.state().header;
    const auto attach = [&](bool adopting = false) {
        return caught([&] {
            const Mapping mapping = Mapping::open(segment::segment_name(identity, place.name(), 1), Access::read_write);
            segment::require_fitting(mapping, identity, place.name(), adopting);
        });
    };
    CHECK_FALSE(attach().threw);
    const auto with = [&](auto& field, auto value, Errc code, std::initializer_list<const char*> words) {
        const auto before = field;
        field = static_cast<std::remove_reference_t<decltype(field)>>(value);
        CAPTURE(words.size() == 0 ? "" : *words.begin());
        require_refusal(attach(), code, words);
        field = before;
    };
    with(header.magic, 0, Errc::missing, {"not finished", "attach again"});
    with(header.magic, header.magic ^ 1U, Errc::damaged, {"magic", "damaged"});
    with(header.layout_version, header.layout_version + 1, Errc::foreign, {"layout version", "riskctl migrate"});
    with(header.layout_hash, header.layout_hash ^ 1U, Errc::foreign, {"layout version"});
    with(header.geometry.orders, header.geometry.orders + 64, Errc::damaged, {"bytes, its header says"});
    with(header.geometry.order_index, header.geometry.order_index - 1, Errc::damaged, {});
    with(header.geometry.book_sides, header.geometry.book_sides + 2, Errc::damaged, {"tables of sizes that no build makes"});
    with(header.lock_token[0], header.lock_token[0] ^ 2U, Errc::damaged, {"another token", "damaged"});
    with(header.lock_token[1], header.lock_token[1] ^ 2U, Errc::damaged, {"another token", "damaged"});
    with(header.boot_id[3], header.boot_id[3] ^ 1U, Errc::damaged, {"another boot", "damaged"});
    // Where LOCK lies is for messages: a directory may be moved, and a device have another number after a boot.
    header.lock_inode += 1;
    header.lock_device += 1;
    CHECK_FALSE(attach().threw);
    header.lock_inode -= 1;
    header.lock_device -= 1;
    with(header.pid_namespace, header.pid_namespace + 1, Errc::foreign, {"PID namespace", "--pid=host"});
    header.pid_namespace += 1;
    CHECK_FALSE(attach(true).threw);   // nobody is attached: then it is taken over
    header.pid_namespace -= 1;
    REQUIRE(::chmod(path.c_str(), 0640) == 0);
    require_refusal(attach(), Errc::foreign, {"open to other users", "0600"});
    REQUIRE(::chmod(path.c_str(), 0600) == 0);
    CHECK_FALSE(attach().threw);
    if (needs_root()) return;
    REQUIRE(::chown(path.c_str(), kNobody, kNobody) == 0);
    require_refusal(attach(), Errc::foreign, {"belongs to user 65534", "runs as 0"});
    REQUIRE(::chown(path.c_str(), 0, 0) == 0);
}

// ---- state directory and LOCK ----------------------------------------------------------------------------------------

TEST_CASE("a name that no registry may have is refused, and so is a state directory that nobody named", "[segment][input]") {
    for (const char* name : {"", ".", "..", "a/b", "a b", "ä", "a\n"})
        require_refusal(caught([&] { segment::require_valid_name(name); }), Errc::bad_input, {"1 to 64 of A-Z a-z 0-9 . _ -"});
    require_refusal(caught([] { segment::require_valid_name(std::string(65, 'a')); }), Errc::bad_input, {"1 to 64"});
    for (const std::string& name : {std::string("a"), std::string(64, 'Z'), std::string("0.9_-")})
        CHECK_FALSE(caught([&] { segment::require_valid_name(name); }).threw);
    const auto forget = [] {
        for (const char* variable : {"RISKREG_STATE_DIR", "XDG_STATE_HOME", "HOME"}) ::unsetenv(variable);
    };
    require_refusal(caught_in_child(forget, [] { static_cast<void>(segment::resolve_state_dir("")); }), Errc::bad_input,
                    {"--state-dir", "RISKREG_STATE_DIR", "XDG_STATE_HOME", "HOME"});
    Child child([&] {
        forget();
        const auto require = [](const std::string& configured, const char* expected) {
            if (segment::resolve_state_dir(configured) != expected) throw std::runtime_error(expected);
        };
        ::setenv("HOME", "/home/x", 1);
        require("", "/home/x/.local/state/riskreg");
        ::setenv("XDG_STATE_HOME", "/state", 1);
        require("", "/state/riskreg");
        ::setenv("RISKREG_STATE_DIR", "/own", 1);
        require("", "/own");
        require("/given", "/given");
    });
    CHECK(child.wait().left_with(0));
}

TEST_CASE("a state directory that cannot be made, synced or opened is named with what the host said", "[segment][inv-12]") {
    const TempDir directory;
    const std::string state = directory.path() + "/state", file = directory.path() + "/file";
    std::ofstream(file) << "no directory";
    const auto create = [&] { const LifecycleLock lock(state, "desk", true); };
    require_refusal(caught([&] { const LifecycleLock lock(file, "desk", true); }), Errc::system,
                    {"cannot create the state directory", file.c_str(), "Not a directory"});
    require_refusal(caught_in_child(refuse(SYS_fsync, EIO), create), Errc::system,
                    {"cannot sync the directory", state.c_str(), "Input/output error"});
    std::filesystem::remove_all(state);
    require_refusal(caught([&] { const LifecycleLock lock(state, "desk", false); }), Errc::missing,
                    {"no registry 'desk'", state.c_str(), "riskctl create desk --config"});
    std::filesystem::create_directories(state);
    require_refusal(caught_in_child(refuse(SYS_mkdir, EROFS), create), Errc::system,
                    {"cannot create", (state + "/desk").c_str(), "Read-only file system"});
    std::filesystem::create_directory_symlink(directory.path(), state + "/desk");
    require_refusal(caught(create), Errc::foreign, {"is a symbolic link", (state + "/desk").c_str()});
    std::filesystem::remove(state + "/desk");
    std::filesystem::create_directories(state + "/desk/LOCK");
    require_refusal(caught(create), Errc::system, {"cannot open", "/desk/LOCK", "Is a directory"});
    std::filesystem::remove(state + "/desk/LOCK");
    require_refusal(caught([&] { const LifecycleLock lock(state, "desk", false); }), Errc::missing,
                    {"LOCK is not there", "riskctl create desk --config"});
    CHECK_FALSE(caught(create).threw);
    if (needs_root()) return;
    std::filesystem::permissions(directory.path(), std::filesystem::perms::all);
    std::filesystem::permissions(state, std::filesystem::perms::all);
    require_refusal(caught_in_child(become_nobody, create), Errc::foreign,
                    {(state + "/desk").c_str(), "belongs to uid 0", "this process is uid 65534"});
    std::filesystem::permissions(state + "/desk", std::filesystem::perms::owner_all);
    require_refusal(caught_in_child(become_nobody, create), Errc::permission,
                    {"cannot open", (state + "/desk").c_str(), "belongs to uid 0", "this process is uid 65534"});
    std::filesystem::permissions(state + "/desk", std::filesystem::perms::all);
    require_refusal(caught_in_child(become_nobody, create), Errc::foreign, {"belongs to uid 0", "65534", "--as-owner"});
    require_refusal(caught(create), Errc::foreign, {(state + "/desk").c_str(), "may be written by others", "chmod go-w"});
    std::filesystem::permissions(state + "/desk", std::filesystem::perms::owner_all);
    require_refusal(caught(create), Errc::foreign, {state.c_str(), "may be written by others"});
    std::filesystem::permissions(state, std::filesystem::perms::owner_all);
    std::filesystem::permissions(state + "/desk/LOCK", std::filesystem::perms::all);
    require_refusal(caught(create), Errc::foreign, {"/desk/LOCK", "may be written by others"});
}

TEST_CASE("a LOCK without its token, or that cannot be read, is never taken for one with another", "[segment][attach]") {
    const TempDir directory;
    const auto open = [&] { return LifecycleLock(directory.path(), "desk", true); };
    const std::string path = directory.path() + "/desk/LOCK";
    const std::array<std::uint64_t, 2> none{};
    CHECK(open().identity().token == none);
    const auto ensure = [&] { open().ensure_token(); };
    require_refusal(caught_in_child(refuse(SYS_getrandom, ENOSYS), ensure), Errc::system, {"getrandom"});
    require_refusal(caught_in_child(refuse(SYS_pwrite64, EIO), ensure), Errc::system, {"cannot write", "/desk/LOCK"});
    CHECK(open().identity().token == none);
    const auto ensure_without_sync = [&] {
        LifecycleLock lock = open();
        refuse_system_call(SYS_fsync, EIO);
        lock.ensure_token();
    };
    require_refusal(caught_in_child([] {}, ensure_without_sync), Errc::system, {"cannot sync", "/desk/LOCK"});
    const std::array<std::uint64_t, 2> token = open().identity().token;
    CHECK(token != none);
    open().ensure_token();   // has one
    CHECK(open().identity().token == token);
    for (const int error : {EIO, EINTR})
        require_refusal(caught_in_child(refuse(SYS_pread64, error), [&] { static_cast<void>(open().identity()); }),
                        Errc::system, {"cannot read", "/desk/LOCK"});
    REQUIRE(::truncate(path.c_str(), 8) == 0);
    CHECK(open().identity().token == none);
    require_refusal(caught(ensure), Errc::foreign, {"too short", "/desk/LOCK"});
    // Somebody else's file of that name.
    REQUIRE(::truncate(path.c_str(), 0) == 0);
    std::ofstream(path) << "pid 17, and more of that kind";
    require_refusal(caught([&] { static_cast<void>(open()); }), Errc::foreign, {"is not a LOCK file of a registry"});
}

TEST_CASE("whoever waits for the registry's lock gets what there is, or nothing at the deadline", "[segment][attach][inv-10]") {
    const TempDir directory;
    LifecycleLock first(directory.path(), "desk", true), second(directory.path(), "desk", false);
    using Granted = LifecycleLock::Granted;
    CHECK(second.wait_any(0) == Granted::exclusive);
    CHECK(first.is_held_by_others());
    CHECK(first.wait_any(segment::monotonic_ns() + 3'000'000) == Granted::none);
    CHECK(second.try_shared());
    CHECK(first.wait_any(0) == Granted::shared);
    CHECK_FALSE(first.try_exclusive());
    second.release();
    CHECK(first.try_exclusive());
    LifecycleLock moved(std::move(first));
    CHECK(second.is_held_by_others());
}

TEST_CASE("the files of a registry go, and the LOCK that others may have open stays", "[segment]") {
    const TempDir directory;
    const LifecycleLock lock(directory.path(), "desk", true);
    for (const char* name : {"journal-1.log", "riskreg.log", "riskreg.1.log", "checkpoint-2.json", ".tmp-x", ".lost-y", "mine"})
        std::ofstream(lock.directory() + "/" + name) << "x";
    std::filesystem::create_directories(lock.directory() + "/journal-a.log/b");
    // What is not a registry's is left and named: a directory never is.
    CHECK(segment::remove_registry_files(lock.directory()) == std::vector<std::string>{"journal-a.log/", "mine"});
    std::set<std::string> left;
    for (const auto& entry : std::filesystem::directory_iterator(lock.directory())) left.insert(entry.path().filename());
    CHECK(left == std::set<std::string>{"LOCK", "journal-a.log", "mine"});
    CHECK(segment::remove_registry_files(directory.path() + "/none").empty());   // nothing to do
}

// ---- process and host ------------------------------------------------------------------------------------------------

TEST_CASE("without /proc or random numbers a process says what riskreg needs", "[segment][inv-12]") {
    const auto no_files = refuse(SYS_openat, ENOENT);
    require_refusal(caught_in_child(no_files, [] { static_cast<void>(segment::boot_id()); }), Errc::system,
                    {"boot_id", "/proc mounted"});
    require_refusal(caught_in_child(refuse(SYS_newfstatat, ENOENT), [] { static_cast<void>(segment::pid_namespace()); }),
                    Errc::system, {"/proc/self/ns/pid", "PID namespaces"});
    require_refusal(caught_in_child(refuse(SYS_getrandom, ENOSYS), [] { static_cast<void>(segment::random_bits()); }),
                    Errc::system, {"getrandom"});
}

TEST_CASE("a process that cannot be looked at is not taken for a dead one", "[segment][inv-3]") {
    const std::uint32_t self = segment::process_id();
    const std::uint64_t start = segment::process_start();
    CHECK(segment::is_running(self, start));
    CHECK_FALSE(segment::is_running(self, start + 1));     // the pid was given away again
    Shared<bool> seen;
    Child blind([&] {
        refuse_system_call(SYS_openat, EACCES);
        *seen = segment::is_running(self, start);
    });
    REQUIRE(blind.wait().left_with(0));
    CHECK(*seen);
    Child ended([] {});
    const auto pid = static_cast<std::uint32_t>(ended.pid());
    REQUIRE(ended.wait().left_with(0));
    CHECK_FALSE(segment::is_running(pid, start));
}

TEST_CASE("a host that does not report the death of a lock's owner is refused at creation", "[segment][lock][inv-12]") {
    CHECK_FALSE(caught([] { segment::self_test_robust_mutex(); }).threw);
    require_refusal(caught_in_child(refuse(SYS_set_robust_list, ENOSYS), [] { segment::self_test_robust_mutex(); }),
                    Errc::system, {"robust futexes", "cannot run here"});
    require_refusal(caught_in_child(refuse(SYS_clone, EAGAIN), [] { segment::self_test_robust_mutex(); }), Errc::system,
                    {"fork failed"});
    require_refusal(caught_in_child([] { refuse_shared_mappings(ENOMEM); }, [] { segment::self_test_robust_mutex(); }),
                    Errc::system, {"mmap failed"});
}

}  // namespace riskreg::test
