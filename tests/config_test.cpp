// The configuration: every key read, checked by its path, and written so that reading it again gives the same.
#include <catch2/catch.hpp>

#include "persist/config_json.hpp"
#include "riskreg/error.hpp"

using namespace riskreg;

namespace {

/// A small configuration with further top-level members (with a leading comma).
std::string with(const std::string& more) {
    return R"({"instruments":[{"id":"X","tick":"0.25"}],"accounts":[{"id":"A"}],"strategies":[{"id":"s","account":"A"}])" +
           more + "}";
}

std::string with_limit(const std::string& member, const std::string& scope = "firm") {
    return with(R"(,"limits":[{"scope":")" + scope + "\"," + member + "}]");
}

std::string with_restricted(const std::string& entries) { return with(R"(,"restricted":[)" + entries + "]"); }

/// What the refusal says; empty when there was none.
std::string refusal(const std::string& json) {
    try {
        static_cast<void>(parse_config(json));
    } catch (const Error& error) {
        CHECK(error.code() == Errc::bad_input);
        return error.what();
    }
    return {};
}

struct BadCase {
    std::string json, path, allowed;
};

void require_refused(const std::vector<BadCase>& cases) {
    for (const BadCase& c : cases) {
        const std::string message = refusal(c.json);
        INFO(c.json << "\n" << message);
        CHECK(message.find(c.path + ":") != std::string::npos);
        CHECK(message.find(c.allowed) != std::string::npos);
    }
}

const std::string kEverything = R"({"capacity":{"orders":100,"instruments":4,"accounts":3,"strategies":5,"sessions":7,
  "ring_events":512,"executions":200,"budgets":9,"restrictions":11},
  "persistence":{"mode":"durable","checkpoint_interval_s":7,"keep_checkpoints":2,"keep_journal":true,"key_file":"/k"},
  "require_limits":false,"allow_limit_without_reference":true,"amend_before_ack":true,"huge_pages":true,"lock_memory":true,
  "reserve_price":"limit","self_match":"advise_cancel","self_match_group":"firm","gross_method":"worst_case",
  "four_eyes":true,"approvers":[0,1000,4294967294],"content_by_strategy":true,"on_loss":"halt","on_mark_breach":"reducing_only",
  "mark_threshold_bps":25,"mark_interval_ms":0,
  "restricted":[{"scope":"instrument:X","sides":"sell","reason":"no \"shorts\"","from":"2026-11-25T08:00:00.5Z","to":"2026-11-26"},
    {"scope":"account:A","sides":["buy","sell"],"to":"2026-11-25T08:00:00Z"},{"scope":"strategy:s/instrument:X","sides":["buy"]}],
  "instruments":[{"id":"X","tick":"0.25","lot":"0.5","min_quantity":"1","max_quantity":"1000","multiplier":"50","fx_rate":"1.1",
    "currency":"EUR","collar_bps":500,"collar_ticks":10,"collar_two_sided":true,"reference_max_age_ms":1,
    "market_slippage_bps":5,"short_allowed":false,"zero_prices":false}],
  "accounts":[{"id":"A","currency":"USD"}],
  "strategies":[{"id":"s","account":["A"],"instruments":["X"],"on_death":"list_for_cancel"}],
  "limits":[{"scope":"firm","max_order_quantity":"1.5","max_order_notional":"2.000001","max_long":"3","max_short":"0",
    "max_open_notional":"5","max_working_orders":6,"max_working_buy":7,"max_working_sell":8,"max_gross_notional":"9",
    "max_net_notional":"10","cash_limit":"11","max_traded_notional":"12","daily_loss":"13","drawdown":"14",
    "max_messages":15,"max_all_messages":4294967294,"max_same_content":17,"max_same_direction":18,"max_rejects":19,
    "window_ms":20,"content_window_ms":86400000,"cancel_headroom":"0.2225"},
   {"scope":"strategy:s","max_gross_notional":"unlimited","max_messages":"unlimited","max_rejects":"unlimited"}]})";

}  // namespace

