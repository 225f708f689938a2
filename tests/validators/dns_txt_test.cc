#include "validators/dns_txt.h"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <vector>

#include "tests/support/fake_dialer.h"
#include "tests/support/fake_resolver.h"

namespace gatehouse::validators {
namespace {

using Kind = net::DnsError::Kind;

const TxtQuestion kQuestion{.challenge_type = "dns-other-01",
                            .identifier = "a.test",
                            .name = "_other.a.test",
                            .expected = "wanted"};

struct World {
  testing::FakeResolver resolver;
  testing::FakeDialer dialer;
  net::Egress egress{resolver, dialer};

  TxtLookup look_up() {
    return look_up_txt(egress, kQuestion.name, Deadline::in(std::chrono::minutes(1)));
  }
};

TEST_CASE("a lookup gives every record, and its trail says which") {
  World world;
  world.resolver.add_text("_other.a.test", "one");
  world.resolver.add_text("_other.a.test", "two");
  const TxtLookup lookup = world.look_up();
  REQUIRE(lookup.answer);
  CHECK(lookup.answer->texts == std::vector<std::string>{"one", "two"});
  CHECK(lookup.trail == "dns _other.a.test TXT: \"one\", \"two\"");
}

TEST_CASE("problems name the challenge type that asked") {
  World world;
  world.resolver.add_text("_other.a.test", "one");
  const TxtLookup lookup = world.look_up();
  REQUIRE(lookup.answer);
  const Problem wrong = txt_problem(*lookup.answer, kQuestion, "Look again. ");
  CHECK(wrong.type == ProblemType::unauthorized);
  CHECK(wrong.detail ==
        "dns-other-01 for a.test: _other.a.test has the TXT record \"one\", but \"wanted\" was "
        "expected. Look again. Publish a TXT record at _other.a.test with the value \"wanted\" and "
        "wait until every name server of its zone has it.");
}

TEST_CASE("a name without TXT records is the client's to mend, a failing resolver nobody's proof") {
  World empty;
  empty.resolver.add_address("_other.a.test", "10.0.0.1");
  const TxtLookup none = empty.look_up();
  REQUIRE_FALSE(none.answer);
  CHECK(txt_problem(none.answer.error(), kQuestion).type == ProblemType::unauthorized);

  World broken;
  broken.resolver.fail("_other.a.test", net::RecordType::TXT, Kind::servfail);
  const TxtLookup failed = broken.look_up();
  REQUIRE_FALSE(failed.answer);
  const Problem problem = txt_problem(failed.answer.error(), kQuestion);
  CHECK(problem.type == ProblemType::dns);
  CHECK(problem.detail.starts_with("dns-other-01 for a.test: "));
}

}  // namespace
}  // namespace gatehouse::validators
