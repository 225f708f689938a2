#include "acme-server/app/cli/completion.h"

#include <CLI/App.hpp>
#include <CLI/Option.hpp>
#include <cstddef>
#include <iostream>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/app/cli/cli.h"
#include "acme-server/app/cli/config_file.h"
#include "acme-server/app/cli/values.h"
#include "acme-server/base/text.h"
#include "config/config.h"

namespace gatehouse::app {

namespace {

constexpr const char* kBashFooter =
    "EXAMPLES\n"
    "  source <(gatehouse completion bash)\n"
    "  gatehouse completion bash > /usr/share/bash-completion/completions/gatehouse";

constexpr const char* kZshFooter =
    "EXAMPLES\n"
    "  source <(gatehouse completion zsh)\n"
    "  gatehouse completion zsh > /usr/share/zsh/vendor-completions/_gatehouse";

constexpr const char* kFishFooter =
    "EXAMPLES\n"
    "  gatehouse completion fish | source\n"
    "  gatehouse completion fish > /usr/share/fish/vendor_completions.d/gatehouse.fish";

constexpr const char* kNamesFooter =
    "DESCRIPTION\n"
    "  What the scripts ask when a name of the config is typed: one name a line.\n"
    "\n"
    "EXAMPLE\n"
    "  gatehouse completion names profiles --config /etc/gatehouse/gatehouse.json";

// How a shell completes a value.
struct Value {
  enum class Kind { none, text, file, folder, secret, backend, profile, words };
  Kind kind = Kind::none;
  std::vector<std::string> words = {};  // with Kind::words
};

struct OptionRow {
  std::vector<std::string> names = {};  // "-c", "--config"
  std::string description = {};
  Value value = {};
};

struct CommandRow {
  std::string name, description;
};

// A command, and what may follow it.
struct Node {
  std::string path = {};  // "order list"; the program itself: ""
  std::vector<CommandRow> commands = {};
  std::vector<OptionRow> options = {};
  std::vector<Value> arguments = {};
};

Value value_of(const CLI::Option& option) {
  if (option.get_items_expected_max() == 0) return {};
  if (auto words = words_of(option); !words.empty()) {
    return {.kind = Value::Kind::words, .words = std::move(words)};
  }
  const std::string type = option.get_type_name();
  if (type == kFile) return {.kind = Value::Kind::file};
  if (type == kFolder) return {.kind = Value::Kind::folder};
  if (type == kSecret) return {.kind = Value::Kind::secret};
  if (type == kBackend) return {.kind = Value::Kind::backend};
  if (type == kProfile) return {.kind = Value::Kind::profile};
  return {.kind = Value::Kind::text};
}

void add_nodes(const CLI::App& app, const std::string& path, std::vector<Node>& nodes) {
  Node node{.path = path};
  const auto below = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* command : below) {
    node.commands.push_back({command->get_name(), command->get_description()});
  }
  for (const CLI::Option* option : app.get_options()) {
    OptionRow row{.description = option->get_description(), .value = value_of(*option)};
    for (const std::string& name : option->get_snames()) row.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) row.names.push_back("--" + name);
    if (row.names.empty()) {
      node.arguments.push_back(row.value);
    } else {
      node.options.push_back(std::move(row));
    }
  }
  nodes.push_back(std::move(node));
  for (const CLI::App* command : below) {
    add_nodes(*command, path.empty() ? command->get_name() : path + " " + command->get_name(),
              nodes);
  }
}

std::vector<Node> nodes_of(const CLI::App& program) {
  std::vector<Node> nodes;
  add_nodes(program, "", nodes);
  return nodes;
}

