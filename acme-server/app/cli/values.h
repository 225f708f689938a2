// What the values of options and arguments are, said once: help and man page show it, and shells
// complete by it (completion.h).
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace gatehouse::app {

// Names of types, as CLI::Option::type_name() takes them.
inline constexpr const char* kFile = "FILE";
inline constexpr const char* kFolder = "FOLDER";
inline constexpr const char* kSecret = "SECRET";    // file:PATH, credential:NAME or env:NAME
inline constexpr const char* kBackend = "BACKEND";  // a name in the config
inline constexpr const char* kProfile = "PROFILE";  // likewise

// Names the words that `option` takes. Whether a value is one of them is the command's to check.
CLI::Option* offers(CLI::Option* option, const std::vector<std::string>& words);
// Names them, and refuses all others.
CLI::Option* takes_one_of(CLI::Option* option, const std::vector<std::string>& words);
// The words that `option` was given by either; none where there are none.
std::vector<std::string> words_of(const CLI::Option& option);

}  // namespace gatehouse::app
