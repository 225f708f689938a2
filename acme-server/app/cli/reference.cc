#include "acme-server/app/cli/reference.h"

#include <CLI/App.hpp>
#include <CLI/Option.hpp>
#include <cstddef>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/app/cli/cli.h"
#include "acme-server/base/text.h"

namespace gatehouse::app {

namespace {

constexpr const char* kCompletionFooter =
    "DESCRIPTION\n"
    "  Prints a script that completes commands and options. zsh takes the same one after\n"
    "  `autoload -U +X bashcompinit && bashcompinit`.\n"
    "\n"
    "EXAMPLES\n"
    "  source <(gatehouse completion bash)\n"
    "  gatehouse completion bash > /usr/share/bash-completion/completions/gatehouse";

constexpr const char* kManFooter =
    "EXAMPLES\n"
    "  gatehouse man | man -l -\n"
    "  gatehouse man > /usr/share/man/man8/gatehouse.8";

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

std::vector<std::string> words_of(const CLI::App& app) {
  std::vector<std::string> words;
  for (const CLI::App* command : commands_of(app)) words.push_back(command->get_name());
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) words.push_back("--" + name);
  }
  return words;
}

// One case of the script for each command and all below it: `path` is what was typed so far.
void add_cases(const CLI::App& app, const std::string& path, std::string& steps,
               std::string& words) {
  words += "    '" + path + "') words='" + join(words_of(app), " ") + "' ;;\n";
  for (const CLI::App* command : commands_of(app)) {
    const std::string below = path + " " + command->get_name();
    steps += "      '" + below + "') path=\"$path $word\" ;;\n";
    add_cases(*command, below, steps, words);
  }
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

void add_options(const CLI::App& app, std::string& page) {
  for (const CLI::Option* option : app.get_options()) {
    std::vector<std::string> names;
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    std::string title = "\\fB" + roff(join(names, ", ")) + "\\fR";
    if (names.empty()) {
      title = "\\fI" + roff(option->get_name(true)) + "\\fR";
    } else if (option->get_items_expected_max() > 0) {
      title += " \\fIVALUE\\fR";
    }
    page += ".TP\n" + title + "\n" + roff(option->get_description());
    if (!option->get_default_str().empty()) {
      page += " [" + roff(option->get_default_str()) + "]";
    }
    page += "\n";
  }
}

// A footer's parts, as they stand: "TITLE" lines begin at the margin, text is indented.
void add_footer(const CLI::App& app, std::string& page) {
  const std::string footer = app.get_footer();
  if (footer.empty()) return;
  for (const std::string_view line : split(footer, '\n')) {
    if (!line.empty() && line.front() != ' ') {
      page += ".PP\n\\fB" + roff(line) + "\\fR\n.br\n";
    } else if (line.empty()) {
      page += ".PP\n";
    } else {
      page += ".nf\n" + roff(line) + "\n.fi\n";
    }
  }
}

void add_command(const CLI::App& app, const std::string& path, std::string& page) {
  const auto below = commands_of(app);
  if (below.empty()) {
    page += ".SS " + roff(path) + "\n" + roff(app.get_description()) + ".\n";
    add_options(app, page);
    add_footer(app, page);
  }
  for (const CLI::App* command : below)
    add_command(*command, path + " " + command->get_name(), page);
}

}  // namespace

std::string bash_completion(const CLI::App& program) {
  std::string steps;
  std::string words;
  add_cases(program, "", steps, words);
  return "# bash completion for gatehouse; made by `gatehouse completion bash`.\n"
         "_gatehouse() {\n"
         "  local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
         "  local path='' word words=''\n"
         "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
         "    case \"$path $word\" in\n" +
         steps +
         "    esac\n"
         "  done\n"
         "  case $before in\n"
         "    -c|--config|--directory|--key) COMPREPLY=($(compgen -f -- \"$current\")); return ;;\n"
         "  esac\n"
         "  case $path in\n" +
         words +
         "  esac\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
         "}\n"
         "complete -o filenames -F _gatehouse gatehouse\n";
}

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
  page += ".SH NOTES\n";
  add_footer(program, page);
  return page;
}

void add_reference(CLI::App& program, Command& chosen) {
  CLI::App* completion = program.add_subcommand("completion", "Print a shell completion script");
  completion->require_subcommand(1);
  CLI::App* bash = completion->add_subcommand("bash", "For bash, and zsh with bashcompinit");
  bash->footer(kCompletionFooter);
  bash->callback([&program, &chosen] {
    chosen = [&program] {
      std::cout << bash_completion(program);
      return kDone;
    };
  });
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
