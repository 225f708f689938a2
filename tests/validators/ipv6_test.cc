// The validators in a network of their own, with real IPv6 and IPv4 addresses, ports 80 and 443,
// and a look at every packet that leaves.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/net/cares_resolver.h"
#include "acme-server/net/socket_dialer.h"
#include "tests/support/challenge_certificate.h"
#include "tests/support/dns_server.h"
#include "tests/support/fake_resolver.h"
#include "tests/support/net_namespace.h"
#include "tests/support/not_run.h"
#include "tests/support/prefixes.h"
#include "tests/support/tls_alpn_peer.h"
#include "validators/dns01.h"
#include "validators/http01.h"
#include "validators/tls_alpn01.h"

namespace gatehouse::validators {

namespace {

using testing::ChallengeCertificate;
using testing::DnsQuestion;
using testing::DnsServer;
using testing::ip_command;
using testing::LoopbackServer;
using testing::PacketWatch;
using testing::TlsAlpnPeer;
using Texts = std::vector<std::string>;

const IpAddress kSite6 = IpAddress::parse("fd00:1::1").value();
const IpAddress kSite4 = IpAddress::v4(10, 1, 0, 1);
const std::string kKeyAuthorization = "token.thumbprint";
const crypto::Sha256 kDigest = crypto::sha256(kKeyAuthorization);
const Identifier kName = {IdentifierType::dns, "a.test"};

// Runs `body` in a network where the site has an address of each family and everything else goes
// out over a wire at whose end nobody listens.
void in_network(const std::function<void()>& body) {
  const auto why_not = testing::in_new_network([&] {
    for (const char* command : {
             "addr add fd00:1::1/128 dev lo nodad",
             "addr add 10.1.0.1/32 dev lo",
             "link add away type veth peer name nowhere",
             "link set nowhere up",
             "link set away up",
             "addr add fd00:9::1/64 dev away nodad",
             "addr add 10.9.0.1/24 dev away",
             "neigh add fd00:9::2 lladdr 02:00:00:00:00:02 dev away",
             "neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev away",
             "-6 route add default via fd00:9::2",
             "-4 route add default via 10.9.0.2",
         }) {
      ip_command(command);
    }
    body();
  });
  if (why_not) testing::not_run(*why_not);
}

struct World {
  testing::FakeResolver resolver;
  net::SocketDialer dialer;
  // Long enough for anything on this machine, short for what never answers.
  net::Egress egress{resolver, dialer, {.dial_timeout = std::chrono::milliseconds(500)}};

  ValidationOutcome http(const Identifier& identifier,
                         const net::AddressPolicyOptions& policy = {}) {
    return Http01({}, egress).validate(request(identifier, policy), soon());
  }

  ValidationOutcome tls(const Identifier& identifier,
                        const net::AddressPolicyOptions& policy = {}) {
    return TlsAlpn01({}, egress).validate(request(identifier, policy), soon());
  }

  static Deadline soon() { return Deadline::in(std::chrono::seconds(20)); }

  static ValidationRequest request(const Identifier& identifier,
                                   const net::AddressPolicyOptions& policy = {}) {
    return {.identifier = identifier,
            .token = "token",
            .key_authorization = kKeyAuthorization,
            .account_url = "",
            .addresses = policy};
  }
};

// A web server on port 80 of `address` that answers every request with `response`.
class Site {
 public:
  explicit Site(const IpAddress& address,
                std::string response = "HTTP/1.1 200 OK\r\n\r\n" + kKeyAuthorization)
      : server_(
            [this, response = std::move(response)](int fd) {
              ++visits_;
              LoopbackServer::read_request(fd);
              LoopbackServer::send_all(fd, response);
            },
            80, address) {}

  int visits() const { return visits_; }

 private:
  std::atomic<int> visits_ = 0;
  LoopbackServer server_;
};

// A TLS server on port 443 of `address` that proves `san`.
struct SecureSite {
  TlsAlpnPeer peer;
  std::atomic<int> visits = 0;
  LoopbackServer server;

