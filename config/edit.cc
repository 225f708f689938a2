#include "config/edit.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <utility>

#include "acme-server/base/text.h"

namespace gatehouse::config {

namespace {

constexpr JsonLimits kLimits = {.depth = 12, .members = 4096, .comments = true};

struct Range {
  std::size_t begin = 0, end = 0;
};

// Finds its way through text that parse_json() has accepted.
class Scanner final {
 public:
  Scanner(std::string_view text, std::size_t at) : text_(text), at_(at) {}

  std::size_t at() const { return at_; }

  // Past blanks and comments.
  void skip_space() {
    while (at_ < text_.size()) {
      const std::string_view rest = text_.substr(at_);
      if (rest.starts_with("//")) {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (rest.starts_with("/*")) {
        at_ = text_.find("*/", at_) + 2;
      } else if (rest.find_first_of(" \t\r\n") == 0) {
        ++at_;
      } else {
        return;
      }
    }
  }

  bool take(char expected) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != expected) return false;
    ++at_;
    return true;
  }

  Range skip_string() {
    skip_space();
    const std::size_t begin = at_++;
    while (text_.at(at_) != '"') at_ += text_[at_] == '\\' ? 2U : 1U;
    ++at_;
    return {.begin = begin, .end = at_};
  }

  Range skip_value() {
    skip_space();
    const std::size_t begin = at_;
    if (text_.at(at_) == '"') return skip_string();
    if (text_[at_] == '{' || text_[at_] == '[') {
      skip_nested();
    } else {
      at_ = std::min(text_.find_first_of(" \t\r\n,]}/", at_), text_.size());
    }
    return {.begin = begin, .end = at_};
  }

 private:
  void skip_nested() {
    std::size_t depth = 0;
    do {
      skip_space();
      const char c = text_.at(at_);
      if (c == '"') {
        skip_string();
        continue;
      }
      if (c == '{' || c == '[') ++depth;
      if (c == '}' || c == ']') --depth;
      ++at_;
    } while (depth > 0);
  }

  std::string_view text_;
  std::size_t at_;
};

struct Member {
  std::string name;
  Range key, value;
};

std::vector<Member> members_of(std::string_view text, const Range& object) {
  std::vector<Member> members;
  Scanner scanner(text, object.begin + 1);
  while (!scanner.take('}')) {
    scanner.take(',');
    Member member;
    member.key = scanner.skip_string();
    member.name = parse_json(text.substr(member.key.begin, member.key.end - member.key.begin))
                      .get<std::string>();
    scanner.take(':');
    member.value = scanner.skip_value();
    members.push_back(std::move(member));
  }
  return members;
}

std::string indent_at(std::string_view text, std::size_t at) {
  const std::size_t newline = text.rfind('\n', at);
  const std::size_t begin = newline == std::string_view::npos ? 0 : newline + 1;
  const std::size_t end = text.find_first_not_of(" \t", begin);
  return std::string(text.substr(begin, end - begin));
}

// Whether nothing but blanks and comments stands between `at` and the end of its line; that end.
std::optional<std::size_t> rest_of_line(std::string_view text, std::size_t at) {
  const std::size_t end = text.find('\n', at);
  if (end == std::string_view::npos) return std::nullopt;
  Scanner scanner(text.substr(0, end), at);
  scanner.skip_space();
  return scanner.at() == end ? std::optional(end) : std::nullopt;
}

std::string with_new_member(std::string_view text, const Range& object, const std::string& name,
                            const Json& value) {
  const auto members = members_of(text, object);
  const std::string member = print_json(Json(name)) + ": " + print_json(value);
  std::string changed(text);
  if (members.empty()) return changed.insert(object.begin + 1, " " + member + " ");
  const Member& last = members.back();
  if (const auto line_end = rest_of_line(text, last.value.end)) {
    changed.insert(*line_end, "\n" + indent_at(text, last.key.begin) + member);
    return changed.insert(last.value.end, ",");
  }
  return changed.insert(last.value.end, ", " + member);
}

Range root_of(std::string_view text) {
  return Scanner(text, 0).skip_value();
}

std::optional<Range> find(std::string_view text, const MemberPath& path) {
  Range here = root_of(text);
  for (const std::string& name : path) {
    if (text[here.begin] != '{') return std::nullopt;
    bool found = false;
    for (const Member& member : members_of(text, here)) {
      if (member.name != name) continue;
      here = member.value;
      found = true;
    }
    if (!found) return std::nullopt;
  }
  return here;
}

std::string print(const MemberPath& path) {
  return join(path, ".");
}

std::string verified(std::string_view before, std::string changed, const MemberPath& path,
                     const Json& value) {
  Json expected = parse_json(before, kLimits);
  Json* place = &expected;
  for (const std::string& name : path) {
    if (place->is_null()) *place = Json::object();
    place = &(*place)[name];
  }
  *place = value;
  if (parse_json(changed, kLimits) != expected) {
    throw std::runtime_error("the config cannot be changed without spoiling it; set " +
                             print(path) + " to " + print_json(value) + " by hand");
  }
  return changed;
}

std::string set_unverified(std::string_view text, const MemberPath& path, const Json& value) {
  if (const auto place = find(text, path)) {
    std::string changed(text);
    return changed.replace(place->begin, place->end - place->begin, print_json(value));
  }
  // From the deepest object that is there, one member that holds the rest.
  MemberPath above = path;
  Json inner = value;
  while (true) {
    const std::string name = above.back();
    above.pop_back();
    if (const auto object = find(text, above)) {
      if (text[object->begin] != '{') {
        throw std::runtime_error("the config's " + print(above) + " is not an object");
      }
      return with_new_member(text, *object, name, inner);
    }
    inner = Json{{name, inner}};
  }
}

}  // namespace

std::string set_member(std::string_view text, const MemberPath& path, const Json& value) {
  parse_json(text, kLimits);  // the scanner relies on it
  return verified(text, set_unverified(text, path, value), path, value);
}

std::string add_element(std::string_view text, const MemberPath& path, const Json& value,
                        ListEnd end) {
  parse_json(text, kLimits);
  const auto place = find(text, path);
  if (!place || text[place->begin] != '[') return set_member(text, path, Json::array({value}));
  Json list = parse_json(text.substr(place->begin, place->end - place->begin), kLimits);
  std::string changed(text);
  if (list.empty()) {
    changed.insert(place->begin + 1, print_json(value));
  } else if (end == ListEnd::front) {
    changed.insert(place->begin + 1, print_json(value) + ", ");
  } else {
    Scanner scanner(text, place->begin + 1);
    std::size_t last = 0;
    for (std::size_t i = 0; i < list.size(); ++i) {
      scanner.take(',');
      last = scanner.skip_value().end;
    }
    changed.insert(last, ", " + print_json(value));
  }
  list.insert(end == ListEnd::front ? list.begin() : list.end(), value);
  return verified(text, std::move(changed), path, list);
}

}  // namespace gatehouse::config
