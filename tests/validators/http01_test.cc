#include "validators/http01.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>

#include "tests/support/fake_dialer.h"
#include "tests/support/fake_resolver.h"
#include "tests/support/prefixes.h"

namespace gatehouse::validators {

namespace {

using Texts = std::vector<std::string>;

const std::string kToken = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";
const std::string kKeyAuthorization = kToken + ".9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI";
const std::string kPath = "/.well-known/acme-challenge/" + kToken;

Identifier dns(std::string name) {
  return {IdentifierType::dns, std::move(name)};
}

Identifier ip(std::string address) {
  return {IdentifierType::ip, std::move(address)};
}

// a.test is 10.0.0.1; six.test is fd00::1 and 10.0.0.2.
struct World {
  testing::FakeResolver resolver;
  testing::FakeDialer dialer;
  net::Egress egress{resolver, dialer};
  Http01Options options;

  World() {
    resolver.add_address("a.test", "10.0.0.1");
    resolver.add_address("six.test", "fd00::1");
    resolver.add_address("six.test", "10.0.0.2");
  }

  ValidationOutcome validate(const Identifier& identifier,
                             net::AddressPolicyOptions addresses = {}) {
    Http01 validator(options, egress);
    return validator.validate({.identifier = identifier,
                               .token = kToken,
                               .key_authorization = kKeyAuthorization,
                               .account_url = "https://ca.test/acct/1",
                               .addresses = std::move(addresses)},
                              Deadline::in(std::chrono::minutes(1)));
  }

  Problem failure(const Identifier& identifier) {
    const auto outcome = validate(identifier);
    REQUIRE(outcome.problem);
    return *outcome.problem;
  }

