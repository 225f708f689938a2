// base64url without padding, RFC 4648 section 5 as RFC 8555 section 6.1 wants it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "acme-server/base/bytes.h"

namespace gatehouse {

std::string base64url_encode(ByteView bytes);

// Strict: nothing but the alphabet (so no "=" and no white space), zero trailing bits, and a length
// that some octets have. Else nothing.
std::optional<Bytes> base64url_decode(std::string_view text);

// Standard base64 with padding, RFC 4648 section 4, in one line: what PEM and HTTP headers use.
std::string base64_encode(ByteView bytes);

// Reads it back from any number of lines: white space is passed over. As strict as
// base64url_decode() otherwise.
std::optional<Bytes> base64_decode(std::string_view text);

}  // namespace gatehouse
