#include "acme-server/base/json.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/json_text.h"
#include "acme-server/base/text.h"

template class nlohmann::basic_json<nlohmann::ordered_map>;

namespace gatehouse {
namespace {

// Of a member's name or a value from outside, quoted in a message.
constexpr std::size_t kMaxSample = 40;
// Names longer than this are not compared with the known ones: none of ours is near.
constexpr std::size_t kMaxComparedName = 64;
// Of an object in a request: a JWS has three, its header four.
constexpr std::size_t kUsualMembers = 8;

std::string joined_path(std::string_view path, std::string_view name) {
  const std::string sample = sanitize(name, kMaxSample);
  return path.empty() ? sample : std::string(path) + "." + sample;
}

// What a message begins with: the place, when it has a name.
std::string at(std::string_view path) {
  return path.empty() ? "" : std::string(path) + ": ";
}

// "a number" and so on, to say what stands where something else belongs.
std::string kind_of(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::object:
      return "an object";
    case Json::value_t::array:
      return "an array";
    case Json::value_t::string:
      return "a string";
    case Json::value_t::boolean:
      return "true or false";
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
    case Json::value_t::number_float:
      return "a number";
    case Json::value_t::binary:
    case Json::value_t::discarded:
      break;
  }
  return "not JSON";
}

[[noreturn]] void wrong_type(std::string_view path, std::string_view wanted, const Json& value) {
  throw JsonError(at(path) + "must be " + std::string(wanted) + ", but is " + kind_of(value));
}

void check_length(std::string_view path, const std::string& text, std::size_t max_length) {
  if (text.size() > max_length) {
    throw JsonError(at(path) + "has " + std::to_string(text.size()) + " octets, more than the " +
                    std::to_string(max_length) + " allowed");
  }
}

// "line 3, column 7" of the octet at `offset`, counted in octets from 1.
std::string place_of(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const auto line = 1 + std::ranges::count(before, '\n');
  const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  return "line " + std::to_string(line) + ", column " +
         std::to_string(before.size() - line_start + 1);
}

// The sentence inside nlohmann's message, without its prefix and without the octets it quotes,
// which are the sender's.
// "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while parsing
// value - invalid literal; last read: 'x'" gives "invalid literal".
std::string reason_in(std::string_view message) {
  if (message.find("out_of_range") != std::string_view::npos) {
    return "a number is too large";
  }
  if (message.find("an empty input") != std::string_view::npos) {  // nlohmann 3.11.3 and later
    return "unexpected end of input; expected '[', '{', or a literal";
  }
  if (const std::size_t dash = message.find(" - "); dash != std::string_view::npos) {
    message.remove_prefix(dash + 3);
  }
  return std::string(message.substr(0, message.find("; last read")));
}

// Builds the value from the parser's events, bottom up, and stops at what parse_json() does not
// take.
class Builder final : public nlohmann::json_sax<Json> {
 public:
  Builder(std::string_view text, const JsonLimits& limits) : text_(text), limits_(limits) {}

  bool null() override { return add(nullptr); }

  bool boolean(bool value) override { return add(value); }

  bool number_integer(number_integer_t value) override { return add(value); }

  bool number_unsigned(number_unsigned_t value) override { return add(value); }

  bool number_float(number_float_t value, const string_t&) override { return add(value); }

  bool string(string_t& value) override { return add(std::move(value)); }

  bool binary(binary_t&) override { return false; }  // JSON text has none

  bool start_object(std::size_t) override { return open(Json::object()); }

  bool end_object() override {
    refuse_duplicates();
    return close();
  }

  bool start_array(std::size_t) override { return open(Json::array()); }

  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    frames_.back().name = std::move(name);
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    // `position` counts what was read, the end of the text included: the last of it is where it
    // went wrong.
    const std::size_t offset =
        std::min(position - std::min<std::size_t>(position, 1), text_.size());
    const std::string place =
        limits_.comments ? place_of(text_, offset) : "octet " + std::to_string(offset + 1);
    // What people write who know other formats.
    const bool hash = limits_.comments && offset < text_.size() && text_[offset] == '#';
    throw JsonError("not valid JSON at " + place + ": " +
                    (hash ? "comments begin with //, not with #" : reason_in(error.what())));
  }

  Json take() { return std::move(result_); }

 private:
  // An object or array that has begun and not ended.
  struct Frame {
    Json value;
    std::string name;  // of the member that is being read, in an object
  };

  bool open(Json value) {
    if (frames_.size() >= limits_.depth) {
      throw JsonError(at(path()) + "is nested deeper than the " + std::to_string(limits_.depth) +
                      " levels allowed");
    }
    frames_.push_back({std::move(value), ""});
    return true;
  }

