// Classes of ASCII characters. No locale anywhere.
#pragma once

#include <optional>
#include <string_view>

namespace gatehouse {

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

constexpr bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

constexpr bool is_alphanumeric(char c) {
  return is_letter(c) || is_digit(c);
}

// A character of base64url, of our ids, and of what DNS holds in practice: a letter, a digit, "-"
// or "_".
constexpr bool is_word_character(char c) {
  return is_alphanumeric(c) || c == '-' || c == '_';
}

// The value of a hexadecimal digit of either case; nothing for another character.
constexpr std::optional<unsigned> hex_digit(char c) {
  if (is_digit(c)) return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  return std::nullopt;
}

// C0 and DEL.
constexpr bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

// Printable and no blank.
constexpr bool is_visible(char c) {
  return c > ' ' && c <= '~';
}

constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

// Without the blanks and tabs at both ends. trim() of base/text.h takes line ends too.
constexpr std::string_view trim_blanks(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace gatehouse
