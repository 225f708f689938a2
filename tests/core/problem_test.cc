#include "acme-server/core/problem.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

#include "acme-server/base/json.h"

namespace gatehouse {
namespace {

TEST_CASE("every type has its own URN, which reads back") {
  std::set<std::string> seen;
  for (int i = 0; i <= static_cast<int>(ProblemType::unspecified); ++i) {
    const auto type = static_cast<ProblemType>(i);
    const std::string urn = urn_of(type);
    CAPTURE(urn);
    CHECK(seen.insert(urn).second);
    CHECK(problem_type_from_urn(urn) == type);
    CHECK(default_status(type) >= 400);
  }
  CHECK(seen.size() == 25);
  CHECK(urn_of(ProblemType::badCSR) == "urn:ietf:params:acme:error:badCSR");
  CHECK(urn_of(ProblemType::unspecified) == "about:blank");
}

TEST_CASE("an URN that RFC 8555 does not have is no type") {
  for (const char* urn : {"", "urn:ietf:params:acme:error:", "urn:ietf:params:acme:error:conflict",
                          "urn:ietf:params:acme:error:badcsr", "badCSR", "about:blank "}) {
    CHECK_FALSE(problem_type_from_urn(urn));
  }
}

TEST_CASE("statuses are those the RFC names") {
  CHECK(default_status(ProblemType::badNonce) == 400);
  CHECK(default_status(ProblemType::accountDoesNotExist) == 400);
  CHECK(default_status(ProblemType::orderNotReady) == 403);
  CHECK(default_status(ProblemType::userActionRequired) == 403);
  CHECK(default_status(ProblemType::rateLimited) == 429);
  CHECK(default_status(ProblemType::serverInternal) == 500);
  CHECK(status_of({.type = ProblemType::unauthorized, .detail = ""}) == 403);
  CHECK(status_of({.type = ProblemType::unauthorized, .detail = "", .status = 401}) == 401);
}

TEST_CASE("a problem reads back as it was printed") {
  const Problem rows[] = {
      {.type = ProblemType::dns, .detail = "no address for a.test"},
      {.type = ProblemType::malformed, .detail = "taken", .status = 409},
      {.type = ProblemType::unspecified, .detail = "no such page", .status = 404},
      {.type = ProblemType::badSignatureAlgorithm,
       .detail = "HS256 is not accepted",
       .algorithms = {"ES256", "EdDSA"}},
      {.type = ProblemType::userActionRequired,
       .detail = "new terms",
       .instance = "https://ca.test/terms"},
      {.type = ProblemType::compound,
       .detail = "two names are refused",
       .subproblems = {{.type = ProblemType::rejectedIdentifier,
                        .detail = "a.test is denied",
                        .identifier = Identifier{.type = IdentifierType::dns, .value = "a.test"}},
                       {.type = ProblemType::malformed,
                        .detail = "no address",
                        .identifier = Identifier{.type = IdentifierType::ip, .value = "192.0.2.1"}},
                       {.type = ProblemType::unsupportedIdentifier,
                        .detail = "email",
                        .identifier = {}}}},
  };
  for (const Problem& problem : rows) {
    CAPTURE(problem.detail);
    CHECK(problem_from_json(parse_json(print_json(to_json(problem)))) == problem);
  }
}

TEST_CASE("a problem document says what RFC 7807 and RFC 8555 section 6.7 ask for") {
  const Problem problem{
      .type = ProblemType::rejectedIdentifier,
      .detail = "denied",
      .subproblems = {{.type = ProblemType::rejectedIdentifier,
                       .detail = "a.test is denied",
                       .identifier = Identifier{.type = IdentifierType::dns, .value = "a.test"}}},
      .retry_after = std::chrono::seconds(5)};
  CHECK(print_json(to_json(problem)) ==
        R"({"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"denied","status":403,)"
        R"("subproblems":[{"type":"urn:ietf:params:acme:error:rejectedIdentifier",)"
        R"("detail":"a.test is denied","identifier":{"type":"dns","value":"a.test"}}]})");
}

TEST_CASE("what is no problem of ours is refused with the field's name") {
  struct Row {
    const char* text;
    const char* names;
  };

  const Row rows[] = {
      {R"([])", ""},
      {R"({"detail":"x"})", "type"},
      {R"({"type":"urn:ietf:params:acme:error:conflict","detail":"x"})", "type"},
      {R"({"type":"urn:ietf:params:acme:error:dns"})", "detail"},
      {R"({"type":"urn:ietf:params:acme:error:dns","detail":"x","status":99})", "status"},
      {R"({"type":"urn:ietf:params:acme:error:dns","detail":"x","subproblems":{}})", "subproblems"},
      {R"({"type":"urn:ietf:params:acme:error:dns","detail":"x","subproblems":[{"type":"about:blank",)"
       R"("detail":"y","identifier":{"type":"email","value":"z"}}]})",
       "type"},
  };
  for (const Row& row : rows) {
    INFO(std::string(row.text));
    try {
      problem_from_json(parse_json(row.text));
      FAIL("accepted");
    } catch (const JsonError& error) {
      CHECK(std::string(error.what()).find(row.names) != std::string::npos);
    }
  }
}

TEST_CASE("reject carries its problem to whoever answers") {
  try {
    reject(ProblemType::malformed, "the payload is empty");
  } catch (const RequestRejected& rejected) {
    CHECK(rejected.problem() ==
          Problem{.type = ProblemType::malformed, .detail = "the payload is empty"});
    CHECK(std::string(rejected.what()).find("the payload is empty") != std::string::npos);
  }
  CHECK_THROWS_AS(reject(Problem{.detail = "", .status = 409}), RequestRejected);
}

}  // namespace
}  // namespace gatehouse
