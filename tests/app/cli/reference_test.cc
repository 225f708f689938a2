// The man page as its readers take it.
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
                           "gatehouse order show", "gatehouse audit verify", "--import FILE",
                           "--directory FOLDER", "keyCompromise, affiliationChanged",
                           "gatehouse certificate list --expiring-within 14d"}) {
    CAPTURE(part);
    CHECK(text.find(part) != std::string::npos);
  }
  for (const char* section : {"NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "CONFIGURATION",
                              "ENVIRONMENT", "FILES", "EXIT STATUS", "EXAMPLES", "SEE ALSO"}) {
    CAPTURE(section);
    CHECK(text.find("\n" + std::string(section) + "\n") != std::string::npos);
  }
}

}  // namespace
}  // namespace gatehouse::testing
