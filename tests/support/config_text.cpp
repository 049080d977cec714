// What of cli.hpp runs no program.
#include "support/cli.hpp"

namespace riskreg::testing {

std::string text_of(const persist::JsonValue& object, const std::string& key) {
    const persist::JsonValue* value = object.find(key);
    return value == nullptr ? std::string() : value->shown();
}

std::string es_config(const std::string& limits, const std::string& more) {
    std::string strategies;
    for (int s = 1; s <= 8; ++s)
        strategies += std::string(s > 1 ? "," : "") + R"({"id":"s)" + std::to_string(s) + R"(","account":"A1"})";
    return R"({"persistence":{"mode":"none"},"require_limits":false,"allow_limit_without_reference":true,"self_match":"allow",)"
           R"("instruments":[{"id":"ESH4","tick":"0.25","lot":"1","multiplier":"50","currency":"USD"}],)"
           R"("accounts":[{"id":"A1","currency":"USD"}],"strategies":[)" +
           strategies + R"(],"limits":[)" + limits + "]" + more + "}";
}

}  // namespace riskreg::testing