TEST_CASE("every key of the configuration is read into its field", "[config]") {
    const SharedConfig c = parse_config(kEverything);
    CHECK(c.capacity.budgets == 9);
    CHECK(c.capacity.restrictions == 11);
    CHECK(c.persistence_mode == PersistenceMode::durable);
    CHECK(c.self_match == SelfMatch::advise_cancel);
    CHECK(c.self_match_group == SelfMatchGroup::firm);
    CHECK(c.gross_method == GrossMethod::worst_case);
    CHECK(c.four_eyes);
    CHECK(c.approvers == std::vector<std::uint32_t>{0, 1000, 4294967294U});
    CHECK(c.content_by_strategy);
    CHECK(c.halt_on_loss);
    CHECK(c.reduce_on_mark_breach);
    CHECK(c.mark_threshold_bps == 25);
    CHECK(c.mark_interval_ms == 0);
    CHECK_FALSE(c.instruments.at(0).short_allowed);
    CHECK_FALSE(c.instruments.at(0).zero_prices);
    // Both settings weaken the limits of money that this one has; nothing else is strange about it.
    REQUIRE(c.warnings.size() == 2);
    CHECK(c.warnings.at(0).starts_with("allow_limit_without_reference meets max_order_notional of firm:"));
    CHECK(c.warnings.at(1).starts_with("reserve_price limit meets max_order_notional of firm:"));
    const Limits& l = c.limits.at(0).limits;
    CHECK(l.max_gross_notional == LimitValue{LimitValue::Kind::value, 9'000'000});
    CHECK(l.drawdown == LimitValue{LimitValue::Kind::value, 14'000'000});
    CHECK(l.max_messages == LimitValue{LimitValue::Kind::value, 15});
    CHECK(l.max_all_messages == LimitValue{LimitValue::Kind::value, 4294967294});
    CHECK(l.max_rejects == LimitValue{LimitValue::Kind::value, 19});
    CHECK(l.window_ms == LimitValue{LimitValue::Kind::value, 20});
    CHECK(l.cancel_headroom_bps == LimitValue{LimitValue::Kind::value, 2225});
    CHECK(c.limits.at(1).limits.max_messages == LimitValue{LimitValue::Kind::unlimited, 0});
    CHECK(c.limits.at(1).limits.window_ms == LimitValue{});
}

TEST_CASE("what is left out of the configuration has its documented default", "[config]") {
    const SharedConfig c = parse_config(with(""));
    CHECK(c.self_match == SelfMatch::refuse_new);
    CHECK(c.self_match_group == SelfMatchGroup::account);
    CHECK(c.gross_method == GrossMethod::standard);
    CHECK_FALSE(c.four_eyes);
    CHECK(c.approvers.empty());
    CHECK_FALSE(c.content_by_strategy);
    CHECK_FALSE(c.halt_on_loss);
    CHECK_FALSE(c.reduce_on_mark_breach);
    CHECK(c.mark_threshold_bps == 10);
    CHECK(c.mark_interval_ms == 1000);
    CHECK(c.capacity.budgets == 64);
    CHECK(c.capacity.restrictions == 256);
    CHECK(c.restricted.empty());
    CHECK(c.instruments.at(0).short_allowed);
    CHECK(c.instruments.at(0).zero_prices);
    CHECK(c.warnings.empty());
}

