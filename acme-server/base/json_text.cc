#include "acme-server/base/json_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include "acme-server/base/json.h"

namespace gatehouse {
namespace {

void append_dumped(std::string& out, const Json& value) {
  out += value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

template <class Number>
void append_integer(std::string& out, Number number) {
  std::array<char, 24> digits{};
  out.append(digits.data(), std::to_chars(digits.begin(), digits.end(), number).ptr);
}

void append_object(std::string& out, const Json::object_t& members) {
  char before = '{';
  for (const auto& [name, value] : members) {
    out += before;
    append_json_string(out, name);
    out += ':';
    append_json(out, value);
    before = ',';
  }
  out += members.empty() ? "{}" : "}";
}

void append_array(std::string& out, const Json::array_t& elements) {
  char before = '[';
  for (const Json& element : elements) {
    out += before;
    append_json(out, element);
    before = ',';
  }
  out += elements.empty() ? "[]" : "]";
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  const bool plain = std::ranges::all_of(
      text, [](char c) { return c >= ' ' && c < 0x7f && c != '"' && c != '\\'; });
  if (!plain) {
    append_dumped(out, Json(std::string(text)));
    return;
  }
  out += '"';
  out += text;
  out += '"';
}

void append_json(std::string& out, const Json& value) {
  switch (value.type()) {
    case Json::value_t::object:
      return append_object(out, value.get_ref<const Json::object_t&>());
    case Json::value_t::array:
      return append_array(out, value.get_ref<const Json::array_t&>());
    case Json::value_t::string:
      return append_json_string(out, value.get_ref<const std::string&>());
    case Json::value_t::number_integer:
      return append_integer(out, value.get<std::int64_t>());
    case Json::value_t::number_unsigned:
      return append_integer(out, value.get<std::uint64_t>());
    case Json::value_t::boolean:
      out += value.get<bool>() ? "true" : "false";
      return;
    case Json::value_t::null:
      out += "null";
      return;
    case Json::value_t::number_float:
    case Json::value_t::binary:
    case Json::value_t::discarded:
      return append_dumped(out, value);
  }
}

}  // namespace gatehouse
