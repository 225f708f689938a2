#include "acme-server/crypto/der.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/check.h"
#include "acme-server/base/clock.h"

namespace gatehouse::crypto::der {

namespace {

constexpr std::size_t kMaxHeader = 2 + sizeof(std::size_t);

// One arc of an object identifier: seven bits to the octet, all but the last marked.
void append_arc(Bytes& out, std::uint64_t arc) {
  std::array<std::uint8_t, 10> septets{};
  std::size_t count = 0;
  do {
    septets.at(count++) = static_cast<std::uint8_t>(arc & 0x7FU);
    arc >>= 7U;
  } while (arc != 0);
  while (count-- > 0) {
    out.push_back(static_cast<std::uint8_t>(septets.at(count) | (count > 0 ? 0x80U : 0U)));
  }
}

// Without allocations: a CRL has a million times.
void append_digits(std::string& out, unsigned value, std::size_t width) {
  unsigned unit = 1;
  for (std::size_t i = 1; i < width; ++i) unit *= 10;
  for (; unit > 0; unit /= 10) out.push_back(static_cast<char>('0' + value / unit % 10));
}

std::size_t size_of(std::initializer_list<ByteView> parts) {
  std::size_t size = 0;
  for (const ByteView part : parts) size += part.size();
  return size;
}

void append_header(Bytes& out, std::uint8_t tag, std::size_t length) {
  out.push_back(tag);
  if (length < 0x80) {
    out.push_back(static_cast<std::uint8_t>(length));
    return;
  }
  unsigned octets = 0;
  for (std::size_t rest = length; rest != 0; rest >>= 8U) ++octets;
  out.push_back(static_cast<std::uint8_t>(0x80U | octets));
  while (octets-- > 0) out.push_back(static_cast<std::uint8_t>(length >> (8U * octets)));
}

// The parts one behind the other under one identifier.
Bytes element_of(std::uint8_t tag, std::initializer_list<ByteView> parts) {
  const std::size_t size = size_of(parts);
  Bytes out;
  out.reserve(kMaxHeader + size);
  append_header(out, tag, size);
  for (const ByteView part : parts) append(out, part);
  return out;
}

}  // namespace

void append(Bytes& out, ByteView bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

Bytes concat(std::initializer_list<ByteView> parts) {
  Bytes out;
  out.reserve(size_of(parts));
  for (const ByteView part : parts) append(out, part);
  return out;
}

Bytes header(std::uint8_t tag, std::size_t length) {
  Bytes out;
  append_header(out, tag, length);
  return out;
}

Bytes element(std::uint8_t tag, ByteView content) {
  return element_of(tag, {content});
}

Bytes sequence(std::initializer_list<ByteView> parts) {
  return element_of(kSequence, parts);
}

Bytes set(std::initializer_list<ByteView> parts) {
  return element_of(kSet, parts);
}

Bytes integer(ByteView magnitude) {
  const auto first = std::ranges::find_if(magnitude, [](std::uint8_t octet) { return octet != 0; });
  Bytes content;
  if (first == magnitude.end() || *first >= 0x80) content.push_back(0);
  content.insert(content.end(), first, magnitude.end());
  return element(kInteger, content);
}

Bytes integer(std::uint64_t value) {
  std::array<std::uint8_t, 8> octets{};
  for (std::size_t i = 0; i < octets.size(); ++i) {
    octets.at(i) = static_cast<std::uint8_t>(value >> (8U * (7U - i)));
  }
  return integer(octets);
}

Bytes enumerated(std::uint8_t value) {
  ACME_CHECK(value < 0x80);
  return {0x0A, 0x01, value};
}

Bytes boolean_true() {
  return {0x01, 0x01, 0xFF};
}

Bytes null() {
  return {0x05, 0x00};
}

Bytes octet_string(ByteView content) {
  return element(0x04, content);
}

Bytes bit_string(ByteView content) {
  constexpr std::uint8_t kNoSpareBits = 0;
  return element_of(kBitString, {{&kNoSpareBits, 1}, content});
}

Bytes named_bits(std::uint32_t bits) {
  Bytes content = {0};
  for (std::uint32_t rest = bits; rest != 0; rest >>= 8U) {
    unsigned octet = 0;
    for (unsigned bit = 0; bit < 8; ++bit) {
      octet = (octet << 1U) | ((rest >> bit) & 1U);
    }
    content.push_back(static_cast<std::uint8_t>(octet));
  }
  if (bits != 0) {
    content.front() = static_cast<std::uint8_t>(std::countr_zero(content.back()));
  }
  return element(kBitString, content);
}

Bytes oid(std::string_view dotted) {
  std::vector<std::uint64_t> arcs;
  bool good = true;
  for (std::size_t at = 0; good && at <= dotted.size();) {
    const std::size_t dot = std::min(dotted.find('.', at), dotted.size());
    std::uint64_t arc = 0;
    const auto [end, error] = std::from_chars(dotted.data() + at, dotted.data() + dot, arc);
    good = error == std::errc() && end == dotted.data() + dot && arc < (std::uint64_t{1} << 62U);
    arcs.push_back(arc);
    at = dot + 1;
  }
  good = good && arcs.size() >= 2 && arcs[0] <= 2 && (arcs[0] == 2 || arcs[1] < 40);
  if (!good) {
    throw std::runtime_error("\"" + std::string(dotted) +
                             "\" is not an object identifier; write it as 1.3.6.1…");
  }
  Bytes content;
  append_arc(content, arcs[0] * 40 + arcs[1]);
  for (std::size_t i = 2; i < arcs.size(); ++i) append_arc(content, arcs[i]);
  return element(0x06, content);
}

Bytes utf8(std::string_view text) {
  return element(0x0C, as_bytes(text));
}

Bytes time(Instant instant) {
  const auto day = std::chrono::floor<std::chrono::days>(instant);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(instant - day);
  const int year = static_cast<int>(date.year());
  ACME_CHECK(year >= 1950 && year <= 9999);
  const bool utc = year < 2050;

  std::string text;
  append_digits(text, static_cast<unsigned>(utc ? year % 100 : year), utc ? 2 : 4);
  append_digits(text, static_cast<unsigned>(date.month()), 2);
  append_digits(text, static_cast<unsigned>(date.day()), 2);
  append_digits(text, static_cast<unsigned>(clock.hours().count()), 2);
  append_digits(text, static_cast<unsigned>(clock.minutes().count()), 2);
  append_digits(text, static_cast<unsigned>(clock.seconds().count()), 2);
  text += 'Z';
  return element(utc ? 0x17 : 0x18, as_bytes(text));
}

}  // namespace gatehouse::crypto::der
