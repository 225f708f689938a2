#include "validators/dns01.h"

#include <doctest/doctest.h>

#include "acme-server/base/text.h"
#include "tests/support/fake_dialer.h"
#include "tests/support/fake_resolver.h"

namespace gatehouse::validators {

namespace {

using Kind = net::DnsError::Kind;
using Texts = std::vector<std::string>;

// The key authorization of RFC 8555 section 8.1 and its digest, worked out with openssl dgst.
const std::string kKeyAuthorization =
    "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA.NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
const std::string kDigest = "ZTRx1Ckl1-tM05o5zaizTTA0yUy5AGereMgSNWC6Ll8";
const std::string kName = "_acme-challenge.a.test";

struct World {
  testing::FakeResolver resolver;
  testing::FakeDialer dialer;
  net::Egress egress{resolver, dialer};

  ValidationOutcome validate() {
    return Dns01({}, egress)
        .validate({.identifier = {IdentifierType::dns, "a.test"},
                   .token = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA",
                   .key_authorization = kKeyAuthorization,
                   .account_url = "https://ca.test/acct/1",
                   .addresses = {}},
                  Deadline::in(std::chrono::minutes(1)));
  }

  Problem failure() {
    const auto outcome = validate();
    REQUIRE(outcome.problem);
    CHECK(outcome.problem->detail.starts_with("dns-01 for a.test: "));
    CHECK(outcome.problem->detail.ends_with("."));
    CHECK(outcome.trail.size() == 1);
    return *outcome.problem;
  }
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the digest of the key authorization below the name proves it, and nothing is dialled") {
  World world;
  world.resolver.add_text(kName, kDigest);
  const auto outcome = world.validate();
  CHECK_FALSE(outcome.problem);
  CHECK(outcome.trail == Texts{"dns " + kName + " TXT: \"" + kDigest + "\""});
  CHECK(world.resolver.questions() == Texts{kName + " TXT"});
  CHECK(world.dialer.dialled() == Texts{});
}

TEST_CASE("what DNS answered is told from what nobody could tell") {
  using Kind = net::DnsError::Kind;
  for (const auto& [kind, answered] :
       {std::pair(Kind::nxdomain, true), std::pair(Kind::no_data, true),
        std::pair(Kind::servfail, false), std::pair(Kind::refused, false),
        std::pair(Kind::timeout, false), std::pair(Kind::unreachable, false)}) {
    World world;
    world.resolver.fail(kName, net::RecordType::TXT, kind);
    CHECK(world.validate().answered == answered);
  }
  World wrong;
  wrong.resolver.add_text(kName, "other");
  CHECK(wrong.validate().answered);
}

TEST_CASE("of several TXT records any may be the one") {
  const std::string filler(300, 'x');
  for (const Texts& records : {Texts{kDigest, "v=spf1 -all"}, Texts{"other", kDigest},
                               Texts{"", filler, kDigest, filler}, Texts{kDigest, kDigest}}) {
    World world;
    for (const std::string& record : records) world.resolver.add_text(kName, record);
    CHECK_FALSE(world.validate().problem);
  }
  World many;
  for (int i = 0; i < 200; ++i) many.resolver.add_text(kName, "order " + std::to_string(i));
  many.resolver.add_text(kName, kDigest);
  CHECK_FALSE(many.validate().problem);
}

TEST_CASE("only exactly the digest proves anything") {
  std::string standard_base64 = kDigest;
  for (char& c : standard_base64) c = c == '-' ? '+' : c == '_' ? '/' : c;
  for (const std::string& record :
       {std::string(), kKeyAuthorization, " " + kDigest, kDigest + " ", kDigest + "\n",
        kDigest + "=", "\"" + kDigest + "\"", kDigest + kDigest, kDigest.substr(1),
        kDigest.substr(0, kDigest.size() - 1), kDigest + std::string(1, '\0'), to_lower(kDigest),
        standard_base64, "_acme-challenge=" + kDigest,
        kDigest.substr(0, 20) + " " + kDigest.substr(20),
        // SHA-256 in hex
        std::string("653471d42925d7eb4cd39a39cda8b34d3034c94cb90067ab78c8123560ba2e5f")}) {
    CAPTURE(record);
    World world;
    world.resolver.add_text(kName, record);
    const Problem problem = world.failure();
    CHECK(problem.type == ProblemType::unauthorized);
    CHECK(contains(problem.detail, kName + " has the TXT record \""));
    CHECK(contains(problem.detail, "but \"" + kDigest + "\" was expected"));
  }
}

TEST_CASE("pieces of the digest in several records do not add up") {
  World world;
  world.resolver.add_text(kName, kDigest.substr(0, 20));
  world.resolver.add_text(kName, kDigest.substr(20));
  CHECK(world.failure().type == ProblemType::unauthorized);
}

TEST_CASE("the record counts at its own name alone") {
  World world;
  for (const std::string name : {"a.test", "_acme-challenge.b.test", "_acme-challenge.www.a.test",
                                 "*.a.test", "_acme-challenge.test"}) {
    world.resolver.add_text(name, kDigest);
  }
  CHECK(world.failure().type == ProblemType::dns);
}

TEST_CASE("CNAME records are followed through several zones") {
  World world;
  world.resolver.add_alias(kName, "a.acme.test");
  world.resolver.add_alias("a.acme.test", "b.acme.test");
  world.resolver.add_alias("b.acme.test", "c.elsewhere.test");
  world.resolver.add_text("c.elsewhere.test", kDigest);
  const auto outcome = world.validate();
  CHECK_FALSE(outcome.problem);
  CHECK(outcome.trail == Texts{"dns " + kName +
                               " TXT: CNAME a.acme.test, then b.acme.test, then c.elsewhere.test, "
                               "\"" +
                               kDigest + "\""});
}

TEST_CASE("each failure says what was looked up, what was found and what to change") {
  struct Row {
    Kind kind;
    ProblemType type;
    std::string next_step;
  };

  const Row rows[] = {
      {Kind::servfail, ProblemType::dns, "DS, DNSKEY and RRSIG records agree"},
      {Kind::refused, ProblemType::dns, "the name servers the zone is delegated to serve it"},
      {Kind::timeout, ProblemType::dns, "name servers of the zone answer, over UDP and TCP"},
      {Kind::unreachable, ProblemType::dns, "ask the operator of this ACME server"},
      {Kind::malformed, ProblemType::dns, "Check the CNAME and TXT records of " + kName},
      {Kind::truncated, ProblemType::dns, "Remove TXT records of earlier orders from " + kName},
      {Kind::bad_name, ProblemType::dns, "a name that DNS can hold"},
  };
  for (const Row& row : rows) {
    World world;
    world.resolver.fail(kName, net::RecordType::TXT, row.kind);
    const Problem problem = world.failure();
    CAPTURE(problem.detail);
    CHECK(problem.type == row.type);
    CHECK(contains(problem.detail, "the resolver failed for " + kName));
    CHECK(contains(problem.detail, row.next_step));
  }
}

TEST_CASE("a name that is not there, and one without TXT records, are told apart") {
  const std::string publish = "Publish a TXT record at " + kName + " with the value \"" + kDigest +
                              "\" and wait until every name server of its zone has it.";
  World none;
  CHECK(none.failure() == Problem{.type = ProblemType::dns,
                                  .detail = "dns-01 for a.test: " + kName +
                                            " does not exist in DNS (NXDOMAIN). " + publish});
  World other;
  other.resolver.add_address(kName, "10.0.0.1");
  CHECK(other.failure() ==
        Problem{.type = ProblemType::unauthorized,
                .detail = "dns-01 for a.test: " + kName + " has no TXT records. " + publish});
}

TEST_CASE("a CNAME that leads nowhere is named, and so is where the record belongs") {
  World world;
  world.resolver.add_alias(kName, "gone.test");
  CHECK(world.failure().detail ==
        "dns-01 for a.test: " + kName +
            " (a CNAME to gone.test) does not exist in DNS (NXDOMAIN). Publish a TXT record at "
            "gone.test with the value \"" +
            kDigest +
            "\" and wait until every name server of its zone has it, or remove the CNAME record if "
            "it is not wanted.");
  world.resolver.add_address("gone.test", "10.0.0.1");
  CHECK(contains(
      world.failure().detail,
      kName + " (a CNAME to gone.test) has no TXT records. Publish a TXT record at gone.test"));
}

TEST_CASE("the usual mistakes are named") {
  const struct {
    std::string record, hint;
  } rows[] = {
      {kKeyAuthorization, "That is the key authorization itself"},
      {kKeyAuthorization + "\n", "That is the key authorization itself"},
      {"\"" + kDigest + "\"", "White space, quotes or \"=\""},
      {kDigest + "=", "White space, quotes or \"=\""},
      {" " + kDigest, "White space, quotes or \"=\""},
      {to_lower(kDigest), "Upper and lower case count"},
  };

  for (const auto& row : rows) {
    World world;
    world.resolver.add_text(kName, "unrelated");
    world.resolver.add_text(kName, row.record);
    CHECK(contains(world.failure().detail, row.hint));
  }
  for (const std::string& record :
       {std::string("\"\""), std::string("="), std::string(), std::string("unrelated")}) {
    World world;
    world.resolver.add_text(kName, record);
    CHECK(contains(world.failure().detail, "was expected. Publish"));
  }
}

TEST_CASE("of what was found a few short escaped samples are shown") {
  World world;
  world.resolver.add_text(kName, "<script>\x01\xff\"" + std::string(5000, 'z'));
  for (int i = 0; i < 9; ++i) world.resolver.add_text(kName, "record " + std::to_string(i));
  const Problem problem = world.failure();
  CHECK(contains(problem.detail, kName + " has 10 TXT records, \"<script>\\x01\\xff\\\"zzz"));
  CHECK_FALSE(contains(problem.detail, std::string(100, 'z')));
  CHECK(contains(problem.detail, "\"record 3\" and 5 more, but"));
  CHECK_FALSE(contains(problem.detail, "record 4"));
  CHECK(problem.detail.size() < 1000);
}

TEST_CASE("records behind a CNAME are counted, not shown: their name was chosen by who set it") {
  World world;
  world.resolver.add_alias(kName, "internal.test");
  world.resolver.add_text("internal.test", "secret");
  for (const std::string count : {"a TXT record", "2 TXT records"}) {
    const Problem problem = world.failure();
    CHECK(contains(problem.detail, "(a CNAME to internal.test) has " + count +
                                       " with other text, but \"" + kDigest + "\" was expected"));
    CHECK_FALSE(contains(problem.detail, "secret"));
    world.resolver.add_text("internal.test", "secret too");
  }
}

TEST_CASE("a name in a CNAME record is shown escaped") {
  World world;
  world.resolver.add_alias(kName, "\x1b[31m.test\n");
  world.resolver.add_text("\x1b[31m.test\n", "other");
  const auto outcome = world.validate();
  REQUIRE(outcome.problem);
  for (const std::string& text : {outcome.problem->detail, outcome.trail.at(0)}) {
    CHECK(contains(text, "\\x1b[31m.test\\x0a"));
    CHECK_FALSE(contains(text, "\x1b"));
  }
}

TEST_CASE("dns-01 is for DNS names and wildcards that leave room for its label, never addresses") {
  World world;
  Dns01 validator({}, world.egress);
  const auto can = [&](IdentifierType type, const std::string& value) {
    return validator.can_validate({type, value});
  };
  CHECK(validator.challenge_type() == "dns-01");
  CHECK(can(IdentifierType::dns, "a.test"));
  CHECK(can(IdentifierType::dns, "*.a.test"));
  CHECK_FALSE(can(IdentifierType::ip, "10.0.0.1"));  // RFC 8738 section 7
  CHECK_FALSE(can(IdentifierType::ip, "fd00::1"));
  CHECK(can(IdentifierType::dns, std::string(237, 'a')));
  CHECK_FALSE(can(IdentifierType::dns, std::string(238, 'a')));
  CHECK(can(IdentifierType::dns, "*." + std::string(237, 'a')));
}

TEST_CASE("an address or a wildcard that comes this far is a bug") {
  World world;
  Dns01 validator({}, world.egress);
  for (const Identifier& identifier :
       {Identifier{IdentifierType::ip, "10.0.0.1"}, Identifier{IdentifierType::dns, "*.a.test"}}) {
    CHECK_THROWS_AS(validator.validate({.identifier = identifier,
                                        .token = "token",
                                        .key_authorization = kKeyAuthorization,
                                        .account_url = "",
                                        .addresses = {}},
                                       Deadline::in(std::chrono::seconds(1))),
                    LogicError);
  }
}

}  // namespace gatehouse::validators
