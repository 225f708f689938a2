// The completion script and the man page, as their readers take them.
#include <doctest/doctest.h>
#include <stdio.h>

#include <array>
#include <string>

#include "acme-server/base/files.h"
#include "tests/support/program.h"

namespace gatehouse::testing {
namespace {

// What a shell command prints, errors too.
std::string shell(const std::string& command) {
  FILE* pipe = ::popen(("{ " + command + "; } 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string text;
  std::array<char, 4096> piece{};
  for (std::size_t count = 0; (count = ::fread(piece.data(), 1, piece.size(), pipe)) > 0;) {
    text.append(piece.data(), count);
  }
  ::pclose(pipe);
  return text;
}

TEST_CASE("bash completes commands, verbs and options") {
  const TemporaryFolder folder;
  const Outcome script = run({"completion", "bash"});
  REQUIRE(script.code == 0);
  const std::string file = folder.path() + "/completion";
  write_file(file, script.printed, FileAccess::owner_only, ExistingFile::refuse);
  const auto completed = [&](const std::string& words, int index) {
    return shell("bash -c 'source " + file + "; COMP_WORDS=(gatehouse " + words +
                 "); COMP_CWORD=" + std::to_string(index) + "; _gatehouse; echo ${COMPREPLY[*]}'");
  };
  CHECK(completed("stat", 1) == "status\n");
  CHECK(completed("certificate", 1) == "certificate\n");
  CHECK(completed("certificate \"\"", 2).starts_with("list show revoke "));
  CHECK(completed("certificate revoke --rea", 3) == "--reason\n");
  CHECK(completed("--bogus order show --js", 4) == "--json\n");
  CHECK(completed("status --config " + folder.path() + "/compl", 3) == file + "\n");
  CHECK(completed("nothing", 1) == "\n");
}

TEST_CASE("the man page renders without a warning, and tells of every command") {
  const TemporaryFolder folder;
  const Outcome page = run({"man"});
  REQUIRE(page.code == 0);
  const std::string file = folder.path() + "/gatehouse.8";
  write_file(file, page.printed, FileAccess::owner_only, ExistingFile::refuse);
  CHECK(shell("LC_ALL=C.UTF-8 MANROFFSEQ= man --warnings=all -E UTF-8 -l -Tutf8 -Z " + file +
              " > /dev/null")
            .empty());
  const std::string text = shell("LC_ALL=C.UTF-8 MANWIDTH=100 man -l " + file + " | col -b");
  for (const char* part : {"gatehouse serve", "gatehouse init", "gatehouse root crl",
                           "gatehouse status", "gatehouse certificate revoke", "--reason VALUE",
                           "gatehouse order show", "gatehouse audit verify", "EXIT STATUS",
                           "gatehouse certificate list --expiring-within 14d"}) {
    CAPTURE(part);
    CHECK(text.find(part) != std::string::npos);
  }
}

}  // namespace
}  // namespace gatehouse::testing
