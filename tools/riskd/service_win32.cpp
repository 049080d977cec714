#include "riskd/service.hpp"

#include <windows.h>

#include "base/system_win32.hpp"
#include "common/program.hpp"

namespace riskreg::program {

namespace {

constexpr int kNoService = 3;
constexpr DWORD kStopHintMs = 10'000;   // draining the journal and a last checkpoint

struct Service {
    std::wstring name;
    const std::function<int()>* body = nullptr;
    SERVICE_STATUS_HANDLE handle = nullptr;
    int code = kNoService;
};
Service service;   // the service manager calls functions without context

void report(DWORD state, DWORD hint_ms = 0, int code = 0) noexcept {
    SERVICE_STATUS status{};
    status.dwServiceType = SERVICE_WIN32_OWN_PROCESS;
    status.dwCurrentState = state;
    status.dwControlsAccepted = state == SERVICE_RUNNING ? SERVICE_ACCEPT_STOP | SERVICE_ACCEPT_PRESHUTDOWN : 0;
    status.dwWin32ExitCode = code == 0 ? NO_ERROR : ERROR_SERVICE_SPECIFIC_ERROR;
    status.dwServiceSpecificExitCode = static_cast<DWORD>(code);
    status.dwWaitHint = hint_ms;
    ::SetServiceStatus(service.handle, &status);
}

DWORD WINAPI on_control(DWORD control, DWORD, void*, void*) {
    switch (control) {
        case SERVICE_CONTROL_STOP:
        case SERVICE_CONTROL_PRESHUTDOWN:
        case SERVICE_CONTROL_SHUTDOWN:
            report(SERVICE_STOP_PENDING, kStopHintMs);
            ask_to_end();
            return NO_ERROR;
        case SERVICE_CONTROL_INTERROGATE: return NO_ERROR;
        default: return ERROR_CALL_NOT_IMPLEMENTED;
    }
}

void WINAPI service_main(DWORD, wchar_t**) {
    service.handle = ::RegisterServiceCtrlHandlerExW(service.name.c_str(), on_control, nullptr);
    if (service.handle == nullptr) return;
    report(SERVICE_RUNNING);
    service.code = (*service.body)();
    report(SERVICE_STOPPED, 0, service.code);
}

}  // namespace

bool can_be_service() noexcept { return true; }

int run_as_service(const char* name, const std::function<int()>& body) {
    service.name = base::win32::wide(name);
    service.body = &body;
    const SERVICE_TABLE_ENTRYW table[] = {{service.name.data(), service_main}, {nullptr, nullptr}};
    if (!::StartServiceCtrlDispatcherW(table))
        say(std::string(name) + ": --service: " + base::win32::error_text(::GetLastError()) +
            ": only the service manager starts it so (sc create, sc start)");
    return service.code;
}

}  // namespace riskreg::program
