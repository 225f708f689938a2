#include "acme-server/http/response.h"

#include <doctest/doctest.h>

#include "acme-server/base/json.h"
#include "tests/support/manual_clock.h"

namespace gatehouse::http {
namespace {

using testing::kNoon;

std::shared_ptr<const std::string> text(std::string value) {
  return std::make_shared<const std::string>(std::move(value));
}

TEST_CASE("an answer that would let its values write the header is not sent") {
  const Response rows[] = {
      {.status = 200, .headers = {{"X", "a\r\nSet-Cookie: b"}}, .body = nullptr},
      {.status = 200, .headers = {{"X", "a\nb"}}, .body = nullptr},
      {.status = 200, .headers = {{"X", "a\rb"}}, .body = nullptr},
      {.status = 200, .headers = {{"X", std::string("a\0b", 3)}}, .body = nullptr},
      {.status = 200, .headers = {{"X: y\r\nZ", "a"}}, .body = nullptr},
      {.status = 200, .headers = {{"", "a"}}, .body = nullptr},
      {.status = 100, .headers = {}, .body = nullptr},
      {.status = 0, .headers = {}, .body = nullptr},
      {.status = 600, .headers = {}, .body = nullptr},
  };
  for (const Response& row : rows) {
    CAPTURE(row.status);
    CHECK_FALSE(to_wire(row, {}, kNoon).has_value());
  }
}

TEST_CASE("an answer is written with the engine's own fields in place of the handler's") {
  const auto wire = to_wire({.status = 201,
                             .headers = {{"Link", "<a>"},
                                         {"content-length", "99"},
                                         {"Transfer-Encoding", "chunked"},
                                         {"Date", "yesterday"},
                                         {"Link", "<b>"}},
                             .body = text("hello")},
                            {}, kNoon);
  REQUIRE(wire.has_value());
  CHECK(wire->head ==
        "HTTP/1.1 201 Created\r\nDate: Mon, 01 Jun 2026 12:00:00 GMT\r\nLink: <a>\r\nLink: <b>\r\n"
        "Content-Length: 5\r\n\r\n");
  REQUIRE(wire->body);
  CHECK(*wire->body == "hello");
  CHECK_FALSE(wire->close);
}

TEST_CASE("some answers have no body, and say so in their own way") {
  struct Row {
    int status;
    bool head_request;
    const char* length;  // nullptr: no Content-Length
    bool body;
  };

  const Row rows[] = {
      {200, false, "5", true},      {200, true, "5", false},     {404, true, "5", false},
      {204, false, nullptr, false}, {204, true, nullptr, false}, {304, false, nullptr, false},
      {205, false, "0", false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.status);
    CAPTURE(row.head_request);
    const auto wire = to_wire({.status = row.status, .headers = {}, .body = text("hello")},
                              {.head_request = row.head_request}, kNoon);
    REQUIRE(wire.has_value());
    CHECK((wire->body != nullptr) == row.body);
    const bool has_length = wire->head.find("Content-Length") != std::string::npos;
    CHECK(has_length == (row.length != nullptr));
    if (row.length) {
      CHECK(wire->head.find(std::string("Content-Length: ") + row.length + "\r\n") !=
            std::string::npos);
    }
  }
}

TEST_CASE("an answer says how the connection goes on") {
  const auto connection = [](const Response& response, AnswerContext context) {
    const auto wire = to_wire(response, context, kNoon).value();
    const auto at = wire.head.find("Connection: ");
    const auto said = at == std::string::npos
                          ? std::string("nothing")
                          : wire.head.substr(at + 12, wire.head.find('\r', at) - at - 12);
    return said + (wire.close ? ", closes" : ", stays");
  };
  const Response plain{.status = 200, .headers = {}, .body = nullptr};
  const Response closing{.status = 200, .headers = {{"connection", "Close"}}, .body = nullptr};
  CHECK(connection(plain, {}) == "nothing, stays");
  CHECK(connection(plain, {.close = true}) == "close, closes");
  CHECK(connection(plain, {.http_1_1 = false}) == "keep-alive, stays");
  CHECK(connection(plain, {.http_1_1 = false, .close = true}) == "close, closes");
  CHECK(connection(closing, {}) == "close, closes");
}

TEST_CASE("the engine's own answers are problem documents") {
  const auto response = problem_response(413, "Too \"large\".");
  CHECK(response.status == 413);
  CHECK(*find_header(response.headers, "content-type") == "application/problem+json");
  const auto body = parse_json(*response.body);
  CHECK(body["type"] == "urn:ietf:params:acme:error:malformed");
  CHECK(body["status"] == 413);
  CHECK(body["detail"] == "Too \"large\".");
  CHECK_FALSE(find_header(response.headers, "Retry-After"));
  const auto busy = problem_response(503, "x");
  CHECK(find_header(busy.headers, "Retry-After"));
  CHECK(parse_json(*busy.body)["type"] == "urn:ietf:params:acme:error:serverInternal");
}

TEST_CASE("dates are IMF-fixdate") {
  CHECK(http_date(from_unix(784111777)) ==
        "Sun, 06 Nov 1994 08:49:37 GMT");  // RFC 9110 section 5.6.7
  CHECK(http_date(from_unix(951782400)) == "Tue, 29 Feb 2000 00:00:00 GMT");
}

}  // namespace
}  // namespace gatehouse::http
