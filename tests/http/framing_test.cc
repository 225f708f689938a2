#include "acme-server/http/framing.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace gatehouse::http {
namespace {

const Limits kLimits;

std::string head_with(const std::string& fields) {
  return "POST /x HTTP/1.1\r\nHost: a.test\r\n" + fields + "\r\n";
}

TEST_CASE("every doubtful header is refused") {
  struct Row {
    const char* what;
    std::string block;
    int status;
  };

  const Row rows[] = {
      {"empty request line", "\r\n\r\n", 400},
      {"no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"two blanks", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"blank in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"tab in the request line", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"method is no token", "G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"method too long", std::string(33, 'A') + " / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 400},
      {"HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 400},
      {"HTTP/0.9", "GET /\r\n\r\n", 400},
      {"lower-case version", "GET / http/1.1\r\nHost: a\r\n\r\n", 400},
      {"authority-form", "CONNECT a.test:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"asterisk-form", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"foreign absolute-form", "GET http://b.test/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"relative target", "GET x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"fragment", "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"backslash", "GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"half an escape", "GET /%2 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"no escape", "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"0xFF in the target", "GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"no host", "GET / HTTP/1.1\r\n\r\n", 400},
      {"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", 400},
      {"empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
      {"host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
      {"host with userinfo", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400},
      {"list of hosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400},
      {"two hosts in 1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400},
      {"no colon", head_with("Nonsense\r\n"), 400},
      {"blank before colon", head_with("Content-Length : 2\r\n"), 400},
      {"tab before colon", head_with("Content-Length\t: 2\r\n"), 400},
      {"empty name", head_with(": 2\r\n"), 400},
      {"name is no token", head_with("Con(tent: 2\r\n"), 400},
      {"obs-fold", head_with("X: a\r\n b\r\n"), 400},
      {"obs-fold with a tab", head_with("Transfer-Encoding:\r\n\tchunked\r\n"), 400},
      {"fold right after the request line", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
      {"NUL", head_with(std::string("X: a\0b\r\n", 8)), 400},
      {"DEL", head_with("X: a\x7f\r\n"), 400},
      {"bare CR", head_with("X: a\rY: b\r\n"), 400},
      {"bare LF", "GET / HTTP/1.1\nHost: a\n\n", 400},
      {"bare LF among CR LF", head_with("X: a\nY: b\r\n"), 400},
      {"CR CR LF", head_with("X: a\r\r\n"), 400},
      {"two lengths", head_with("Content-Length: 2\r\nContent-Length: 3\r\n"), 400},
      {"two equal lengths", head_with("Content-Length: 2\r\nContent-Length: 2\r\n"), 400},
      {"list of equal lengths", head_with("Content-Length: 2, 2\r\n"), 400},
      {"length with junk", head_with("Content-Length: 5x\r\n"), 400},
      {"signed length", head_with("Content-Length: +5\r\n"), 400},
      {"negative length", head_with("Content-Length: -5\r\n"), 400},
      {"hexadecimal length", head_with("Content-Length: 0x5\r\n"), 400},
      {"no length", head_with("Content-Length:\r\n"), 400},
      {"length beyond 64 bits", head_with("Content-Length: 18446744073709551616\r\n"), 400},
      {"length beyond the limit", head_with("Content-Length: 65537\r\n"), 413},
      {"xchunked", head_with("Transfer-Encoding: xchunked\r\n"), 400},
      {"gzip", head_with("Transfer-Encoding: gzip\r\n"), 400},
      {"identity", head_with("Transfer-Encoding: identity\r\n"), 400},
      {"gzip, chunked", head_with("Transfer-Encoding: gzip, chunked\r\n"), 400},
      {"chunked, identity", head_with("Transfer-Encoding: chunked, identity\r\n"), 400},
      {"chunked, chunked", head_with("Transfer-Encoding: chunked, chunked\r\n"), 400},
      {"quoted chunked", head_with("Transfer-Encoding: \"chunked\"\r\n"), 400},
      {"chunked with parameter", head_with("Transfer-Encoding: chunked;q=1\r\n"), 400},
      {"vertical tab",
       head_with("Transfer-Encoding: \x0b"
                 "chunked\r\n"),
       400},
      {"empty coding", head_with("Transfer-Encoding:\r\n"), 400},
      {"two codings", head_with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
       400},
      {"coding and length", head_with("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n"), 400},
      {"length and coding", head_with("Content-Length: 2\r\ntransfer-encoding: chunked\r\n"), 400},
      {"coding in 1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"other expectation", head_with("Expect: tea\r\n"), 417},
      {"octets behind the end", head_with("X: y\r\n") + "z", 400},
      {"no end", "GET / HTTP/1.1\r\nHost: a\r\n", 400},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const auto head = check_head(row.block, kLimits, {"http://a.test"});
    REQUIRE_FALSE(head.has_value());
    CHECK(head.error().status == row.status);
    CHECK_FALSE(head.error().detail.empty());
  }
}

TEST_CASE("a header is limited in octets and in fields") {
  std::string fields;
  for (int i = 0; i < 99; ++i) fields += "X: y\r\n";
  CHECK(check_head(head_with(fields), kLimits, {}).has_value());
  const auto too_many = check_head(head_with(fields + "X: y\r\n"), kLimits, {});
  REQUIRE_FALSE(too_many.has_value());
  CHECK(too_many.error().status == 431);

  const std::string one = head_with("X: \r\n");
  const std::string fits = head_with("X: " + std::string(16384 - one.size(), 'y') + "\r\n");
  REQUIRE(fits.size() == 16384);
  CHECK(check_head(fits, kLimits, {}).has_value());
  const auto too_long =
      check_head(head_with("X: " + std::string(16385 - one.size(), 'y') + "\r\n"), kLimits, {});
  REQUIRE_FALSE(too_long.has_value());
  CHECK(too_long.error().status == 431);
}

TEST_CASE("a good header is read as it was sent") {
  const auto head = check_head(
      "POST /a%20b/~c?d=e&f HTTP/1.1\r\nhost: a.test:8080\r\nX-Y:  two words \t\r\nX-Y: "
      "\xc3\xa9\r\n"
      "Content-Length: 007\r\nExpect: 100-Continue\r\n\r\n",
      kLimits, {});
  REQUIRE(head.has_value());
  CHECK(head->method == "POST");
  CHECK(head->target == "/a%20b/~c?d=e&f");
  CHECK(head->headers == std::vector<Header>{{"host", "a.test:8080"},
                                             {"X-Y", "two words"},
                                             {"X-Y", "\xc3\xa9"},
                                             {"Content-Length", "007"},
                                             {"Expect", "100-Continue"}});
  REQUIRE(std::holds_alternative<SizedBody>(head->body));
  CHECK(std::get<SizedBody>(head->body).size == 7);
  CHECK(head->http_1_1);
  CHECK(head->keep_alive);
  CHECK(head->expects_continue);
}

TEST_CASE("absolute-form of the listener's own origin becomes origin-form") {
  const std::vector<std::string> origins = {"https://a.test", "http://b.test:8080"};

  struct Row {
    const char* target;
    const char* read;  // nullptr: refused
  };

  const Row rows[] = {
      {"https://a.test/x?y=z", "/x?y=z"},
      {"https://A.TEST:443/x", "/x"},
      {"https://a.test", "/"},
      {"https://a.test/x?", "/x?"},
      {"http://b.test:8080/", "/"},
      {"http://a.test/", nullptr},
      {"http://b.test/", nullptr},
      {"https://a.test.b.test/", nullptr},
      {"https://u@a.test/", nullptr},
      {"https://a.test/#x", nullptr},
      {"//a.test/", "//a.test/"},
      {"ftp://a.test/", nullptr},
  };
  for (const Row& row : rows) {
    CAPTURE(row.target);
    const auto head = check_head(
        "GET " + std::string(row.target) + " HTTP/1.1\r\nHost: a.test\r\n\r\n", kLimits, origins);
    REQUIRE(head.has_value() == (row.read != nullptr));
    if (row.read) CHECK(head->target == row.read);
  }
}

TEST_CASE("whether the connection lasts is for version and Connection to say") {
  struct Row {
    const char* version;
    const char* connection;
    bool keep_alive;
  };

  const Row rows[] = {
      {"1.1", "", true},
      {"1.1", "Connection: close\r\n", false},
      {"1.1", "Connection: x, CLOSE\r\n", false},
      {"1.1", "Connection: keep-alive\r\nConnection: close\r\n", false},
      {"1.1", "Connection: closed\r\n", true},
      {"1.0", "", false},
      {"1.0", "Connection: Keep-Alive\r\n", true},
      {"1.0", "Connection: keep-alive, close\r\n", false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.version);
    CAPTURE(row.connection);
    const auto head = check_head(
        std::string("GET / HTTP/") + row.version + "\r\nHost: a\r\n" + row.connection + "\r\n",
        kLimits, {});
    REQUIRE(head.has_value());
    CHECK(head->keep_alive == row.keep_alive);
  }
}

TEST_CASE("the end of a header is found wherever the pieces are cut") {
  const std::string block = head_with("X: y\r\n");
  for (std::size_t cut = 0; cut < block.size(); ++cut) {
    HeadScanner scanner;
    const auto first = scanner.scan(std::string_view(block).substr(0, cut), 1000);
    REQUIRE(first.has_value());
    CHECK_FALSE(first->has_value());
    const auto whole = scanner.scan(block + "more", 1000);
    REQUIRE(whole.has_value());
    CHECK(*whole == block.size());
  }
}

TEST_CASE("garbage is refused at its first octet, not at the deadline") {
  HeadScanner scanner;
  CHECK_FALSE(scanner.scan(std::string("\x16\x03\x01", 3), 1000).has_value());
  HeadScanner bare;
  CHECK_FALSE(bare.scan("GET / HTTP/1.1\n", 1000).has_value());
}

TEST_CASE("every doubtful chunked body is refused") {
  struct Row {
    const char* what;
    std::string body;
    int status;
  };

  const Row rows[] = {
      {"no size", "\r\nabc", 400},
      {"size with sign", "+3\r\nabc\r\n0\r\n\r\n", 400},
      {"size with 0x", "0x3\r\nabc\r\n0\r\n\r\n", 400},
      {"blank before size", " 3\r\nabc\r\n0\r\n\r\n", 400},
      {"blank behind size", "3 \r\nabc\r\n0\r\n\r\n", 400},
      {"too many digits", "000000003\r\nabc\r\n0\r\n\r\n", 400},
      {"bare LF behind size", "3\nabc\r\n0\r\n\r\n", 400},
      {"bare CR behind size", "3\rabc\r\n0\r\n\r\n", 400},
      {"data too long", "3\r\nabcd\r\n0\r\n\r\n", 400},
      {"bare LF behind data", "3\r\nabc\n0\r\n\r\n", 400},
      {"data without end", "3\r\nabc0\r\n\r\n", 400},
      {"trailer", "3\r\nabc\r\n0\r\nX: y\r\n\r\n", 400},
      {"bare LF at the end", "3\r\nabc\r\n0\r\n\n", 400},
      {"NUL in an extension", std::string("3;\0\r\nabc\r\n0\r\n\r\n", 16), 400},
      {"bare LF in an extension", "3;a\nabc\r\n0\r\n\r\n", 400},
      {"huge extension", "3;" + std::string(1024, 'a') + "\r\nabc\r\n0\r\n\r\n", 400},
      {"many extensions",
       "1;" + std::string(600, 'a') + "\r\nx\r\n1;" + std::string(600, 'a') + "\r\nx\r\n", 400},
      {"beyond the limit", "10001\r\n", 413},
      {"beyond the limit in all", "8000\r\n" + std::string(32768, 'x') + "\r\n8001\r\n", 413},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    ChunkScanner scanner(65536);
    const auto result = scanner.scan(row.body);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().status == row.status);

    ChunkScanner slow(65536);
    bool refused = false;
    for (std::size_t i = 0; i < row.body.size() && !refused; ++i) {
      refused = !slow.scan(std::string_view(row.body).substr(i, 1)).has_value();
    }
    CHECK(refused);
  }
}

TEST_CASE("the end of a chunked body is found wherever the pieces are cut") {
  const std::string body = "3;ext=\"v\"\r\nabc\r\n00A\r\n0123456789\r\n0;last\r\n\r\n";
  for (std::size_t cut = 0; cut < body.size(); ++cut) {
    CAPTURE(cut);
    ChunkScanner scanner(100);
    const auto first = scanner.scan(std::string_view(body).substr(0, cut));
    REQUIRE(first.has_value());
    CHECK(*first == cut);
    CHECK_FALSE(scanner.complete());
    const auto second = scanner.scan(body.substr(cut) + "GET / HTTP/1.1");
    REQUIRE(second.has_value());
    CHECK(*second == body.size() - cut);
    CHECK(scanner.complete());
  }
}

}  // namespace
}  // namespace gatehouse::http
