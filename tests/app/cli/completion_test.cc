// Completion as the shells themselves do it.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/files.h"
#include "acme-server/base/text.h"
#include "tests/support/not_run.h"
#include "tests/support/program.h"

namespace gatehouse::testing {
namespace {

using Words = std::set<std::string>;

bool is_there(const std::string& shell) {
  return Program("sh", {"-c", "command -v " + shell}).wait() == 0;
}

// A folder with the script of a shell, a config, and something to be offered.
struct Desk {
  explicit Desk(const std::string& shell) {
    const Outcome made = run({"completion", shell});
    REQUIRE(made.code == 0);
    write("script", made.printed);
    write("offered.pem", "");
    make_private_folder(at("offered.d"));
    write("gatehouse.json", R"({"base_url": "https://acme.test",
      "profiles": {"short": {"backend": "corp"}, "default": {"backend": "corp"}},
      "backends": {"corp": {"type": "exec", "program": ["/bin/true"], "anchors": ["r"]}}})");
  }

  std::string at(const std::string& name) const { return folder.path() + "/" + name; }

  void write(const std::string& name, const std::string& text) const {
    write_file(at(name), text, FileAccess::owner_only, ExistingFile::refuse);
  }

  TemporaryFolder folder;
};

// What a shell's program for a test prints: the words that complete each of `lines`, and behind
// each line's words a line "====".
std::vector<Words> completed(const std::string& shell, const std::string& script, const Desk& desk,
                             const std::vector<std::string>& lines) {
  desk.write("test", script);
  std::vector<std::string> arguments = {desk.at("test"), desk.folder.path(), binary_directory()};
  if (shell == "fish") arguments.insert(arguments.begin(), "--no-config");
  arguments.insert(arguments.end(), lines.begin(), lines.end());
  arguments.insert(arguments.begin(), {"60", shell});
  Program program("timeout", std::move(arguments));  // a shell that waits for its terminal
  const int code = program.wait();
  CAPTURE(program.printed());
  REQUIRE(code == 0);
  std::vector<Words> words(1);
  for (const std::string_view line : split(program.printed(), '\n')) {
    const std::string word(trim(line.substr(0, line.find('\t'))));
    if (word == "====") {
      words.emplace_back();
    } else if (!word.empty()) {
      words.back().insert(word);
    }
  }
  REQUIRE(words.size() == lines.size() + 1);
  return words;
}

struct Row {
  std::string line;
  Words all = {};      // exactly these, where there are any
  Words among = {};    // these, besides others
  Words without = {};  // none of these
};

// What is right in every shell.
std::vector<Row> rows(const Desk& desk) {
  const std::string offered = desk.at("offered"), file = desk.at("offered.pem");
  const std::string config = "--config " + desk.at("gatehouse.json") + " ";
  return {
      {.line = "gatehouse stat", .all = {"status"}},
      {.line = "gatehouse rotate", .all = {"rotate-issuer"}},
      {.line = "gatehouse ", .among = {"serve", "certificate"}, .without = {"list"}},
      {.line = "gatehouse order ", .among = {"list", "adopt"}, .without = {"status", "revoke"}},
      {.line = "gatehouse certificate revoke --rea", .all = {"--reason"}},
      {.line = "gatehouse certificate revoke --reason ",
       .among = {"keyCompromise", "superseded"},
       .without = {"cACompromise", "--reason", file}},
      {.line = "gatehouse order list --status p", .all = {"pending", "processing"}},
      {.line = "gatehouse init --root-key rsa2", .all = {"rsa2048"}},
      // Files where files go, folders where folders go, neither where neither does.
      {.line = "gatehouse init --import " + offered, .among = {file}},
      {.line = "gatehouse restore " + offered, .among = {file}},
      {.line = "gatehouse init --directory " + desk.at("offered."), .without = {file}},
      {.line = "gatehouse order show " + offered, .without = {file}},
      {.line = "gatehouse status --set " + offered, .without = {file}},
      {.line = "gatehouse init --passphrase ", .all = {"file:", "credential:", "env:"}},
      // Names that the config has.
      {.line = "gatehouse order list " + config + "--profile ", .all = {"default", "short"}},
      {.line = "gatehouse backend check " + config, .among = {"corp"}},
  };
}

void check(const std::string& shell, const std::string& script, std::vector<Row> more = {}) {
  const Desk desk(shell);
  std::vector<Row> all = rows(desk);
  all.insert(all.end(), more.begin(), more.end());
  std::vector<std::string> lines;
  for (const Row& row : all) lines.push_back(row.line);
  const std::vector<Words> words = completed(shell, script, desk, lines);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Row& row = all[i];
    CAPTURE(row.line);
    const std::string got = join({words[i].begin(), words[i].end()}, " ");
    CAPTURE(got);
    if (!row.all.empty()) CHECK(words[i] == row.all);
    for (const std::string& word : row.among) CHECK_MESSAGE(words[i].contains(word), word);
    for (const std::string& word : row.without) CHECK_MESSAGE(!words[i].contains(word), word);
  }
}

