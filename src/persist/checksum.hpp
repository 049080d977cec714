/// CRC-32C, of a library or of the processor: checksum_isal.cpp is the only file that sees it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace riskreg::persist {

/// `begin`: any number to begin with, or the result for what stands before. Inverted neither before nor after.
[[nodiscard]] std::uint32_t crc32c(std::uint32_t begin, std::span<const std::byte> bytes) noexcept;

}  // namespace riskreg::persist
