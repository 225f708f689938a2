#include "acme-server/app/cli/wrong_arguments.h"

#include <CLI/App.hpp>
#include <CLI/Error.hpp>
#include <CLI/Option.hpp>
#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/text.h"

namespace gatehouse::app {

namespace {

constexpr std::size_t kShown = 40;  // of a word that somebody typed

// Insertions, deletions, replacements and swaps of neighbours that make one of the other.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before;
  std::vector<std::size_t> above(b.size() + 1);
  std::iota(above.begin(), above.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::vector<std::size_t> row(b.size() + 1, i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] =
          std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = std::exchange(above, std::move(row));
  }
  return above.back();
}

// `; did you mean "status"?`, or nothing where no word is near.
std::string suggestion(std::string_view typed, const std::vector<std::string>& known) {
  const auto nearest = std::ranges::min_element(
      known, {}, [&](const std::string& word) { return distance(typed, word); });
  if (nearest == known.end()) return "";
  const std::size_t allowed = std::max<std::size_t>(1, nearest->size() / 3);
  if (distance(typed, *nearest) > allowed) return "";
  return "; did you mean \"" + *nearest + "\"?";
}

std::vector<std::string> commands_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return names;
}

std::vector<std::string> options_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

// Reads the words as CLI11 does, as far as the first that it cannot know.
struct Reader {
  const CLI::App* app;
  std::string path;  // "gatehouse order show"
  std::string wrong = {};

  // False at the word that is wrong.
  bool take(std::string_view word, bool& takes_next) {
    if (word.size() > 1 && word.front() == '-') return take_option(word, takes_next);
    const std::vector<std::string> commands = commands_of(*app);
    if (commands.empty()) return true;  // a positional argument
    if (std::ranges::find(commands, word) == commands.end()) {
      wrong = "unknown command \"" + sanitize(word, kShown) + "\"" + suggestion(word, commands);
      return false;
    }
    app = app->get_subcommand(std::string(word));
    path += " " + std::string(word);
    return true;
  }

  bool take_option(std::string_view word, bool& takes_next) {
    const std::size_t end = word.find('=');
    const std::string_view name = word.substr(0, end);
    const std::vector<std::string> known = options_of(*app);
    if (std::ranges::find(known, name) == known.end()) {
      // "-j4" is -j with its value.
      const bool is_short = !name.starts_with("--");
      if (is_short && std::ranges::find(known, name.substr(0, 2)) != known.end()) return true;
      wrong = "unknown option \"" + sanitize(name, kShown) + "\"" + suggestion(name, known);
      return false;
    }
    const CLI::Option* option = app->get_option(std::string(name));
    takes_next = end == std::string_view::npos && option->get_items_expected_max() > 0;
    return true;
  }
};

}  // namespace

std::string explain_arguments(const CLI::App& program, const CLI::ParseError& error, int argc,
                              const char* const* argv) {
  Reader reader{.app = &program, .path = program.get_name()};
  bool is_value = false;
  for (int i = 1; i < argc; ++i) {
    if (std::exchange(is_value, false)) continue;
    if (!reader.take(argv[i], is_value)) break;
  }
  const std::string words = reader.wrong.empty() ? error.what() : reader.wrong;
  return words + (words.ends_with('?') ? " " : "; ") + reader.path + " --help tells what there is";
}

}  // namespace gatehouse::app
