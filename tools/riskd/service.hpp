/// riskd as a service of Windows; elsewhere a service manager runs plain programs.
#pragma once

#include <functional>

namespace riskreg::program {

[[nodiscard]] bool can_be_service() noexcept;

/// Calls `body` when the service manager starts the service, and tells that it runs until it returns. STOP, SHUTDOWN and PRESHUTDOWN ask
/// the program to end (`ask_to_end`). The exit code of `body`; 3 where no service manager has started this process.
[[nodiscard]] int run_as_service(const char* name, const std::function<int()>& body);

}  // namespace riskreg::program
