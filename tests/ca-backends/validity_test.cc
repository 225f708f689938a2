#include "ca-backends/validity.h"

#include <doctest/doctest.h>

#include <optional>
#include <string>

#include "acme-server/core/problem.h"
#include "tests/support/local_ca_files.h"
#include "tests/support/manual_clock.h"

using namespace gatehouse;
using backends::CaRole;
using backends::ChainLifetime;
using backends::leaf_validity;
using backends::RequestedDates;
using backends::Validity;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::kNoon;

namespace {

constexpr hours kDay{24};
constexpr seconds kSecond{1};

ChainLifetime chain_until(Instant not_after, Instant not_before = kNoon - 100 * kDay) {
  return {.not_before = not_before,
          .not_after = not_after,
          .ends_first = CaRole::root,
          .name = "CN=Corp Root"};
}

const ChainLifetime kChain = chain_until(kNoon + 1000 * kDay);

Profile ninety_days() {
  Profile profile;
  profile.validity = 90 * kDay;
  profile.backdate = hours(1);
  return profile;
}

RequestedDates asked(std::optional<Instant> not_before, std::optional<Instant> not_after) {
  return {.not_before = not_before, .not_after = not_after, .ordered = kNoon};
}

std::optional<Problem> refusal(const Profile& profile, const RequestedDates& dates,
                               const ChainLifetime& chain = kChain, Instant now = kNoon) {
  try {
    leaf_validity(profile, dates, chain, now);
  } catch (const RequestRejected& rejected) {
    return rejected.problem();
  }
  return std::nullopt;
}

}  // namespace