// A word of bash and zsh.
std::string shell_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// The call that completes a value; bash and zsh have functions of the same names.
std::string call_for(const Value& value) {
  switch (value.kind) {
    case Value::Kind::none:
    case Value::Kind::text:
      return ":";
    case Value::Kind::file:
      return "_gatehouse_files";
    case Value::Kind::folder:
      return "_gatehouse_folders";
    case Value::Kind::secret:
      return "_gatehouse_secret";
    case Value::Kind::backend:
      return "_gatehouse_names backends";
    case Value::Kind::profile:
      return "_gatehouse_names profiles";
    case Value::Kind::words:
      return "_gatehouse_words " + shell_quoted(join(value.words, " "));
  }
  return ":";
}

// The paths that a command's name leads to, as patterns of a `case`.
std::string path_patterns(const std::vector<Node>& nodes) {
  std::vector<std::string> patterns;
  for (const Node& node : nodes) {
    if (!node.path.empty()) patterns.push_back(shell_quoted(node.path));
  }
  return join(patterns, "|");
}

// `case` arms: after an option, its value.
std::string value_arms(const std::vector<Node>& nodes) {
  std::string arms;
  for (const Node& node : nodes) {
    for (const OptionRow& option : node.options) {
      if (option.value.kind == Value::Kind::none) continue;
      std::vector<std::string> patterns;
      for (const std::string& name : option.names) {
        patterns.push_back(shell_quoted(node.path + " " + name));
      }
      arms += "    " + join(patterns, "|") + ") " + call_for(option.value) + "; return ;;\n";
    }
  }
  return arms;
}

std::string argument_calls(const Node& node) {
  std::string calls;
  for (const Value& value : node.arguments) {
    if (value.kind != Value::Kind::text) calls += call_for(value) + "; ";
  }
  return calls;
}

// Between the functions that each shell has of its own.
constexpr std::string_view kBashHead =
    R"script(# bash completion for gatehouse; made by `gatehouse completion bash`.
_gatehouse_words() { mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -W "$1" -- "$current"); }
_gatehouse_files() {
  compopt -o filenames 2>/dev/null
  mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "$current")
}
_gatehouse_folders() {
  compopt -o filenames 2>/dev/null
  mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -d -- "$current")
}
_gatehouse_secret() {
  compopt -o nospace 2>/dev/null
  _gatehouse_words 'file: credential: env:'
}
_gatehouse_names() {
  _gatehouse_words "$("${COMP_WORDS[0]}" completion names "$1" ${config:+--config "$config"} 2>/dev/null)"
}
_gatehouse() {
  local current=${COMP_WORDS[COMP_CWORD]} at=$((COMP_CWORD - 1)) path='' config='' i word
  COMPREPLY=()
  # readline breaks words at "=" and ":".
  case $current in =|:) current='' at=$COMP_CWORD ;; esac
  if [[ ${COMP_WORDS[at]} == : ]]; then
    if [[ ${COMP_WORDS[at-1]} == file ]]; then _gatehouse_files; fi
    return
  fi
  if [[ ${COMP_WORDS[at]} == = ]]; then at=$((at - 1)); fi
  for ((i = 1; i < COMP_CWORD; ++i)); do
    word=${COMP_WORDS[i]}
    case ${COMP_WORDS[i-1]} in -c|--config) config=$word ;; esac
    case "${path:+$path }$word" in
      )script";

constexpr std::string_view kZshHead = R"script(#compdef gatehouse
# zsh completion for gatehouse; made by `gatehouse completion zsh`.
_gatehouse_words() { compadd -- ${=1} }
_gatehouse_files() { _files }
_gatehouse_folders() { _path_files -/ }
_gatehouse_secret() {
  if compset -P 'file:'; then _files; else compadd -S '' -- file: credential: env:; fi
}
_gatehouse_names() {
  compadd -- ${(f)"$(${words[1]} completion names $1 ${config:+--config} $config 2>/dev/null)"}
}
_gatehouse() {
  local at='' config='' before=${words[CURRENT-1]} word i
  local -a rows
  for ((i = 2; i < CURRENT; ++i)); do
    word=${words[i]}
    case ${words[i-1]} in -c|--config) config=$word ;; esac
    case "${at:+$at }$word" in
      )script";

