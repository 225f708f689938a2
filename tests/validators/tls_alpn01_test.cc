// TlsAlpn01 against TLS servers on loopback: what proves a name, and what must not.
#include "validators/tls_alpn01.h"

#include <doctest/doctest.h>

#include <functional>

#include "acme-server/base/hex.h"
#include "tests/support/tls_alpn_world.h"

namespace gatehouse::validators {

TEST_CASE("every key and version of TLS that is good enough proves the name") {
  for (const Kind kind : {Kind::rsa2048, Kind::p256, Kind::p384, Kind::p521, Kind::ed25519}) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      CAPTURE(static_cast<int>(kind));
      CAPTURE(version);
      const Result result = meet({.certificates = {good(kind).der()},
                                  .key = TestKey::fixed(kind),
                                  .min_version = version,
                                  .max_version = version});
      INFO(detail_of(result.outcome));
      CHECK_FALSE(result.outcome.problem);
      CHECK(result.visit.shook_hands);
      CHECK(result.visit.server_name == "a.test");
      CHECK(result.visit.offered ==
            "\x0a"
            "acme-tls/1");                 // RFC 8737 section 3: that alone
      CHECK(result.visit.received == "");  // section 4: no application data
    }
  }
}

TEST_CASE("of a server's two keys the RSA one is asked for, as large CAs do") {
  // As Apache's mod_md has it: one certificate for the challenge, with an RSA key, beside the
  // site's own one with an ECDSA key.
  for (const Kind other : {Kind::p256, Kind::p384}) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      CAPTURE(static_cast<int>(other));
      CAPTURE(version);
      ChallengeCertificate site = good(other);
      site.extensions = {testing::san_of({testing::general_name(0x82, "a.test")})};
      const auto outcome = meet({.certificates = {good(Kind::rsa2048).der()},
                                 .key = TestKey::fixed(Kind::rsa2048),
                                 .other_certificate = site.der(),
                                 .other_key = TestKey::fixed(other),
                                 .min_version = version,
                                 .max_version = version})
                               .outcome;
      INFO(detail_of(outcome));
      CHECK_FALSE(outcome.problem);
    }
  }
}

TEST_CASE("what the RFC leaves open about the certificate is open") {
  const struct {
    std::string_view what;
    std::function<void(ChallengeCertificate&)> change;
  } rows[] = {
      {"the name in capitals (RFC 4343)",
       [](auto& c) { c.extensions[0] = testing::san_of({testing::general_name(0x82, "A.TesT")}); }},
      {"the extensions the other way round",
       [](auto& c) { std::swap(c.extensions[0], c.extensions[1]); }},
      {"more extensions",
       [](auto& c) {
         c.extensions.push_back(
             testing::critical_extension("2.5.29.19", *hex_decode("30030101ff")));
         c.extensions.push_back(testing::plain_extension("1.2.3.4", {5, 0}));
       }},
      {"a critical subjectAltName",
       [](auto& c) {
         c.extensions[0] =
             testing::critical_extension("2.5.29.17", crypto::alternative_name_of("a.test"));
       }},
      {"an empty subject", [](auto& c) { c.subject = c.issuer = *hex_decode("3000"); }},
      {"expired long ago",
       [](auto& c) {
         c.not_before = crypto::der::time(testing::kNoon - std::chrono::days(3000));
         c.not_after = crypto::der::time(testing::kNoon - std::chrono::days(2000));
       }},
      {"not valid yet",
       [](auto& c) {
         c.not_before = crypto::der::time(testing::kNoon + std::chrono::days(10000));
         c.not_after = crypto::der::time(testing::kNoon + std::chrono::days(20000));
       }},
      {"another name as the common name",
       [](auto& c) { c.subject = c.issuer = crypto::make_name("b.test", ""); }},
  };

  for (const auto& row : rows) {
    CAPTURE(row.what);
    ChallengeCertificate certificate = good();
    row.change(certificate);
    const auto outcome = meet({.certificates = {certificate.der()}}).outcome;
    INFO(detail_of(outcome));
    CHECK_FALSE(outcome.problem);
  }
  // A chain that nobody asked for.
  CHECK_FALSE(meet({.certificates = {good().der(), good(Kind::rsa2048).der()}}).outcome.problem);
}

