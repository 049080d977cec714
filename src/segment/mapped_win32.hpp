/// Which of this process's mappings an address lies in, so that processes that map a segment at different places wait for one event.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace riskreg::segment {

/// While the mapping lives.
void remember_mapping(const void* base, std::size_t size, const std::string& segment);
void forget_mapping(const void* base) noexcept;

/// The event of a word of a segment, one of two by `parity`: a handle, or nullptr where the word lies in no mapping of ours. It stays
/// open as long as the mapping.
[[nodiscard]] void* event_of(const void* word, unsigned parity) noexcept;

}  // namespace riskreg::segment
