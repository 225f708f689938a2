// Operators' commands: `gatehouse status`, and one noun each with its verbs.
//
// To add one: its route and handler in web/admin.h; here `add_<noun>()`, called by add_commands().
// A command asks() the installation (control.h) and prints: JSON as it came for --json, else lines
// for people. What the server refuses is CommandFailed, exit code 1.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <string_view>

#include "acme-server/app/cli.h"
#include "acme-server/app/control.h"
#include "acme-server/base/json.h"

namespace gatehouse::app {

void add_commands(CLI::App& program, Command& chosen);

void add_status(CLI::App& program, Command& chosen);    // commands_status.cc
void add_backup(CLI::App& program, Command& chosen);    // commands_backup.cc
void add_issuance(CLI::App& program, Command& chosen);  // commands_issuance.cc

// For the commands' own files.

// Text at `name` of `object`; empty where it is missing or null. A number as its digits.
std::string text_of(const Json& object, std::string_view name);

// "2026-11-26T19:05:22Z" as "2026-11-26 19:05:22"; what is empty stays so.
std::string time_of(const Json& object, std::string_view name);

// One JSON document on a line of standard output.
void print_line(const Json& json);

}  // namespace gatehouse::app
