// Changes to the text of the config file that leave its comments and layout as people wrote them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/json.h"

namespace gatehouse::config {

// Where in the file: {"backends", "local", "certificate"}.
using MemberPath = std::vector<std::string>;

// `text` with the member at `path` set to `value`; objects on the way that are missing are made.
// Read back, the result is the old document with this one change: where that cannot be had, throws
// std::runtime_error.
std::string set_member(std::string_view text, const MemberPath& path, const Json& value);

enum class ListEnd { front, back };

// The same, with `value` as a new element of the list at `path`, which is made when it is missing.
std::string add_element(std::string_view text, const MemberPath& path, const Json& value,
                        ListEnd end);

}  // namespace gatehouse::config
