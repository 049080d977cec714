#include "persist/key.hpp"

#include <cstdio>
#include <cstdlib>

#include "persist/file.hpp"
#include "riskreg/error.hpp"

namespace riskreg::persist {

namespace {

constexpr std::size_t kMaxKeyBytes = 4096;

/// Who can read the key can sign what this registry never wrote; who can write it can lock its owner out.
void require_private(const std::string& path, const FileAccess& access) {
    if (!access.is_regular) throw Error(Errc::permission, "key file " + path + ": is not a regular file");
    if (access.owner != access.caller && access.owner != 0)
        throw Error(Errc::permission, "key file " + path + ": belongs to uid " + std::to_string(access.owner) +
                                          ", allowed: uid " + std::to_string(access.caller) +
                                          ", which this process runs as, or root");
    if ((access.mode & 077U) == 0) return;
    char mode[16];
    std::snprintf(mode, sizeof mode, "%04o", access.mode);
    throw Error(Errc::permission, "key file " + path + ": its mode is " + mode + " (owner uid " + std::to_string(access.owner) +
                                      "), so others than its owner may use it; allowed: 0600" + " or 0400. Type: chmod 600 " +
                                      path);
}

}  // namespace

Key read_key(const std::string& path) {
    if (path.empty()) return {};
    Key key{{}, path};
    FileAccess access;
    const IoError error = read_whole(path, kMaxKeyBytes, key.bytes, access);
    if (error)
        throw Error(error.is_missing() ? Errc::bad_input : Errc::permission, "key file " + path + ": " + error.text() +
                                                                                 "; allowed: a readable file of 16 to " +
                                                                                 std::to_string(kMaxKeyBytes) + " bytes");
    require_private(path, access);
    if (key.bytes.size() < 16)
        throw Error(Errc::bad_input, "key file " + path + ": seen " + std::to_string(key.bytes.size()) +
                                         " bytes, allowed: 16 to " + std::to_string(kMaxKeyBytes));
    return key;
}

Key resolve_key(const std::string& explicit_path, const std::string& configured_path) {
    if (!explicit_path.empty()) return read_key(explicit_path);
    const char* variable = std::getenv("RISKREG_KEY_FILE");
    return read_key(variable != nullptr && *variable != '\0' ? variable : configured_path);
}

std::string_view digest_name(const Key& key) noexcept { return key.present() ? "hmac_sha256" : "sha256"; }

}  // namespace riskreg::persist
