#include "acme-server/web/problem_json.h"

#include <doctest/doctest.h>

#include <functional>
#include <new>
#include <string>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/transient_error.h"
#include "tests/support/test_web.h"

namespace gatehouse::web {
namespace {

using testing::header_of;
using testing::json_of;
using testing::link_of;
using testing::SeededEntropy;

TEST_CASE("a problem's answer carries what its type asks for") {
  const http::Response limited = problem_response({.type = ProblemType::rateLimited,
                                                   .detail = "too many orders",
                                                   .retry_after = std::chrono::seconds(90)});
  CHECK(limited.status == 429);
  CHECK(header_of(limited, "Retry-After") == "90");
  CHECK(header_of(limited, "Content-Type") == "application/problem+json");

  const http::Response terms = problem_response({.type = ProblemType::userActionRequired,
                                                 .detail = "new terms",
                                                 .instance = "https://acme.test/terms"});
  CHECK(terms.status == 403);
  CHECK(link_of(terms, "terms-of-service") == "https://acme.test/terms");
  CHECK(json_of(terms)["instance"] == "https://acme.test/terms");
}

TEST_CASE("nobody is told to come back after no time at all") {
  CHECK(header_of(problem_response({.detail = "", .retry_after = std::chrono::seconds(0)}),
                  "Retry-After") == "1");
}

TEST_CASE("text that is not UTF-8 leaves us as UTF-8") {
  const http::Response response =
      problem_response({.type = ProblemType::tls, .detail = "peer said \xc3\x28"});
  CHECK(is_utf8(*response.body));
  CHECK(json_of(response)["detail"].get<std::string>().starts_with("peer said "));
}

// What the store throws when the disk is full.
class Full : public std::runtime_error, public TransientError {
 public:
  using std::runtime_error::runtime_error;
};

struct Thrown {
  std::function<void()> act;
  const char* event;
  bool passes = false;
};

TEST_CASE("of our own failures the client learns nothing but a log id") {
  const Thrown rows[] = {
      {[] { throw std::runtime_error("disk sda1 is full"); }, "request.failed"},
      {[] { throw Full("disk sda1 is full"); }, "request.failed", true},
      {[] { throw JsonError("disk sda1 has a broken row"); }, "request.failed"},
      {[] { throw std::bad_alloc(); }, "request.failed"},
      {[] { throw LogicError("disk sda1 == nullptr"); }, "request.bug"},
      {[] { ACME_CHECK(1 + 1 == 3); }, "request.bug"},
  };
  for (const Thrown& row : rows) {
    std::vector<std::string> lines;
    Log log({.sink = [&](LogLevel level, std::string_view line) {
      CHECK(level == LogLevel::error);
      lines.emplace_back(line);
    }});
    SeededEntropy entropy;
    http::Request request;
    request.method = "POST";
    request.target = "/acme/default/new-order";
    Problem problem;
    try {
      row.act();
    } catch (...) {
      problem = problem_in_flight(log, entropy, request);
    }
    CHECK(problem.type == ProblemType::serverInternal);
    CHECK(problem.detail.find("sda1") == std::string::npos);
    CHECK((problem.status == 503) == row.passes);
    CHECK(problem.retry_after.has_value() == row.passes);
    REQUIRE(lines.size() == 1);
    const Json event = parse_json(lines[0]);
    CHECK(event["event"] == row.event);
    CHECK(event["target"] == "/acme/default/new-order");
    CHECK(event["reason"].get<std::string>().size() > 5);
    CHECK(problem.detail.find(event["log_id"].get<std::string>()) != std::string::npos);
  }
}

TEST_CASE("a rejection goes to the client as it is and not to the log") {
  int lines = 0;
  Log log({.sink = [&](LogLevel, std::string_view) { ++lines; }});
  SeededEntropy entropy;
  const Problem sent{.type = ProblemType::badCSR, .detail = "CSR asks for b.test"};
  Problem received;
  try {
    reject(sent);
  } catch (...) {
    received = problem_in_flight(log, entropy, http::Request());
  }
  CHECK(received == sent);
  CHECK(lines == 0);
}

}  // namespace
}  // namespace gatehouse::web
