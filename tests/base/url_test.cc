#include "acme-server/base/url.h"

#include <doctest/doctest.h>

#include <array>
#include <ostream>
#include <string>
#include <utility>

namespace gatehouse {

// How doctest prints a Url.
static std::ostream& operator<<(std::ostream& out, const Url& url) {
  return out << url.to_string();
}

namespace {

using namespace std::string_literals;

struct ParseRow {
  std::string text;
  Url url;
};

TEST_CASE("a URL is read into its parts") {
  const ParseRow rows[] = {
      {"http://a.test", {"http", "a.test", {}, "/", ""}},
      {"http://a.test/", {"http", "a.test", {}, "/", ""}},
      {"HTTPS://A.Test/Path", {"https", "a.test", {}, "/Path", ""}},
      {"http://a.test:80/", {"http", "a.test", 80, "/", ""}},
      {"http://a.test:1", {"http", "a.test", 1, "/", ""}},
      {"http://a.test:65535/x", {"http", "a.test", 65535, "/x", ""}},
      {"http://a.test?q", {"http", "a.test", {}, "/", "q"}},
      {"http://a.test/p?q=1?r=2", {"http", "a.test", {}, "/p", "q=1?r=2"}},
      {"http://a.test/p?", {"http", "a.test", {}, "/p", ""}},
      {"http://a.test/a%2Fb%20c", {"http", "a.test", {}, "/a%2Fb%20c", ""}},
      {"http://a.test/user@host", {"http", "a.test", {}, "/user@host", ""}},
      {"http://a.test//x", {"http", "a.test", {}, "//x", ""}},
      {"http://a.test/!~",
       {"http", "a.test", {}, "/!~", ""}},  // the first and last that are visible
      {"http://192.0.2.1/", {"http", "192.0.2.1", {}, "/", ""}},
      {"http://[2001:DB8::1]/", {"http", "2001:db8::1", {}, "/", ""}},
      {"http://[::]:8080/", {"http", "::", 8080, "/", ""}},
      {"http://[::ffff:192.0.2.1]", {"http", "::ffff:192.0.2.1", {}, "/", ""}},
      {"http://under_score.x-y.test", {"http", "under_score.x-y.test", {}, "/", ""}},
      {"http://localhost:14000/dir", {"http", "localhost", 14000, "/dir", ""}},
  };
  for (const ParseRow& row : rows) {
    CAPTURE(row.text);
    const auto url = parse_url(row.text);
    REQUIRE(url);
    CHECK(*url == row.url);
  }
}

TEST_CASE("a URL that two readers may read differently is refused") {
  const std::pair<const char*, std::string> rows[] = {
      {"empty", ""},
      {"no scheme", "a.test/"},
      {"scheme alone", "http:"},
      {"the name of a scheme alone", "https"},
      {"no host", "http://"},
      {"no host but a path", "http:///x"},
      {"no host but a query", "http://?x"},
      {"no host but a port", "http://:80/"},
      {"one slash", "http:/a.test"},
      {"other schemes", "ftp://a.test/"},
      {"file", "file:///etc/passwd"},
      {"javascript", "javascript://a.test/"},
      {"userinfo", "http://user@a.test/"},
      {"userinfo with password", "http://user:pw@a.test/"},
      {"empty userinfo", "http://@a.test/"},
      {"userinfo that looks like the host", "http://a.test:80@b.test/"},
      {"backslash before userinfo", "http://a.test\\@b.test/"},
      {"backslash for a slash", "http:\\\\a.test\\"},
      {"backslash in the path", "http://a.test/a\\b"},
      {"fragment", "http://a.test/#x"},
      {"empty fragment", "http://a.test/#"},
      {"fragment for a host", "http://a.test#@b.test/"},
      {"port 0", "http://a.test:0/"},
      {"port 65536", "http://a.test:65536/"},
      {"port of many digits", "http://a.test:99999999999999999999/"},
      {"port with leading zero", "http://a.test:080/"},
      {"empty port", "http://a.test:/"},
      {"signed port", "http://a.test:+80/"},
      {"negative port", "http://a.test:-80/"},
      {"port with letters", "http://a.test:80a/"},
      {"two ports", "http://a.test:80:81/"},
      {"trailing dot", "http://a.test./"},
      {"leading dot", "http://.a.test/"},
      {"empty label", "http://a..test/"},
      {"dot alone", "http://./"},
      {"percent in the host", "http://a%2etest/"},
      {"other characters in the host", "http://a,b.test/"},
      {"asterisk in the host", "http://*.test/"},
      {"not ASCII in the host", "http://b\xc3\xbc.test/"},
      {"not ASCII in the path", "http://a.test/\xc3\xbc"},
      {"blank", "http://a.test/a b"},
      {"leading blank", " http://a.test/"},
      {"trailing line end", "http://a.test/\n"},
      {"CRLF", "http://a.test/\r\nHost: b.test"},
      {"tab", "http://a.test/\t"},
      {"NUL", "http://a.test\0.b.test/"s},
      {"DEL", "http://a.test/\x7f"},
      {"percent without digits", "http://a.test/%"},
      {"percent with one digit", "http://a.test/%2"},
      {"percent with letters", "http://a.test/%zz"},
      {"percent in the query", "http://a.test/?%g0"},
      {"IPv6 without brackets", "http://2001:db8::1/"},
      {"IPv6 not closed", "http://[2001:db8::1/"},
      {"IPv6 not opened", "http://2001:db8::1]/"},
      {"text after the bracket", "http://[::1]x/"},
      {"empty brackets", "http://[]/"},
      {"IPv4 in brackets", "http://[192.0.2.1]/"},
      {"IPv6 with a zone", "http://[fe80::1%25eth0]/"},
      {"IPv6 of nine groups", "http://[1:2:3:4:5:6:7:8:9]/"},
      {"IPv6 with two gaps", "http://[1::2::3]/"},
      {"IP of the future", "http://[v1.x]/"},
      {"label of 64", "http://" + std::string(64, 'a') + ".test/"},
      {"host of 254", "http://" + std::string(63, 'a') + "." + std::string(63, 'a') + "." +
                          std::string(63, 'a') + "." + std::string(62, 'a') + "/"},
      {"2,049 characters", "http://a.test/" + std::string(2049 - 14, 'x')},
  };
  for (const auto& [why, text] : rows) {
    CAPTURE(why);
    CHECK_FALSE(parse_url(text));
  }
}

TEST_CASE("a URL of the greatest sizes is taken") {
  CHECK(parse_url("http://a.test/" + std::string(2048 - 14, 'x')));
  CHECK(parse_url("http://" + std::string(63, 'a') + "." + std::string(63, 'a') + "." +
                  std::string(63, 'a') + "." + std::string(61, 'a') + "/"));
}

TEST_CASE("authority and origin leave the scheme's own port out and bracket IPv6") {
  const std::array<std::string, 4> rows[] = {
      // text, authority, origin, to_string
      {"http://a.test:80/p", "a.test", "http://a.test", "http://a.test/p"},
      {"http://a.test:443/p", "a.test:443", "http://a.test:443", "http://a.test:443/p"},
      {"https://a.test:443", "a.test", "https://a.test", "https://a.test/"},
      {"https://a.test:80/?q=1", "a.test:80", "https://a.test:80", "https://a.test:80/?q=1"},
      {"https://[::1]", "[::1]", "https://[::1]", "https://[::1]/"},
      {"https://[::1]:8443/x", "[::1]:8443", "https://[::1]:8443", "https://[::1]:8443/x"},
  };
  for (const auto& [text, authority, origin, whole] : rows) {
    CAPTURE(text);
    const auto url = parse_url(text);
    REQUIRE(url);
    CHECK(url->authority() == authority);
    CHECK(url->origin() == origin);
    CHECK(url->to_string() == whole);
    CHECK(parse_url(url->to_string())->to_string() == whole);
  }
  CHECK(parse_url("http://a.test")->effective_port() == 80);
  CHECK(parse_url("https://a.test")->effective_port() == 443);
  CHECK(parse_url("https://a.test:8443")->effective_port() == 8443);
}

struct ResolveRow {
  const char* reference;
  const char* resolved;
};

TEST_CASE("references resolve as RFC 3986 section 5.4 says") {
  const auto base = parse_url("http://a/b/c/d;p?q");
  REQUIRE(base);
  const ResolveRow rows[] = {
      {"g", "http://a/b/c/g"},
      {"./g", "http://a/b/c/g"},
      {"g/", "http://a/b/c/g/"},
      {"/g", "http://a/g"},
      {"//g", "http://g/"},
      {"?y", "http://a/b/c/d;p?y"},
      {"g?y", "http://a/b/c/g?y"},
      {"#s", "http://a/b/c/d;p?q"},
      {"g#s", "http://a/b/c/g"},
      {"g?y#s", "http://a/b/c/g?y"},
      {";x", "http://a/b/c/;x"},
      {"g;x?y#s", "http://a/b/c/g;x?y"},
      {"", "http://a/b/c/d;p?q"},
      {".", "http://a/b/c/"},
      {"./", "http://a/b/c/"},
      {"..", "http://a/b/"},
      {"../", "http://a/b/"},
      {"../g", "http://a/b/g"},
      {"../..", "http://a/"},
      {"../../g", "http://a/g"},
      {"../../../g", "http://a/g"},
      {"../../../../g", "http://a/g"},
      {"/./g", "http://a/g"},
      {"/../g", "http://a/g"},
      {"g.", "http://a/b/c/g."},
      {"..g", "http://a/b/c/..g"},
      {"./g/.", "http://a/b/c/g/"},
      {"g/./h", "http://a/b/c/g/h"},
      {"g/../h", "http://a/b/c/h"},
      {"g;x=1/../y", "http://a/b/c/y"},
      {"g?y/../x", "http://a/b/c/g?y/../x"},
      {"https://b.test:8443/x/../y#f", "https://b.test:8443/y"},
      {"//b.test:81/y", "http://b.test:81/y"},
      {"/a//b", "http://a/a//b"},
      {"./x:y", "http://a/b/c/x:y"},
  };
  for (const ResolveRow& row : rows) {
    CAPTURE(row.reference);
    const auto url = resolve_url(*base, row.reference);
    REQUIRE(url);
    CHECK(url->to_string() == row.resolved);
  }
}

TEST_CASE("a reference keeps the port of its base, and only a network path leaves it") {
  const auto base = parse_url("https://[::1]:8443/a/b");
  REQUIRE(base);
  CHECK(resolve_url(*base, "c")->to_string() == "https://[::1]:8443/a/c");
  CHECK(resolve_url(*base, "//b.test")->to_string() == "https://b.test/");
}

TEST_CASE("a reference to what is no URL of ours gives nothing") {
  const auto base = parse_url("http://a.test/b");
  REQUIRE(base);
  const std::string rows[] = {"ftp://b.test/",
                              "mailto:a@b.test",
                              "http:g",
                              "x:y",
                              "//user@b.test/",
                              "//",
                              "///x",
                              "/a b",
                              "/a\\b",
                              "\\\\b.test",
                              "/a\r\nX: y",
                              "/%zz",
                              "/" + std::string(2048, 'x'),
                              "//b.test:0/",
                              "\xc3\xbc"};
  for (const std::string& row : rows) {
    CAPTURE(row);
    CHECK_FALSE(resolve_url(*base, row));
  }
}

TEST_CASE("percent_encode leaves the unreserved characters alone") {
  CHECK(percent_encode("AZaz09-._~") == "AZaz09-._~");
  CHECK(percent_encode("a b/c?d%&+") == "a%20b%2Fc%3Fd%25%26%2B");
  CHECK(percent_encode("\xc3\xbc\xff"s + '\0') == "%C3%BC%FF%00");
  CHECK(percent_encode("").empty());
}

}  // namespace
}  // namespace gatehouse
