// Error numbers of POSIX systems, and what they are to us (file.hpp).
#include <errno.h>

#include <array>
#include <cstring>

#include "persist/file.hpp"

namespace riskreg::persist {

namespace {

struct Meaning {
    int number;
    IoKind kind;
};

/// The first number of a kind is the one that we say ourselves.
constexpr std::array<Meaning, 19> kMeanings = {{
    {EIO, IoKind::device},
    {ENOSPC, IoKind::no_space},
    {EDQUOT, IoKind::no_space},
    {EINTR, IoKind::interrupted},
    {EAGAIN, IoKind::try_again},
    {ENOMEM, IoKind::no_memory},
    {EMFILE, IoKind::no_descriptors},
    {ENFILE, IoKind::no_descriptors},
    {ENOENT, IoKind::missing},
    {ELOOP, IoKind::link},
    {EINVAL, IoKind::invalid},
    {EEXIST, IoKind::existing},
    {EFBIG, IoKind::too_large},
    {ENOSYS, IoKind::not_supported},
    {EPERM, IoKind::not_supported},
    {EOPNOTSUPP, IoKind::not_supported},
    {EMLINK, IoKind::not_supported},
    {ENOKEY, IoKind::no_key},
    {0, IoKind::none},
}};

}  // namespace

IoError IoError::of(IoKind kind) noexcept {
    for (const Meaning& meaning : kMeanings)
        if (meaning.kind == kind) return {meaning.number};
    return {EIO};
}

IoKind IoError::kind() const noexcept {
    for (const Meaning& meaning : kMeanings)
        if (meaning.number == number) return meaning.kind;
    return IoKind::other;
}

std::string IoError::text() const { return number == 0 ? "no error" : std::strerror(number); }

}  // namespace riskreg::persist
