// The README's ten lines: create, open, check_and_register, destroy.
#include <cstdio>

#include "riskreg/registry.hpp"

int main(int, char** argv) {
    const std::string state_dir = argv[1];
    riskreg::Registry::create("consumer", riskreg::parse_config(R"({"persistence":{"mode":"none"},"require_limits":false,
        "allow_limit_without_reference":true,"self_match":"allow","capacity":{"orders":64,"executions":64,"ring_events":256,"sessions":4},
        "instruments":[{"id":"ESH4","tick":"0.25"}],"accounts":[{"id":"A1"}],"strategies":[{"id":"mm1","account":"A1"}]})"),
                              state_dir);
    riskreg::Verdict verdict;
    {
        riskreg::ProcessConfig process;
        process.state_dir = state_dir;
        process.strategy = "mm1";
        auto registry = riskreg::Registry::open("consumer", process);
        riskreg::OrderRequest order;
        order.id = "O-4";
        order.account = registry.account("A1");
        order.instrument = registry.instrument("ESH4");
        order.side = riskreg::Side::sell;
        order.price = riskreg::Price{4800'000000000};
        order.quantity = riskreg::Quantity{1'00000000};
        verdict = registry.check_and_register(order);
    }
    riskreg::Registry::destroy("consumer", state_dir, false, true);
    std::printf("%s\n", std::string(riskreg::name_of(verdict.result)).c_str());
    return verdict.accepted() ? 0 : 1;
}
