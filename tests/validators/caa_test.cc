#include "validators/caa.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "tests/support/fake_dialer.h"
#include "tests/support/fake_resolver.h"

namespace gatehouse::validators {

namespace {

using net::CaaRecord;
using net::DnsError;
using net::RecordType;
using Records = std::vector<CaaRecord>;
using Texts = std::vector<std::string>;

const std::string kName = "www.team.corp.test";
const std::string kAccount = "https://acme.test/acme/default/account/7";
const std::string kOldAccount = "https://old.test/acme/default/account/7";

CaaRecord issue(std::string value, std::uint8_t flags = 0) {
  return {.flags = flags, .tag = "issue", .value = std::move(value)};
}

CaaRecord issuewild(std::string value) {
  return {.flags = 0, .tag = "issuewild", .value = std::move(value)};
}

CaaRecord record(std::uint8_t flags, std::string tag, std::string value) {
  return {.flags = flags, .tag = std::move(tag), .value = std::move(value)};
}

// How a certificate for the name, and one for "*." and the name, fare.
enum class Verdict { permitted, forbidden };
constexpr Verdict kYes = Verdict::permitted;
constexpr Verdict kNo = Verdict::forbidden;

struct RecordRow {
  std::string what;
  Records records;
  Verdict plain, wild;
};

const std::vector<RecordRow>& record_rows() {
  static const std::vector<RecordRow> rows = {
      {"ours", {issue("ca.test")}, kYes, kYes},
      {"our second name", {issue("ca2.test")}, kYes, kYes},
      {"ours in capitals", {issue("CA.Test")}, kYes, kYes},
      {"ours, tag in capitals", {record(0, "ISSUE", "ca.test")}, kYes, kYes},
      {"another's", {issue("other.test")}, kNo, kNo},
      {"another's and ours", {issue("other.test"), issue("ca.test")}, kYes, kYes},
      {"nobody's", {issue(";")}, kNo, kNo},
      {"empty", {issue("")}, kNo, kNo},
      {"nobody's and ours", {issue(";"), issue("ca.test")}, kYes, kYes},
      {"a name that ends in ours", {issue("evil-ca.test")}, kNo, kNo},
      {"a name below ours", {issue("sub.ca.test")}, kNo, kNo},
      {"the name above ours", {issue("test")}, kNo, kNo},
      {"ours with a dot at its end", {issue("ca.test.")}, kNo, kNo},
      {"ours behind a NUL", {issue(std::string("ca.test\0", 8))}, kNo, kNo},
      {"malformed alone", {issue("%%%%%")}, kNo, kNo},
      {"malformed and ours", {issue("%%%%%"), issue("ca.test")}, kYes, kYes},
      {"ours with a bad parameter", {issue("ca.test; accounturi")}, kNo, kNo},
      {"ours with an unknown parameter", {issue("ca.test; policy=ev")}, kYes, kYes},
      {"ours, critical", {issue("ca.test", 128)}, kYes, kYes},
      {"ours, critical as of old", {issue("ca.test", 1)}, kYes, kYes},
      {"ours, reserved bits", {issue("ca.test", 0x7e)}, kYes, kYes},
      {"only wild: ours", {issuewild("ca.test")}, kYes, kYes},
      {"only wild: another's", {issuewild("other.test")}, kYes, kNo},
      {"only wild: nobody's", {issuewild(";")}, kYes, kNo},
      {"only wild: malformed", {issuewild("a b")}, kYes, kNo},
      {"ours, wild another's", {issue("ca.test"), issuewild("other.test")}, kYes, kNo},
      {"ours, wild nobody's", {issue("ca.test"), issuewild(";")}, kYes, kNo},
      {"nobody's, wild ours", {issue(";"), issuewild("ca.test")}, kNo, kYes},
      {"another's, wild ours", {issue("other.test"), issuewild("ca.test")}, kNo, kYes},
      {"ours, wild another's and ours",
       {issue("ca.test"), issuewild("other.test"), issuewild("ca.test")},
       kYes,
       kYes},
      {"iodef alone", {record(0, "iodef", "mailto:a@corp.test")}, kYes, kYes},
      {"iodef critical", {record(128, "iodef", "mailto:a@corp.test")}, kYes, kYes},
      {"issuemail alone", {record(0, "issuemail", ";")}, kYes, kYes},
      {"issuemail critical", {record(128, "issuemail", ";")}, kYes, kYes},
      {"issuevmc critical", {record(128, "issuevmc", ";")}, kYes, kYes},
      {"contactemail critical", {record(128, "contactemail", "a@corp.test")}, kYes, kYes},
      {"contactphone critical", {record(128, "ContactPhone", "+1")}, kYes, kYes},
      {"unknown", {record(0, "tbs", "x")}, kYes, kYes},
      {"unknown, reserved bits", {record(0x7e, "tbs", "x")}, kYes, kYes},
      {"unknown critical", {record(128, "tbs", "x")}, kNo, kNo},
      {"unknown critical as of old", {record(1, "tbs", "x")}, kNo, kNo},
      {"unknown, flags 129", {record(129, "tbs", "x")}, kNo, kNo},
      {"unknown, flags 255", {record(255, "tbs", "x")}, kNo, kNo},
      {"unknown critical beside ours", {issue("ca.test"), record(128, "tbs", "x")}, kNo, kNo},
      {"our account", {issue("ca.test; accounturi=" + kAccount)}, kYes, kYes},
      {"our account by its old URL", {issue("ca.test; accounturi=" + kOldAccount)}, kYes, kYes},
      {"our account, tag in capitals", {issue("ca.test; AccountURI=" + kAccount)}, kYes, kYes},
      {"another account, tag in capitals",
       {issue("ca.test; AccountURI=" + kAccount + "8")},
       kNo,
       kNo},
      {"another account", {issue("ca.test; accounturi=" + kAccount + "8")}, kNo, kNo},
      {"account in capitals",
       {issue("ca.test; accounturi=HTTPS://acme.test/acme/default/account/7")},
       kNo,
       kNo},
      {"account with a slash", {issue("ca.test; accounturi=" + kAccount + "/")}, kNo, kNo},
      {"account over http",
       {issue("ca.test; accounturi=http://acme.test/acme/default/account/7")},
       kNo,
       kNo},
      {"account with a port",
       {issue("ca.test; accounturi=https://acme.test:443/acme/default/account/7")},
       kNo,
       kNo},
      {"account empty", {issue("ca.test; accounturi=")}, kNo, kNo},
      {"account twice",
       {issue("ca.test; accounturi=" + kAccount + "; accounturi=" + kAccount)},
       kNo,
       kNo},
      {"account twice beside ours",
       {issue("ca.test; accounturi=" + kAccount + "; accounturi=" + kAccount), issue("ca.test")},
       kYes,
       kYes},
      {"another account and ours",
       {issue("ca.test; accounturi=x:y"), issue("ca.test; accounturi=" + kAccount)},
       kYes,
       kYes},
      {"our account at another CA", {issue("other.test; accounturi=" + kAccount)}, kNo, kNo},
      {"our method", {issue("ca.test; validationmethods=dns-01")}, kYes, kYes},
      {"our method among others", {issue("ca.test; validationmethods=http-01,dns-01")}, kYes, kYes},
      {"another method", {issue("ca.test; validationmethods=http-01")}, kNo, kNo},
      {"methods empty", {issue("ca.test; validationmethods=")}, kNo, kNo},
      {"methods no list", {issue("ca.test; validationmethods=dns-01,")}, kNo, kNo},
      {"methods twice",
       {issue("ca.test; validationmethods=dns-01; validationmethods=dns-01")},
       kNo,
       kNo},
      {"account and method",
       {issue("ca.test; accounturi=" + kAccount + "; validationmethods=dns-01")},
       kYes,
       kYes},
      {"account and another method",
       {issue("ca.test; accounturi=" + kAccount + "; validationmethods=http-01")},
       kNo,
       kNo},
      {"wild by method", {issue(";"), issuewild("ca.test; validationmethods=dns-01")}, kNo, kYes},
      {"wild by another account",
       {issue("ca.test"), issuewild("ca.test; accounturi=x:y")},
       kYes,
       kNo},
  };
  return rows;
}

struct World {
  testing::FakeResolver resolver;
  testing::FakeDialer dialer;
  net::Egress egress{resolver, dialer};
  Caa caa{egress};
  CaaRequest request{.identifier = {IdentifierType::dns, kName},
                     .wildcard = false,
                     .identities = {"ca.test", "ca2.test"},
                     .account_urls = {kAccount, kOldAccount},
                     .challenge_type = "dns-01"};

