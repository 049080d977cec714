/// Options whose values are the names of a closed set (base/names.hpp).
#pragma once

#include <CLI/CLI.hpp>
#include <initializer_list>
#include <string>
#include <vector>

#include "base/names.hpp"

namespace riskctl {

/// What an option takes, in the order in which --help shows it.
template <class E>
CLI::IsMember is_named(std::initializer_list<E> values) {
    std::vector<std::string> names;
    for (const E value : values) names.emplace_back(riskreg::base::text_of(value));
    return CLI::IsMember(names);
}

}  // namespace riskctl
