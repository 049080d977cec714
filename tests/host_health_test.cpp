// What a host says of itself when there is no memory: this program's operator new refuses where a test says so.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <new>
#include <string>

#include "registry/attachment.hpp"
#include "registry/host_health.hpp"
#include "support/temp_registry.hpp"

namespace {

thread_local bool refuses = false;
thread_local std::size_t refused = 0;

/// As long as it lives, this thread gets no memory.
class NoMemory {
public:
    NoMemory() noexcept {
        refused = 0;
        refuses = true;
    }
    ~NoMemory() { refuses = false; }
    NoMemory(const NoMemory&) = delete;
    NoMemory& operator=(const NoMemory&) = delete;
};

void* allocate(std::size_t size) {
    if (refuses) {
        ++refused;
        throw std::bad_alloc();
    }
    if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
    throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

using namespace riskreg;
using layout::Fault;
using layout::HostState;
using persist::IoError;
using persist::IoKind;

struct Desk {
    test::TempRegistry place;
    registry::Attachment attachment = registry::attach(place.name(), place.state_dir(), 5'000'000'000);
    registry::Alarm alarm{attachment.state, {attachment.lock.directory(), place.name()}};
    registry::Host host{attachment.state, attachment, alarm, {}, {}, {}, {}, {}, 0, {}};
    registry::HostHealth health{host};

    [[nodiscard]] Fault fault() const { return static_cast<Fault>(attachment.state.host->fault); }
    [[nodiscard]] HostState state() const { return static_cast<HostState>(attachment.state.host->state); }
    [[nodiscard]] std::uint64_t retries() const { return attachment.state.host->retries; }
};

}  // namespace

TEST_CASE("a failure that comes again is counted without memory", "[persist][inv-9]") {
    Desk desk;
    const IoError full = IoError::of(IoKind::no_space);
    desk.health.failed(Fault::journal_write, full, {}, false);
    {
        const NoMemory none;
        desk.health.failed(Fault::journal_write, full, {}, false);
        desk.health.failed(Fault::journal_write, full, {}, false);
        CHECK(refused == 0);
    }
    CHECK(desk.fault() == Fault::journal_write);
    CHECK(desk.state() == HostState::degraded);
    CHECK(desk.retries() == 3);
}

TEST_CASE("what lacks is said without memory, and a fault of the disk stands before it", "[persist]") {
    Desk desk;
    {
        const NoMemory none;
        desk.health.lacks(Fault::no_memory);
        desk.health.lacks(Fault::no_memory);
    }
    CHECK(desk.fault() == Fault::no_memory);
    CHECK(desk.state() == HostState::degraded);
    CHECK(desk.retries() == 2);
    desk.health.lacks(Fault::none);
    CHECK(desk.fault() == Fault::none);
    CHECK(desk.state() == HostState::running);
    desk.health.failed(Fault::journal_sync, IoError::of(IoKind::no_space), {}, true);
    {
        const NoMemory none;
        desk.health.lacks(Fault::no_memory);
    }
    CHECK(desk.fault() == Fault::journal_sync);
}