  void add(const std::string& name, const Records& records) {
    for (const CaaRecord& each : records) resolver.add_caa(name, each);
  }

  CaaResult check(bool wildcard = false) {
    request.wildcard = wildcard;
    return caa.check(request, Deadline::in(std::chrono::minutes(1)));
  }
};

// Where the records stand, as a walk from kName meets them.
struct Level {
  std::string what;
  std::function<void(World&, const Records&)> put;
};

const std::vector<Level>& levels() {
  static const std::vector<Level> all = {
      {"exact", [](World& world, const Records& records) { world.add(kName, records); }},
      {"exact, above it another CA's",
       [](World& world, const Records& records) {
         world.add(kName, records);
         world.add("team.corp.test", {issue("other.test"), issuewild("ca.test")});
       }},
      {"parent",
       [](World& world, const Records& records) { world.add("team.corp.test", records); }},
      {"grandparent, and no records of the name",
       [](World& world, const Records& records) {
         world.resolver.add_address(kName, "10.0.0.1");
         world.add("corp.test", records);
       }},
      {"top", [](World& world, const Records& records) { world.add("test", records); }},
      {"CNAME",
       [](World& world, const Records& records) {
         world.resolver.add_alias(kName, "host.cloud.test");
         world.add("host.cloud.test", records);
       }},
      {"CNAME to a name without, records of whose parent do not count",
       [](World& world, const Records& records) {
         world.resolver.add_alias(kName, "host.cloud.test");
         world.add("cloud.test", {issue("other.test"), record(128, "tbs", "x")});
         world.add("team.corp.test", records);
       }},
      {"CNAME of the parent",
       [](World& world, const Records& records) {
         world.resolver.add_alias("team.corp.test", "host.cloud.test");
         world.add("host.cloud.test", records);
       }},
  };
  return all;
}

TEST_CASE("records × where they stand × wildcard: permitted or forbidden") {
  int cases = 0;
  for (const RecordRow& row : record_rows()) {
    for (const Level& level : levels()) {
      for (const bool wildcard : {false, true}) {
        CAPTURE(row.what);
        CAPTURE(level.what);
        CAPTURE(wildcard);
        World world;
        level.put(world, row.records);
        const CaaResult result = world.check(wildcard);
        const Verdict expected = wildcard ? row.wild : row.plain;
        CHECK((result.problem ? kNo : kYes) == expected);
        if (result.problem) CHECK(result.problem->type == ProblemType::caa);
        CHECK_FALSE(result.trail.empty());
        ++cases;
      }
    }
  }
  CHECK(cases >= 600);
}

TEST_CASE(
    "an answer that is none, up to the first records, forbids; above them it is not asked for") {
  int cases = 0;
  const Texts walk = {kName, "team.corp.test", "corp.test", "test"};
  for (const auto kind :
       {DnsError::Kind::servfail, DnsError::Kind::refused, DnsError::Kind::timeout,
        DnsError::Kind::unreachable, DnsError::Kind::malformed, DnsError::Kind::truncated,
        DnsError::Kind::bad_name}) {
    for (std::size_t failing = 0; failing < walk.size(); ++failing) {
      for (std::size_t standing = 0; standing <= walk.size(); ++standing) {  // the last: nowhere
        for (const bool wildcard : {false, true}) {
          CAPTURE(static_cast<int>(kind));
          CAPTURE(failing);
          CAPTURE(standing);
          World world;
          if (standing < walk.size()) world.add(walk[standing], {issue("ca.test")});
          world.resolver.fail(walk[failing], RecordType::CAA, kind);
          // fail() answers for names of the zone and others alike.
          const CaaResult result = world.check(wildcard);
          const bool met = failing <= standing;
          CHECK(result.problem.has_value() == met);
          if (met && result.problem) {
            CHECK(result.problem->type == ProblemType::dns);
            CHECK(result.problem->detail.find(walk[failing]) != std::string::npos);
          }
          ++cases;
        }
      }
    }
  }
  CHECK(cases >= 200);
}

TEST_CASE(
    "the walk asks for each name once, up to the last label, and stops at the first records") {
  World world;
  CHECK_FALSE(world.check().problem);
  CHECK(world.resolver.questions() ==
        Texts{"www.team.corp.test CAA", "team.corp.test CAA", "corp.test CAA", "test CAA"});
  CHECK(world.check().trail == Texts{"CAA www.team.corp.test: none", "CAA team.corp.test: none",
                                     "CAA corp.test: none", "CAA test: none",
                                     "CAA permits it: no records"});
  World stopped;
  stopped.add("team.corp.test", {issue("ca.test")});
  CHECK(stopped.check(true).trail == Texts{"CAA www.team.corp.test: none",
                                           "CAA team.corp.test: 0 issue \"ca.test\"",
                                           "CAA permits it"});
  CHECK(stopped.resolver.questions() == Texts{"www.team.corp.test CAA", "team.corp.test CAA"});
  World single;
  single.request.identifier.value = "host";
  CHECK_FALSE(single.check().problem);
  CHECK(single.resolver.questions() == Texts{"host CAA"});
}

TEST_CASE("a trail tells of CNAMEs and of what DNSSEC proved") {
  World world;
  world.resolver.script(kName, [](RecordType) {
    return testing::FakeResolver::Answer(net::DnsAnswer{.aliases = {"host.cloud.test"},
                                                        .addresses = {},
                                                        .texts = {},
                                                        .caa = {issue("ca.test")},
                                                        .authenticated = true});
  });
  CHECK(world.check().trail.front() ==
        "CAA www.team.corp.test: 0 issue \"ca.test\", by CNAME of host.cloud.test (DNSSEC)");
}

TEST_CASE("records behind a CNAME forbid without being shown") {
  World world;
  world.resolver.add_alias(kName, "internal.test");
  for (const CaaRecord& secret :
       {issue("secret.test"), record(128, "secret", "x"), issue("secret;;")}) {
    world.resolver.script("internal.test", [&](RecordType) {
      return testing::FakeResolver::Answer(net::DnsAnswer{.aliases = {"internal.test"},
                                                          .addresses = {},
                                                          .texts = {},
                                                          .caa = {secret},
                                                          .authenticated = false});
    });
    const CaaResult result = world.check();
    REQUIRE(result.problem);
    CHECK(result.problem->type == ProblemType::caa);
    CHECK(
        result.problem->detail ==
        "CAA for www.team.corp.test: www.team.corp.test leads by CNAME to CAA records that do not "
        "permit this CA. Look at the records where it leads to, or set CAA records without a "
        "CNAME.");
  }
}

TEST_CASE("a refusal names the name, where the record stands, the record and what to add") {
  struct Row {
    Records records;
    bool wildcard;
    std::string detail;
  };

  const std::string begin = "CAA for www.team.corp.test: corp.test has the ";
  const std::string wild_begin = "CAA for *.www.team.corp.test: corp.test has the ";
  const Row rows[] = {
      {{issue("other.test")},
       false,
       begin + "CAA record 0 issue \"other.test\", which does not permit this CA. Add the record: "
               "corp.test. CAA 0 issue \"ca.test\"."},
      {{issue(";")},
       true,
       wild_begin + "CAA record 0 issue \";\", which does not permit this CA. Add the record: "
                    "corp.test. CAA 0 issue \"ca.test\"."},
      {{issue("ca.test"), issuewild(";")},
       true,
       wild_begin +
           "CAA records 0 issue \"ca.test\", 0 issuewild \";\", none of which permits this "
           "CA. Add the record: corp.test. CAA 0 issuewild \"ca.test\"."},
      {{issue("ca.test;;")},
       false,
       begin +
           "CAA record 0 issue \"ca.test;;\", which does not follow RFC 8659 section 4.2 and so "
           "permits nobody. Add the record: corp.test. CAA 0 issue \"ca.test\"."},
      {{record(128, "tbs", "x")},
       false,
       begin +
           "critical CAA record 128 tbs \"x\", a property that this CA does not know. Remove the "
           "record, or clear its flags if CAs may pass over it."},
      {{issue("other.test"), issue("ca.test; accounturi=x:y")},
       false,
       begin +
           "CAA record 0 issue \"ca.test; accounturi=x:y\", which permits this CA for another "
           "account. Add the record: corp.test. CAA 0 issue \"ca.test; accounturi=" +
           kAccount + "\"."},
      {{issue("ca.test; validationmethods=http-01")},
       false,
       begin +
           "CAA record 0 issue \"ca.test; validationmethods=http-01\", which does not list dns-01 "
           "in validationmethods. Prove the name by a type that it lists, or add the record: "
           "corp.test. CAA 0 issue \"ca.test; validationmethods=dns-01\"."},
      {{issue("ca.test; accounturi=a; accounturi=b")},
       false,
       begin +
           "CAA record 0 issue \"ca.test; accounturi=a; accounturi=b\", which has accounturi or "
           "validationmethods more than once and so permits nobody. Leave one of each."},
  };
  for (const Row& row : rows) {
    World world;
    world.add("corp.test", row.records);
    const CaaResult result = world.check(row.wildcard);
    REQUIRE(result.problem);
    CHECK(result.problem->detail == row.detail);
  }
}

TEST_CASE("what strangers write into a record is shown harmless and short") {
  World world;
  world.add(kName, {issue("a\x01\x7f\xff\"" + std::string(5000, 'x'))});
  for (int i = 0; i < 200; ++i) world.add(kName, {issue("other.test")});
  const CaaResult result = world.check();
  REQUIRE(result.problem);
  CHECK(result.problem->detail.size() < 1000);
  CHECK(result.problem->detail.find("\\x01\\x7f\\xff\\\"") != std::string::npos);
  CHECK(result.trail.front().size() < 1000);
  CHECK(result.trail.front().find("197 more") != std::string::npos);
}

TEST_CASE("a CA without a name for CAA is permitted by no record, and says whom to ask") {
  World world;
  world.request.identities.clear();
  CHECK_FALSE(world.check().problem);
  world.add("corp.test", {issue("")});
  const CaaResult result = world.check();
  REQUIRE(result.problem);
  CHECK(result.problem->detail.find("caa_identities") != std::string::npos);
}

TEST_CASE("a name with more than 20 labels fails in words, and nothing is asked for") {
  const auto name_of = [](int labels) {
    std::string name = "test";
    for (int i = 1; i < labels; ++i) name.insert(0, "l" + std::to_string(i) + ".");
    return name;
  };
  World deep;
  deep.request.identifier.value = name_of(21);
  for (const bool wildcard : {false, true}) {
    const CaaResult result = deep.check(wildcard);
    REQUIRE(result.problem);
    CHECK(result.problem->type == ProblemType::caa);  // no later try says otherwise
    CHECK(result.problem->detail ==
          "CAA for " + std::string(wildcard ? "*." : "") + name_of(21) +
              ": the name has 21 labels, and this CA looks for CAA records at 20 at most. Order a "
              "name with fewer labels.");
    CHECK(result.trail == Texts{"CAA not asked for: 21 labels"});
  }
  CHECK(deep.resolver.questions().empty());

  World allowed;
  allowed.request.identifier.value = name_of(20);
  CHECK_FALSE(allowed.check().problem);
  CHECK(allowed.resolver.questions().size() == 20);
}

TEST_CASE("a deadline that has passed is no permission") {
  struct Silent final : net::Resolver {
    Expected<net::DnsAnswer, DnsError> query(const std::string&, RecordType,
                                             Deadline deadline) override {
      CHECK(deadline.expired());
      return testing::FakeResolver::error(DnsError::Kind::timeout, "no resolver answered in time");
    }
  };

  Silent silent;
  testing::FakeDialer dialer;
  net::Egress egress(silent, dialer);
  Caa caa(egress);
  const CaaResult result = caa.check(World().request, Deadline::in(std::chrono::milliseconds(0)));
  REQUIRE(result.problem);
  CHECK(result.problem->type == ProblemType::dns);
}

}  // namespace

}  // namespace gatehouse::validators
