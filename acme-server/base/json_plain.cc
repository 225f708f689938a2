#include "acme-server/base/json_plain.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "acme-server/base/json.h"

namespace gatehouse {
namespace {

// Of an object: few enough to be compared with one another.
constexpr std::size_t kMaxMembers = 16;
// A JWS has three, its header four: room for them is made at once.
constexpr std::size_t kUsualMembers = 8;
constexpr std::size_t kMaxDigits = 18;  // all of them fit an int64

constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

constexpr bool is_plain(char c) {
  return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

// Takes values off the front of a text. False: not plain, and the reader is of no more use.
class Reader final {
 public:
  Reader(std::string_view text, const JsonLimits& limits)
      : at_(text.data()), end_(text.data() + text.size()), limits_(limits) {}

  // A value with blanks around it. `depth` counts the objects and arrays that it is in.
  bool value(Json& out, std::size_t depth) {
    skip_blanks();
    if (at_ == end_) return false;
    const bool good = *at_ == '"'   ? text(out)
                      : *at_ == '{' ? depth < limits_.depth && object(out, depth + 1)
                      : *at_ == '[' ? depth < limits_.depth && array(out, depth + 1)
                      : is_digit(*at_) || *at_ == '-' ? number(out)
                                                      : word(out);
    skip_blanks();
    return good;
  }

  bool done() const { return at_ == end_; }

 private:
  void skip_blanks() {
    while (at_ != end_ && is_blank(*at_)) ++at_;
  }

  bool take(char c) {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }

  // What stands between two quotation marks.
  bool quoted(std::string_view& out) {
    if (!take('"')) return false;
    const char* const begin = at_;
    at_ = std::find_if_not(at_, end_, is_plain);
    out = {begin, at_};
    return take('"');
  }

  bool text(Json& out) {
    std::string_view read;
    if (!quoted(read)) return false;
    out = std::string(read);
    return true;
  }

  bool number(Json& out) {
    const bool negative = take('-');
    const char* const begin = at_;
    std::int64_t magnitude = 0;
    while (at_ != end_ && is_digit(*at_)) {
      if (static_cast<std::size_t>(at_ - begin) == kMaxDigits) return false;
      magnitude = magnitude * 10 + (*at_++ - '0');
    }
    // No digit, a leading zero; and "-0", which is no integer to everybody.
    if (at_ == begin || (*begin == '0' && (negative || at_ != begin + 1))) return false;
    if (negative) {
      out = -magnitude;
    } else {
      out = static_cast<std::uint64_t>(magnitude);
    }
    return true;
  }

  bool word(Json& out) {
    const auto is_next = [&](std::string_view name) {
      if (!std::string_view(at_, end_).starts_with(name)) return false;
      at_ += name.size();
      return true;
    };
    if (is_next("true")) {
      out = true;
    } else if (is_next("false")) {
      out = false;
    } else {
      return is_next("null");  // what `out` is from the beginning
    }
    return true;
  }

  bool array(Json& out, std::size_t depth) {
    ++at_;
    Json::array_t elements;
    skip_blanks();
    if (!take(']')) {
      do {
        if (elements.size() >= limits_.members || !value(elements.emplace_back(), depth)) {
          return false;
        }
      } while (take(','));
      if (!take(']')) return false;
    }
    out = std::move(elements);
    return true;
  }

  bool object(Json& out, std::size_t depth) {
    using Members = Json::object_t::Container;  // whose emplace_back() does not search
    ++at_;
    Json::object_t members;
    members.reserve(kUsualMembers);
    skip_blanks();
    if (!take('}')) {
      do {
        std::string_view name;
        skip_blanks();
        if (members.size() >= std::min(limits_.members, kMaxMembers) || !quoted(name)) return false;
        if (std::ranges::any_of(members, [&](const auto& each) { return each.first == name; })) {
          return false;
        }
        skip_blanks();
        if (!take(':')) return false;
        members.Members::emplace_back(std::string(name), Json());
        if (!value(members.back().second, depth)) return false;
      } while (take(','));
      if (!take('}')) return false;
    }
    out = std::move(members);
    return true;
  }

  const char* at_;
  const char* end_;
  const JsonLimits& limits_;
};

}  // namespace

std::optional<Json> parse_plain_json(std::string_view text, const JsonLimits& limits) {
  Reader reader(text, limits);
  Json value;
  if (!reader.value(value, 0) || !reader.done()) return std::nullopt;
  return value;
}

}  // namespace gatehouse
