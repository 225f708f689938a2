#include "acme-server/app/cli/cli.h"

#include <sys/stat.h>

#include <CLI/App.hpp>
#include <CLI/Error.hpp>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>

#include "acme-server/app/cli/completion.h"
#include "acme-server/app/cli/exit_code.h"
#include "acme-server/app/cli/reference.h"
#include "acme-server/app/cli/wrong_arguments.h"
#include "acme-server/app/commands/commands.h"
#include "acme-server/app/commands/control.h"
#include "acme-server/app/server/preflight.h"
#include "acme-server/base/library_version.h"
#include "acme-server/core/problem.h"

namespace gatehouse::app {

namespace {

constexpr const char* kDescription =
    "Gatehouse is an ACME server (RFC 8555) with a certificate authority of its own: it proves "
    "that\n"
    "clients control the names they ask for, and issues, renews and revokes their certificates.";

constexpr const char* kFooter =
    "EXAMPLES\n"
    "  gatehouse init --directory /etc/gatehouse --base-url https://acme.corp.example\n"
    "  gatehouse serve --config /etc/gatehouse/gatehouse.json\n"
    "  certbot certonly --server https://acme.corp.example/directory …\n"
    "\n"
    "EXIT STATUS\n"
    "  0  done\n"
    "  1  it started and failed, the server refused it, a drain was cut short, or something is in "
    "the\n"
    "     way that passes by itself: a full disk, a clock that is not set yet\n"
    "  2  wrong arguments, a wrong config, or something in the way that a person must mend: "
    "nothing "
    "was\n"
    "     started\n"
    "\n"
    "`gatehouse COMMAND --help` tells more of each command.";

void say(const std::string& what) {
  std::cerr << "gatehouse: " << what << '\n';
}

}  // namespace

void add_version(CLI::App& program, Command& chosen) {
  CLI::App* command =
      program.add_subcommand("version", "Print the version, and those of the libraries in use");
  command->callback([&chosen] {
    chosen = [] {
      std::cout << "gatehouse " GATEHOUSE_VERSION "\n";
      for (const LibraryVersion& library : library_versions()) std::cout << library.text() << '\n';
      return kDone;
    };
  });
}

void describe(CLI::App& program, Command& chosen) {
  program.name("gatehouse");
  program.description(kDescription);
  program.require_subcommand(1);
  program.set_help_flag("-h,--help", "Print this help");
  program.set_version_flag("--version", "gatehouse " GATEHOUSE_VERSION, "Print the version");
  add_serve(program, chosen);
  add_check_config(program, chosen);
  add_init(program, chosen);
  add_root(program, chosen);
  add_rotate_issuer(program, chosen);
  add_commands(program, chosen);
  add_signer(program, chosen);
  add_completion(program, chosen);
  add_reference(program, chosen);
  add_version(program, chosen);
  program.footer(kFooter);  // last: a command takes its parent's for its own
}

int run_command_line(int argc, char** argv) {
  ::umask(077);  // keys, the database, sockets: for their owner alone
  CLI::App program;
  Command chosen;
  describe(program, chosen);
  try {
    program.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return program.exit(help);
  } catch (const CLI::ParseError& error) {
    say(explain_arguments(program, error, argc, argv));
    return kRefused;
  }
  return run_told(chosen, say);
}

int run_told(const Command& command, const std::function<void(const std::string&)>& say) {
  try {
    return command();
  } catch (const CommandFailed& failed) {
    say(failed.what());
    return kFailed;
  } catch (const RequestRejected& rejected) {
    say(rejected.problem().detail);
    return kRefused;
  } catch (const std::exception& error) {
    say(error.what());
    return exit_code_of(error);
  }
}

}  // namespace gatehouse::app
