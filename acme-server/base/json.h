// JSON with the strictness that bytes from outside need, and readers that say which field is wrong.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

// nlohmann's literal "…"_json, which nobody here uses, is an inline function, and each file
// instantiated a whole parser for it: 0.4 s. As a template it is read and no more. A header that
// spells it another way is taken as it is.
// NOLINTNEXTLINE(bugprone-macro-parentheses,bugprone-reserved-identifier): names and parameters
#define _json(text, length) \
  _json(text, length);      \
  template <class = void>   \
  nlohmann::json unused_json_literal(text, length)
#include <nlohmann/json.hpp>
#undef _json

// Instantiated once, in json.cc, for every file that touches a Json.
extern template class nlohmann::basic_json<nlohmann::ordered_map>;

namespace gatehouse {

// Members keep their order, so that what we print reads as it was written.
using Json = nlohmann::ordered_json;

// Text that is not the JSON we asked for. `what()` names the field and what it must be: fit for a
// client's problem detail (it never quotes more than a short sample) and for an operator.
class JsonError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct JsonLimits {
  std::size_t depth = 16;      // nested objects and arrays
  std::size_t members = 1024;  // of one object or array
  bool comments = false;       // // and /* */: our own config file only
};

// Parses `text`. Throws JsonError for bad syntax, invalid UTF-8, duplicate members (RFC 7515
// section 4), trailing bytes, and what passes `limits`.
Json parse_json(std::string_view text, const JsonLimits& limits = {});

// One line, no spaces; invalid UTF-8 in strings is replaced, so that it never throws.
std::string print_json(const Json& value);
// Indented by two blanks, for people.
std::string print_json_pretty(const Json& value);

// Reads the fields of one JSON object. Every reader throws JsonError naming the field's full path.
// `path` is what the object is called in messages: "" for a payload, "validators.http01" for a part
// of the config.
class JsonObject {
 public:
  // `value` must outlive this. Throws when it is not an object.
  explicit JsonObject(const Json& value, std::string path = "");

  bool has(std::string_view name) const;          // present and not null
  const Json* find(std::string_view name) const;  // present (null too), or nullptr

  // Required: missing or null is an error.
  const std::string& string(std::string_view name, std::size_t max_length = 65536) const;
  JsonObject object(std::string_view name) const;

  // Optional: missing or null gives nothing or `otherwise`.
  std::optional<std::string> optional_string(std::string_view name,
                                             std::size_t max_length = 65536) const;
  std::optional<bool> optional_bool(std::string_view name) const;
  std::optional<std::int64_t> optional_integer(std::string_view name, std::int64_t min,
                                               std::int64_t max) const;
  std::optional<std::vector<std::string>> optional_strings(std::string_view name,
                                                           std::size_t max_count = 1024,
                                                           std::size_t max_length = 4096) const;
  std::optional<JsonObject> optional_object(std::string_view name) const;
  const Json* optional_array(std::string_view name) const;

  // Throws for the first member that is not among `known`, naming its path and the nearest known
  // name, or all of them where none is near.
  void only(std::initializer_list<std::string_view> known) const;

  const Json& json() const { return *value_; }

  const std::string& path() const { return path_; }

  std::string path_of(std::string_view name) const;

 private:
  const Json* value_;
  std::string path_;
};

}  // namespace gatehouse