TEST_CASE("an address is proven under the name of its reverse zone (RFC 8738 section 6)") {
  const IpAddress address = IpAddress::v4(127, 0, 0, 1);
  const Identifier identifier = {IdentifierType::ip, "127.0.0.1"};
  const Result result =
      meet({.certificates = {ChallengeCertificate::of(address, kDigest).der()}}, identifier);
  CHECK_FALSE(result.outcome.problem);
  CHECK(result.visit.server_name == "1.0.0.127.in-addr.arpa");

  const Bytes mapped = *hex_decode("00000000000000000000ffff7f000001");
  for (const Bytes& san : {
           testing::san_of({testing::general_name(0x82, "127.0.0.1")}),
           testing::san_of({testing::general_name(0x82, "1.0.0.127.in-addr.arpa")}),
           testing::san_of({testing::general_name(0x87, as_text(mapped))}),
           testing::san_of({testing::general_name(0x87, "\x7f\x01")}),
           testing::san_of({testing::general_name(0x87, std::string("\x7f\x00\x00\x02", 4))}),
           testing::san_of({testing::general_name(0x87, as_text(address.bytes())),
                            testing::general_name(0x87, as_text(address.bytes()))}),
           testing::san_of({testing::general_name(0x87, as_text(address.bytes())),
                            testing::general_name(0x82, "127.0.0.1")}),
       }) {
    const auto outcome =
        meet({.certificates = {ChallengeCertificate::of(san, kDigest).der()}}, identifier).outcome;
    REQUIRE(outcome.problem);
    CHECK(outcome.problem->type == ProblemType::unauthorized);
  }
}

