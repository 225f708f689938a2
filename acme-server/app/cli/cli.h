// The command line: `gatehouse serve | check-config | init | rotate-issuer | root crl | signer |
// version`, and the operators' commands of commands.h.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace gatehouse::app {

// Exit codes of the program.
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;  // it ran and failed, or the server refused it
inline constexpr int kRefused =
    2;  // wrong arguments, a wrong config, or preflight said no: nothing has started

// What a subcommand does once its arguments are read; its exit code.
using Command = std::function<int()>;

// Each adds one subcommand, and sets `chosen` when it was asked for.
void add_serve(CLI::App& program, Command& chosen);
void add_check_config(CLI::App& program, Command& chosen);
void add_init(CLI::App& program, Command& chosen);
void add_root(CLI::App& program, Command& chosen);
void add_rotate_issuer(CLI::App& program, Command& chosen);
void add_signer(CLI::App& program, Command& chosen);
void add_version(CLI::App& program, Command& chosen);

// The whole command line: every command, with its options and their help. Both outlive the parsing.
void describe(CLI::App& program, Command& chosen);

// Runs `command`. What it throws is one line for `say`, and becomes an exit code.
int run_told(const Command& command, const std::function<void(const std::string&)>& say);

// The whole program. What goes wrong is one line on standard error, "gatehouse: …".
int run_command_line(int argc, char** argv);

}  // namespace gatehouse::app