  SecureSite(const IpAddress& address, const Bytes& certificate)
      : peer({.certificates = {certificate}}),
        server(
            [this](int fd) {
              ++visits;
              peer.serve(fd);
            },
            443, address) {}
};

std::string detail_of(const ValidationOutcome& outcome) {
  return outcome.problem ? outcome.problem->detail : "";
}

bool has_line(const ValidationOutcome& outcome, const std::string& line) {
  return std::ranges::find(outcome.trail, line) != outcome.trail.end();
}

Identifier ip(const std::string& address) {
  return {IdentifierType::ip, address};
}

}  // namespace

TEST_CASE("IPv6: of a name with both families the IPv6 address is dialled, and no other") {
  in_network([] {
    World world;
    world.resolver.add_address("a.test", "10.1.0.1");
    world.resolver.add_address("a.test", "fd00:1::1");
    {
      const Site six(kSite6);
      const Site four(kSite4);
      const auto outcome = world.http(kName);
      CHECK(detail_of(outcome) == "");
      CHECK(has_line(outcome, "dial [fd00:1::1]:80: connected"));
      CHECK(six.visits() == 1);
      CHECK(four.visits() == 0);
    }
    {
      const Site six(kSite6, "HTTP/1.1 200 OK\r\n\r\nwrong");
      const Site four(kSite4);
      CHECK(world.http(kName).problem);  // a wrong answer is one, whatever IPv4 would say
      CHECK(six.visits() == 1);
      CHECK(four.visits() == 0);
    }
    const Bytes right = ChallengeCertificate::of("a.test", kDigest).der();
    const SecureSite six(kSite6, right);
    const SecureSite four(kSite4, right);
    CHECK(detail_of(world.tls(kName)) == "");
    CHECK(six.visits == 1);
    CHECK(four.visits == 0);
  });
}

TEST_CASE("IPv6: where it is broken, IPv4 is tried once") {
  in_network([] {
    ip_command("-6 route add unreachable fd00:2::/64");
    ip_command("-6 route add prohibit fd00:3::/64");
    ip_command("-6 route add blackhole fd00:4::/64");
    const struct {
      std::string_view how;
      std::string address;
      bool silent;
    } rows[] = {
        {"nobody listens", "fd00:1::1", false}, {"unreachable", "fd00:2::1", false},
        {"prohibited", "fd00:3::1", false},     {"a route to nowhere", "fd00:4::1", false},
        {"nobody answers", "fd00:5::1", true},
    };
    for (const auto& row : rows) {
      CAPTURE(row.how);
      World world;
      world.resolver.add_address("a.test", row.address);
      world.resolver.add_address("a.test", "10.1.0.1");
      PacketWatch watch;
      {
        const Site four(kSite4);
        const auto outcome = world.http(kName);
        CHECK(detail_of(outcome) == "");
        CHECK(four.visits() == 1);
        CHECK(has_line(outcome, "dial 10.1.0.1:80: connected"));
      }
      if (row.silent) {
        const Texts sent = watch.destinations();
        CHECK(std::ranges::find(sent, row.address) != sent.end());
      }
      {
        const SecureSite four(kSite4, ChallengeCertificate::of("a.test", kDigest).der());
        CHECK(detail_of(world.tls(kName)) == "");
        CHECK(four.visits == 1);
      }
      // Neither works: both are named.
      const auto outcome = world.http(kName);
      REQUIRE(outcome.problem);
      CAPTURE(outcome.problem->detail);
      CHECK(outcome.problem->type == ProblemType::connection);
      CHECK(outcome.problem->detail.find("[" + row.address + "]:80") != std::string::npos);
      CHECK(outcome.problem->detail.find("10.1.0.1:80 refused the connection") !=
            std::string::npos);
    }
  });
}

TEST_CASE("IPv6: a machine without any IPv4, resolver and site over IPv6, every validator") {
  in_network([] {
    ip_command("-4 addr flush dev lo");
    ip_command("-4 addr flush dev away");
    const std::string text = base64url_encode(kDigest);
    const DnsServer dns(
        [&](const DnsQuestion& asked, ByteView question) {
          Bytes data;
          if (asked.type == 28) data.assign(kSite6.bytes().begin(), kSite6.bytes().end());
          if (asked.type == 16) {
            data.push_back(static_cast<std::uint8_t>(text.size()));
            data.insert(data.end(), text.begin(), text.end());
          }
          return data.empty()
                     ? DnsServer::message(0x8180, question, 0)
                     : DnsServer::message(0x8180, question, 1, DnsServer::record(asked.type, data));
        },
        53, kSite6);
    const Site site(kSite6);
    const SecureSite secure(kSite6, ChallengeCertificate::of("a.test", kDigest).der());
    OsEntropy entropy;
    for (const auto transport : {net::DnsTransport::udp, net::DnsTransport::tcp}) {
      net::CaresResolver resolver({.servers = {"fd00:1::1"}, .transport = transport, .tries = 1},
                                  entropy);
      net::SocketDialer dialer;
      net::Egress egress(resolver, dialer);
      const auto request = World::request(kName);
      CHECK(detail_of(Http01({}, egress).validate(request, World::soon())) == "");
      CHECK(detail_of(TlsAlpn01({}, egress).validate(request, World::soon())) == "");
      CHECK(detail_of(Dns01({}, egress).validate(request, World::soon())) == "");
    }
    CHECK(site.visits() == 2);
    CHECK(secure.visits == 2);
  });
}

TEST_CASE("IPv6: an address is an identifier, proven on the address itself") {
  in_network([] {
    World world;
    std::string request;
    {
      const LoopbackServer server(
          [&](int fd) {
            request = LoopbackServer::read_request(fd);
            LoopbackServer::send_all(fd, "HTTP/1.1 200 OK\r\n\r\n" + kKeyAuthorization);
          },
          80, kSite6);
      CHECK(detail_of(world.http(ip("fd00:1::1"))) == "");
    }
    CHECK(request.find("\r\nHost: [fd00:1::1]\r\n") != std::string::npos);

    const std::string reverse =
        "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa";
    TlsAlpnPeer peer({.certificates = {ChallengeCertificate::of(kSite6, kDigest).der()}});
    {
      const LoopbackServer server([&](int fd) { peer.serve(fd); }, 443, kSite6);
      CHECK(detail_of(world.tls(ip("fd00:1::1"))) == "");
    }
    CHECK(peer.visit().server_name == reverse);
    {
      // The certificate of the neighbour's address.
      const IpAddress neighbour = IpAddress::parse("fd00:1::2").value();
      const SecureSite secure(kSite6, ChallengeCertificate::of(neighbour, kDigest).der());
      const std::string detail = detail_of(world.tls(ip("fd00:1::1")));
      CHECK(detail.find("the certificate is not the one for this challenge") != std::string::npos);
      CHECK(detail.find("fd00:1::2") == std::string::npos);  // a private address keeps its secrets
    }
    CHECK(world.resolver.questions() == Texts{});
  });
}

namespace {

// No profile that does not name them lets validation connect to these.
const Texts kRefused6 = {"::1",
                         "::",
                         "::ffff:127.0.0.1",
                         "::ffff:10.1.0.1",
                         "::7f00:1",
                         "64:ff9b::7f00:1",
                         "64:ff9b::a01:1",
                         "64:ff9b:1::1",
                         "100::1",
                         "2001::1",
                         "2001:2::1",
                         "2001:db8::1",
                         "2002:7f00:1::1",
                         "2002:a01:1::1",
                         "3fff::1",
                         "4000::1",
                         "5f00::1",
                         "8000::1",
                         "c000::1",
                         "e000::1",
                         "f000::1",
                         "f800::1",
                         "fe00::1",
                         "fe80::1",
                         "fec0::1",
                         "ff02::1",
                         "ff0e::1",
                         "fd00:ec2::254",
                         "fd00:ec2::23",
                         "fd20:ce::254"};
const Texts kRefused4 = {"127.0.0.1",   "127.255.255.254", "0.0.0.0",         "169.254.169.254",
                         "169.254.1.1", "192.0.0.1",       "192.0.2.1",       "192.88.99.1",
                         "198.18.0.1",  "198.51.100.1",    "203.0.113.1",     "224.0.0.1",
                         "240.0.0.1",   "255.255.255.255", "100.100.100.200", "168.63.129.16"};

}  // namespace

TEST_CASE("IPv6: not one packet goes to an address that the gate refuses") {
  in_network([] {
    const Site trap6(IpAddress::parse("::1").value());
    const Site trap4(IpAddress::v4(127, 0, 0, 1));
    PacketWatch watch;
    for (const Texts& addresses : {kRefused6, kRefused4}) {
      for (const std::string& address : addresses) {
        CAPTURE(address);
        World world;
        world.resolver.add_address("a.test", address);
        for (const Identifier& identifier :
             {kName, ip(IpAddress::parse(address).value().to_string())}) {
          CHECK(world.http(identifier).problem);
          CHECK(world.tls(identifier).problem);
        }
        CHECK(watch.destinations() == Texts{});
      }
    }
    // A redirect reaches them no more than a record: all that is seen is the site's own.
    for (const Texts& addresses : {kRefused6, kRefused4}) {
      for (const std::string& address : addresses) {
        CAPTURE(address);
        const IpAddress target = IpAddress::parse(address).value();
        const std::string host = target.v6 ? "[" + address + "]" : address;
        World world;
        world.resolver.add_address("a.test", "fd00:1::1");
        const Site site(kSite6, "HTTP/1.1 302 Found\r\nLocation: http://" + host +
                                    "/\r\nContent-Length: 0\r\n\r\n");
        CHECK(world.http(kName).problem);
        CHECK(site.visits() == 1);
        for (const std::string& to : watch.destinations()) CHECK(to == "fd00:1::1");
      }
    }
    CHECK(trap6.visits() == 0);
    CHECK(trap4.visits() == 0);

    // The same with an address that may be dialled is seen, so the watch would have seen the
    // others.
    for (const std::string address : {"fd00:7::7", "2600::7", "10.7.0.7", "8.8.8.8"}) {
      CAPTURE(address);
      World world;
      CHECK(world.http(ip(address)).problem);
      const Texts sent = watch.destinations();
      CHECK(std::ranges::find(sent, address) != sent.end());
    }
  });
}

TEST_CASE("IPv6: a profile's own rules hold on the wire") {
  in_network([] {
    const Site site(kSite6);
    const Site loopback(IpAddress::parse("::1").value());
    PacketWatch watch;
    World world;
    CHECK(world.http(ip("fd00:1::1"), {.allowed = {}, .denied = testing::prefixes({"fd00:1::/64"})})
              .problem);
    CHECK(world
              .http(ip("fd00:1::1"), {.allowed = testing::prefixes({"fd00:1::/32"}),
                                      .denied = testing::prefixes({"fd00:1::/64"})})
              .problem);
    CHECK(world.http(ip("::1"), {.allowed = testing::prefixes({"::/0"}), .denied = {}}).problem);
    CHECK(world
              .http(ip("fd00:ec2::254"),
                    {.allowed = testing::prefixes({"fd00:ec2::254"}), .denied = {}})
              .problem);
    CHECK(watch.destinations() == Texts{});
    CHECK(site.visits() + loopback.visits() == 0);
    CHECK(detail_of(world.http(ip("::1"), {.allowed = testing::prefixes({"::1"}), .denied = {}})) ==
          "");
    CHECK(detail_of(world.http(ip("fd00:1::1"), {.allowed = testing::prefixes({"fd00:1::1"}),
                                                 .denied = testing::prefixes({"fd00::/8"})})) ==
          "");
    CHECK(site.visits() == 1);
    CHECK(loopback.visits() == 1);
  });
}

}  // namespace gatehouse::validators