// The function that `complete` has told bash of, with the line as readline breaks it.
constexpr const char* kInBash = R"sh(
cd "$1"; PATH=$2:$PATH; source ./script
for line in "${@:3}"; do
  read -ra COMP_WORDS <<<"$line"
  [[ $line == *' ' ]] && COMP_WORDS+=('')
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  _gatehouse
  printf '%s\n' "${COMPREPLY[@]}" ====
done
)sh";

TEST_CASE("bash completes commands, options, values, files and names of the config") {
  check("bash", kInBash,
        {{.line = "gatehouse order list --status = re", .all = {"ready"}},
         {.line = "gatehouse init --passphrase file : scr", .all = {"script"}},
         {.line = "gatehouse --bogus order show --js", .all = {"--json"}}});
}

constexpr const char* kInFish = R"sh(
set -gx HOME $argv[1]
set -gx PATH $argv[2] $PATH
cd $argv[1]
source script
for line in $argv[3..-1]
    complete -C $line
    echo ====
end
)sh";

TEST_CASE("fish completes commands, options, values, files and names of the config") {
  if (!is_there("fish")) return not_run("fish is not installed");
  check("fish", kInFish,
        {{.line = "gatehouse order list --status=re", .all = {"--status=ready"}},
         {.line = "gatehouse init --passphrase file:scr", .all = {"file:script"}}});
}

// zsh completes only at a prompt: one on a terminal of its own gets each line and a Tab. Its
// compadd prints the words in place of showing them, between two lines "<<<>>>".
constexpr const char* kInZsh = R"sh(
zmodload zsh/zpty
cat >prompt <<'PROMPT'
PS1= PS2= RPS1=
autoload -Uz compinit && compinit -u -D
source ./script
bindkey '^I' complete-word
between() { echo -E - '<<<>>>' }
precmd() { compprefuncs=(between) comppostfuncs=(between) }
zstyle ':completion:*' insert-tab false
compadd() {
  if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then builtin compadd "$@"; return; fi
  local -a hits; local p=${@[(I)-p]}
  builtin compadd -A hits "$@"
  (( p )) && hits=("${@[p+1]}"$^hits)
  (( $#hits )) && print -l -- $hits
  return $(( ! $#hits ))
}
PS1='next'-line
PROMPT
zpty shell "cd $1; PATH=$2:\$PATH TERM=dumb exec zsh -f -i"
zpty -w shell 'source ./prompt'
for line in "${@[3,-1]}"; do
  zpty -r shell out '*next-line*'
  zpty -w -n shell "$line"$'\t'
  zpty -r shell out '*<<<>>>*<<<>>>*'
  out=${out#*<<<>>>}
  print -r -- "${out%<<<>>>*}"
  print -- '===='
  zpty -w -n shell $'\C-u\C-m'
done
)sh";

TEST_CASE("zsh completes commands, options, values, files and names of the config") {
  if (!is_there("zsh")) return not_run("zsh is not installed");
  const Desk desk("zsh");
  CHECK(Program("zsh", {"-n", desk.at("script")}).wait() == 0);
  check("zsh", std::string("cd $1\n") + kInZsh,
        {{.line = "gatehouse order list --status=re", .all = {"ready"}},
         {.line = "gatehouse init --passphrase file:scr", .all = {"script"}}});
}

}  // namespace
}  // namespace gatehouse::testing
