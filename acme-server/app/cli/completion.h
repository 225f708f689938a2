// Completion for shells, made of the tree that parses the command line: what completes is what is
// taken. Files, folders and words come from what values.h says of an option; names of backends and
// profiles from the config, which the scripts ask `gatehouse completion names` for.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "acme-server/app/cli/cli.h"

namespace gatehouse::app {

// Scripts for /usr/share/bash-completion/completions/gatehouse,
// /usr/share/zsh/vendor-completions/_gatehouse and
// /usr/share/fish/vendor_completions.d/gatehouse.fish.
std::string bash_completion(const CLI::App& program);
std::string zsh_completion(const CLI::App& program);
std::string fish_completion(const CLI::App& program);

// `gatehouse completion bash | zsh | fish | names`; `program` is asked when they run, whole by
// then.
void add_completion(CLI::App& program, Command& chosen);

}  // namespace gatehouse::app
