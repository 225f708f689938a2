// JSON written piece by piece, for what is written often: log lines, what the audit chain hashes.
#pragma once

#include <string>
#include <string_view>

namespace gatehouse {

// Appends `text` as a JSON string, exactly as print_json() would.
void append_json_string(std::string& out, std::string_view text);

}  // namespace gatehouse
