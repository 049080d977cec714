#include "riskd/service.hpp"

namespace riskreg::program {

bool can_be_service() noexcept { return false; }
int run_as_service(const char*, const std::function<int()>& body) { return body(); }

}  // namespace riskreg::program
