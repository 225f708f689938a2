#include "acme-server/net/http_response.h"

#include <doctest/doctest.h>

namespace gatehouse::net {

namespace {

using State = HttpResponseParser::State;

constexpr std::size_t kMaxBody = 32;

// What comes of `text` when it arrives in pieces of `piece` octets and then the peer closes.
HttpResponseParser parse(std::string_view text, std::size_t piece = 1) {
  HttpResponseParser parser(kMaxBody);
  for (std::size_t at = 0; at < text.size(); at += piece) {
    if (parser.feed(text.substr(at, piece)) != State::more) return parser;
  }
  parser.finish();
  return parser;
}

std::string failure_of(std::string_view text) {
  HttpResponseParser parser = parse(text);
  const bool failed = parser.finish() == State::failed;
  CHECK(parse(text, 7).failure() == parser.failure());
  CHECK(parse(text, 100'000).failure() == parser.failure());
  return failed ? parser.failure() : "(parsed)";
}

std::string body_of(std::string_view text) {
  HttpResponseParser parser = parse(text);
  REQUIRE(parser.finish() == State::done);
  CHECK(parse(text, 100'000).response().body == parser.response().body);
  return parser.response().body;
}

}  // namespace

TEST_CASE("status lines that are not HTTP/1.1 are refused") {
  for (const std::string_view line :
       {"HTTP/2 200 OK", "HTTP/1.2 200 OK", "HTTP/0.9 200 OK", "http/1.1 200 OK", "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK", "HTTP/1.1 200OK", "HTTP/1.1  200 OK", "HTTP/1.1 +20 OK",
        "HTTP/1.1 600 OK", "HTTP/1.1 099 OK", "HTTP/1.1", "200 OK", "SSH-2.0-OpenSSH_9.2p1",
        "<html>", "HTTP/1.1 2x0 OK", "ICY 200 OK", " HTTP/1.1 200 OK"}) {
    CAPTURE(line);
    CHECK(failure_of(std::string(line) + "\r\n\r\n").starts_with("answered with \""));
  }
}

TEST_CASE("heads that RFC 9112 calls errors are refused") {
  const struct {
    std::string_view headers, failure;
  } rows[] = {
      {"A: 1\r\n b: 2\r\n", "sent a folded header line"},
      {"A: 1\r\n\tb\r\n", "sent a folded header line"},
      {"no colon\r\n", "sent a header line without a colon"},
      {"A : 1\r\n", "sent a header with a bad name: \"A \""},
      {": 1\r\n", "sent a header with a bad name: \"\""},
      {"A\"b: 1\r\n", "sent a header with a bad name: \"A\\\"b\""},
      {"A: b\rc\r\n", "sent a control character in its headers"},
      {"A: b\x01\r\n", "sent a control character in its headers"},
      {"A: b\x7f\r\n", "sent a control character in its headers"},
      {"Content-Length: 5\r\nContent-Length: 6\r\n", "sent a bad Content-Length"},
      {"Content-Length: 5, 5\r\n", "sent a bad Content-Length"},
      {"Content-Length: -5\r\n", "sent a bad Content-Length"},
      {"Content-Length: +5\r\n", "sent a bad Content-Length"},
      {"Content-Length: 0x5\r\n", "sent a bad Content-Length"},
      {"Content-Length: \r\n", "sent a bad Content-Length"},
      {"Content-Length: 99999999999999999999999\r\n", "sent a bad Content-Length"},
      {"Transfer-Encoding: gzip\r\n", "sent its answer in a coding other than chunked"},
      {"Transfer-Encoding: gzip, chunked\r\n", "sent its answer in a coding other than chunked"},
      {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
       "gave its answer two lengths"},
      {"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "gave its answer two lengths"},
      {"Content-Length: 5\r\nTransfer-Encoding: CHUNKED\r\n", "gave its answer two lengths"},
  };

  for (const auto& row : rows) {
    CAPTURE(row.headers);
    CHECK(failure_of("HTTP/1.1 200 OK\r\n" + std::string(row.headers) + "\r\nhello") ==
          row.failure);
  }
}

TEST_CASE("an answer that breaks off is no answer") {
  CHECK(failure_of("") == "closed the connection without an answer");
  CHECK(failure_of("HTTP/1.1 200") == "broke off within the status line");
  CHECK(failure_of("HTTP/1.1 200 OK\r\nA: 1\r\n") == "broke off within the headers");
  CHECK(failure_of("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello") ==
        "broke off within the body");
  for (const std::string_view body :
       {"", "5", "5\r\n", "5\r\nhel", "5\r\nhello", "5\r\nhello\r\n", "0\r\n", "0\r\nA: 1\r\n"}) {
    CAPTURE(body);
    CHECK(failure_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string(body)) ==
          "broke off within the body");
  }
}

TEST_CASE("bad chunks are refused") {
  const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string_view size : {"", "x", "-1", "0x5", "5 5", "ffffffffffffffffff", ";a"}) {
    CAPTURE(size);
    CHECK(failure_of(head + std::string(size) + "\r\nhello\r\n0\r\n\r\n") ==
          "sent a bad chunk size");
  }
  CHECK(failure_of(head + "4\r\nhello\r\n0\r\n\r\n") == "sent a chunk longer than its size");
}

TEST_CASE("no head is longer than the limit, however it is made up") {
  const std::string status = "HTTP/1.1 200 OK\r\n";
  const std::string expected = "sent more than 16384 octets of headers";
  CHECK(failure_of(std::string(20'000, 'x')) == expected);
  CHECK(failure_of(status + "A: " + std::string(20'000, 'x')) == expected);
  std::string many = status;
  while (many.size() < 20'000) many += "A: 1\r\n";
  CHECK(failure_of(many + "\r\n") == expected);
  std::string chunks = status + "Transfer-Encoding: chunked\r\n\r\n0\r\n";
  while (chunks.size() < 20'000) chunks += "A: 1\r\n";
  CHECK(failure_of(chunks + "\r\n") == expected);
  CHECK(failure_of(status + "Transfer-Encoding: chunked\r\n\r\n5;" + std::string(20'000, 'x')) ==
        expected);
}

TEST_CASE("interim responses are passed over, but not for ever") {
  CHECK(body_of("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") == "ok");
  std::string text;
  for (int i = 0; i < 5; ++i) text += "HTTP/1.1 100 Continue\r\n\r\n";
  CHECK(failure_of(text) == "sent too many interim responses");
  CHECK(failure_of("HTTP/1.1 101 Switching\r\n\r\n") ==
        "switched to another protocol, which nobody asked for");
}

TEST_CASE("bodies end where their framing says") {
  CHECK(body_of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello") == "hello");
  CHECK(body_of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, and more") == "hello");
  CHECK(body_of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello") ==
        "hello");
  CHECK(body_of("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") == "");
  CHECK(body_of("HTTP/1.0 200\r\n\r\nhello") == "hello");
  CHECK(body_of("HTTP/1.1 200 \r\n\r\nhello") == "hello");
  CHECK(body_of("HTTP/1.1 200 OK\n\nhello") == "hello");
  CHECK(body_of("HTTP/1.1 204 No Content\r\n\r\nhello") == "");
  CHECK(body_of("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n") == "");
  CHECK(body_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: "
                "chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nA: 1\r\n\r\n") == "hello");
  CHECK(
      body_of("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n05 \r\nhello\r\n000\r\n\r\n") ==
      "hello");
}

TEST_CASE("no more of a body is kept than was asked for, and that is told") {
  for (const std::string& head :
       {std::string("\r\n"), std::string("Content-Length: 1000000000000\r\n\r\n"),
        std::string("Transfer-Encoding: chunked\r\n\r\nffffff\r\n")}) {
    CAPTURE(head);
    const HttpResponseParser parser =
        parse("HTTP/1.1 200 OK\r\n" + head + std::string(1000, 'x'), 100);
    CHECK(parser.response().body == std::string(kMaxBody, 'x'));
    CHECK(parser.response().body_cut);
    CHECK(parser.failure().empty());
  }
  CHECK_FALSE(parse("HTTP/1.1 200 OK\r\n\r\n" + std::string(kMaxBody, 'x')).response().body_cut);
}

TEST_CASE("headers are found by name, values without blanks around") {
  const HttpResponseParser parser =
      parse("HTTP/1.1 302 Found\r\nLOCATION: \t/x \t\r\nlocation: /y\r\n\r\n");
  CHECK(parser.response().status == 302);
  CHECK(parser.response().header("location") == "/x");
  CHECK_FALSE(parser.response().header("server"));
}

}  // namespace gatehouse::net
