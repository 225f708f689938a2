// Readers of what validators' options have in common.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "acme-server/base/json.h"

namespace gatehouse::validators {

// Throws JsonError: "validators.http01.port: 70000 is not a port (1..65535)".
std::optional<std::uint16_t> read_port(const JsonObject& json, std::string_view name);
std::vector<std::uint16_t> read_ports(const JsonObject& json, std::string_view name);

// "timeout_seconds": of one try, 1..100. A lane of validations must not stand still for longer.
std::optional<std::chrono::seconds> read_timeout(const JsonObject& json);

// A text for an HTTP header: visible ASCII and blanks. Throws JsonError.
std::optional<std::string> read_header_text(const JsonObject& json, std::string_view name);

}  // namespace gatehouse::validators
