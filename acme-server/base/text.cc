#include "acme-server/base/text.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/hex.h"

namespace gatehouse {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// One row of the Unicode Standard's table 3-7, "Well-Formed UTF-8 Byte Sequences". Octets past the
// second are 80..BF. The bounds of the second leave out overlong forms, surrogates and what is
// beyond U+10FFFF.
struct Utf8Row {
  std::uint8_t first_low, first_high;
  std::uint8_t second_low, second_high;
  std::uint8_t length;
};

constexpr std::array<Utf8Row, 9> kUtf8Rows = {{
    {0x00, 0x7f, 0x00, 0x00, 1},
    {0xc2, 0xdf, 0x80, 0xbf, 2},
    {0xe0, 0xe0, 0xa0, 0xbf, 3},
    {0xe1, 0xec, 0x80, 0xbf, 3},
    {0xed, 0xed, 0x80, 0x9f, 3},
    {0xee, 0xef, 0x80, 0xbf, 3},
    {0xf0, 0xf0, 0x90, 0xbf, 4},
    {0xf1, 0xf3, 0x80, 0xbf, 4},
    {0xf4, 0xf4, 0x80, 0x8f, 4},
}};

// How many octets the well-formed sequence at the beginning of `text`, which is not empty, has; 0
// when there is none.
std::size_t utf8_length(std::string_view text) {
  const ByteView octets = as_bytes(text);
  const auto* row = std::ranges::find_if(kUtf8Rows, [&](const Utf8Row& r) {
    return octets[0] >= r.first_low && octets[0] <= r.first_high;
  });
  if (row == kUtf8Rows.end() || row->length > octets.size()) {
    return 0;
  }
  for (std::size_t i = 1; i < row->length; ++i) {
    const std::uint8_t low = i == 1 ? row->second_low : 0x80;
    const std::uint8_t high = i == 1 ? row->second_high : 0xbf;
    if (octets[i] < low || octets[i] > high) {
      return 0;
    }
  }
  return row->length;
}

std::uint32_t code_point_of(std::string_view sequence) {
  constexpr std::array<std::uint32_t, 5> kLeadMask = {0, 0x7f, 0x1f, 0x0f, 0x07};
  std::uint32_t code = static_cast<unsigned char>(sequence[0]) & kLeadMask[sequence.size()];
  for (const char c : sequence.substr(1)) {
    code = code << 6 | (static_cast<unsigned char>(c) & 0x3f);
  }
  return code;
}

// What a terminal or a browser acts upon rather than shows: C0, DEL and C1 controls, line and
// paragraph separators, marks of writing direction, invisible joiners, tags. In a log they would
// forge or hide what an operator reads.
bool is_control(std::uint32_t code) {
  struct Range {
    std::uint32_t first, last;
  };

  constexpr std::array<Range, 9> kControls = {{{0x00, 0x1f},
                                               {0x7f, 0x9f},
                                               {0xad, 0xad},
                                               {0x61c, 0x61c},
                                               {0x200b, 0x200f},
                                               {0x2028, 0x202e},
                                               {0x2060, 0x206f},
                                               {0xfeff, 0xfeff},
                                               {0xe0000, 0xe007f}}};
  return std::ranges::any_of(
      kControls, [code](Range range) { return code >= range.first && code <= range.last; });
}

// What sanitize() writes for the octets of one character, or for one octet that begins none.
std::string shown(std::string_view sequence, bool well_formed) {
  if (sequence == "\"" || sequence == "\\") {
    return "\\" + std::string(sequence);
  }
  if (well_formed && !is_control(code_point_of(sequence))) {
    return std::string(sequence);
  }
  std::string escaped;
  for (const char c : sequence) {
    escaped += "\\x" + hex_encode(as_bytes({&c, 1}));
  }
  return escaped;
}

std::size_t characters_in(std::string_view utf8) {
  return static_cast<std::size_t>(std::ranges::count_if(
      utf8, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

std::string to_lower(std::string_view text) {
  std::string lowered(text);
  std::ranges::transform(lowered, lowered.begin(), lower);
  return lowered;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) {
      return parts;
    }
    text.remove_prefix(end + 1);
  }
}

std::string join(const std::vector<std::string>& parts, std::string_view between) {
  std::string joined;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) {
      joined += between;
    }
    joined += parts[i];
  }
  return joined;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) {
      return false;
    }
    text.remove_prefix(length);
  }
  return true;
}

std::string sanitize(std::string_view text, std::size_t limit) {
  if (limit == 0) {
    return {};
  }
  const bool plain = std::ranges::all_of(
      text, [](char c) { return c >= ' ' && c < 0x7f && c != '"' && c != '\\'; });
  if (plain && text.size() <= limit) {
    return std::string(text);
  }
  std::string out;
  std::size_t characters = 0;
  std::size_t cut = 0;  // the longest beginning of `out` that leaves room for the ellipsis
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const std::string_view sequence = text.substr(0, std::max<std::size_t>(length, 1));
    text.remove_prefix(sequence.size());
    const std::string piece = shown(sequence, length > 0);
    characters += characters_in(piece);
    if (characters > limit) {
      out.resize(cut);
      return out + "…";
    }
    out += piece;
    if (characters < limit) {
      cut = out.size();
    }
  }
  return out;
}

}  // namespace gatehouse
