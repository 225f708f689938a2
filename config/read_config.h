// The steps of load_config(), for who wants to look between them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/json.h"
#include "config/config.h"

namespace gatehouse::config {

// The text of the file. Throws std::runtime_error naming the path when it cannot be read.
std::string read_text(const std::string& path);

// `text` as JSON with `settings` over it. Throws JsonError without the file's name.
Json read_document(std::string_view text, const std::vector<std::string>& settings);

// What `document` says, as if it stood in the file at `path`; text, document and settings of the
// result are empty. Throws JsonError that begins with the option's path.
Config read_config(const Json& document, const std::string& path);

}  // namespace gatehouse::config