TEST_CASE("reverse names") {
  const auto name = [](std::string_view text) {
    return reverse_name_of(IpAddress::parse(text).value());
  };
  CHECK(name("192.0.2.1") == "1.2.0.192.in-addr.arpa");
  CHECK(name("2001:db8::567:89ab") ==  // RFC 3596 section 2.5
        "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
}

TEST_CASE("certificates that prove nothing") {
  using C = ChallengeCertificate;
  using testing::critical_extension;
  using testing::general_name;
  using testing::plain_extension;
  using testing::san_of;
  const Bytes name = general_name(0x82, "a.test");
  const std::string oid(crypto::kAcmeIdentifierOid);
  const Bytes octets = crypto::der::octet_string(kDigest);
  const auto san = [&](std::vector<Bytes> names) {
    return [names = std::move(names)](C& c) { c.extensions[0] = san_of(names); };
  };
  const auto identifier = [&](Bytes value) {
    return
        [value = std::move(value), oid](C& c) { c.extensions[1] = critical_extension(oid, value); };
  };
  const crypto::Sha256 other = crypto::sha256("another token.thumbprint");
  Bytes long_value(33, 7);

  const struct {
    std::string_view what;
    std::function<void(C&)> change;
    std::string part;
  } rows[] = {
      {"no subjectAltName", [](C& c) { c.extensions.erase(c.extensions.begin()); },
       "has no subjectAltName, where \"a.test\" must stand"},
      {"the name as common name alone",
       [](C& c) {
         c.extensions.erase(c.extensions.begin());
         c.subject = c.issuer = crypto::make_name("a.test", "");
       },
       "has no subjectAltName"},
      {"another name", san({general_name(0x82, "b.test")}),
       "says \"b.test\", where \"a.test\" and nothing else must stand"},
      {"a name below", san({general_name(0x82, "www.a.test")}), "says \"www.a.test\""},
      {"a wildcard", san({general_name(0x82, "*.test")}), "says \"*.test\""},
      {"the wildcard of the name", san({general_name(0x82, "*.a.test")}), "says \"*.a.test\""},
      {"a dot at the end", san({general_name(0x82, "a.test.")}), "says \"a.test.\""},
      {"a blank after the name", san({general_name(0x82, "a.test ")}), "is not printable ASCII"},
      {"a NUL after the name", san({general_name(0x82, std::string_view("a.test\0.evil", 12))}),
       "is not printable ASCII"},
      {"two names", san({name, general_name(0x82, "b.test")}), "says \"a.test\", \"b.test\""},
      {"the name twice", san({name, name}), "says \"a.test\", \"a.test\""},
      {"an address besides", san({name, general_name(0x87, std::string_view("\x0a\0\0\1", 4))}),
       "says \"a.test\", \"10.0.0.1\""},
      {"a mail address besides", san({name, general_name(0x81, "x@a.test")}),
       "says \"a.test\", names of another type"},
      {"a URI besides", san({name, general_name(0x86, "http://a.test/")}), "names of another type"},
      {"the name as a mail address", san({general_name(0x81, "a.test")}), "names of another type"},
      {"the name as a URI", san({general_name(0x86, "a.test")}), "names of another type"},
      {"an empty subjectAltName", san({}), "the subjectAltName is empty"},
      {"a subjectAltName with something behind it",
       [&](C& c) {
         Bytes value = crypto::alternative_name_of("a.test");
         value.push_back(0);
         c.extensions[0] = plain_extension("2.5.29.17", value);
       },
       "the subjectAltName is not DER"},
      {"a subjectAltName with a long length",
       [](C& c) {
         Bytes value = *hex_decode("308108");
         crypto::der::append(value, general_name(0x82, "a.test"));
         c.extensions[0] = plain_extension("2.5.29.17", value);
       },
       "the subjectAltName is not DER"},
      {"two subjectAltNames", [](C& c) { c.extensions.push_back(c.extensions[0]); },
       "the extension 2.5.29.17 is there twice"},
      {"no acmeIdentifier", [](C& c) { c.extensions.pop_back(); },
       "no acmeIdentifier extension (1.3.6.1.5.5.7.1.31), so it is not one made for this"},
      {"the OID of an old draft",
       [&](C& c) { c.extensions[1] = critical_extension("1.3.6.1.5.5.7.1.30.1", octets); },
       "under 1.3.6.1.5.5.7.1.30.1, which drafts of RFC 8737 had"},
      {"a neighbouring OID",
       [&](C& c) { c.extensions[1] = critical_extension("1.3.6.1.5.5.7.1.32", octets); },
       "no acmeIdentifier extension"},
      {"not critical", [&](C& c) { c.extensions[1] = plain_extension(oid, octets); },
       "acmeIdentifier extension is not critical"},
      {"a critical flag that is not DER",
       [&](C& c) {
         c.extensions[1] = crypto::der::sequence(
             {crypto::der::oid(oid), *hex_decode("010101"), crypto::der::octet_string(octets)});
       },
       "certificate"},
      {"two acmeIdentifiers", [](C& c) { c.extensions.push_back(c.extensions[1]); },
       "the extension 1.3.6.1.5.5.7.1.31 is there twice"},
      {"a second acmeIdentifier of another digest",
       [&](C& c) {
         c.extensions.push_back(critical_extension(oid, crypto::der::octet_string(other)));
       },
       "there twice"},
      {"another extension twice",
       [](C& c) {
         c.extensions.push_back(plain_extension("1.2.3.4", {5, 0}));
         c.extensions.push_back(plain_extension("1.2.3.4", {5, 0}));
       },
       "the extension 1.2.3.4 is there twice"},
      {"the digest of another token", identifier(crypto::der::octet_string(other)),
       "is the digest " + hex_encode(other) + ", but " + hex_encode(kDigest) + " was expected"},
      {"the digest without its OCTET STRING", identifier(Bytes(kDigest.begin(), kDigest.end())),
       "not an OCTET STRING of the 32 octets"},
      {"the digest wrapped twice", identifier(crypto::der::octet_string(octets)),
       "not an OCTET STRING of the 32 octets"},
      {"31 octets", identifier(crypto::der::octet_string(ByteView(kDigest).first(31))),
       "not an OCTET STRING of the 32 octets"},
      {"33 octets", identifier(crypto::der::octet_string(long_value)),
       "not an OCTET STRING of the 32 octets"},
      {"an empty OCTET STRING", identifier(crypto::der::octet_string({})),
       "not an OCTET STRING of the 32 octets"},
      {"nothing at all", identifier({}), "not an OCTET STRING of the 32 octets"},
      {"the digest in hex", identifier(crypto::der::octet_string(as_bytes(hex_encode(kDigest)))),
       "not an OCTET STRING of the 32 octets"},
      {"the digest as a UTF8String", identifier(crypto::der::element(0x0c, kDigest)),
       "not an OCTET STRING of the 32 octets"},
      {"the digest with something behind it", identifier(crypto::der::concat({octets, Bytes{0}})),
       "not an OCTET STRING of the 32 octets"},
      {"the key authorization itself",
       identifier(crypto::der::octet_string(as_bytes(kKeyAuthorization))),
       "not an OCTET STRING of the 32 octets"},
      {"another issuer", [](C& c) { c.issuer = crypto::make_name("Some CA", ""); },
       "is not self-signed: its issuer \"CN=Some CA\" is not its subject"},
      {"signed by another key", [](C& c) { c.signer = TestKey::generate(Kind::p256); },
       "is not self-signed: its signature does not verify"},
      {"a broken signature", [](C& c) { c.broken_signature = true; },
       "its signature does not verify"},
      {"another algorithm outside",
       [](C& c) { c.outer_algorithm = testing::signature_algorithm_of(Kind::p384); },
       "names two signature algorithms"},
      {"an algorithm of another digest",
       [](C& c) { c.algorithm = c.outer_algorithm = testing::signature_algorithm_of(Kind::p384); },
       "its signature does not verify"},
      {"ECDSA with SHA-1",
       [](C& c) {
         c.algorithm = c.outer_algorithm =
             crypto::der::sequence({crypto::der::oid("1.2.840.10045.4.1")});
       },
       "its signature does not verify"},
      {"version 1", [](C& c) { c.version = {}; }, "certificate"},
      {"a negative serial number", [](C& c) { c.serial = *hex_decode("020180"); },
       "its serial number is negative"},
      {"100 extensions",
       [](C& c) {
         for (int i = 0; i < 100; ++i)
           c.extensions.push_back(plain_extension("1.2.3." + std::to_string(i), {5, 0}));
       },
       "more than 64 extensions"},
  };

  static_assert(std::size(rows) >= 40);
  for (const auto& row : rows) {
    CAPTURE(row.what);
    ChallengeCertificate certificate = good();
    row.change(certificate);
    check_problem(meet({.certificates = {certificate.der()}}).outcome, ProblemType::unauthorized,
                  row.part);
  }
}

TEST_CASE("what a private address shows in a handshake is not told to the client") {
  ChallengeCertificate other = good();
  other.extensions[0] = testing::san_of({testing::general_name(0x82, "secret.corp.test")});
  ChallengeCertificate issued = good();
  issued.issuer = crypto::make_name("secret issuer", "");
  for (const ChallengeCertificate& certificate : {other, issued}) {
    TlsAlpnPeer peer({.certificates = {certificate.der()}});
    World world;
    LoopbackServer server([&](int fd) { peer.serve(fd); });
    const auto outcome = world.validate(server.port(), {IdentifierType::dns, "private.test"});
    const std::string detail = detail_of(outcome);
    CAPTURE(detail);
    CHECK(detail.find("the certificate is not the one for this challenge") != std::string::npos);
    CHECK(detail.find("secret") == std::string::npos);
  }
}

TEST_CASE("the gate holds: nothing reaches a listener that no profile allows") {
  World world;
  int connections = 0;
  {
    LoopbackServer server([&](int) { ++connections; });
    const auto named = world.validate(server.port(), {IdentifierType::dns, "private.test"},
                                      std::chrono::seconds(5), {});
    REQUIRE(named.problem);
    CHECK(named.problem->type == ProblemType::dns);
    const auto addressed = world.validate(server.port(), {IdentifierType::ip, "127.0.0.1"},
                                          std::chrono::seconds(5), {});
    REQUIRE(addressed.problem);
    CHECK(addressed.problem->type == ProblemType::rejectedIdentifier);
  }
  CHECK(connections == 0);
}

TEST_CASE("a name that does not resolve, and a port where nobody listens") {
  World world;
  const auto unknown = world.validate(443, {IdentifierType::dns, "none.test"});
  REQUIRE(unknown.problem);
  CHECK(unknown.problem->type == ProblemType::dns);
  CHECK(unknown.answered);
  const testing::LoopbackSocket bound(SOCK_STREAM);  // bound, not listening
  const auto refused = world.validate(bound.port());
  check_problem(refused, ProblemType::connection, "refused the connection");
  CHECK(refused.answered);
  CHECK(refused.problem->detail.find("listens on port " + std::to_string(bound.port())) !=
        std::string::npos);
}

TEST_CASE("IPv6 comes first, and what it answers is final") {
  testing::FakeResolver resolver;
  testing::FakeDialer dialer;
  net::Egress egress(resolver, dialer);
  resolver.add_address("a.test", "fd00::1");
  resolver.add_address("a.test", "10.0.0.1");
  dialer.answer("[fd00::1]:443", "HTTP/1.1 400 Bad Request\r\n\r\n");
  TlsAlpn01 validator({}, egress);
  const ValidationRequest request = {.identifier = kName,
                                     .token = "token",
                                     .key_authorization = kKeyAuthorization,
                                     .account_url = "",
                                     .addresses = {}};
  CHECK(validator.validate(request, Deadline::in(std::chrono::seconds(5))).problem);
  CHECK(dialer.dialled() == Texts{"[fd00::1]:443"});

  CHECK(validator.challenge_type() == "tls-alpn-01");
  CHECK(validator.can_validate({IdentifierType::ip, "fd00::1"}));
  CHECK_FALSE(validator.can_validate({IdentifierType::dns, "*.a.test"}));
}

TEST_CASE("the trail tells what was seen") {
  const Bytes certificate = good().der();
  const Result result = meet({.certificates = {certificate}});
  REQUIRE(result.outcome.trail.size() == 4);
  CHECK(result.outcome.trail[3].find(
            ": TLSv1.3, SNI a.test, ALPN \"acme-tls/1\", certificate SHA-256 " +
            crypto::sha256_hex(certificate)) != std::string::npos);
}

}  // namespace gatehouse::validators