  // What comes of `response` as the answer of a.test.
  std::optional<Problem> judged(const std::string& response) {
    dialer.answer("10.0.0.1:80", response);
    return validate(dns("a.test")).problem;
  }
};

std::string ok(const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace

TEST_CASE("only the key authorization, with whitespace after it, proves anything") {
  World world;
  const Texts wrong = {"",
                       kToken,
                       kToken + ".",
                       " " + kKeyAuthorization,
                       "\n" + kKeyAuthorization,
                       "\xEF\xBB\xBF" + kKeyAuthorization,
                       kKeyAuthorization + "x",
                       kKeyAuthorization + "\n.",
                       kKeyAuthorization + std::string(1, '\0'),
                       kKeyAuthorization + "=",
                       kKeyAuthorization + kKeyAuthorization,
                       kKeyAuthorization.substr(1),
                       kKeyAuthorization.substr(0, kKeyAuthorization.size() - 1),
                       "<html>" + kKeyAuthorization + "</html>",
                       "\"" + kKeyAuthorization + "\"",
                       kKeyAuthorization + std::string(1000, ' '),
                       "  ",
                       "\n"};
  for (const std::string& body : wrong) {
    CAPTURE(body);
    const auto problem = world.judged(ok(body));
    REQUIRE(problem);
    CHECK(problem->type == ProblemType::unauthorized);
  }
  for (const std::string end : {"", "\n", "\r\n", " ", "\t \r\n\n", "\n\n\n"}) {
    CAPTURE(end);
    CHECK_FALSE(world.judged(ok(kKeyAuthorization + end)));
  }
}

TEST_CASE("what a target answered is told from silence, a broken connection, and later") {
  using net::DialError;
  using net::DnsError;
  using net::IoError;

  struct Row {
    std::string name;
    std::function<void(World&)> arrange;
    bool answered;
  };

  const auto status = [](const std::string& line) {
    return [line](World& world) {
      world.dialer.answer("10.0.0.1:80", "HTTP/1.1 " + line + "\r\nContent-Length: 0\r\n\r\n");
    };
  };
  const auto dial = [](DialError::Kind kind) {
    return [kind](World& world) { world.dialer.fail("10.0.0.1:80", {.kind = kind, .detail = ""}); };
  };
  const auto dns_fails = [](DnsError::Kind kind) {
    return [kind](World& world) {
      for (const auto type : {net::RecordType::A, net::RecordType::AAAA}) {
        world.resolver.fail("a.test", type, kind);
      }
    };
  };
  const auto breaks = [](IoError::Kind kind) {
    return [kind](World& world) {
      world.dialer.break_off("10.0.0.1:80", {.kind = kind, .detail = ""}, "HTTP/1.1 2");
    };
  };
  const std::vector<Row> rows = {
      {"refused", dial(DialError::Kind::refused), true},
      {"silent", dial(DialError::Kind::timeout), false},
      {"no route", dial(DialError::Kind::unreachable), false},
      {"NXDOMAIN", dns_fails(DnsError::Kind::nxdomain), true},
      {"no addresses", dns_fails(DnsError::Kind::no_data), true},
      {"SERVFAIL", dns_fails(DnsError::Kind::servfail), false},
      {"DNS is silent", dns_fails(DnsError::Kind::timeout), false},
      {"another text", [](World& world) { world.dialer.answer("10.0.0.1:80", ok("other")); }, true},
      {"404", status("404 Not Found"), true},
      {"429", status("429 Too Many Requests"), false},
      {"500", status("500 Internal Server Error"), false},
      {"503", status("503 Service Unavailable"), false},
      {"not HTTP", [](World& world) { world.dialer.answer("10.0.0.1:80", "220 smtp\r\n"); }, true},
      {"reset", breaks(IoError::Kind::reset), false},
      {"stalled", breaks(IoError::Kind::timeout), false}};
  for (const Row& row : rows) {
    CAPTURE(row.name);
    World world;
    row.arrange(world);
    const ValidationOutcome outcome = world.validate(dns("a.test"));
    REQUIRE(outcome.problem);
    CHECK(outcome.answered == row.answered);
  }
}

TEST_CASE("of two addresses both must have answered") {
  World world;
  CHECK(world.validate(dns("six.test")).answered);
  world.dialer.fail("[fd00::1]:80", {.kind = net::DialError::Kind::timeout, .detail = ""});
  CHECK_FALSE(world.validate(dns("six.test")).answered);
}

TEST_CASE("case counts") {
  World world;
  std::string upper = kKeyAuthorization;
  std::ranges::transform(upper, upper.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  });
  CHECK(world.judged(ok(upper)));
}

TEST_CASE("any status but 200 proves nothing, whatever the body") {
  World world;
  for (const int status :
       {201, 202, 203, 204, 206, 300, 304, 400, 401, 403, 404, 410, 418, 429, 500, 503}) {
    CAPTURE(status);
    const auto problem =
        world.judged("HTTP/1.1 " + std::to_string(status) + " X\r\n\r\n" + kKeyAuthorization);
    REQUIRE(problem);
    CHECK(problem->type == ProblemType::unauthorized);
    CHECK(problem->detail.find("with status " + std::to_string(status)) != std::string::npos);
  }
}

TEST_CASE("the body is judged by what it is, in any framing") {
  World world;
  CHECK_FALSE(world.judged("HTTP/1.0 200 OK\r\n\r\n" + kKeyAuthorization + "\n"));
  CHECK_FALSE(world.judged("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2b\r\n" +
                           kKeyAuthorization.substr(0, 43) + "\r\n2c\r\n" +
                           kKeyAuthorization.substr(43) + "\r\n0\r\n\r\n"));
  CHECK_FALSE(
      world.judged("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 87\r\n\r\n" +
                   kKeyAuthorization));
}

TEST_CASE("a wrong answer is shown as a short escaped sample, with where it came from") {
  World world;
  world.resolver.add_address("public.test", "9.9.9.9");
  world.dialer.answer("9.9.9.9:80", "HTTP/1.1 404 Not Found\r\n\r\n<h1>\x01\xff\"no\"</h1>" +
                                        std::string(400, 'z'));
  const Problem problem = world.failure(dns("public.test"));
  CHECK(problem.detail.starts_with(
      "http-01 for public.test: http://public.test" + kPath +
      " at 9.9.9.9:80 answered with status 404 and \"<h1>\\x01\\xff\\\"no"));
  CHECK(problem.detail.find(std::string(101, 'z')) == std::string::npos);
}

TEST_CASE("a wrong body over IPv6 is final") {
  World world;
  world.dialer.answer("[fd00::1]:80", ok("wrong"));
  world.dialer.answer("10.0.0.2:80", ok(kKeyAuthorization));
  CHECK(world.failure(dns("six.test")).type == ProblemType::unauthorized);
  CHECK(world.dialer.dialled() == Texts{"[fd00::1]:80"});
}

TEST_CASE("a broken answer over IPv6 is final as well") {
  for (const std::string response :
       {"", "nonsense\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 87\r\n\r\nshort"}) {
    World world;
    world.dialer.answer("[fd00::1]:80", response);
    world.dialer.answer("10.0.0.2:80", ok(kKeyAuthorization));
    CHECK(world.validate(dns("six.test")).problem);
    CHECK(world.dialer.dialled() == Texts{"[fd00::1]:80"});
  }
}

TEST_CASE("IPv4 serves when IPv6 cannot be dialled") {
  World world;
  world.dialer.answer("10.0.0.2:80", ok(kKeyAuthorization));
  CHECK_FALSE(world.validate(dns("six.test")).problem);
  CHECK(world.dialer.dialled() == Texts{"[fd00::1]:80", "10.0.0.2:80"});
}

TEST_CASE("an address is connected to without DNS and named in Host (RFC 8738 section 4)") {
  const struct {
    std::string address, endpoint, host;
  } rows[] = {{"10.0.0.9", "10.0.0.9:80", "10.0.0.9"}, {"fd00::9", "[fd00::9]:80", "[fd00::9]"}};

  for (const auto& row : rows) {
    World world;
    world.dialer.answer(row.endpoint, ok(kKeyAuthorization));
    CHECK_FALSE(world.validate(ip(row.address)).problem);
    CHECK(world.resolver.questions() == Texts{});
    REQUIRE(world.dialer.requests().size() == 1);
    CHECK(world.dialer.requests()[0].starts_with("GET " + kPath + " HTTP/1.1\r\nHost: " + row.host +
                                                 "\r\n"));
  }
}

TEST_CASE("failures have the type that says where to look, and name what was tried") {
  World world;
  world.resolver.fail("bogus.test", net::RecordType::A, net::DnsError::Kind::servfail);
  world.resolver.fail("bogus.test", net::RecordType::AAAA, net::DnsError::Kind::servfail);
  world.resolver.add_address("local.test", "127.0.0.1");
  world.resolver.add_address("smtp.test", "9.9.9.3");
  world.dialer.answer("9.9.9.3:80", "220 smtp\r\n");
  world.resolver.add_address("loop.test", "9.9.9.4");
  world.dialer.redirect("9.9.9.4:80", "http://loop.test" + kPath);
  world.resolver.add_address("tls.test", "9.9.9.5");
  world.dialer.redirect("9.9.9.5:80", "https://tls.test/");
  world.dialer.answer("9.9.9.5:443", "HTTP/1.1 400 Bad Request\r\n\r\n");
  world.resolver.add_address("odd.test", "9.9.9.6");
  world.dialer.redirect("9.9.9.6:80", "http://0x7f.1/");

  const struct {
    Identifier identifier;
    ProblemType type;
    std::string part;
  } rows[] = {
      {dns("none.test"), ProblemType::dns, "none.test does not exist in DNS"},
      {dns("bogus.test"), ProblemType::dns, "the resolver failed for bogus.test"},
      {dns("local.test"), ProblemType::dns, "127.0.0.1 is a loopback address"},
      {ip("127.0.0.1"), ProblemType::rejectedIdentifier, "127.0.0.1 is a loopback address"},
      {dns("a.test"), ProblemType::connection, "10.0.0.1:80 refused the connection"},
      {dns("six.test"), ProblemType::connection,
       "[fd00::1]:80 refused the connection, and 10.0.0.2:80 refused the connection"},
      {dns("smtp.test"), ProblemType::incorrectResponse, "9.9.9.3:80 answered with \"220 smtp\""},
      {dns("loop.test"), ProblemType::incorrectResponse, "redirects in a circle"},
      {dns("tls.test"), ProblemType::tls, "9.9.9.5:443"},
      {dns("odd.test"), ProblemType::incorrectResponse,
       "\"0x7f.1\" is neither a DNS name nor an IP address"},
  };

  for (const auto& row : rows) {
    CAPTURE(row.identifier.value);
    const Problem problem = world.failure(row.identifier);
    CAPTURE(problem.detail);
    CHECK(problem.type == row.type);
    CHECK(problem.detail.starts_with("http-01 for " + row.identifier.value + ": "));
    CHECK(problem.detail.find(row.part) != std::string::npos);
    CHECK(problem.detail.ends_with("."));
  }
}

TEST_CASE("nothing that a private address says is shown to the client, who may have led us there") {
  const std::string kSecret = "secret-content";
  const std::string kBig = kSecret + std::string(1000, 'x');

  struct Row {
    std::string what;
    std::string private_answer;
    std::string said;  // instead
  };

  const Row rows[] = {
      {"a page", ok(kSecret), "14 octets (shown for public addresses alone), but the key"},
      {"a long page", ok(kBig), "more than 512 octets (shown for public addresses alone)"},
      {"an error page", "HTTP/1.1 500 secret-reason\r\nContent-Length: 14\r\n\r\n" + kSecret,
       "with status 500 and 14 octets (shown for public addresses alone)."},
      {"a banner", "220 " + kSecret + " ESMTP\r\n", "did not answer as an HTTP/1.1 server does"},
      {"a header", "HTTP/1.1 200 OK\r\nsecret-content \x01: x\r\n\r\n",
       "did not answer as an HTTP/1.1 server does"},
      {"a redirect in a circle",
       "HTTP/1.1 302 X\r\nLocation: /secret-content\r\nContent-Length: 0\r\n\r\n",
       "a redirect that could not be followed"},
      {"a redirect to a name that is not there",
       "HTTP/1.1 302 X\r\nLocation: http://secret-content.test/\r\nContent-Length: 0\r\n\r\n",
       "a redirect that could not be followed"},
      {"a redirect to a port that is none of ours",
       "HTTP/1.1 302 X\r\nLocation: http://a.test:22/secret-content\r\nContent-Length: 0\r\n\r\n",
       "a redirect that could not be followed"},
      {"a redirect to no URL", "HTTP/1.1 302 X\r\nLocation: secret-content://\r\n\r\n",
       "a redirect that could not be followed"},
      {"a redirect to a public page",
       "HTTP/1.1 302 X\r\nLocation: http://public.test/secret-content\r\nContent-Length: 0\r\n\r\n",
       "4 octets (shown for public addresses alone)"},
  };
  for (const Row& row : rows) {
    for (const bool redirected : {false, true}) {
      CAPTURE(row.what);
      CAPTURE(redirected);
      World world;
      world.resolver.add_address("evil.test", "9.9.9.9");
      world.resolver.add_address("public.test", "9.9.9.8");
      world.dialer.redirect("9.9.9.9:80", "http://a.test/");
      world.dialer.answer("9.9.9.8:80", ok("page"));
      world.dialer.answer("10.0.0.1:80", row.private_answer);
      const Problem problem = world.failure(dns(redirected ? "evil.test" : "a.test"));
      CAPTURE(problem.detail);
      CHECK(problem.detail.find(row.said) != std::string::npos);
      CHECK(problem.detail.find("secret") == std::string::npos);
    }
  }
}

TEST_CASE("a public server's words are shown, to the last redirect") {
  World world;
  world.resolver.add_address("one.test", "9.9.9.1");
  world.resolver.add_address("two.test", "9.9.9.2");
  world.dialer.redirect("9.9.9.1:80", "http://two.test/there");
  world.dialer.answer("9.9.9.2:80", ok("hello"));
  CHECK(world.failure(dns("one.test"))
            .detail.starts_with("http-01 for one.test: http://two.test/there at 9.9.9.2:80 "
                                "(redirected from http://one.test" +
                                kPath + ") answered \"hello\", but the key authorization"));
}

TEST_CASE("nothing of a denied address is shown") {
  World world;
  for (const std::string endpoint : {"127.0.0.1:80", "[::1]:80", "169.254.169.254:80"}) {
    world.dialer.answer(endpoint, ok("top secret"));
  }
  for (const std::string target :
       {"http://127.0.0.1/", "http://[::1]/", "http://169.254.169.254/"}) {
    world.dialer.redirect("10.0.0.1:80", target);
    const auto outcome = world.validate(dns("a.test"));
    REQUIRE(outcome.problem);
    CHECK(outcome.problem->detail.find("secret") == std::string::npos);
    for (const std::string& line : outcome.trail) CHECK(line.find("secret") == std::string::npos);
  }
  CHECK(world.dialer.dialled() == Texts(3, "10.0.0.1:80"));
}

TEST_CASE("the profile decides which addresses validation reaches") {
  World world;
  world.resolver.add_address("local.test", "127.0.0.1");
  world.dialer.answer("127.0.0.1:80", ok(kKeyAuthorization));
  world.dialer.answer("10.0.0.1:80", ok(kKeyAuthorization));
  CHECK_FALSE(
      world.validate(dns("local.test"), {.allowed = testing::prefixes({"127.0.0.1"}), .denied = {}})
          .problem);
  CHECK(world.validate(dns("a.test"), {.allowed = {}, .denied = testing::prefixes({"10.0.0.0/8"})})
            .problem);
}

TEST_CASE("the port and the redirect ports are the configured ones") {
  World world;
  world.options.port = 5002;
  world.options.redirect_ports = {8080};
  world.dialer.redirect("10.0.0.1:5002", "http://a.test:8080" + kPath);
  world.dialer.answer("10.0.0.1:8080", ok(kKeyAuthorization));
  CHECK_FALSE(world.validate(dns("a.test")).problem);
  CHECK(world.dialer.requests()[0].find("\r\nHost: a.test:5002\r\n") != std::string::npos);
  world.dialer.redirect("10.0.0.1:8080", "http://a.test:8081" + kPath);
  CHECK(world.failure(dns("a.test")).type == ProblemType::incorrectResponse);
}

TEST_CASE("redirects are followed to the end and told in the trail") {
  World world;
  world.resolver.add_address("b.test", "10.0.0.2");
  world.dialer.redirect("10.0.0.1:80", "http://b.test/elsewhere?x=1");
  world.dialer.answer("10.0.0.2:80", ok(kKeyAuthorization));
  const auto outcome = world.validate(dns("a.test"));
  CHECK_FALSE(outcome.problem);
  CHECK(outcome.trail ==
        Texts{"get http://a.test" + kPath, "dns a.test AAAA: a.test has no AAAA records",
              "dns a.test A: 10.0.0.1", "dial 10.0.0.1:80: connected", "status 302",
              "get http://b.test/elsewhere?x=1", "dns b.test AAAA: b.test has no AAAA records",
              "dns b.test A: 10.0.0.2", "dial 10.0.0.2:80: connected", "status 200"});
}

TEST_CASE("wildcards are not for http-01") {
  World world;
  const Http01 validator(world.options, world.egress);
  CHECK_FALSE(validator.can_validate(dns("*.a.test")));
  CHECK(validator.can_validate(dns("a.test")));
  CHECK(validator.can_validate(ip("10.0.0.1")));
  CHECK(validator.challenge_type() == "http-01");
}

TEST_CASE("a token that would change the URL never gets into one") {
  World world;
  Http01 validator(world.options, world.egress);
  for (const std::string token : {"", "../x", "a/b", "a?b", "a b", "a\r\nHost: x", "a%2e"}) {
    CHECK_THROWS_AS(validator.validate({.identifier = dns("a.test"),
                                        .token = token,
                                        .key_authorization = "x",
                                        .account_url = "",
                                        .addresses = {}},
                                       Deadline::in(std::chrono::minutes(1))),
                    LogicError);
  }
  CHECK(world.dialer.dialled() == Texts{});
}

}  // namespace gatehouse::validators
