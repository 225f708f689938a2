// Which config file a command takes when none is named.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace gatehouse::app {

// --config, -c. `file` stays empty when it is not given: pass it through config_file() when the
// command runs.
void add_config_option(CLI::App& command, std::string& file);

// `given`, unless it is empty. Then $GATEHOUSE_CONFIG; then ./gatehouse.json, when this user or
// root owns it and its folder and nobody else can write them, since a config names programs and
// sockets: one that somebody left in /tmp must not become root's; then
// /etc/gatehouse/gatehouse.json.
std::string config_file(const std::string& given);

}  // namespace gatehouse::app
