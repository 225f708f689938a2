#include "acme-server/base/base64url.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "acme-server/base/bytes.h"

namespace gatehouse {
namespace {

constexpr std::string_view kUrlAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::string_view kStandardAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::uint8_t kNoDigit = 0xff;

consteval std::array<std::uint8_t, 256> digits_of(std::string_view alphabet) {
  std::array<std::uint8_t, 256> digits{};
  digits.fill(kNoDigit);
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    digits[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return digits;
}

constexpr auto kUrlDigits = digits_of(kUrlAlphabet);

std::string encode(ByteView bytes, std::string_view alphabet) {
  std::string text((bytes.size() * 8 + 5) / 6, '\0');
  auto out = text.begin();
  const auto put = [&](std::uint32_t bits, unsigned shift) {
    *out++ = alphabet[bits >> shift & 0x3f];
  };
  for (; bytes.size() >= 3; bytes = bytes.subspan(3)) {
    const std::uint32_t bits =
        std::uint32_t{bytes[0]} << 16 | std::uint32_t{bytes[1]} << 8 | std::uint32_t{bytes[2]};
    put(bits, 18);
    put(bits, 12);
    put(bits, 6);
    put(bits, 0);
  }
  if (!bytes.empty()) {
    const bool two = bytes.size() == 2;
    const std::uint32_t bits =
        std::uint32_t{bytes[0]} << 16 | (two ? std::uint32_t{bytes[1]} << 8 : 0);
    put(bits, 18);
    put(bits, 12);
    if (two) put(bits, 6);
  }
  return text;
}

// What up to four characters stand for, six bits each; nothing when one is no digit.
std::optional<std::uint32_t> bits_of(std::string_view text) {
  std::uint32_t bits = 0;
  std::uint32_t seen = 0;
  for (const char c : text) {
    const std::uint8_t digit = kUrlDigits[static_cast<unsigned char>(c)];
    bits = bits << 6 | digit;
    seen |= digit;
  }
  if (seen > 0x3f) return std::nullopt;
  return bits;
}

}  // namespace

std::string base64url_encode(ByteView bytes) {
  return encode(bytes, kUrlAlphabet);
}

std::optional<Bytes> base64url_decode(std::string_view text) {
  if (text.size() % 4 == 1) {
    return std::nullopt;
  }
  Bytes bytes(text.size() * 3 / 4);
  auto out = bytes.begin();
  for (; text.size() >= 4; text.remove_prefix(4)) {
    const std::optional<std::uint32_t> bits = bits_of(text.substr(0, 4));
    if (!bits) return std::nullopt;
    *out++ = static_cast<std::uint8_t>(*bits >> 16);
    *out++ = static_cast<std::uint8_t>(*bits >> 8);
    *out++ = static_cast<std::uint8_t>(*bits);
  }
  if (!text.empty()) {
    const std::optional<std::uint32_t> bits = bits_of(text);
    // Bits that no octet takes must be zero, or two texts would stand for the same octets (RFC 4648
    // section 3.5).
    const unsigned spare = text.size() == 2 ? 4 : 2;
    if (!bits || (*bits & ((1U << spare) - 1)) != 0) return std::nullopt;
    const std::uint32_t octets = *bits >> spare;
    if (text.size() == 3) *out++ = static_cast<std::uint8_t>(octets >> 8);
    *out = static_cast<std::uint8_t>(octets);
  }
  return bytes;
}

std::string base64_encode(ByteView bytes) {
  std::string text = encode(bytes, kStandardAlphabet);
  text.append((4 - text.size() % 4) % 4, '=');
  return text;
}

std::optional<Bytes> base64_decode(std::string_view text) {
  // Standard base64 is base64url with two other characters, and padding to a multiple of four.
  std::string digits;
  digits.reserve(text.size());
  for (const char c : text) {
    if (c == '-' || c == '_') return std::nullopt;
    if (c == '\r' || c == '\n' || c == ' ' || c == '\t') continue;
    digits += c == '+' ? '-' : c == '/' ? '_' : c;
  }
  if (digits.size() % 4 != 0) return std::nullopt;
  for (int i = 0; i < 2 && digits.ends_with('='); ++i) digits.pop_back();
  return base64url_decode(digits);
}

}  // namespace gatehouse
