// What can be said of a point before there is a key: the sizes and orders of our curves, and
// whether a point lies on one. For crypto's .cc files.
#pragma once

#include <cstddef>
#include <string_view>

#include "acme-server/base/bytes.h"
#include "acme-server/crypto/jwk.h"

namespace gatehouse::crypto {

struct Curve {
  KeyType type;
  std::string_view jwk_name;  // crv
  const char* openssl_name;
  int nid;
  std::size_t bytes;           // of a coordinate
  std::string_view order_hex;  // n, as long as a coordinate
};

// Of an EC type; a LogicError for the others.
const Curve& curve_of(KeyType type);
// The curve of a `crv`, or nullptr.
const Curve* find_curve(std::string_view jwk_name);

// True when 1 <= `scalar` < n. `scalar` is exactly as long as a coordinate.
bool is_in_range(const Curve& curve, ByteView scalar);

// True when (x, y), each of full length, is a point of the curve: coordinates below p, the equation
// holds. Infinity has no such coordinates, and with cofactor 1 every point has the full order (SP
// 800-56A section 5.6.2.3.3).
bool is_on_curve(const Curve& curve, ByteView x, ByteView y);

// True when the 32 octets are the canonical encoding of a point of edwards25519 (RFC 8032
// section 5.1.3).
bool is_ed25519_point(ByteView encoded);
// True for the eight points whose order divides 8, in every encoding: under such a "key" one
// signature fits many messages.
bool is_small_order_ed25519(ByteView encoded);

}  // namespace gatehouse::crypto
