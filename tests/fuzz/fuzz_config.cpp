// Any bytes as a configuration: an Error, or one that is written and read again as the same.
#include "fuzz/fuzz.hpp"
#include "riskreg/config.hpp"
#include "riskreg/error.hpp"
#include "support/history.hpp"

using namespace riskreg;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    std::string canonical;
    try {
        canonical = config_to_json(parse_config(text));
    } catch (const Error&) {
        return 0;
    }
    try {
        test::promise(config_to_json(parse_config(canonical)) == canonical);
        static_cast<void>(test::small_tables(canonical));
    } catch (const Error& error) {
        test::promise(error.code() == Errc::no_space);
    }
    return 0;
}

namespace riskreg::test {

std::vector<Seed> seeds() {
    const std::string full = R"({"capacity":{"orders":100,"instruments":4,"accounts":3,"strategies":5,"sessions":7,
"ring_events":512,"executions":200},"persistence":{"mode":"durable","checkpoint_interval_s":7,"keep_checkpoints":2,
"keep_journal":true,"key_file":"/tmp/key"},"require_limits":true,"allow_limit_without_reference":true,
"amend_before_ack":true,"huge_pages":true,"lock_memory":false,"reserve_price":"limit","self_match":"allow",
"instruments":[{"id":"ES","tick":"0.25","lot":"0.5","min_quantity":"1","max_quantity":"1000","multiplier":"50","fx_rate":"1.1",
"currency":"EUR","collar_bps":500,"collar_ticks":10,"collar_two_sided":true,"reference_max_age_ms":1,
"market_slippage_bps":5}],"accounts":[{"id":"A","currency":"USD"}],
"strategies":[{"id":"s","account":["A"],"instruments":["ES"],"on_death":"list_for_cancel"}],
"limits":[{"scope":"firm","max_order_quantity":"1.5","max_order_notional":"unlimited","max_long":"7","max_short":"0",
"max_open_notional":"123456.789012","max_working_orders":1,"max_working_buy":2,"max_working_sell":3},
{"scope":"strategy:s/instrument:ES","max_long":"1","max_net_notional":"unlimited","window_ms":5},
{"scope":"account:A/instrument:ES","max_long":"1"}]})";
    const std::string controls = R"({"capacity":{"orders":64,"executions":64,"ring_events":256,"sessions":4,"budgets":2,
"restrictions":3},"self_match":"advise_cancel","self_match_group":"firm","gross_method":"worst_case","four_eyes":true,
"content_by_strategy":true,"on_loss":"halt","on_mark_breach":"reducing_only","mark_threshold_bps":25,"mark_interval_ms":0,
"restricted":[{"scope":"instrument:ES","sides":"sell","reason":"r","from":"2026-11-25T08:00:00.5Z","to":"2026-11-26"},
{"scope":"account:A","sides":["buy","sell"]}],"instruments":[{"id":"ES","tick":"0.25","short_allowed":false}],
"accounts":[{"id":"A"}],"strategies":[{"id":"s","account":"A"}],"limits":[{"scope":"firm","max_gross_notional":"9",
"max_net_notional":"10","cash_limit":"11","max_traded_notional":"12","daily_loss":"13","drawdown":"unlimited",
"max_messages":15,"max_all_messages":4294967294,"max_same_content":17,"max_same_direction":18,"max_rejects":19,
"window_ms":20,"content_window_ms":86400000,"cancel_headroom":"0.2225"}]})";
    return {{"full", full},
            {"controls", controls},
            {"small", small_config()},
            {"unjournaled", small_config(64, R"(,"persistence":{"mode":"none"})")},
            {"duplicate", R"({"accounts":[],"accounts":[]})"},
            {"deep", std::string(40, '[')}};
}

}  // namespace riskreg::test
