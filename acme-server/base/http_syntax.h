// What HTTP allows in a header field, for the server and the client alike (RFC 9110 section 5).
#pragma once

#include <algorithm>
#include <string_view>

#include "acme-server/base/ascii.h"

namespace gatehouse {

// RFC 9110 section 5.6.2: methods and names of fields.
constexpr bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return is_alphanumeric(c) ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

// RFC 9110 section 5.5: no control character but tab.
constexpr bool is_field_value(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return is_control(c) && c != '\t'; });
}

}  // namespace gatehouse
