// Digests, MACs and comparison in constant time. No OpenSSL header in sight.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "acme-server/base/bytes.h"
#include "acme-server/base/secret.h"

namespace gatehouse::crypto {

using Sha256 = std::array<std::uint8_t, 32>;

Sha256 sha256(ByteView bytes);

inline Sha256 sha256(std::string_view text) {
  return sha256(as_bytes(text));
}

// Lower-case hexadecimal SHA-256: how hashes stand in the store and in logs.
std::string sha256_hex(ByteView bytes);

Sha256 hmac_sha256(const Secret& key, ByteView message);

// Compares in time that depends on the lengths alone.
bool constant_time_equal(ByteView a, ByteView b);

}  // namespace gatehouse::crypto
