#include "segment/process.hpp"

#include <windows.h>

#include <bcrypt.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <string>

#include "base/descriptor.hpp"
#include "base/system_win32.hpp"
#include "riskreg/error.hpp"
#include "segment/mapped_win32.hpp"

namespace riskreg::segment {

namespace {

constexpr std::uint64_t kEpoch = 116'444'736'000'000'000;   // 1970 in units of 100 ns since 1601

thread_local int critical_depth = 0;

std::uint64_t word_of(const FILETIME& time) noexcept {
    return static_cast<std::uint64_t>(time.dwHighDateTime) << 32 | time.dwLowDateTime;
}

using InterruptTime = void(WINAPI*)(PULONGLONG);

/// It counts sleep, which is what distinguishes it from the counter of performance and the unbiased time.
InterruptTime find_interrupt_time() noexcept {
    for (const wchar_t* library : {L"kernelbase.dll", L"kernel32.dll"})
        if (HMODULE module = ::GetModuleHandleW(library); module != nullptr)
            if (FARPROC found = ::GetProcAddress(module, "QueryInterruptTimePrecise"); found != nullptr)
                return reinterpret_cast<InterruptTime>(reinterpret_cast<void*>(found));
    return nullptr;
}

}  // namespace

std::int64_t realtime_ns() noexcept {
    FILETIME now{};
    ::GetSystemTimePreciseAsFileTime(&now);
    return static_cast<std::int64_t>(word_of(now) - kEpoch) * 100;
}

/// The clock of the standard library, with which deadlines are handed to its waits.
std::int64_t monotonic_ns() noexcept {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::int64_t boottime_ns() noexcept {
    static const InterruptTime interrupt_time = find_interrupt_time();
    if (interrupt_time == nullptr) return static_cast<std::int64_t>(::GetTickCount64()) * 1'000'000;
    ULONGLONG now = 0;
    interrupt_time(&now);
    return static_cast<std::int64_t>(now) * 100;
}

void sleep_ns(std::int64_t ns) noexcept { base::win32::wait_for(nullptr, ns); }
void pause_cpu() noexcept { __builtin_ia32_pause(); }
void yield_cpu() noexcept { ::SwitchToThread(); }

void wait_while(const std::uint32_t& word, std::uint32_t value, std::int64_t timeout_ns) noexcept {
    HANDLE event = event_of(&word, value & 1U);
    // The word may have moved on twice without waking anybody, and the event be set from before: whoever waited would not sleep at all.
    // A waker that comes in between is missed for one slice.
    if (event != nullptr) ::ResetEvent(event);
    // After that: a waker that moved the word meanwhile has set it, or is about to.
    if (__atomic_load_n(&word, __ATOMIC_SEQ_CST) == value) base::win32::wait_for(event, timeout_ns);
}

void wake_all(const std::uint32_t& word) noexcept {
    const std::uint32_t now = __atomic_load_n(&word, __ATOMIC_SEQ_CST);
    // Those who wait from now on wait for the other one.
    if (HANDLE next = event_of(&word, now & 1U); next != nullptr) ::ResetEvent(next);
    if (HANDLE present = event_of(&word, (now - 1) & 1U); present != nullptr) ::SetEvent(present);
}

std::uint64_t random_bits() {
    std::uint64_t bits = 0;
    const NTSTATUS status =
        ::BCryptGenRandom(nullptr, reinterpret_cast<UCHAR*>(&bits), sizeof bits, BCRYPT_USE_SYSTEM_PREFERRED_RNG);
    if (status < 0) throw Error(Errc::system, "BCryptGenRandom failed: status " + std::to_string(status));
    return bits;
}

std::uint32_t process_id() noexcept { return ::GetCurrentProcessId(); }
std::uint32_t user_id() noexcept {
    static const std::uint32_t user = base::win32::number_of(base::win32::this_user());
    return user;
}
std::uint32_t real_user_id() noexcept { return user_id(); }  // no program runs with another user's rights by its file

namespace {

std::uint64_t start_of(HANDLE process) noexcept {
    FILETIME begun{}, ended{}, kernel{}, user{};
    return ::GetProcessTimes(process, &begun, &ended, &kernel, &user) ? word_of(begun) : 0;
}

}  // namespace

std::uint64_t process_start() noexcept { return start_of(::GetCurrentProcess()); }

bool is_running(std::uint32_t pid, std::uint64_t start) noexcept {
    HANDLE process = ::OpenProcess(SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION, FALSE, pid);
    // Not to be looked at is no proof, but that it is not there is one.
    if (process == nullptr) return ::GetLastError() != ERROR_INVALID_PARAMETER;
    const bool same = start_of(process) == start;
    // One that has ended is there as long as somebody has a handle.
    const bool ended = ::WaitForSingleObject(process, 0) == WAIT_OBJECT_0;
    ::CloseHandle(process);
    return same && !ended;
}

namespace {

/// A key in the memory of this user's part of the registry of Windows: no power failure, restart or logoff leaves it.
constexpr const wchar_t* kBootKey = L"Software\\riskreg-boot";
constexpr const wchar_t* kBootValue = L"id";

std::array<std::uint8_t, 16> read_or_draw(HKEY key) {
    std::array<std::uint8_t, 16> id{};
    DWORD size = static_cast<DWORD>(id.size());
    const LSTATUS read = ::RegQueryValueExW(key, kBootValue, nullptr, nullptr, id.data(), &size);
    if (read == ERROR_SUCCESS && size == id.size()) return id;
    for (std::size_t i = 0; i < id.size(); i += 8) {
        const std::uint64_t bits = random_bits();
        std::copy_n(reinterpret_cast<const std::uint8_t*>(&bits), 8, id.begin() + static_cast<std::ptrdiff_t>(i));
    }
    if (::RegSetValueExW(key, kBootValue, 0, REG_BINARY, id.data(), static_cast<DWORD>(id.size())) != ERROR_SUCCESS)
        throw Error(Errc::system,
                    "cannot keep the identity of this boot in the registry of Windows (HKCU\\Software\\riskreg-boot)");
    return id;
}

/// One process at a time draws it.
class BootMutex {
public:
    BootMutex() : handle_(::CreateMutexW(static_cast<SECURITY_ATTRIBUTES*>(base::win32::owner_only()), FALSE, name().c_str())) {
        if (handle_ != nullptr) ::WaitForSingleObject(handle_, 10'000);
    }
    ~BootMutex() {
        if (handle_ == nullptr) return;
        ::ReleaseMutex(handle_);
        ::CloseHandle(handle_);
    }
    BootMutex(const BootMutex&) = delete;
    BootMutex& operator=(const BootMutex&) = delete;

private:
    static std::wstring name() { return L"Global\\riskreg-boot." + std::to_wstring(user_id()); }
    HANDLE handle_;
};

std::array<std::uint8_t, 16> draw_boot_id() {
    const BootMutex alone;
    HKEY key = nullptr;
    const LSTATUS opened = ::RegCreateKeyExW(HKEY_CURRENT_USER, kBootKey, 0, nullptr, REG_OPTION_VOLATILE,
                                             KEY_QUERY_VALUE | KEY_SET_VALUE, nullptr, &key, nullptr);
    if (opened != ERROR_SUCCESS)
        throw Error(Errc::system,
                    "cannot open HKCU\\Software\\riskreg-boot: " + base::win32::error_text(static_cast<unsigned long>(opened)));
    try {
        const std::array<std::uint8_t, 16> id = read_or_draw(key);
        ::RegCloseKey(key);
        return id;
    } catch (...) {
        ::RegCloseKey(key);
        throw;
    }
}

}  // namespace

std::array<std::uint8_t, 16> boot_id() {
    static const std::array<std::uint8_t, 16> id = draw_boot_id();
    return id;
}

std::uint64_t pid_namespace() { return 1; }
std::uint64_t time_namespace() noexcept { return 0; }
std::uint64_t fork_epoch() noexcept { return 0; }
bool call_in_forked_children(void (*)()) noexcept { return true; }

bool fence_all_threads() noexcept {
    ::FlushProcessWriteBuffers();
    return true;
}

bool keeps_time_by_counter() noexcept { return true; }  // of an invariant one; the caller looks at that

SignalsBlocked::SignalsBlocked() noexcept { static_cast<void>(before_); }
SignalsBlocked::~SignalsBlocked() = default;

FileLimitIsAnError::FileLimitIsAnError() noexcept : was_pending_(false) {
    static_cast<void>(before_), static_cast<void>(was_pending_);
}
FileLimitIsAnError::~FileLimitIsAnError() = default;

void enter_critical_section() noexcept { ++critical_depth; }
void leave_critical_section() noexcept { --critical_depth; }

namespace {

LPTOP_LEVEL_EXCEPTION_FILTER filter_before = nullptr;

/// A report of the crash would be written first, and the lock be held as long.
LONG WINAPI on_crash(EXCEPTION_POINTERS* crash) {
    if (critical_depth > 0) ::TerminateProcess(::GetCurrentProcess(), crash->ExceptionRecord->ExceptionCode);
    return filter_before != nullptr ? filter_before(crash) : EXCEPTION_CONTINUE_SEARCH;
}

}  // namespace

void install_crash_handler() noexcept {
    static std::once_flag once;
    std::call_once(once, [] { filter_before = ::SetUnhandledExceptionFilter(on_crash); });
}

}  // namespace riskreg::segment
