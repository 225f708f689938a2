// The command line described by itself: shell completion and the man page, made of the same tree
// that parses it, so that neither can tell of anything else.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "acme-server/app/cli/cli.h"

namespace gatehouse::app {

// A script for `source` in bash; zsh takes it after `bashcompinit`.
std::string bash_completion(const CLI::App& program);
// gatehouse(8), roff.
std::string man_page(const CLI::App& program, const std::string& version);

// `gatehouse completion bash` and `gatehouse man`; `program` is asked when they run, whole by then.
void add_reference(CLI::App& program, Command& chosen);

}  // namespace gatehouse::app
