#include "base/names.hpp"

namespace riskreg {

std::string_view name_of(Side value) noexcept { return base::text_of(value); }
std::string_view name_of(OrderType value) noexcept { return base::text_of(value); }
std::string_view name_of(TimeInForce value) noexcept { return base::text_of(value); }
std::string_view name_of(OrderStatus value) noexcept { return base::text_of(value); }
std::string_view name_of(HostRank value) noexcept { return base::text_of(value, "unknown"); }
std::string_view name_of(TradingState value) noexcept { return base::text_of(value); }
std::string_view name_of(OnDeath value) noexcept { return base::text_of(value); }
std::string_view name_of(Result value) noexcept { return base::text_of(value); }
std::string_view name_of(DenyReason value) noexcept { return base::text_of(value); }
std::string_view name_of(Unit value) noexcept { return base::text_of(value); }
std::string_view name_of(OrderFlag value) noexcept { return base::text_of(value); }

}  // namespace riskreg