std::string names_of(const Node& node) {
  std::vector<std::string> words;
  for (const CommandRow& command : node.commands) words.push_back(command.name);
  for (const OptionRow& option : node.options) words.push_back(option.names.back());
  return join(words, " ");
}

// "name:description", as zsh's _describe reads it.
std::string described(const std::string& name, std::string_view description) {
  std::string out;
  for (const char c : name) out += c == ':' ? std::string("\\:") : std::string(1, c);
  return shell_quoted(out + ":" + std::string(description));
}

// A word of fish.
std::string fish_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

// What `complete` is told of a value.
std::string fish_value(const Value& value) {
  switch (value.kind) {
    case Value::Kind::none:
      return "";
    case Value::Kind::text:
      return " -x";
    case Value::Kind::file:
      return " -r -F";
    case Value::Kind::folder:
      return " -x -a '(__fish_complete_directories)'";
    case Value::Kind::secret:
      return " -x -a '(__gatehouse_secret)'";
    case Value::Kind::backend:
      return " -x -a '(__gatehouse_names backends)'";
    case Value::Kind::profile:
      return " -x -a '(__gatehouse_names profiles)'";
    case Value::Kind::words:
      return " -x -a " + fish_quoted(join(value.words, " "));
  }
  return "";
}

constexpr std::string_view kFishHead =
    R"(# fish completion for gatehouse; made by `gatehouse completion fish`.
function __gatehouse_secret
    set -l word (commandline -ct)
    if string match -q -- 'file:*' $word
        __fish_complete_path (string replace 'file:' '' -- $word) | string replace -r '^' 'file:'
    else
        printf '%s\n' file: credential: env:
    end
end
function __gatehouse_names
    set -l words (commandline -opc)
    set -l config
    for i in (seq 2 (count $words))
        contains -- $words[(math $i - 1)] -c --config; and set config --config $words[$i]
    end
    $words[1] completion names $argv[1] $config 2>/dev/null
end
function __gatehouse_at
    set -l path
    for word in (commandline -opc)[2..-1]
        switch (string join ' ' -- $path $word)
            case )";

std::string fish_node(const Node& node) {
  const std::string begin =
      "complete -c gatehouse -n " + fish_quoted("__gatehouse_at " + fish_quoted(node.path));
  std::string lines;
  for (const CommandRow& command : node.commands) {
    lines += begin + " -a " + fish_quoted(command.name) + " -d " +
             fish_quoted(command.description) + "\n";
  }
  for (const OptionRow& option : node.options) {
    lines += begin;
    for (const std::string& name : option.names) {
      lines += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
    }
    lines += fish_value(option.value) + " -d " + fish_quoted(option.description) + "\n";
  }
  for (const Value& value : node.arguments) {
    if (value.kind == Value::Kind::file) lines += begin + " -F\n";
    if (value.kind == Value::Kind::backend) lines += begin + fish_value(value) + "\n";
  }
  return lines;
}

std::string names_in(const config::Config& config, const std::string& kind) {
  std::set<std::string> names;
  if (kind == "backends") {
    for (const auto& item : config.backends.items()) names.insert(item.key());
  } else {
    for (const auto& [directory, rules] : config.policy.directories) {
      for (const auto& [profile, options] : rules.profiles) names.insert(profile);
    }
  }
  std::string lines;
  for (const std::string& name : names) lines += name + "\n";
  return lines;
}

void add_names(CLI::App& completion, Command& chosen) {
  struct Arguments {
    std::string kind, config;
  };

  CLI::App* command = completion.add_subcommand("names", "Names that the config has");
  command->footer(kNamesFooter);
  auto arguments = std::make_shared<Arguments>();
  takes_one_of(command->add_option("kind", arguments->kind, "What is named"),
               {"backends", "profiles"})
      ->required();
  add_config_option(*command, arguments->config);
  command->callback([&chosen, arguments] {
    chosen = [arguments] {
      const config::Config config = config::load_config(config_file(arguments->config), {});
      std::cout << names_in(config, arguments->kind);
      return kDone;
    };
  });
}

}  // namespace

