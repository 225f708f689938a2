// JSON written piece by piece, for what is written often: log lines, what the audit chain hashes.
#pragma once

#include <string>
#include <string_view>

#include "acme-server/base/json.h"

namespace gatehouse {

// Appends `text` as a JSON string, exactly as print_json() would.
void append_json_string(std::string& out, std::string_view text);

// Appends what print_json() gives.
void append_json(std::string& out, const Json& value);

}  // namespace gatehouse
