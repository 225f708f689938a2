// What an operator wants to read when a server starts.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "acme-server/http/engine.h"
#include "config/config.h"

namespace gatehouse::app {

// The libraries, the descriptor limit, and of the one config: where it listens, how validation
// reaches out, whom it asks for names, where it keeps its data.
std::vector<std::string> report_process(std::size_t descriptor_limit);
std::vector<std::string> report_server(const config::Config& config,
                                       const std::vector<http::ListenerAddress>& addresses);

// "acme.0 on [::]:443".
std::vector<std::string> print_listeners(const std::vector<http::ListenerAddress>& addresses);

}  // namespace gatehouse::app