  bool close() {
    Json value = std::move(frames_.back().value);
    frames_.pop_back();
    return add(std::move(value));
  }

  bool add(Json value) {
    if (frames_.empty()) {
      result_ = std::move(value);
      return true;
    }
    Frame& frame = frames_.back();
    if (frame.value.size() >= limits_.members) {
      throw JsonError(at(path_above()) + "has more than the " + std::to_string(limits_.members) +
                      " members allowed");
    }
    if (frame.value.is_array()) {
      frame.value.push_back(std::move(value));
    } else {
      // Not operator[]: it searches the members one by one. refuse_duplicates() looks once, at the
      // end.
      auto& members = frame.value.get_ref<Json::object_t&>();
      if (members.empty()) {
        members.reserve(kUsualMembers);
      }
      members.Json::object_t::Container::emplace_back(std::move(frame.name), std::move(value));
    }
    return true;
  }

  // RFC 7515 section 4: "the Header Parameter names within the JOSE Header MUST be unique". Two
  // readers that pick different ones of two members are two readers of different requests.
  void refuse_duplicates() const {
    const auto& members = frames_.back().value.get_ref<const Json::object_t&>();
    if (members.size() <= kUsualMembers) {  // nearly always, and then comparing all is quickest
      for (auto member = members.begin(); member != members.end(); ++member) {
        for (auto other = members.begin(); other != member; ++other) {
          if (other->first == member->first) {
            throw JsonError(joined_path(path_above(), member->first) + ": is given twice");
          }
        }
      }
      return;
    }
    std::vector<std::string_view> names;
    names.reserve(members.size());
    for (const auto& [name, value] : members) {
      names.emplace_back(name);
    }
    std::ranges::sort(names);
    if (const auto twice = std::ranges::adjacent_find(names); twice != names.end()) {
      throw JsonError(joined_path(path_above(), *twice) + ": is given twice");
    }
  }

  // Where the value that comes next belongs.
  std::string path() const { return path_of(frames_.size()); }

  // What the innermost open object or array is called.
  std::string path_above() const { return path_of(frames_.size() - 1); }

  std::string path_of(std::size_t depth) const {
    std::string text;
    for (const Frame& frame : std::span(frames_).first(depth)) {
      if (frame.value.is_array()) {
        text += "[" + std::to_string(frame.value.size()) + "]";
      } else {
        text = joined_path(text, frame.name);
      }
    }
    return text;
  }

  std::string_view text_;
  const JsonLimits& limits_;
  std::vector<Frame> frames_;
  Json result_;
};

// How many letters must be put in, left out, replaced or swapped with their neighbour to make `b`
// of `a`.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last;
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before_last = std::exchange(last, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({replaced, last[j] + 1, row[j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before_last[j - 2] + 1);
      }
    }
  }
  return row.back();
}

// How far `name`, as somebody wrote it, is from `known`. What was cut short or given an ending is
// near.
std::size_t distance_to(std::string_view known, std::string_view name) {
  constexpr std::size_t kTellingBeginning = 4;
  const std::string a = to_lower(known);
  const std::string b = to_lower(name);
  if (std::min(a.size(), b.size()) >= kTellingBeginning && (a.starts_with(b) || b.starts_with(a))) {
    return 1;
  }
  return edit_distance(a, b);
}

// "; did you mean port?" where one of `known` is near, else the whole list.
std::string suggestion(std::string_view name, std::initializer_list<std::string_view> known) {
  if (known.size() == 0) {
    return "";
  }
  if (name.size() <= kMaxComparedName) {
    const auto distance = [name](std::string_view candidate) {
      return distance_to(candidate, name);
    };
    const std::string_view nearest = std::ranges::min(known, {}, distance);
    if (distance(nearest) <= std::max<std::size_t>(1, std::max(name.size(), nearest.size()) / 2)) {
      return "; did you mean " + std::string(nearest) + "?";
    }
  }
  return "; known here: " + join(std::vector<std::string>(known.begin(), known.end()), ", ");
}

}  // namespace

Json parse_json(std::string_view text, const JsonLimits& limits) {
  // nlohmann's lexer takes a NUL for the end of the text and skips a byte order mark: both would
  // let bytes pass unseen.
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    throw JsonError("not valid JSON at octet " + std::to_string(nul + 1) + ": a NUL octet");
  }
  if (text.starts_with("\xef\xbb\xbf")) {
    throw JsonError("begins with a byte order mark; send or save it as UTF-8 without one");
  }
  Builder builder(text, limits);
  const bool parsed = Json::sax_parse(text.begin(), text.end(), &builder,
                                      Json::input_format_t::json, true, limits.comments);
  ACME_CHECK(parsed);  // whatever stops the builder throws
  return builder.take();
}

