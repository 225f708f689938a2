// What is wrong with a command line that CLI11 does not take, in words that help.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace gatehouse::app {

// One sentence for `error`, which parsing these arguments has thrown: the unknown command or option
// with the one that was probably meant, otherwise CLI11's own words; and whose --help tells more.
std::string explain_arguments(const CLI::App& program, const CLI::ParseError& error, int argc,
                              const char* const* argv);

}  // namespace gatehouse::app
