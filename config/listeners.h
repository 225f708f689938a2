// The "listeners" part of the config.
#pragma once

#include <string>

#include "acme-server/base/json.h"
#include "config/config.h"

namespace gatehouse::config {

// Fills the lists of kConfiguredListeners from `root`'s "listeners", or with their
// defaults: HTTPS on port 443 (or base_url's) with a certificate of our own, plain HTTP on port 80
// for public files, loopback 9402 for operations. Throws JsonError: plain ACME off loopback, two
// listeners on one address, unknown fields.
void read_listeners(const JsonObject& root, Config& config);

// Fills config.control_socket; after data_directory was read.
void read_control(const JsonObject& root, Config& config);

// `path` as the config means it: relative to the config file's folder.
std::string resolve_path(const Config& config, const std::string& path);

}  // namespace gatehouse::config
