#include <isa-l/crc.h>

#include "persist/checksum.hpp"

namespace riskreg::persist {

std::uint32_t crc32c(std::uint32_t begin, std::span<const std::byte> bytes) noexcept {
    // The library asks for a pointer to non-const and only reads.
    auto* const data = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(bytes.data()));
    return ::crc32_iscsi(data, static_cast<int>(bytes.size()), begin);
}

}  // namespace riskreg::persist