TEST_CASE("a configuration that was written is read again as the same", "[config]") {
    for (const std::string& json : {kEverything, with("")}) {
        const SharedConfig first = parse_config(json);
        const std::string canonical = config_to_json(first);
        const SharedConfig second = parse_config(canonical);
        CHECK(config_to_json(second) == canonical);
        REQUIRE(second.limits.size() == first.limits.size());
        for (std::size_t i = 0; i < first.limits.size(); ++i) CHECK(second.limits[i].limits == first.limits[i].limits);
        REQUIRE(second.restricted.size() == first.restricted.size());
        for (std::size_t i = 0; i < first.restricted.size(); ++i) {
            const Restriction &a = first.restricted[i], &b = second.restricted[i];
            CHECK(std::tie(a.scope, a.buy, a.sell, a.reason, a.from_ns, a.to_ns) ==
                  std::tie(b.scope, b.buy, b.sell, b.reason, b.from_ns, b.to_ns));
        }
        CHECK(second.self_match == first.self_match);
        CHECK(second.halt_on_loss == first.halt_on_loss);
        CHECK(second.reduce_on_mark_breach == first.reduce_on_mark_breach);
        CHECK(second.instruments.at(0).short_allowed == first.instruments.at(0).short_allowed);
        CHECK(second.instruments.at(0).zero_prices == first.instruments.at(0).zero_prices);
    }
}

TEST_CASE("each switch takes every one of its values and survives being written", "[config]") {
    for (const char* member :
         {R"("self_match":"refuse_new")", R"("self_match":"advise_cancel")", R"("self_match":"allow")",
          R"("self_match_group":"account")", R"("self_match_group":"firm")", R"("gross_method":"standard")",
          R"("gross_method":"worst_case")", R"("four_eyes":true)", R"("four_eyes":false)", R"("approvers":[1000,1001])",
          R"("content_by_strategy":true)", R"("on_loss":"reducing_only")", R"("on_loss":"halt")", R"("on_mark_breach":"warn")",
          R"("on_mark_breach":"reducing_only")", R"("mark_threshold_bps":0)", R"("mark_interval_ms":60000)"}) {
        INFO(member);
        CHECK(config_to_json(parse_config(with("," + std::string(member)))).find(member) != std::string::npos);
    }
}

TEST_CASE("a restriction holds both sides for ever unless it says otherwise, and ends before its end", "[config]") {
    const SharedConfig c = parse_config(kEverything);
    REQUIRE(c.restricted.size() == 3);
    const Restriction& dated = c.restricted[0];
    CHECK((dated.scope == "instrument:X" && !dated.buy && dated.sell && dated.reason == "no \"shorts\""));
    CHECK(dated.from_ns == 1'795'593'600'500'000'000);   // 2026-11-25T08:00:00.5Z
    CHECK(dated.to_ns == 1'795'651'200'000'000'000);     // 2026-11-26T00:00:00Z
    CHECK((c.restricted[1].buy && c.restricted[1].sell && c.restricted[1].from_ns == 0));
    CHECK((c.restricted[2].buy && !c.restricted[2].sell));
    const SharedConfig plain = parse_config(with_restricted(R"({"scope":"firm"},{"scope":"account:A","sides":"both"})"));
    for (const Restriction& entry : plain.restricted) {
        CHECK((entry.buy && entry.sell && entry.reason.empty()));
        CHECK((entry.from_ns == 0 && entry.to_ns == INT64_MAX));
    }
}

