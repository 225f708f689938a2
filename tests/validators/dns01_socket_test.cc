// Dns01 over real sockets: what c-ares gets from a DNS server on loopback.
#include <doctest/doctest.h>

#include <functional>

#include "acme-server/base/base64url.h"
#include "acme-server/base/text.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/net/cares_resolver.h"
#include "acme-server/net/socket_dialer.h"
#include "tests/support/dns_server.h"
#include "validators/dns01.h"

namespace gatehouse::validators {

namespace {

using testing::DnsQuestion;
using testing::DnsServer;

constexpr int kCname = 5;
constexpr int kTxt = 16;
constexpr int kNoError = 0x8180;
constexpr int kNxDomain = kNoError | 3;
constexpr int kServFail = kNoError | 2;
constexpr int kTruncated = kNoError | 0x0200;

const std::string kKeyAuthorization = "token.thumbprint";
const std::string kDigest = base64url_encode(crypto::sha256(kKeyAuthorization));
const std::string kName = "_acme-challenge.a.test";

void append(Bytes& out, std::string_view text) {
  out.insert(out.end(), text.begin(), text.end());
}

// One character-string: its length and its octets.
Bytes character_string(std::string_view text) {
  Bytes bytes = {static_cast<std::uint8_t>(text.size())};
  append(bytes, text);
  return bytes;
}

// The data of a TXT record: `text` in strings of at most `size` octets.
Bytes txt(std::string_view text, std::size_t size = 255) {
  Bytes data;
  for (std::size_t at = 0; at < text.size(); at += size) {
    const Bytes string = character_string(text.substr(at, size));
    data.insert(data.end(), string.begin(), string.end());
  }
  return data;
}

Bytes wire_name(std::string_view name) {
  Bytes bytes;
  for (const std::string_view label : split(name, '.')) {
    const Bytes string = character_string(label);
    bytes.insert(bytes.end(), string.begin(), string.end());
  }
  bytes.push_back(0);
  return bytes;
}

// A record of any name.
Bytes record_of(std::string_view owner, int type, const Bytes& data) {
  Bytes bytes = wire_name(owner);
  const Bytes rest = DnsServer::record(type, data);  // begins with two octets for the owner
  bytes.insert(bytes.end(), rest.begin() + 2, rest.end());
  return bytes;
}

Bytes all_of(const std::vector<Bytes>& records) {
  Bytes bytes;
  for (const Bytes& record : records) bytes.insert(bytes.end(), record.begin(), record.end());
  return bytes;
}

// _acme-challenge.a.test → 1.test → 2.test …, with `last` at the end of `hops`.
std::vector<Bytes> chain(int hops, const Bytes& last_data) {
  std::vector<Bytes> records;
  std::string at = kName;
  for (int i = 1; i <= hops; ++i) {
    const std::string next = std::to_string(i) + ".test";
    records.push_back(record_of(at, kCname, wire_name(next)));
    at = next;
  }
  records.push_back(record_of(at, kTxt, last_data));
  return records;
}

struct Answer {
  int flags = kNoError;
  std::vector<Bytes> records = {};
};

ValidationOutcome validate(const DnsServer& dns,
                           net::DnsTransport transport = net::DnsTransport::automatic,
                           std::chrono::seconds timeout = std::chrono::seconds(15)) {
  OsEntropy entropy;
  net::CaresResolver resolver({.servers = {dns.endpoint()}, .transport = transport, .tries = 1},
                              entropy);
  net::SocketDialer dialer;
  net::Egress egress(resolver, dialer);
  return Dns01({.timeout = timeout}, egress)
      .validate({.identifier = {IdentifierType::dns, "a.test"},
                 .token = "token",
                 .key_authorization = kKeyAuthorization,
                 .account_url = "",
                 .addresses = {}},
                Deadline::in(std::chrono::seconds(20)));
}

// Answers every question like this.
DnsServer::Script always(const Answer& answer) {
  return [answer](const DnsQuestion&, ByteView question) {
    return DnsServer::message(answer.flags, question, static_cast<int>(answer.records.size()),
                              all_of(answer.records));
  };
}

}  // namespace

TEST_CASE("what proves a name on the wire") {
  const std::string filler(255, 'x');

  const struct {
    std::string_view what;
    std::vector<Bytes> records;
  } rows[] = {
      {"one record", {record_of(kName, kTxt, txt(kDigest))}},
      {"split in strings of ten octets", {record_of(kName, kTxt, txt(kDigest, 10))}},
      {"split in strings of one octet", {record_of(kName, kTxt, txt(kDigest, 1))}},
      {"with empty strings between",
       {record_of(kName, kTxt,
                  all_of({character_string(""), txt(kDigest, 20), character_string("")}))}},
      {"the last of five records",
       {record_of(kName, kTxt, txt("v=spf1 -all")), record_of(kName, kTxt, txt(filler + filler)),
        record_of(kName, kTxt, {0}), record_of(kName, kTxt, txt("x")),
        record_of(kName, kTxt, txt(kDigest))}},
      {"an owner in other letters", {record_of("_ACME-challenge.A.Test", kTxt, txt(kDigest))}},
      {"one CNAME", chain(1, txt(kDigest))},
      {"eight CNAMEs", chain(8, txt(kDigest))},
      {"as many CNAMEs as are followed", chain(16, txt(kDigest))},
      {"records out of order",
       {record_of("b.test", kTxt, txt(kDigest)), record_of(kName, kCname, wire_name("b.test"))}},
  };

  for (const auto& row : rows) {
    for (const auto transport : {net::DnsTransport::udp, net::DnsTransport::tcp}) {
      CAPTURE(row.what);
      const DnsServer dns(always({.records = row.records}));
      CHECK_FALSE(validate(dns, transport).problem);
    }
  }
}

TEST_CASE("what proves nothing on the wire") {
  const struct {
    std::string_view what;
    Answer answer;
    ProblemType type;
    std::string_view part;
  } rows[] = {
      {"another name's record",
       {.records = {record_of("_acme-challenge.b.test", kTxt, txt(kDigest))}},
       ProblemType::unauthorized,
       "_acme-challenge.a.test has no TXT records"},
      {"a record beside the end of the chain",
       {.records = {record_of(kName, kCname, wire_name("b.test")),
                    record_of(kName, kTxt, txt(kDigest))}},
       ProblemType::unauthorized,
       "_acme-challenge.a.test (a CNAME to b.test) has no TXT records"},
      {"another type's record",
       {.records = {record_of(kName, 99, txt(kDigest))}},
       ProblemType::unauthorized,
       "has no TXT records"},
      {"halves in two records",
       {.records = {record_of(kName, kTxt, txt(kDigest.substr(0, 20))),
                    record_of(kName, kTxt, txt(kDigest.substr(20)))}},
       ProblemType::unauthorized,
       "has 2 TXT records"},
      {"a string that runs past its record",
       {.records = {record_of(kName, kTxt, {200, 'x'})}},
       ProblemType::dns,
       "'s answer for the TXT records of _acme-challenge.a.test cannot be used: "},
      {"a circle of two",
       {.records = {record_of(kName, kCname, wire_name("b.test")),
                    record_of("b.test", kCname, wire_name(kName))}},
       ProblemType::dns,
       "its CNAME records lead in a circle"},
      {"a name that is its own CNAME",
       {.records = {record_of(kName, kCname, wire_name(kName))}},
       ProblemType::dns,
       "its CNAME records lead in a circle"},
      {"one CNAME too many",
       {.records = chain(17, txt(kDigest))},
       ProblemType::dns,
       "through more than 16 names"},
      {"SERVFAIL",
       {.flags = kServFail},
       ProblemType::dns,
       "or DNSSEC does not verify. Check that all name servers of the zone answer for it, and that "
       "its DS, DNSKEY and RRSIG records agree"},
      {"SERVFAIL with the right record in it",
       {.flags = kServFail, .records = {record_of(kName, kTxt, txt(kDigest))}},
       ProblemType::dns,
       "SERVFAIL"},
      {"REFUSED", {.flags = kNoError | 5}, ProblemType::dns, "(REFUSED)"},
      {"NOTIMP", {.flags = kNoError | 4}, ProblemType::dns, "(NOTIMP)"},
      {"FORMERR", {.flags = kNoError | 1}, ProblemType::dns, "(FORMERR)"},
      {"a code that has no name yet", {.flags = kNoError | 12}, ProblemType::dns, "(code 12)"},
      {"NXDOMAIN", {.flags = kNxDomain}, ProblemType::dns, "does not exist in DNS (NXDOMAIN)"},
      {"NXDOMAIN with the right record in it",
       {.flags = kNxDomain, .records = {record_of(kName, kTxt, txt(kDigest))}},
       ProblemType::dns,
       "does not exist in DNS (NXDOMAIN)"},
      {"a CNAME to a name that does not exist",
       {.flags = kNxDomain, .records = {record_of(kName, kCname, wire_name("gone.test"))}},
       ProblemType::dns,
       "_acme-challenge.a.test (a CNAME to gone.test) does not exist in DNS (NXDOMAIN). Publish a "
       "TXT record at gone.test"},
  };

  for (const auto& row : rows) {
    CAPTURE(row.what);
    const DnsServer dns(always(row.answer));
    const auto outcome = validate(dns, net::DnsTransport::tcp);
    REQUIRE(outcome.problem);
    CAPTURE(outcome.problem->detail);
    CHECK(outcome.problem->type == row.type);
    CHECK(outcome.problem->detail.find(row.part) != std::string::npos);
  }
}

TEST_CASE("an answer that does not fit into a datagram is fetched over TCP") {
  std::vector<Bytes> records;
  for (int i = 0; i < 100; ++i)
    records.push_back(
        record_of(kName, kTxt, txt("order " + std::to_string(i) + std::string(300, 'x'))));
  records.push_back(record_of(kName, kTxt, txt(kDigest)));
  const DnsServer dns([&](const DnsQuestion& asked, ByteView question) {
    return asked.tcp ? DnsServer::message(kNoError, question, static_cast<int>(records.size()),
                                          all_of(records))
                     : DnsServer::message(kTruncated, question, 0);
  });
  CHECK_FALSE(validate(dns, net::DnsTransport::udp).problem);
  CHECK(dns.questions().size() == 2);
}

TEST_CASE("an answer cut short over TCP too says what to remove") {
  const DnsServer dns(
      always({.flags = kTruncated, .records = {record_of(kName, kTxt, txt(kDigest))}}));
  const auto outcome = validate(dns, net::DnsTransport::udp);
  REQUIRE(outcome.problem);
  CHECK(outcome.problem->type == ProblemType::dns);
  CHECK(outcome.problem->detail.find("is cut short. Remove TXT records of earlier orders") !=
        std::string::npos);
}

TEST_CASE("silent name servers cost no more than the timeout") {
  const DnsServer dns([](const DnsQuestion&, ByteView) { return Bytes(); });
  const auto outcome = validate(dns, net::DnsTransport::udp, std::chrono::seconds(1));
  REQUIRE(outcome.problem);
  CHECK(outcome.problem->type == ProblemType::dns);
  CHECK(outcome.problem->detail ==
        "dns-01 for a.test: no resolver answered in time for the TXT records of " + kName + "; " +
            dns.endpoint() +
            " was asked last. Check that all name servers of the zone answer, over UDP and TCP.");
}

TEST_CASE("a resolver that is not there is the operator's matter") {
  std::string endpoint;
  {
    endpoint = testing::LoopbackSocket(SOCK_STREAM).endpoint();
  }
  OsEntropy entropy;
  net::CaresResolver resolver(
      {.servers = {endpoint}, .transport = net::DnsTransport::tcp, .tries = 1}, entropy);
  net::SocketDialer dialer;
  net::Egress egress(resolver, dialer);
  const auto outcome = Dns01({}, egress)
                           .validate({.identifier = {IdentifierType::dns, "a.test"},
                                      .token = "token",
                                      .key_authorization = kKeyAuthorization,
                                      .account_url = "",
                                      .addresses = {}},
                                     Deadline::in(std::chrono::seconds(20)));
  REQUIRE(outcome.problem);
  CHECK(outcome.problem->type == ProblemType::dns);
  CHECK(outcome.problem->detail.find("ask the operator of this ACME server") != std::string::npos);
}

}  // namespace gatehouse::validators
