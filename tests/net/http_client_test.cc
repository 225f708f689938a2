#include "acme-server/net/http_client.h"

#include <doctest/doctest.h>

#include "tests/support/fake_dialer.h"
#include "tests/support/fake_resolver.h"

namespace gatehouse::net {

namespace {

using Texts = std::vector<std::string>;
using Kind = NetworkError::Kind;

// a.test is 9.9.9.1, b.test 9.9.9.2; evil.test is loopback.
struct World {
  testing::FakeResolver resolver;
  testing::FakeDialer dialer;
  Egress egress{resolver, dialer};
  HttpClient client{egress};
  Trail trail;

  World() {
    resolver.add_address("a.test", "9.9.9.1");
    resolver.add_address("b.test", "9.9.9.2");
    resolver.add_address("evil.test", "127.0.0.1");
    for (const std::string endpoint :
         {"127.0.0.1:80", "127.0.0.1:443", "[::1]:80", "169.254.169.254:80"}) {
      dialer.answer_http(endpoint, "secret");
    }
  }

  Expected<HttpAnswer, NetworkError> get(std::string_view url,
                                         std::vector<std::uint16_t> ports = {}) {
    HttpGet request{.url = parse_url(url).value(),
                    .policy = {},
                    .user_agent = "Test",
                    .max_body = 64,
                    .ports = std::move(ports)};
    return client.get(request, Deadline::in(std::chrono::minutes(1)), trail);
  }
};

}  // namespace

TEST_CASE("redirects lead nowhere but to http and https on known ports") {
  const struct {
    std::string location;
    Kind kind;
  } rows[] = {
      {"ftp://b.test/", Kind::redirect},
      {"file:///etc/passwd", Kind::redirect},
      {"gopher://b.test:80/", Kind::redirect},
      {"javascript:alert(1)", Kind::redirect},
      {"http://", Kind::redirect},
      {"http://b.test:8080/", Kind::redirect},
      {"http://b.test:22/", Kind::redirect},
      {"https://b.test:65535/", Kind::redirect},
      {"http://b.test:0/", Kind::redirect},
      {"http://b.test:99999/", Kind::redirect},
      {"http://user@b.test/", Kind::redirect},
      {"http://user:password@b.test/", Kind::redirect},
      {"http://b.test@127.0.0.1/", Kind::redirect},
      {"http://b.test\\@127.0.0.1/", Kind::redirect},
      {"http://b.test\\x/", Kind::redirect},
      {"http://[::1/", Kind::redirect},
      {"http://[::1%25lo]/", Kind::redirect},
      {"http://[v1.a]/", Kind::redirect},
      {"http://127.0.0.1:8080/", Kind::redirect},
      {"//127.0.0.1/", Kind::denied},
      {"http://127.0.0.1/", Kind::denied},
      {"https://127.0.0.1/", Kind::denied},
      {"http://[::1]/", Kind::denied},
      {"http://[::ffff:127.0.0.1]/", Kind::denied},
      {"http://[::ffff:7f00:1]/", Kind::denied},
      {"http://[64:ff9b::7f00:1]/", Kind::denied},
      {"http://[2002:7f00:1::]/", Kind::denied},
      {"http://169.254.169.254/latest/meta-data/", Kind::denied},
      {"http://[fd00:ec2::254]/", Kind::denied},
      {"http://0.0.0.0/", Kind::denied},
      {"http://evil.test/", Kind::denied},
      {"https://EVIL.test./", Kind::redirect},
      {"https://EVIL.test/", Kind::denied},
      {"http://localhost/", Kind::dns},
      {"http://2130706433/", Kind::bad_host},
      {"http://127.1/", Kind::bad_host},
      {"http://0x7f000001/", Kind::bad_host},
      {"http://0x7f.1/", Kind::bad_host},
      {"http://0177.0.0.1/", Kind::bad_host},
      {"http://127.0.0.1./", Kind::redirect},
  };

  for (const auto& row : rows) {
    World world;
    CAPTURE(row.location);
    world.dialer.redirect("9.9.9.1:80", row.location);
    const auto answer = world.get("http://a.test/x");
    REQUIRE_FALSE(answer);
    CAPTURE(answer.error().detail);
    CHECK(answer.error().kind == row.kind);
    CHECK(world.dialer.dialled() == Texts{"9.9.9.1:80"});
    CHECK(answer.error().detail.find("secret") == std::string::npos);
  }
}

TEST_CASE("a denied hop is denied at every place in a chain") {
  for (std::size_t hops = 0; hops < kMaxRedirects; ++hops) {
    World world;
    CAPTURE(hops);
    std::size_t served = 0;
    world.dialer.answer("9.9.9.1:80", [&](const std::string&) {
      const std::string next =
          served++ == hops ? "http://evil.test/" : "/" + std::to_string(served);
      return "HTTP/1.1 307 Go\r\nLocation: " + next + "\r\nContent-Length: 0\r\n\r\n";
    });
    const auto answer = world.get("http://a.test/x");
    REQUIRE_FALSE(answer);
    CHECK(answer.error().kind == Kind::denied);
    CHECK(world.dialer.dialled() == Texts(hops + 1, "9.9.9.1:80"));
  }
}

TEST_CASE("ten redirects are followed, eleven are not") {
  for (const std::size_t redirects : {kMaxRedirects, kMaxRedirects + 1}) {
    World world;
    std::size_t served = 0;
    world.dialer.answer("9.9.9.1:80", [&](const std::string&) -> std::string {
      if (served == redirects) return "HTTP/1.1 200 OK\r\n\r\nthere";
      return "HTTP/1.1 301 Moved\r\nLocation: /" + std::to_string(++served) + "\r\n\r\n";
    });
    const auto answer = world.get("http://a.test/x");
    if (redirects == kMaxRedirects) {
      REQUIRE(answer);
      CHECK(answer->response.body == "there");
      CHECK(answer->redirects.size() == kMaxRedirects);
      CHECK(answer->redirects.front().path == "/x");
      CHECK(answer->url.path == "/10");
    } else {
      REQUIRE_FALSE(answer);
      CHECK(answer.error().kind == Kind::redirect);
      CHECK(answer.error().detail == "http://a.test/10 redirects once more, after 10 redirects");
    }
  }
}

TEST_CASE("a circle of redirects is noticed when it closes") {
  World world;
  world.dialer.redirect("9.9.9.1:80", "http://b.test/y");
  world.dialer.redirect("9.9.9.2:80", "http://a.test/x#fragment");
  const auto answer = world.get("http://a.test/x");
  REQUIRE_FALSE(answer);
  CHECK(answer.error().kind == Kind::redirect);
  CHECK(answer.error().detail ==
        "http://b.test/y redirects in a circle: to \"http://a.test/x#fragment\" again");
  CHECK(world.dialer.dialled() == Texts{"9.9.9.1:80", "9.9.9.2:80"});
}

TEST_CASE("only the redirects of RFC 9110 that keep a GET are followed") {
  for (const int status : {301, 302, 303, 307, 308, 300, 304, 305, 306, 309, 200, 201, 401, 503}) {
    World world;
    CAPTURE(status);
    world.dialer.redirect("9.9.9.1:80", "http://b.test/y", status);
    world.dialer.answer_http("9.9.9.2:80", "there");
    const auto answer = world.get("http://a.test/x");
    REQUIRE(answer);
    const bool followed =
        status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    CHECK(answer->response.status == (followed ? 200 : status));
    CHECK(world.dialer.dialled().size() == (followed ? 2 : 1));
  }
}

TEST_CASE("a redirect without a target is refused") {
  World world;
  world.dialer.answer("9.9.9.1:80", "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n");
  const auto answer = world.get("http://a.test/x");
  REQUIRE_FALSE(answer);
  CHECK(answer.error().detail ==
        "http://a.test/x redirects without saying where to (no Location header)");
}

TEST_CASE("a redirect may lead to a configured port") {
  World world;
  world.dialer.redirect("9.9.9.1:5002", "http://b.test:8080/y");
  world.dialer.answer_http("9.9.9.2:8080", "there");
  CHECK_FALSE(world.get("http://a.test:5002/x", {5002}));
  const auto answer = world.get("http://a.test:5002/x", {5002, 8080});
  REQUIRE(answer);
  CHECK(answer->endpoint.to_string() == "9.9.9.2:8080");
}

TEST_CASE("the request is a plain GET that keeps nothing open") {
  World world;
  world.dialer.answer_http("9.9.9.1:80", "x");
  world.dialer.answer_http("[fd00::1]:5002", "x");
  REQUIRE(world.get("http://a.test/x?y=1"));
  REQUIRE(world.get("http://[fd00::1]:5002/x"));
  CHECK(world.dialer.requests() ==
        Texts{"GET /x?y=1 HTTP/1.1\r\nHost: a.test\r\nUser-Agent: Test\r\nAccept: */*\r\n"
              "Accept-Encoding: identity\r\nConnection: close\r\n\r\n",
              "GET /x HTTP/1.1\r\nHost: [fd00::1]:5002\r\nUser-Agent: Test\r\nAccept: */*\r\n"
              "Accept-Encoding: identity\r\nConnection: close\r\n\r\n"});
}

TEST_CASE("an answer may arrive octet by octet") {
  World world;
  world.dialer.read_at_most(1);
  world.dialer.answer_http("9.9.9.1:80", "hello");
  CHECK(world.get("http://a.test/x").value().response.body == "hello");
}

TEST_CASE("failures name the address, what it did and where in the chain it was") {
  World world;
  world.dialer.redirect("9.9.9.1:80", "http://b.test/y");

  const struct {
    std::string response;
    IoError error;
    Kind kind;
    std::string detail;
  } rows[] = {
      {"",
       {.kind = IoError::Kind::timeout, .detail = "sent nothing more in time"},
       Kind::connection,
       "9.9.9.2:80 sent nothing more in time (at http://b.test/y, redirected from "
       "http://a.test/x)"},
      {"HTTP/1.1 200 OK\r\n",
       {.kind = IoError::Kind::reset, .detail = "broke the connection off"},
       Kind::connection,
       "9.9.9.2:80 broke the connection off (at http://b.test/y, redirected from "
       "http://a.test/x)"},
      {"220 smtp ready\r\n",
       {},
       Kind::response,
       "9.9.9.2:80 answered with \"220 smtp ready\", which is not an HTTP/1.1 status line (at "
       "http://b.test/y, "
       "redirected from http://a.test/x)"},
  };

  for (const auto& row : rows) {
    world.dialer.break_off("9.9.9.2:80", row.error, row.response);
    const auto answer = world.get("http://a.test/x");
    REQUIRE_FALSE(answer);
    CHECK(answer.error().kind == row.kind);
    CHECK(answer.error().detail == row.detail);
  }
}

}  // namespace gatehouse::net
