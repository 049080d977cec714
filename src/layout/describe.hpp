/// The layout as text: what the golden file tests/golden/layout_v*.txt is compared with.
#pragma once

#include <string>

namespace riskreg::layout {

/// First line "layout_version N"; then per record one line "Type size N align N", followed by one line
/// "Type.field offset size" for each field in the order of the bytes. Fields are listed under their structs (fields.hpp).
[[nodiscard]] std::string describe_layout();

}  // namespace riskreg::layout
