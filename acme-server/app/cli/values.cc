#include "acme-server/app/cli/values.h"

#include <CLI/Option.hpp>
#include <CLI/Validators.hpp>
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/text.h"

namespace gatehouse::app {

namespace {

constexpr std::size_t kShown = 40;  // of a word that somebody typed

}  // namespace

CLI::Option* offers(CLI::Option* option, const std::vector<std::string>& words) {
  return option->type_name("{" + join(words, ",") + "}");
}

CLI::Option* takes_one_of(CLI::Option* option, const std::vector<std::string>& words) {
  const auto check = [words](const std::string& word) -> std::string {
    if (std::ranges::find(words, word) != words.end()) return "";
    return "\"" + sanitize(word, kShown) + "\" is none of: " + join(words, ", ");
  };
  return offers(option, words)->check(CLI::Validator(check, ""));
}

std::vector<std::string> words_of(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  if (!type.starts_with('{') || !type.ends_with('}')) return {};
  std::vector<std::string> words;
  for (const std::string_view word :
       split(std::string_view(type).substr(1, type.size() - 2), ',')) {
    words.emplace_back(word);
  }
  return words;
}

}  // namespace gatehouse::app
