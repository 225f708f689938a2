#include "acme-server/app/cli/reference.h"

#include <CLI/App.hpp>
#include <CLI/Option.hpp>
#include <algorithm>
#include <cstddef>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/app/cli/cli.h"
#include "acme-server/app/cli/values.h"
#include "acme-server/base/text.h"

namespace gatehouse::app {

namespace {

constexpr const char* kManFooter =
    "EXAMPLES\n"
    "  gatehouse man | man -l -\n"
    "  gatehouse man > /usr/share/man/man8/gatehouse.8";

// What no command's help says: of the program on a machine.
constexpr const char* kSections =
    "CONFIGURATION\n"
    "  One JSON file, in which // and /* */ are comments. base_url is what it must have; every\n"
    "  option with its default is in gatehouse.example.json, and gatehouse.schema.json describes\n"
    "  them for editors. Paths in it are relative to its folder. --set PATH=VALUE wins over the\n"
    "  file. gatehouse check-config says what is wrong, and SIGHUP has a running server read it\n"
    "  again.\n"
    "\n"
    "ENVIRONMENT\n"
    "  GATEHOUSE_CONFIG       the config file, where --config is not given\n"
    "  CREDENTIALS_DIRECTORY  where secrets written as credential:NAME are, set by systemd\n"
    "  NOTIFY_SOCKET, WATCHDOG_USEC, LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES\n"
    "                         how systemd is told of the state, and hands over its sockets\n"
    "  Any other that a secret names as env:NAME.\n"
    "\n"
    "FILES\n"
    "  /etc/gatehouse/gatehouse.json   the config, as gatehouse init makes it\n"
    "  /etc/gatehouse/ca/              the CA's certificates and keys\n"
    "  /var/lib/gatehouse/             the database and what the server keeps besides, with\n"
    "                                  gatehouse init --data /var/lib/gatehouse\n"
    "  /etc/gatehouse-signer/          the config and key of gatehouse-signer.service\n"
    "  /usr/share/doc/gatehouse/       this manual's longer parts, gatehouse.example.json and\n"
    "                                  gatehouse.schema.json, alert rules, a dashboard\n"
    "\n";

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

// Text in roff: nothing in it is a request or an escape, and hyphens can be copied.
std::string roff(std::string_view text) {
  std::string out;
  bool line_start = true;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (line_start && (c == '.' || c == '\'')) out += "\\&";
    line_start = c == '\n';
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (c == '`' || c == '\'' || c == '"' || c == '~' || c == '^') {
      out += c == '`'    ? "\\(ga"
             : c == '\'' ? "\\(aq"
             : c == '"'  ? "\\(dq"
             : c == '~'  ? "\\(ti"
                         : "\\(ha";
    } else if (text.substr(i).starts_with("…")) {
      out += "...";
      i += std::string_view("…").size() - 1;
    } else {
      out += c;
    }
  }
  return out;
}

// What stands for a value behind an option.
std::string value_name(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const bool plain = std::ranges::all_of(type, [](char c) { return c >= 'A' && c <= 'Z'; });
  return plain && type != "TEXT" && type != "UINT" && type != "INT" ? type : "VALUE";
}

void add_options(const CLI::App& app, std::string& page) {
  for (const CLI::Option* option : app.get_options()) {
    std::vector<std::string> names;
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    std::string title = "\\fB" + roff(join(names, ", ")) + "\\fR";
    if (names.empty()) {
      title = "\\fI" + roff(option->get_name(true)) + "\\fR";
    } else if (option->get_items_expected_max() > 0) {
      title += " \\fI" + roff(value_name(*option)) + "\\fR";
    }
    page += ".TP\n" + title + "\n" + roff(option->get_description());
    if (const auto words = words_of(*option); !words.empty()) {
      page += ": " + roff(join(words, ", "));
    }
    if (!option->get_default_str().empty()) {
      page += " [" + roff(option->get_default_str()) + "]";
    }
    page += "\n";
  }
}

bool is_title(std::string_view line) {
  return !line.empty() && line.front() != ' ' &&
         std::ranges::none_of(line, [](char c) { return c >= 'a' && c <= 'z'; });
}

enum class Titles { bold, sections };

// A footer's parts, as they stand: lines in capitals at the margin are titles, indented lines are
// set line by line.
void add_parts(std::string_view text, Titles titles, std::string& page) {
  bool set_by_line = false;
  const auto by_line = [&](bool wanted) {
    if (std::exchange(set_by_line, wanted) != wanted) page += wanted ? ".nf\n" : ".fi\n";
  };
  for (const std::string_view line : split(text, '\n')) {
    if (line.starts_with(' ')) {
      by_line(true);
      page += roff(line) + "\n";
      continue;
    }
    by_line(false);
    if (line.empty()) continue;
    if (!is_title(line)) {
      page += ".PP\n" + roff(line) + "\n";
    } else if (titles == Titles::sections) {
      page += ".SH " + roff(line) + "\n";
    } else {
      page += ".PP\n\\fB" + roff(line) + "\\fR\n.br\n";
    }
  }
  by_line(false);
}

void add_command(const CLI::App& app, const std::string& path, std::string& page) {
  const auto below = commands_of(app);
  if (below.empty()) {
    page += ".SS " + roff(path) + "\n" + roff(app.get_description()) + ".\n";
    add_options(app, page);
    add_parts(app.get_footer(), Titles::bold, page);
  }
  for (const CLI::App* command : below)
    add_command(*command, path + " " + command->get_name(), page);
}

}  // namespace

std::string man_page(const CLI::App& program, const std::string& version) {
  std::string page = R"(.TH GATEHOUSE 8 "" "Gatehouse )" + roff(version) +
                     "\" \"System administration\"\n"
                     ".SH NAME\ngatehouse \\- ACME server and certificate authority\n"
                     ".SH SYNOPSIS\n.B gatehouse\n.I COMMAND\n[\\fIOPTION\\fR]...\n"
                     ".SH DESCRIPTION\n" +
                     roff(program.get_description()) + "\n.SH COMMANDS\n";
  for (const CLI::App* command : commands_of(program)) {
    add_command(*command, "gatehouse " + command->get_name(), page);
  }
  add_parts(kSections, Titles::sections, page);
  add_parts(program.get_footer(), Titles::sections, page);
  page += ".SH SEE ALSO\n.BR systemctl (1),\n.BR openssl (1)\n";
  return page;
}

void add_reference(CLI::App& program, Command& chosen) {
  CLI::App* man = program.add_subcommand("man", "Print the manual page, gatehouse(8)");
  man->footer(kManFooter);
  man->callback([&program, &chosen] {
    chosen = [&program] {
      std::cout << man_page(program, GATEHOUSE_VERSION);
      return kDone;
    };
  });
}

}  // namespace gatehouse::app
