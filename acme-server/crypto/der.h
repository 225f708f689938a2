// A DER writer (X.690): every function gives one whole element. Plain bytes in and out, no OpenSSL,
// so that the same arguments give the same octets for ever. For crypto's .cc files.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "acme-server/base/bytes.h"
#include "acme-server/base/clock.h"

namespace gatehouse::crypto::der {

inline constexpr std::uint8_t kSequence = 0x30;
inline constexpr std::uint8_t kSet = 0x31;
inline constexpr std::uint8_t kInteger = 0x02;
inline constexpr std::uint8_t kBitString = 0x03;

// The identifier octet of a context tag `number` below 31.
constexpr std::uint8_t primitive_tag(unsigned number) {
  return static_cast<std::uint8_t>(0x80U | number);
}

constexpr std::uint8_t constructed_tag(unsigned number) {
  return static_cast<std::uint8_t>(0xA0U | number);
}

void append(Bytes& out, ByteView bytes);
Bytes concat(std::initializer_list<ByteView> parts);

// The identifier and length octets before `length` octets of content.
Bytes header(std::uint8_t tag, std::size_t length);
Bytes element(std::uint8_t tag, ByteView content);
Bytes sequence(std::initializer_list<ByteView> parts);
Bytes set(std::initializer_list<ByteView> parts);

// A non-negative INTEGER from its big-endian octets; leading zeros do not matter.
Bytes integer(ByteView magnitude);
Bytes integer(std::uint64_t value);
Bytes enumerated(std::uint8_t value);
Bytes boolean_true();
Bytes null();
Bytes octet_string(ByteView content);
Bytes bit_string(ByteView content);
// A NamedBitList as X.690 11.2.2 wants it, without trailing zero bits. Bit 0 of `bits` is the first
// named bit.
Bytes named_bits(std::uint32_t bits);
// From dotted text. Throws std::runtime_error when it is not an object identifier.
Bytes oid(std::string_view dotted);
Bytes utf8(std::string_view text);
// UTCTime until 2049, GeneralizedTime from 2050 (RFC 5280 section 4.1.2.5).
Bytes time(Instant instant);

}  // namespace gatehouse::crypto::der