TEST_CASE("a restriction that is wrong is refused by the path of its field", "[config]") {
    const std::string long_reason(96, 'r');
    require_refused({
        {with_restricted(R"({"sides":"buy"})"), "restricted[0].scope", "required"},
        {with_restricted(R"({"scope":"firm"},{"scope":"account:B"})"), "restricted[1].scope", "of configured ids"},
        {with_restricted(R"({"scope":"firm","side":"buy"})"), "restricted[0].side", "sides"},
        {with_restricted(R"({"scope":"firm","sides":"none"})"), "restricted[0].sides", "both"},
        {with_restricted(R"({"scope":"firm","sides":[]})"), "restricted[0].sides", "at least one side"},
        {with_restricted(R"({"scope":"firm","sides":["both"]})"), "restricted[0].sides", "a list of sides"},
        {with_restricted(R"({"scope":"firm","sides":7})"), "restricted[0].sides", "buy"},
        {with_restricted(R"({"scope":"firm","reason":7})"), "restricted[0].reason", "a string"},
        {with_restricted(R"({"scope":"firm","reason":")" + long_reason + "\"}"), "restricted[0].reason", "at most 95"},
        {with_restricted(R"({"scope":"firm","from":"tomorrow"})"), "restricted[0].from", "2026-11-25"},
        {with_restricted(R"({"scope":"firm","from":1795593600})"), "restricted[0].from", "2026-11-25T08:00:00Z"},
        {with_restricted(R"({"scope":"firm","from":"2026-11-25","to":"2026-11-25"})"), "restricted[0].to", "after from"},
        {with(R"(,"restricted":{"scope":"firm"})"), "restricted", "an array"},
    });
    // Two entries of the same scope and dates are one with the sides of both.
    const SharedConfig both =
        parse_config(with_restricted(R"({"scope":"firm","sides":"sell"},{"scope":"firm","sides":"buy"})"));
    REQUIRE(both.restricted.size() == 1);
    CHECK((both.restricted[0].buy && both.restricted[0].sell));
    CHECK(refusal(with_restricted(R"({"scope":"firm","to":"2026-11-25"},{"scope":"firm","from":"2026-11-25"})")).empty());
    CHECK(refusal(with_restricted(R"({"scope":"firm","reason":")" + long_reason.substr(1) + "\"}")).empty());
}

TEST_CASE("a time is UTC to the nanosecond, a date its midnight, and nothing else is a time", "[config]") {
    using persist::parse_time;
    CHECK(parse_time("1970-01-01") == 0);
    CHECK(parse_time("1970-01-02T00:00:00Z") == 86'400'000'000'000);
    CHECK(parse_time("2024-02-29T23:59:59.123456789Z") == 1'709'251'199'123'456'789);
    CHECK(parse_time("2026-11-25T08:00:00.05Z") == 1'795'593'600'050'000'000);
    for (const char* text : {"",
                             "2026",
                             "2026-11",
                             "2026-11-25T",
                             "2026-11-25T08:00Z",
                             "2026-11-25T08:00:00",
                             "2026-11-25T08:00:00+01:00",
                             "2026-11-25 08:00:00Z",
                             "2026-11-25T24:00:00Z",
                             "2026-11-25T08:60:00Z",
                             "2026-11-25T08:00:60Z",
                             "2026-13-01",
                             "2026-02-29",
                             "2026-00-10",
                             "2026-11-00",
                             "1969-12-31",
                             "2262-01-01",
                             "2026-11-25T08:00:00.Z",
                             "2026-11-25T08:00:00.1234567890Z",
                             "2026-11-25T08:00:00Zx",
                             "2026-11-25x",
                             "+026-11-25",
                             "26-11-25",
                             "2026-1-05"}) {
        INFO(text);
        CHECK_FALSE(parse_time(text).has_value());
    }
    for (const std::int64_t ns : {std::int64_t{0}, std::int64_t{1}, std::int64_t{1'795'593'600'999'999'999}})
        CHECK(parse_time(persist::format_time(ns)) == ns);
}

TEST_CASE("every limit takes its smallest and greatest value, and is written as it was read", "[config]") {
    for (const core::Limit& field : core::kLimits)
        for (const std::int64_t value : {field.least, field.least + 1, field.most}) {
            const std::string text = persist::format_amount(field.unit, value);
            INFO(field.name << " " << text);
            const LimitValue limit = persist::parse_limit(field, text);
            CHECK(limit == LimitValue{LimitValue::Kind::value, value});
            persist::JsonWriter out;
            out.begin_object();
            CHECK(persist::write_limit(out, field, limit));
            const std::string quote = persist::is_count(field.unit) ? "" : "\"";
            CHECK(out.end_object().text() == "{\"" + std::string(field.name) + "\":" + quote + text + quote + "}");
        }
}

