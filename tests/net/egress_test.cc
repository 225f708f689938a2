#include "acme-server/net/egress.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/support/fake_dialer.h"
#include "tests/support/fake_resolver.h"

namespace gatehouse::net {

namespace {

using Texts = std::vector<std::string>;

struct World {
  testing::FakeResolver resolver;
  testing::FakeDialer dialer;
  Egress egress{resolver, dialer};
  Trail trail;

  Expected<Connection, NetworkError> connect(const std::string& host,
                                             const AddressPolicy& policy = {}) {
    return egress.connect(host, 80, policy, Deadline::in(std::chrono::minutes(1)), trail);
  }

  // The kind of the failure to connect, and that nobody was dialled.
  NetworkError::Kind refused(const std::string& host) {
    const auto connection = connect(host);
    REQUIRE_FALSE(connection);
    CHECK(dialer.dialled() == Texts{});
    return connection.error().kind;
  }
};

}  // namespace

TEST_CASE("texts that some parser takes for an address are not looked up and not dialled") {
  for (const std::string host : {"127.1",
                                 "127.0.1",
                                 "2130706433",
                                 "0x7f000001",
                                 "0x7f.0.0.1",
                                 "0X7F.1",
                                 "0177.0.0.1",
                                 "017700000001",
                                 "127.0.0.1.",
                                 "127.0.0.01",
                                 "169.254.43518",
                                 "a.test.0x7f",
                                 "a.123",
                                 "1.2.3.4.5",
                                 "256.1.1.1",
                                 "0",
                                 "0.",
                                 "[::1]",
                                 "::1%lo",
                                 "fe80::1%eth0",
                                 "user@a.test",
                                 "a.test:80",
                                 "a..test",
                                 ".a.test",
                                 "",
                                 ".",
                                 "..",
                                 "a.test..",
                                 "a b.test",
                                 "a.test/x",
                                 "a.test\\x",
                                 "127。0。0。1",
                                 "a%2etest"}) {
    World world;
    CAPTURE(host);
    CHECK(world.refused(host) == NetworkError::Kind::bad_host);
    CHECK(world.resolver.questions() == Texts{});
  }
}

TEST_CASE("names and labels that DNS cannot hold are refused") {
  World world;
  CHECK(world.refused(std::string("a\0.test", 7)) == NetworkError::Kind::bad_host);
  const std::string label(64, 'a');
  CHECK(world.refused(label + ".test") == NetworkError::Kind::bad_host);
  std::string name;
  for (int i = 0; i < 64; ++i) name += "abc.";
  CHECK(world.refused(name + "test") == NetworkError::Kind::bad_host);
}

TEST_CASE("addresses written as such go through the gate as well") {
  for (const std::string host :
       {"127.0.0.1", "0.0.0.0", "169.254.169.254", "::1", "::", "::ffff:127.0.0.1", "::ffff:7f00:1",
        "64:ff9b::7f00:1", "2002:7f00:1::", "fe80::1", "fd00:ec2::254"}) {
    World world;
    CAPTURE(host);
    CHECK(world.refused(host) == NetworkError::Kind::denied);
    CHECK(world.resolver.questions() == Texts{});
  }
}

TEST_CASE("a name of denied addresses is not dialled, whichever way it has them") {
  for (const std::string address :
       {"127.0.0.1", "169.254.169.254", "0.0.0.0", "255.255.255.255", "::1", "::ffff:10.0.0.1",
        "fe80::1", "fd00:ec2::254", "64:ff9b::a00:1"}) {
    World world;
    CAPTURE(address);
    world.resolver.add_address("evil.test", address);
    world.resolver.add_alias("www.evil.test", "evil.test");
    CHECK(world.refused("evil.test") == NetworkError::Kind::denied);
    CHECK(world.refused("www.evil.test") == NetworkError::Kind::denied);
    CHECK(world.refused("evil.test") == NetworkError::Kind::denied);
  }
}

TEST_CASE("the names of this machine are names like all others") {
  World world;
  for (const std::string host : {"localhost", "localhost.localdomain", "ip6-localhost"}) {
    CHECK(world.refused(host) == NetworkError::Kind::dns);
  }
  world.resolver.add_address("localhost", "127.0.0.1");
  CHECK(world.refused("localhost") == NetworkError::Kind::denied);
}

TEST_CASE("denied addresses are passed over for allowed ones of the same name") {
  World world;
  world.resolver.add_address("a.test", "::1");
  world.resolver.add_address("a.test", "127.0.0.1");
  world.resolver.add_address("a.test", "10.0.0.7");
  world.dialer.answer("10.0.0.7:80", "hello");
  const auto connection = world.connect("a.test");
  REQUIRE(connection);
  CHECK(connection->endpoint.to_string() == "10.0.0.7:80");
  CHECK(world.dialer.dialled() == Texts{"10.0.0.7:80"});
  CHECK(std::ranges::count(world.trail, "not dialled: ::1 is a loopback address") == 1);
  CHECK(std::ranges::count(world.trail, "not dialled: 127.0.0.1 is a loopback address") == 1);
}

TEST_CASE("a name that changes between lookups never gets a denied address dialled") {
  World world;
  int asked = 0;
  world.resolver.script("rebind.test", [&](RecordType type) -> testing::FakeResolver::Answer {
    if (type != RecordType::A) return testing::FakeResolver::error(DnsError::Kind::no_data, "none");
    DnsAnswer answer;
    answer.addresses = {++asked % 2 == 1 ? IpAddress::v4(10, 0, 0, 1)
                                         : IpAddress::v4(127, 0, 0, 1)};
    return answer;
  });
  world.dialer.answer("10.0.0.1:80", "hello");
  world.dialer.answer("127.0.0.1:80", "secret");
  int connected = 0;
  for (int i = 0; i < 10'000; ++i) {
    if (world.connect("rebind.test")) ++connected;
  }
  CHECK(connected == 5'000);
  CHECK(asked == 10'000);  // one lookup for each connection: what was checked is what was dialled
  const Texts dialled = world.dialer.dialled();
  CHECK(dialled.size() == 5'000);
  CHECK(std::ranges::count(dialled, "10.0.0.1:80") == 5'000);
}

TEST_CASE("IPv6 comes first, and IPv4 only if IPv6 cannot be dialled") {
  World world;
  world.resolver.add_address("a.test", "10.0.0.1");
  world.resolver.add_address("a.test", "10.0.0.2");
  world.resolver.add_address("a.test", "fd00::1");
  world.resolver.add_address("a.test", "fd00::2");

  SUBCASE("IPv6 answers") {
    world.dialer.answer("[fd00::1]:80", "six");
    world.dialer.answer("10.0.0.1:80", "four");
    REQUIRE(world.connect("a.test"));
    CHECK(world.dialer.dialled() == Texts{"[fd00::1]:80"});
  }
  SUBCASE("IPv6 refuses") {
    world.dialer.answer("10.0.0.1:80", "four");
    const auto connection = world.connect("a.test");
    REQUIRE(connection);
    CHECK(connection->endpoint.to_string() == "10.0.0.1:80");
    CHECK(world.dialer.dialled() == Texts{"[fd00::1]:80", "10.0.0.1:80"});
  }
  SUBCASE("both fail: one try each, and both are told") {
    world.dialer.fail("[fd00::1]:80",
                      {.kind = DialError::Kind::timeout, .detail = "did not answer in time"});
    const auto connection = world.connect("a.test");
    REQUIRE_FALSE(connection);
    CHECK(connection.error().kind == NetworkError::Kind::connection);
    CHECK(connection.error().detail ==
          "[fd00::1]:80 did not answer in time, and 10.0.0.1:80 refused the connection");
    CHECK(world.dialer.dialled() == Texts{"[fd00::1]:80", "10.0.0.1:80"});
  }
}

TEST_CASE("one family without an answer does not hide the other") {
  for (const auto kind :
       {DnsError::Kind::servfail, DnsError::Kind::timeout, DnsError::Kind::no_data}) {
    World world;
    world.resolver.add_address("a.test", "10.0.0.1");
    world.resolver.fail("a.test", RecordType::AAAA, kind);
    world.dialer.answer("10.0.0.1:80", "four");
    CHECK(world.connect("a.test"));
  }
}

TEST_CASE("a name without addresses says what each lookup came to") {
  World world;
  world.resolver.add_text("text.test", "x");
  world.resolver.fail("bogus.test", RecordType::A, DnsError::Kind::servfail);
  world.resolver.fail("bogus.test", RecordType::AAAA, DnsError::Kind::servfail);

  const struct {
    std::string host, detail;
  } rows[] = {
      {"none.test", "none.test does not exist in DNS"},
      {"text.test", "text.test has neither A nor AAAA records"},
      {"bogus.test", "the resolver failed for bogus.test"},
  };

  for (const auto& row : rows) {
    const auto connection = world.connect(row.host);
    REQUIRE_FALSE(connection);
    CHECK(connection.error().kind == NetworkError::Kind::dns);
    CHECK(connection.error().detail == row.detail);
  }
}

TEST_CASE("the trail tells what was looked up and dialled") {
  World world;
  world.resolver.add_alias("www.a.test", "a.test");
  world.resolver.add_address("a.test", "10.0.0.1");
  world.dialer.answer("10.0.0.1:80", "hello");
  REQUIRE(world.connect("www.a.test"));
  CHECK(world.trail == Texts{"dns www.a.test AAAA: a.test has no AAAA records",
                             "dns www.a.test A: CNAME a.test, 10.0.0.1",
                             "dial 10.0.0.1:80: connected"});
}

TEST_CASE("endpoints are read strictly") {
  for (const std::string_view text :
       {"", ":53", "192.0.2.1", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:+53",
        "192.0.2.1:53 ", "2001:db8::1:53x", "[192.0.2.1]:53", "[::1]", "[::1]53",
        "[::1]:", "[::1:53", "::1]:53", "a.test:53", "192.0.2.1:5:3"}) {
    CAPTURE(text);
    CHECK_FALSE(Endpoint::parse(text));
  }
  for (const std::string_view text : {"192.0.2.1:53", "[2001:db8::1]:65535", "127.0.0.1:1"}) {
    CHECK(Endpoint::parse(text).value().to_string() == text);
  }
  CHECK(Endpoint::parse("192.0.2.1", 53).value().to_string() == "192.0.2.1:53");
  CHECK(Endpoint::parse("2001:db8::1", 53).value().to_string() == "[2001:db8::1]:53");
  CHECK(Endpoint::parse("[2001:db8::1]", 53).value().to_string() == "[2001:db8::1]:53");
  CHECK(Endpoint::parse("[2001:db8::1]:54", 53).value().to_string() == "[2001:db8::1]:54");
}

}  // namespace gatehouse::net