std::string print_json(const Json& value) {
  std::string text;
  append_json(text, value);
  return text;
}

std::string print_json_pretty(const Json& value) {
  return value.dump(2, ' ', false, Json::error_handler_t::replace);
}

JsonObject::JsonObject(const Json& value, std::string path)
    : value_(&value), path_(std::move(path)) {
  if (!value.is_object()) {
    wrong_type(path_, "an object", value);
  }
}

bool JsonObject::has(std::string_view name) const {
  const Json* value = find(name);
  return value != nullptr && !value->is_null();
}

const Json* JsonObject::find(std::string_view name) const {
  const auto& members = value_->get_ref<const Json::object_t&>();
  const auto found = std::ranges::find(
      members, name, [](const auto& member) -> std::string_view { return member.first; });
  return found == members.end() ? nullptr : &found->second;
}

std::string JsonObject::path_of(std::string_view name) const {
  return joined_path(path_, name);
}

const std::string& JsonObject::string(std::string_view name, std::size_t max_length) const {
  if (!has(name)) {
    throw JsonError(path_of(name) + ": is required");
  }
  const Json& value = *find(name);
  if (!value.is_string()) {
    wrong_type(path_of(name), "a string", value);
  }
  const auto& text = value.get_ref<const std::string&>();
  check_length(path_of(name), text, max_length);
  return text;
}

JsonObject JsonObject::object(std::string_view name) const {
  if (!has(name)) {
    throw JsonError(path_of(name) + ": is required");
  }
  return JsonObject(*find(name), path_of(name));
}

std::optional<std::string> JsonObject::optional_string(std::string_view name,
                                                       std::size_t max_length) const {
  if (!has(name)) {
    return std::nullopt;
  }
  return string(name, max_length);
}

std::optional<bool> JsonObject::optional_bool(std::string_view name) const {
  if (!has(name)) {
    return std::nullopt;
  }
  const Json& value = *find(name);
  if (!value.is_boolean()) {
    wrong_type(path_of(name), "true or false", value);
  }
  return value.get<bool>();
}

std::optional<std::int64_t> JsonObject::optional_integer(std::string_view name, std::int64_t min,
                                                         std::int64_t max) const {
  if (!has(name)) {
    return std::nullopt;
  }
  const Json& value = *find(name);
  // A literal above 2^63 - 1 comes as unsigned; get<std::int64_t>() would wrap it.
  const bool fits = value.is_number_unsigned()
                        ? std::in_range<std::int64_t>(value.get<std::uint64_t>())
                        : value.is_number_integer();
  if (!fits || value.get<std::int64_t>() < min || value.get<std::int64_t>() > max) {
    const std::string shown = value.is_number() ? print_json(value) : kind_of(value);
    throw JsonError(path_of(name) + ": " + shown + " is not an integer in " + std::to_string(min) +
                    ".." + std::to_string(max));
  }
  return value.get<std::int64_t>();
}

std::optional<std::vector<std::string>> JsonObject::optional_strings(std::string_view name,
                                                                     std::size_t max_count,
                                                                     std::size_t max_length) const {
  const Json* array = optional_array(name);
  if (array == nullptr) {
    return std::nullopt;
  }
  if (array->size() > max_count) {
    throw JsonError(path_of(name) + ": has " + std::to_string(array->size()) +
                    " elements, more than the " + std::to_string(max_count) + " allowed");
  }
  std::vector<std::string> texts;
  texts.reserve(array->size());
  for (const Json& element : *array) {
    const std::string path = path_of(name) + "[" + std::to_string(texts.size()) + "]";
    if (!element.is_string()) {
      wrong_type(path, "a string", element);
    }
    check_length(path, element.get_ref<const std::string&>(), max_length);
    texts.push_back(element.get<std::string>());
  }
  return texts;
}

std::optional<JsonObject> JsonObject::optional_object(std::string_view name) const {
  if (!has(name)) {
    return std::nullopt;
  }
  return object(name);
}

const Json* JsonObject::optional_array(std::string_view name) const {
  if (!has(name)) {
    return nullptr;
  }
  const Json* value = find(name);
  if (!value->is_array()) {
    wrong_type(path_of(name), "an array", *value);
  }
  return value;
}

void JsonObject::only(std::initializer_list<std::string_view> known) const {
  for (const auto& [name, value] : value_->get_ref<const Json::object_t&>()) {
    if (std::ranges::find(known, name) == known.end()) {
      throw JsonError(path_of(name) + " is not a known option" + suggestion(name, known));
    }
  }
}

}  // namespace gatehouse