std::string bash_completion(const CLI::App& program) {
  const std::vector<Node> nodes = nodes_of(program);
  std::string script(kBashHead);
  script += path_patterns(nodes) +
            ") path=${path:+$path }$word ;;\n"
            "    esac\n"
            "  done\n"
            "  case \"$path ${COMP_WORDS[at]}\" in\n" +
            value_arms(nodes) +
            "  esac\n"
            "  case $path in\n";
  for (const Node& node : nodes) {
    script += "    " + shell_quoted(node.path) + ") _gatehouse_words " +
              shell_quoted(names_of(node)) + "; " + argument_calls(node) + ";;\n";
  }
  return script +
         "  esac\n"
         "}\n"
         "complete -F _gatehouse gatehouse\n";
}

std::string zsh_completion(const CLI::App& program) {
  const std::vector<Node> nodes = nodes_of(program);
  std::string script(kZshHead);
  script += path_patterns(nodes) +
            ") at=${at:+$at }$word ;;\n"
            "    esac\n"
            "  done\n"
            "  if [[ ${words[CURRENT]} == --*=* ]]; then\n"
            "    before=${words[CURRENT]%%=*}\n"
            "    compset -P '*='\n"
            "  fi\n"
            "  case \"$at $before\" in\n" +
            value_arms(nodes) +
            "  esac\n"
            "  case $at in\n";
  for (const Node& node : nodes) {
    script += "    " + shell_quoted(node.path) + ")\n";
    if (!node.commands.empty()) {
      script += "      rows=(";
      for (const CommandRow& command : node.commands) {
        script += "\n        " + described(command.name, command.description);
      }
      script += ")\n      _describe -t commands command rows\n";
    }
    script += "      rows=(";
    for (const OptionRow& option : node.options) {
      script += "\n        " + described(option.names.back(), option.description);
    }
    script += ")\n      _describe -o -t options option rows\n";
    if (const std::string calls = argument_calls(node); !calls.empty()) {
      script += "      " + calls + "\n";
    }
    script += "      ;;\n";
  }
  return script +
         "  esac\n"
         "}\n"
         "if [[ $funcstack[1] == _gatehouse ]]; then\n"
         "  _gatehouse \"$@\"\n"
         "else\n"
         "  compdef _gatehouse gatehouse\n"
         "fi\n";
}

std::string fish_completion(const CLI::App& program) {
  const std::vector<Node> nodes = nodes_of(program);
  std::string script(kFishHead);
  std::vector<std::string> paths;
  std::string lines;
  for (const Node& node : nodes) {
    if (!node.path.empty()) paths.push_back(fish_quoted(node.path));
    lines += fish_node(node);
  }
  script +=
      join(paths, " ") +
      "\n"
      "                set -a path $word\n"
      "        end\n"
      "    end\n"
      "    test (string join ' ' -- x $path) = (string join ' ' -- x $argv[1] | string trim)\n"
      "end\n"
      "complete -c gatehouse -f\n";
  return script + lines;
}

void add_completion(CLI::App& program, Command& chosen) {
  CLI::App* completion =
      program.add_subcommand("completion", "Print a script for a shell, which then completes");
  completion->require_subcommand(1);
  const auto add = [&](const char* shell, const char* footer,
                       std::string (*script)(const CLI::App&)) {
    CLI::App* command = completion->add_subcommand(shell, std::string("For ") + shell);
    command->footer(footer);
    command->callback([&program, &chosen, script] {
      chosen = [&program, script] {
        std::cout << script(program);
        return kDone;
      };
    });
  };
  add("bash", kBashFooter, bash_completion);
  add("zsh", kZshFooter, zsh_completion);
  add("fish", kFishFooter, fish_completion);
  add_names(*completion, chosen);
}

}  // namespace gatehouse::app