TEST_CASE("the parameters of limits cannot be unlimited, every other limit can", "[config]") {
    for (const core::Limit& field : core::kLimits) {
        INFO(field.name);
        CHECK(persist::parse_limit(field, "unset") == LimitValue{});
        const std::string member = "\"" + std::string(field.name) + "\":\"unlimited\"";
        if (field.is(core::kIsParameter)) {
            CHECK_THROWS_AS(persist::parse_limit(field, "unlimited"), Error);
            CHECK(refusal(with_limit(member)).find("limits[0]." + std::string(field.name) + ":") != std::string::npos);
        } else {
            CHECK(persist::parse_limit(field, "unlimited") == LimitValue{LimitValue::Kind::unlimited, 0});
            CHECK(refusal(with_limit(member)).empty());
        }
    }
}

TEST_CASE("a limit that is wrong is refused by the path of its field and what is allowed", "[config]") {
    require_refused({
        {with_limit(R"("max_gross_notional":5)"), "limits[0].max_gross_notional", "a decimal as a string"},
        {with_limit(R"("max_gross_notional":"-1")"), "limits[0].max_gross_notional", "0 or more"},
        {with_limit(R"("max_net_notional":"0.0000001")"), "limits[0].max_net_notional", "6 fractional digits"},
        {with_limit(R"("daily_loss":"much")"), "limits[0].daily_loss", "a decimal"},
        {with_limit(R"("drawdown":"unset")"), "limits[0].drawdown", "leave the key out"},
        {with_limit(R"("cash_limit":"99999999999999")"), "limits[0].cash_limit", "or unlimited"},
        {with_limit(R"("max_messages":"5")"), "limits[0].max_messages", "a whole number, or \"unlimited\""},
        {with_limit(R"("max_messages":5.5)"), "limits[0].max_messages", "a whole number from 0 to 4294967294"},
        {with_limit(R"("max_all_messages":4294967295)"), "limits[0].max_all_messages", "4294967294"},
        {with_limit(R"("max_same_content":-1)"), "limits[0].max_same_content", "a whole number"},
        {with_limit(R"("max_same_direction":true)"), "limits[0].max_same_direction", "a whole number"},
        {with_limit(R"("max_rejects":null)"), "limits[0].max_rejects", "a whole number"},
        {with_limit(R"("window_ms":0)"), "limits[0].window_ms", "from 1 to 86400000"},
        {with_limit(R"("window_ms":86400001)"), "limits[0].window_ms", "from 1 to 86400000"},
        {with_limit(R"("window_ms":"1000")"), "limits[0].window_ms", "a whole number"},
        {with_limit(R"("content_window_ms":0)"), "limits[0].content_window_ms", "from 1 to 86400000"},
        {with_limit(R"("cancel_headroom":0.15)"), "limits[0].cancel_headroom", "a decimal as a string"},
        {with_limit(R"("cancel_headroom":"1.0001")"), "limits[0].cancel_headroom", "from 0 to 1"},
        {with_limit(R"("cancel_headroom":"0.00001")"), "limits[0].cancel_headroom", "4 fractional digits"},
        {with_limit(R"("cancel_headroom_bps":1500)"), "limits[0].cancel_headroom_bps", "cancel_headroom"},
        {with_limit(R"("max_messages":1)", "strategy:t"), "limits[0].scope", "of configured ids"},
    });
}

