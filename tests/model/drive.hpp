/// The commands of the model, given to the core on private memory.
#pragma once

#include "model/command.hpp"
#include "support/plain_registry.hpp"

namespace riskreg::test {

[[nodiscard]] core::Caller core_caller(const PlainRegistry& registry, const Command& c);
/// Any command but a batch.
Verdict run(PlainRegistry& registry, const Command& c);

}  // namespace riskreg::test