TEST_CASE("dates that do not fit the profile or the CAs are refused in words") {
  Profile no_dates = ninety_days();
  no_dates.client_dates = false;

  struct Row {
    const char* what;
    Profile profile;
    std::optional<Instant> not_before, not_after;
    ChainLifetime chain;
    const char* says;
  };

  const Instant latest = kNoon + 90 * kDay;
  const Row rows[] = {
      {"no dates wanted", no_dates, std::nullopt, kNoon + kDay, kChain, "order again without them"},
      {"begins too early", ninety_days(), kNoon - hours(1) - kSecond, std::nullopt, kChain,
       "earlier than 2026-06-01T11:00:00Z"},
      {"begins when others end", ninety_days(), latest, std::nullopt, kChain,
       "further ahead than certificates last, 90d"},
      {"ends before it begins", ninety_days(), kNoon + kDay, kNoon + kDay - kSecond, kChain,
       "no time in which"},
      {"ends when it begins", ninety_days(), kNoon + kDay, kNoon + kDay, kChain,
       "no time in which"},
      {"is over already", ninety_days(), std::nullopt, kNoon, kChain, "no time in which"},
      {"ends a second too late", ninety_days(), std::nullopt, latest + kSecond, kChain,
       "notAfter 2026-08-30T12:00:01Z is later than 2026-08-30T12:00:00Z, 90d from now"},
      {"ends a second too late after its notBefore", ninety_days(), kNoon + kDay,
       latest + kDay + kSecond, kChain, "90d after notBefore 2026-06-02T12:00:00Z"},
      {"spans more than the validity from a backdated notBefore", ninety_days(), kNoon - hours(1),
       latest, kChain, "is later than 2026-08-30T11:00:00Z"},
      {"asks for more than a CA has", ninety_days(), std::nullopt, kNoon + 60 * kDay,
       chain_until(kNoon + 60 * kDay - kSecond),
       "too late: the root \"CN=Corp Root\" ends at 2026-07-31T11:59:59Z"},
      {"begins before the issuer", ninety_days(), kNoon - hours(1), std::nullopt,
       chain_until(kNoon + 1000 * kDay, kNoon - hours(1) + kSecond),
       "before the issuing CA begins"},
      {"begins when a CA ends", ninety_days(), kNoon + 60 * kDay, std::nullopt,
       chain_until(kNoon + 60 * kDay), "too late: the root"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const auto problem = refusal(row.profile, asked(row.not_before, row.not_after), row.chain);
    REQUIRE(problem);
    CHECK(problem->type == ProblemType::malformed);
    CHECK_MESSAGE(problem->detail.find(row.says) != std::string::npos, problem->detail);
  }
}

TEST_CASE("a leaf gets the dates it may have, and none lasts longer than its profile says") {
  struct Row {
    const char* what;
    std::optional<Instant> not_before, not_after;
    ChainLifetime chain;
    Validity leaf;
  };

  const Instant earliest = kNoon - hours(1);
  const Instant latest = kNoon + 90 * kDay;
  const Row rows[] = {
      {"nothing asked",
       std::nullopt,
       std::nullopt,
       kChain,
       {earliest, earliest + 90 * kDay - kSecond}},
      {"the very notBefore",
       kNoon + hours(2),
       std::nullopt,
       kChain,
       {kNoon + hours(2), kNoon + hours(2) + 90 * kDay - kSecond}},
      {"the earliest notBefore",
       earliest,
       std::nullopt,
       kChain,
       {earliest, earliest + 90 * kDay - kSecond}},
      {"the latest notBefore",
       latest - kSecond,
       std::nullopt,
       kChain,
       {latest - kSecond, latest + 90 * kDay - 2 * kSecond}},
      {"the very notAfter", std::nullopt, kNoon + kDay, kChain, {earliest, kNoon + kDay}},
      {"90 days from now, and the backdate gives way",
       std::nullopt,
       latest,
       kChain,
       {kNoon, latest}},
      {"a part of the backdate gives way",
       std::nullopt,
       latest - minutes(30),
       kChain,
       {kNoon - minutes(30), latest - minutes(30)}},
      {"both", kNoon, latest, kChain, {kNoon, latest}},
      {"90 days after a later notBefore",
       kNoon + kDay,
       latest + kDay,
       kChain,
       {kNoon + kDay, latest + kDay}},
      {"one second",
       kNoon + kDay,
       kNoon + kDay + kSecond,
       kChain,
       {kNoon + kDay, kNoon + kDay + kSecond}},
      {"cut to a CA's end",
       std::nullopt,
       std::nullopt,
       chain_until(kNoon + 60 * kDay),
       {earliest, kNoon + 60 * kDay}},
      {"cut to the least",
       std::nullopt,
       std::nullopt,
       chain_until(kNoon + hours(1)),
       {earliest, kNoon + hours(1)}},
      {"as late as its issuer",
       std::nullopt,
       std::nullopt,
       chain_until(kNoon + 1000 * kDay, kNoon),
       {kNoon, earliest + 90 * kDay - kSecond}},
      {"asked for as long as a CA has left",
       std::nullopt,
       kNoon + kDay,
       chain_until(kNoon + kDay),
       {earliest, kNoon + kDay}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const Validity leaf =
        leaf_validity(ninety_days(), asked(row.not_before, row.not_after), row.chain, kNoon);
    CHECK(to_unix(leaf.not_before) == to_unix(row.leaf.not_before));
    CHECK(to_unix(leaf.not_after) == to_unix(row.leaf.not_after));
    CHECK(leaf.not_after - leaf.not_before <= ninety_days().validity);
  }
}

TEST_CASE("below the least validity nothing is issued, and the CA that ends is named") {
  const auto problem =
      refusal(ninety_days(), asked({}, {}), chain_until(kNoon + hours(1) - kSecond));
  REQUIRE(problem);
  CHECK(problem->type == ProblemType::serverInternal);
  CHECK(status_of(*problem) == 503);
  CHECK(problem->retry_after);
  CHECK(problem->detail ==
        "Nothing can be issued: the root \"CN=Corp Root\" ends at 2026-06-01T12:59:59Z, which "
        "leaves less than 1h, the least for a certificate of profile \"default\"; the operator of "
        "this server must renew it.");
  Profile longer = ninety_days();
  longer.minimum_validity = 30 * kDay;
  CHECK(refusal(longer, asked({}, {}), chain_until(kNoon + 30 * kDay - kSecond)));
  CHECK_FALSE(refusal(longer, asked({}, {}), chain_until(kNoon + 30 * kDay)));
  // What lasts less by its profile is no less for it.
  Profile minutes_long = ninety_days();
  minutes_long.validity = minutes(10);
  minutes_long.backdate = seconds(0);
  CHECK_FALSE(refusal(minutes_long, asked({}, {}), chain_until(kNoon + minutes(10))));
}

TEST_CASE("what newOrder has accepted holds at finalize") {
  const Instant later = kNoon + 5 * kDay;
  const RequestedDates dates = asked(kNoon - hours(1), kNoon + 80 * kDay);
  CHECK(leaf_validity(ninety_days(), dates, kChain, later) ==
        Validity{kNoon - hours(1), kNoon + 80 * kDay});
  const auto over = refusal(ninety_days(), dates, kChain, kNoon + 80 * kDay);
  REQUIRE(over);
  CHECK(over->type == ProblemType::malformed);
}

TEST_CASE("a backdate that is not shorter than the validity is half of it") {
  Profile profile = ninety_days();
  profile.validity = hours(1);
  profile.backdate = hours(1);
  const Validity leaf = leaf_validity(profile, asked({}, {}), kChain, kNoon);
  CHECK(leaf.not_before == kNoon - minutes(30));
  CHECK(leaf.not_after == kNoon + minutes(30) - kSecond);
}

TEST_CASE("of a chain the CA is found that ends it, the highest where several do") {
  testing::ManualClock clock;
  testing::LocalCaFiles ca(clock);
  const auto ending = [](Instant at) {
    return [at](crypto::CertificateTemplate& made) { made.not_after = at; };
  };
  const auto lifetime = [&](Instant issuer, Instant middle, Instant root) {
    const auto top = ca.make("Top", nullptr, ending(root));
    const auto between = ca.make("Between", &top, ending(middle));
    const auto below = ca.make("Below", &between, ending(issuer));
    return backends::lifetime_of({.id = IssuerId("id"),
                                  .certificate = below.certificate,
                                  .chain = {below.certificate, between.certificate},
                                  .root = top.certificate});
  };
  const Instant soon = kNoon + 10 * kDay;
  const Instant late = kNoon + 20 * kDay;

  struct Row {
    Instant issuer, middle, root;
    const char* says;
  };

  for (const Row& row : {Row{soon, late, late, "the issuing CA \"CN=Below\""},
                         Row{late, soon, late, "the intermediate CA \"CN=Between\""},
                         Row{late, late, soon, "the root \"CN=Top\""},
                         Row{soon, soon, late, "the intermediate CA \"CN=Between\""},
                         Row{soon, soon, soon, "the root \"CN=Top\""}}) {
    const ChainLifetime chain = lifetime(row.issuer, row.middle, row.root);
    CHECK(backends::describe(chain) == row.says);
    CHECK(chain.not_after == soon);
  }
}