TEST_CASE("numbers, lists and sizes that cannot be are refused by the path of their field", "[config][inv-12]") {
    const auto whole = [](const std::string& instruments, const std::string& strategies, const std::string& more = {}) {
        return R"({"instruments":[)" + instruments + R"(],"accounts":[{"id":"A"}],"strategies":[)" + strategies + "]" + more +
               "}";
    };
    const std::string x = R"({"id":"X","tick":"1"})", y = R"({"id":"Y","tick":"1"})", s = R"({"id":"s","account":"A"})";
    require_refused({
        {whole(R"({"id":"X","tick":"abc"})", s), "instruments[0].tick", "a decimal with at most 9 fractional digits"},
        {whole(R"({"id":"X","tick":"1e3"})", s), "instruments[0].tick", "a decimal"},
        {whole(R"({"id":"X","tick":"99999999999999999999"})", s), "instruments[0].tick", "a decimal"},
        {whole(R"({"id":"X","tick":"1","multiplier":"1234567.123456789","fx_rate":"1234.123456789"})", s),
         "instruments[0].multiplier", "fewer digits"},
        {whole(x, R"({"id":"s","account":["A","A"]})"), "strategies[0].account", "each account once"},
        {whole(x + "," + y, s, R"(,"capacity":{"instruments":1})"), "instruments", "at most capacity.instruments = 1"},
    });
    const auto many = [](const std::string& prefix, int count, const std::string& rest) {
        std::string list;
        for (int i = 0; i < count; ++i) {
            if (i != 0) list += ',';
            list += "{\"id\":\"" + prefix + std::to_string(i) + "\"," + rest + "}";
        }
        return list;
    };
    // 64,003 × 4,201 scopes: each of the lists is allowed, all of them together are beyond what 32 bits number.
    require_refused({{whole(many("X", 4200, R"("tick":"1")"), many("s", 64'000, R"("account":"A")"),
                            R"(,"capacity":{"instruments":4200,"strategies":64000})"),
                      "instruments", "at most 2^28: fewer instruments, accounts or strategies"}});
}

TEST_CASE("a switch that is wrong is refused by its key and what is allowed", "[config]") {
    require_refused({
        {with(R"(,"self_match":"perhaps")"), "self_match", "refuse_new, advise_cancel, allow"},
        {with(R"(,"self_match":true)"), "self_match", "allow"},
        {with(R"(,"self_match_group":"desk")"), "self_match_group", "account, firm"},
        {with(R"(,"gross_method":"worst")"), "gross_method", "standard, worst_case"},
        {with(R"(,"four_eyes":"yes")"), "four_eyes", "true or false"},
        {with(R"(,"approvers":1000)"), "approvers", "an array"},
        {with(R"(,"approvers":["root"])"), "approvers[0]", "the number of a user"},
        {with(R"(,"approvers":[7,-1])"), "approvers[1]", "the number of a user"},
        {with(R"(,"approvers":[4294967295])"), "approvers[0]", "the number of a user"},
        {with(R"(,"content_by_strategy":1)"), "content_by_strategy", "true or false"},
        {with(R"(,"on_loss":"halted")"), "on_loss", "reducing_only, halt"},
        {with(R"(,"on_mark_breach":"halt")"), "on_mark_breach", "warn, reducing_only"},
        {with(R"(,"mark_threshold_bps":1000001)"), "mark_threshold_bps", "1000000"},
        {with(R"(,"mark_interval_ms":"100")"), "mark_interval_ms", "a whole number"},
        {with(R"(,"capacity":{"budgets":65537})"), "capacity.budgets", "65536"},
        {with(R"(,"capacity":{"restrictions":-1})"), "capacity.restrictions", "a whole number"},
    });
    CHECK(refusal(R"({"instruments":[{"id":"X","tick":"1","short_allowed":"no"}]})").find("instruments[0].short_allowed:") !=
          std::string::npos);
}

TEST_CASE("a window without a limit that is counted in it is worth a warning", "[config]") {
    const auto warnings = [](const std::string& member) { return parse_config(with_limit(member)).warnings; };
    REQUIRE(warnings(R"("window_ms":500)").size() == 1);
    CHECK(warnings(R"("window_ms":500)")[0].find("limits[0].window_ms") == 0);
    CHECK(warnings(R"("content_window_ms":500,"cancel_headroom":"0.1")").size() == 2);
    CHECK(warnings(R"("window_ms":500,"max_rejects":3)").empty());
    CHECK(warnings(R"("max_all_messages":500,"cancel_headroom":"0.1","window_ms":5)").empty());
}
