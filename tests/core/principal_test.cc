#include "acme-server/core/principal.h"

#include <doctest/doctest.h>

#include <string>
#include <variant>
#include <vector>

namespace gatehouse {
namespace {

const std::string kHash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

TEST_CASE("a principal is printed as databases have it, and read back") {
  struct Row {
    Principal principal;
    std::string text;
  };

  const Row rows[] = {
      {ServerPrincipal{}, "server"},
      {AccountId("0190-a"), "account:0190-a"},
      {OperatorByUid{0}, "operator:0"},
      {OperatorByUid{4294967295}, "operator:4294967295"},
      {CertificateKeyHolder{kHash}, "key:" + kHash},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    CHECK(to_string(row.principal) == row.text);
    CHECK(parse_principal(row.text) == row.principal);
  }
}

TEST_CASE("what this version does not know is nobody, and keeps its text to the letter") {
  const std::vector<std::string> texts = {"",
                                          "Server",
                                          "server ",
                                          "account:",
                                          "account",
                                          "operator:",
                                          "operator:07",
                                          "operator:-1",
                                          "operator:+1",
                                          "operator:1 ",
                                          "operator:4294967296",
                                          "operator:alice",
                                          "key:",
                                          "key:" + kHash.substr(1),
                                          "key:" + kHash + "0",
                                          "key:" + std::string(64, 'A'),
                                          "login:alice",
                                          std::string("\0", 1)};
  for (const std::string& text : texts) {
    CAPTURE(text);
    const Principal principal = parse_principal(text);
    CHECK(std::holds_alternative<UnknownPrincipal>(principal));
    CHECK(to_string(principal) == text);
  }
}

}  // namespace
}  // namespace gatehouse
