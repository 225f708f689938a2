// The documents against the program and the tree: what they point to, name and show is there.
#include <doctest/doctest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <ranges>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/app/cli/cli.h"
#include "acme-server/app/server/config_checks.h"
#include "acme-server/base/files.h"
#include "acme-server/base/json.h"
#include "acme-server/base/text.h"
#include "config/config.h"
#include "tests/support/markdown.h"
#include "tests/support/paths.h"

namespace gatehouse::testing {
namespace {

namespace fs = std::filesystem;

using Words = std::vector<std::string>;

// The real command line; nothing of it runs.
struct CommandLine {
  CommandLine() { app::describe(program, chosen); }

  CLI::App program;
  app::Command chosen;
};

// To be looked at; each parsing takes one of its own.
const CLI::App& program() {
  static const CommandLine kLine;
  return kLine.program;
}

// Where a passage stands, for a failed check.
std::string at(const MarkdownDocument& document, const Passage& passage) {
  return document.path + ":" + std::to_string(passage.line) + ": " + passage.text;
}

// Calls `check` for each document and passage of `list`; says how many there were.
std::size_t for_each_passage(
    std::vector<Passage> MarkdownDocument::* list,
    const std::function<void(const MarkdownDocument&, const Passage&)>& check) {
  std::size_t count = 0;
  static const std::vector<MarkdownDocument> kDocuments = read_documents();
  for (const MarkdownDocument& document : kDocuments) {
    for (const Passage& passage : document.*list) check(document, passage);
    count += (document.*list).size();
  }
  return count;
}

// The commands of a shell's text, each as its words: what stands between newlines, `&&`, `|` and
// `;`. Quotes are taken off; comments, and what output is redirected to, are left out.
std::vector<Words> commands_in(std::string_view text) {
  std::vector<Words> commands(1);
  std::optional<std::string> word;
  char quote = 0;
  bool redirected = false;
  const auto end_word = [&] {
    if (word && !std::exchange(redirected, false)) commands.back().push_back(*word);
    word.reset();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0) {
      if (c == quote) {
        quote = 0;
      } else {
        *word += c;
      }
    } else if (text.substr(i).starts_with("$(")) {
      const std::size_t end = std::min(text.find(')', i), text.size() - 1);
      word = word.value_or("") + std::string(text.substr(i, end + 1 - i));
      i = end;
    } else if (c == '"' || c == '\'') {
      quote = c;
      word = word.value_or("");
    } else if (c == '\\' && i + 1 < text.size() && text[i + 1] == '\n') {
      ++i;
    } else if (c == '#' && !word) {
      i = std::min(text.find('\n', i), text.size()) - 1;
    } else if (c == '>') {
      end_word();
      redirected = true;
    } else if (c == '\n' || c == '|' || c == ';' || c == '&') {
      end_word();
      if (!commands.back().empty()) commands.emplace_back();
    } else if (c == ' ') {
      end_word();
    } else {
      word = word.value_or("") + c;
    }
  }
  end_word();
  return commands;
}

// The arguments of a command that runs gatehouse, as another user too.
std::optional<Words> arguments_of(Words words) {
  if (!words.empty() && words.front() == "sudo") words.erase(words.begin());
  const std::string first = words.empty() ? "" : words.front();
  if (first == "runuser" || first == "setpriv") {
    const auto dashes = std::ranges::find(words, "--");
    if (dashes != words.end()) words.erase(words.begin(), dashes + 1);
  }
  if (first == "docker" && words.size() > 1 && (words[1] == "run" || words[1] == "exec")) {
    // The image, or the program in a container: both have that name.
    const auto image = std::find(words.rbegin(), words.rend(), "gatehouse");
    if (image != words.rend()) words.erase(words.begin(), std::prev(image.base()));
  }
  if (words.size() < 2 || words.front() != "gatehouse") return std::nullopt;
  return Words(words.begin() + 1, words.end());
}

// Why the program would not take `arguments`, or nothing. Whether values are right is looked at
// too; files are not.
std::optional<std::string> why_refused(Words arguments) {
  CommandLine line;
  std::ranges::reverse(arguments);
  try {
    line.program.parse(arguments);
  } catch (const CLI::Success&) {
    return std::nullopt;  // --help
  } catch (const CLI::ParseError& error) {
    return error.what();
  }
  return std::nullopt;
}

// The command of that name below `app`, or null.
const CLI::App* command_of(const CLI::App& app, const std::string& name) {
  const auto below = app.get_subcommands([](const CLI::App*) { return true; });
  const auto found = std::ranges::find(below, name, &CLI::App::get_name);
  return found == below.end() ? nullptr : *found;
}

// A word that stands for others: ID, NAME.NAME, <url>, VERB|VERB, ….
bool stands_for_others(std::string_view word) {
  return word.find_first_of("<>|") != std::string_view::npos || word.starts_with("…") ||
         std::ranges::none_of(word, [](unsigned char c) { return std::islower(c) != 0; });
}

// What of `words` the program does not know, or nothing: commands and options alone, since a
// sentence need not give every argument.
std::optional<std::string> unknown_word(const Words& words) {
  const CLI::App* app = &program();
  for (const std::string& word : words) {
    if (word.starts_with("-")) {
      if (app->get_option_no_throw(word.substr(0, word.find('='))) == nullptr) return word;
    } else if (app->get_require_subcommand_min() > 0 && !stands_for_others(word)) {
      app = command_of(*app, word);
      if (app == nullptr) return word;
    }
  }
  return std::nullopt;
}

// Arguments that a sentence gives to gatehouse: with its name, or beginning with one of its
// commands and an option or a verb.
std::optional<Words> mentioned_arguments(const std::string& span) {
  const Words words = commands_in(span).front();
  if (words.empty()) return std::nullopt;
  if (words.front() == "gatehouse") return Words(words.begin() + 1, words.end());
  const CLI::App* command = words.size() < 2 ? nullptr : command_of(program(), words.front());
  if (command == nullptr) return std::nullopt;
  const bool named = words[1].starts_with("--") || command_of(*command, words[1]) != nullptr;
  return named ? std::optional<Words>(words) : std::nullopt;
}

TEST_CASE("links of the documents lead to files and headings that there are") {
  std::map<std::string, std::set<std::string>> anchors;
  for (MarkdownDocument& document : read_documents()) {
    anchors[document.path] = std::move(document.anchors);
  }
  const std::size_t count = for_each_passage(
      &MarkdownDocument::links, [&](const MarkdownDocument& document, const Passage& link) {
        if (link.text.find("://") != std::string::npos || link.text.starts_with("mailto:")) return;
        const std::size_t hash = std::min(link.text.find('#'), link.text.size());
        const std::string target =
            hash == 0 ? document.path
                      : (fs::path(document.path).parent_path() / link.text.substr(0, hash))
                            .lexically_normal()
                            .string();
        CHECK_MESSAGE(fs::exists(source_directory() + "/" + target), at(document, link));
        if (hash == link.text.size()) return;
        CHECK_MESSAGE(anchors[target].contains(link.text.substr(hash + 1)), at(document, link));
      });
  CHECK(count > 30);
}

TEST_CASE("the program takes every gatehouse command in a code block of the documents") {
  std::size_t found = 0;
  for_each_passage(&MarkdownDocument::blocks,
                   [&](const MarkdownDocument& document, const Passage& block) {
                     for (const Words& words : commands_in(block.text)) {
                       const auto arguments = arguments_of(words);
                       if (!arguments) continue;
                       ++found;
                       const auto why = why_refused(*arguments);
                       CHECK_MESSAGE(!why, document.path, ":", block.line, ": ", join(words, " "),
                                     ": ", why.value_or(""));
                     }
                   });
  CHECK(found > 35);
}

TEST_CASE("the program has the commands and options that sentences of the documents name") {
  std::size_t found = 0;
  for_each_passage(
      &MarkdownDocument::spans, [&](const MarkdownDocument& document, const Passage& span) {
        const auto arguments = mentioned_arguments(span.text);
        if (!arguments) return;
        ++found;
        const auto unknown = unknown_word(*arguments);
        CHECK_MESSAGE(!unknown, at(document, span), ": there is no ", unknown.value_or(""));
      });
  CHECK(found > 40);
}

TEST_CASE("the program takes the examples of its own help") {
  std::size_t found = 0;
  const std::function<void(const CLI::App&)> check = [&](const CLI::App& app) {
    for (const Words& words : commands_in(app.get_footer())) {
      const auto arguments = arguments_of(words);
      if (!arguments) continue;
      ++found;
      const auto unknown = unknown_word(*arguments);
      CHECK_MESSAGE(!unknown, app.get_name(), ": ", join(words, " "), ": there is no ",
                    unknown.value_or(""));
      const auto why = words.back() == "…" ? std::nullopt : why_refused(*arguments);
      CHECK_MESSAGE(!why, app.get_name(), ": ", join(words, " "), ": ", why.value_or(""));
    }
    for (const CLI::App* below : app.get_subcommands([](const CLI::App*) { return true; })) {
      check(*below);
    }
  };
  check(program());
  CHECK(found > 30);
}

TEST_CASE("the Makefile has the targets that the documents name") {
  const std::string makefile = "\n" + read_file(source_directory() + "/Makefile");
  std::size_t found = 0;
  const auto check = [&](const MarkdownDocument& document, const Passage& passage) {
    for (const Words& words : commands_in(passage.text)) {
      if (words.size() < 2 || words.front() != "make") continue;
      for (const std::string& target : std::ranges::subrange(words.begin() + 1, words.end())) {
        if (target.find('=') != std::string::npos) continue;  // a variable
        ++found;
        CHECK_MESSAGE(makefile.find("\n" + target + ": ") != std::string::npos,
                      at(document, passage));
      }
    }
  };
  for_each_passage(&MarkdownDocument::spans, check);
  for_each_passage(&MarkdownDocument::blocks, check);
  CHECK(found > 20);
}

// Where a part of a config may stand, as a text around it.
struct Place {
  std::string_view before, after;
};

constexpr std::string_view kLocal =
    R"({"type": "local", "certificate": "i.pem", "key": "i.key", "root": "r.pem"})";

// Why the server would not read `document`, or nothing.
std::optional<std::string> why_unread(const Json& document) {
  try {
    app::check_parts(config::parse_config(print_json(document), "gatehouse.json", {}));
    return std::nullopt;
  } catch (const std::exception& error) {
    return error.what();
  }
}

// Why no place takes `part`, the members of an object; nothing where one does. A member `{…}` and
// every other `…` stand for what is left out.
std::optional<std::string> why_no_config(std::string part) {
  constexpr std::array<Place, 5> kPlaces = {
      {{"", ""},
       {R"("listeners": {)", "}"},
       {R"("listeners": {"acme": [{"address": "::1", "tls": {"certificate": "c", "key": "k",)",
        "}}]}"},
       {R"("backends": {)", "}"},
       {R"("backends": {"shown": {"type": "local", "certificate": "i.pem", "key": "i.key",)"
        R"("root": "r.pem",)",
        "}}"}}};
  static const std::regex kLeftOut(R"re("[a-z_]+": \{…\})re");
  part = std::regex_replace(part, kLeftOut, "");
  part = std::regex_replace(part, std::regex("…"), "");
  std::string why;
  for (const Place& place : kPlaces) {
    Json document;
    try {
      document = parse_json("{" + std::string(place.before) + part + std::string(place.after) + "}",
                            {.comments = true});
    } catch (const JsonError& error) {
      why += std::string("\n  ") + error.what();
      continue;
    }
    // What every config has, where the part does not say it.
    if (!document.contains("base_url")) document["base_url"] = "https://acme.corp.example";
    if (document.contains("backends") && !document.contains("profiles")) {
      document["backends"]["used"] = parse_json(kLocal);
      document["profiles"] = parse_json(R"({"default": {"backend": "used"}})");
    }
    const auto problem = why_unread(document);
    if (!problem) return std::nullopt;
    why += "\n  " + *problem;
  }
  return why;
}

TEST_CASE("the server reads every part of a config that the documents show") {
  std::size_t found = 0;
  const auto check = [&](const MarkdownDocument& document, const Passage& passage) {
    static const std::regex kMember(R"re(^"[a-z_]+": )re");
    const bool shown =
        passage.language == "json" ||
        std::regex_search(passage.text, kMember, std::regex_constants::match_continuous);
    if (!shown) return;
    ++found;
    const auto why = why_no_config(passage.text);
    CHECK_MESSAGE(!why, at(document, passage), why.value_or(""));
  };
  for_each_passage(&MarkdownDocument::spans, check);
  for_each_passage(&MarkdownDocument::blocks, check);
  CHECK(found > 7);
}

// Every "text" of the program's sources.
std::set<std::string> literals() {
  std::set<std::string> found;
  static const std::regex kText(R"re("([a-z_.0-9]+)")re");
  for (const char* folder : {"acme-server", "ca-backends", "validators"}) {
    for (const auto& entry : fs::recursive_directory_iterator(source_directory() + "/" + folder)) {
      if (entry.path().extension() != ".cc" && entry.path().extension() != ".h") continue;
      const std::string source = read_file(entry.path().string());
      for (std::sregex_iterator it(source.begin(), source.end(), kText), end; it != end; ++it) {
        found.insert((*it)[1]);
      }
    }
  }
  return found;
}

// The members that the schema gives an object, `$ref`s followed.
const Json* schema_of(const Json& schema, const Json& object, const std::string& member) {
  const Json* found = &object;
  for (const char* reference = "$ref"; found->contains(reference);) {
    found = &schema.at(Json::json_pointer(found->at(reference).get<std::string>().substr(1)));
  }
  for (const char* choice : {"oneOf", "anyOf", "allOf"}) {
    if (!found->contains(choice)) continue;
    for (const Json& each : found->at(choice)) {
      if (const Json* inner = schema_of(schema, each, member)) return inner;
    }
  }
  if (found->contains("properties") && found->at("properties").contains(member)) {
    return &found->at("properties").at(member);
  }
  return nullptr;
}

// Whether "limits.connections" is an option of the config.
bool is_option(const Json& schema, const std::string& path) {
  const Json* object = &schema;
  for (const std::string_view name : split(path, '.')) {
    if (object != nullptr) object = schema_of(schema, *object, std::string(name));
  }
  return object != nullptr;
}

TEST_CASE("events and options that the documents name are the program's") {
  const std::set<std::string> known = literals();
  const Json schema = parse_json(read_file(source_directory() + "/config/gatehouse.schema.json"));
  static const std::regex kDotted(R"([a-z_]{2,}(\.[a-z_]+)+)");
  static const std::regex kFile(
      R"(.*\.(md|h|c|cc|json|jsonl|key|pem|csr|crl|cer|p7b|pfx|db|der|py|sh|sock|service|socket|rules|example|cfg|conf))");
  // Methods that documents speak of.
  const std::set<std::string> methods = {"backend.prepare", "backend.submit"};
  // The schema leaves a backend's options to its type, so the sources have them.
  const auto is_backend_option = [&](const std::string& word) {
    const std::size_t dot = word.find('.');
    const std::set<std::string> parts = {"signer", "tls", "proxy"};
    return parts.contains(word.substr(0, dot)) && known.contains(word.substr(dot + 1));
  };
  std::size_t found = 0;
  for_each_passage(
      &MarkdownDocument::spans, [&](const MarkdownDocument& document, const Passage& span) {
        const std::string& word = span.text;
        if (!std::regex_match(word, kDotted) || std::regex_match(word, kFile)) return;
        if (methods.contains(word)) return;
        ++found;
        CHECK_MESSAGE((known.contains(word) || is_option(schema, word) || is_backend_option(word)),
                      at(document, span));
      });
  CHECK(found > 50);
}

TEST_CASE("metrics that the documents name are in docs/metrics.md") {
  const std::string metrics = read_file(source_directory() + "/docs/metrics.md");
  static const std::regex kMetric("gatehouse_[a-z_]+");
  std::size_t found = 0;
  for_each_passage(&MarkdownDocument::spans, [&](const MarkdownDocument& document,
                                                 const Passage& span) {
    std::smatch name;
    if (!std::regex_search(span.text, name, kMetric, std::regex_constants::match_continuous))
      return;
    const std::string after = name.suffix();
    if (!after.empty() && after.front() != '{') return;  // a file's name, not a metric's
    ++found;
    CHECK_MESSAGE(metrics.find("`" + name.str() + "`") != std::string::npos, at(document, span));
  });
  CHECK(found > 8);
}

TEST_CASE("files of the tree that the documents name are there") {
  static const std::regex kPath(
      R"([a-z][A-Za-z0-9_.-]*(/[A-Za-z0-9_.-]+)*(/|\.(cc|h|sql|py|sh|md|conf|cmake)|_test))");
  // What a document speaks of in general, or another machine has.
  const auto exists = [](const std::string& document, const std::string& word) {
    const std::string root = source_directory() + "/";
    const std::string beside = (root / fs::path(document).parent_path()).string() + "/";
    const std::string file = word.ends_with("_test") ? word + ".cc" : word;
    const std::vector<std::string> places =
        word.ends_with("_test")
            ? std::vector<std::string>{root + "tests/", root + "tests/app/"}
            : std::vector<std::string>{root, beside, root + "acme-server/",
                                       root + "acme-server/service/", root + "tests/"};
    return std::ranges::any_of(places,
                               [&](const std::string& place) { return fs::exists(place + file); });
  };
  std::size_t found = 0;
  for_each_passage(&MarkdownDocument::spans,
                   [&](const MarkdownDocument& document, const Passage& span) {
                     const std::string& word = span.text;
                     // One folder alone may be of another tree: `openssl/`, `ca/`.
                     const bool is_path = word.find('/') < word.size() - 1;
                     if (!is_path || !std::regex_match(word, kPath)) return;
                     ++found;
                     CHECK_MESSAGE(exists(document.path, word), at(document, span));
                   });
  CHECK(found > 100);
}

// Clients read these: "its operator knows" leaves them nothing to do.
TEST_CASE("messages to clients say what to do, not that somebody else knows") {
  static const std::regex kNoHelp("operators? (of this server )?(knows|can tell)");
  for (const char* folder :
       {"acme-server/web", "acme-server/service", "ca-backends", "validators"}) {
    for (const auto& entry : fs::recursive_directory_iterator(source_directory() + "/" + folder)) {
      if (entry.path().extension() != ".cc") continue;
      const std::string source = read_file(entry.path().string());
      CHECK_MESSAGE(!std::regex_search(source, kNoHelp), entry.path().string());
    }
  }
}

}  // namespace
}  // namespace gatehouse::testing
