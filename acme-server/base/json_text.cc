#include "acme-server/base/json_text.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "acme-server/base/json.h"

namespace gatehouse {

void append_json_string(std::string& out, std::string_view text) {
  const bool plain = std::ranges::all_of(
      text, [](char c) { return c >= ' ' && c < 0x7f && c != '"' && c != '\\'; });
  if (!plain) {
    out += print_json(Json(std::string(text)));
    return;
  }
  out += '"';
  out += text;
  out += '"';
}

}  // namespace gatehouse
