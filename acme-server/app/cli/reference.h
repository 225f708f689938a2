// The manual page, made of the tree that parses the command line, so that it can tell of nothing
// else.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "acme-server/app/cli/cli.h"

namespace gatehouse::app {

// gatehouse(8), roff.
std::string man_page(const CLI::App& program, const std::string& version);

// `gatehouse man`; `program` is asked when it runs, whole by then.
void add_reference(CLI::App& program, Command& chosen);

}  // namespace gatehouse::app
