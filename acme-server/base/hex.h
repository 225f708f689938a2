// Octets as lower-case hexadecimal digits.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "acme-server/base/bytes.h"

namespace gatehouse {

std::string hex_encode(ByteView bytes);

// Takes either case; nothing but digits, an even number of them.
std::optional<Bytes> hex_decode(std::string_view text);

}  // namespace gatehouse
