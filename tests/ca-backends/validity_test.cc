#include "ca-backends/validity.h"

#include <doctest/doctest.h>

#include <optional>
#include <string>

#include "acme-server/core/problem.h"
#include "tests/support/manual_clock.h"

using namespace gatehouse;
using backends::leaf_validity;
using backends::Validity;
using std::chrono::hours;
using std::chrono::seconds;
using testing::kNoon;

namespace {

constexpr hours kDay{24};
constexpr seconds kSecond{1};
const Validity kIssuer{kNoon - 100 * kDay, kNoon + 1000 * kDay};

Profile ninety_days() {
  Profile profile;
  profile.validity = 90 * kDay;
  profile.backdate = hours(1);
  return profile;
}

std::optional<Problem> refusal(const Profile& profile, std::optional<Instant> not_before,
                               std::optional<Instant> not_after, const Validity& issuer = kIssuer) {
  try {
    leaf_validity(profile, not_before, not_after, issuer, kNoon);
  } catch (const RequestRejected& rejected) {
    return rejected.problem();
  }
  return std::nullopt;
}

}  // namespace

TEST_CASE("dates that do not fit the profile or the issuer are refused in words") {
  Profile no_dates = ninety_days();
  no_dates.client_dates = false;

  struct Row {
    const char* what;
    Profile profile;
    std::optional<Instant> not_before, not_after;
    Validity issuer;
    ProblemType type;
    const char* says;
  };

  const Instant latest = kNoon + 90 * kDay - kSecond;
  const Row rows[] = {
      {"no dates wanted", no_dates, std::nullopt, kNoon + kDay, kIssuer, ProblemType::malformed,
       "order again without them"},
      {"begins too early", ninety_days(), kNoon - hours(1) - kSecond, std::nullopt, kIssuer,
       ProblemType::malformed, "earlier than 2026-06-01T11:00:00Z"},
      {"begins after the latest end", ninety_days(), latest + kSecond, std::nullopt, kIssuer,
       ProblemType::malformed, "no time in which"},
      {"ends before it begins", ninety_days(), kNoon + kDay, kNoon + kDay - kSecond, kIssuer,
       ProblemType::malformed, "no time in which"},
      {"ends when it begins", ninety_days(), kNoon + kDay, kNoon + kDay, kIssuer,
       ProblemType::malformed, "no time in which"},
      {"is over already", ninety_days(), std::nullopt, kNoon, kIssuer, ProblemType::malformed,
       "no time in which"},
      {"ends later than control is good for", ninety_days(), kNoon + kDay, latest + kSecond,
       kIssuer, ProblemType::malformed, "the latest end"},
      {"spans more than the profile's validity", ninety_days(), kNoon - hours(1), latest, kIssuer,
       ProblemType::malformed, "is later than 2026-08-30T10:59:59Z"},
      {"asks for more than the issuer has",
       ninety_days(),
       std::nullopt,
       kNoon + 60 * kDay,
       {kNoon - kDay, kNoon + 60 * kDay - kSecond},
       ProblemType::malformed,
       "after the issuing CA ends"},
      {"begins before the issuer",
       ninety_days(),
       kNoon - hours(1),
       std::nullopt,
       {kNoon - hours(1) + kSecond, kNoon + 1000 * kDay},
       ProblemType::malformed,
       "before the issuing CA begins"},
      {"is cut below half",
       ninety_days(),
       std::nullopt,
       std::nullopt,
       {kNoon - kDay, kNoon - hours(1) + 45 * kDay - 2 * kSecond},
       ProblemType::serverInternal,
       "must renew the issuing CA"},
      {"has an issuer that has ended",
       ninety_days(),
       std::nullopt,
       std::nullopt,
       {kNoon - 9 * kDay, kNoon - kDay},
       ProblemType::serverInternal,
       "must renew the issuing CA"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const auto problem = refusal(row.profile, row.not_before, row.not_after, row.issuer);
    REQUIRE(problem);
    CHECK(problem->type == row.type);
    CHECK_MESSAGE(problem->detail.find(row.says) != std::string::npos, problem->detail);
  }
}

TEST_CASE("a leaf gets the dates it may have, its last second included") {
  struct Row {
    const char* what;
    std::optional<Instant> not_before, not_after;
    Validity issuer, leaf;
  };

  const Instant earliest = kNoon - hours(1);
  const Instant latest = kNoon + 90 * kDay - kSecond;
  const Row rows[] = {
      {"nothing asked",
       std::nullopt,
       std::nullopt,
       kIssuer,
       {earliest, earliest + 90 * kDay - kSecond}},
      {"the very notBefore", kNoon + hours(2), std::nullopt, kIssuer, {kNoon + hours(2), latest}},
      {"the earliest notBefore",
       earliest,
       std::nullopt,
       kIssuer,
       {earliest, earliest + 90 * kDay - kSecond}},
      {"the very notAfter", std::nullopt, kNoon + kDay, kIssuer, {earliest, kNoon + kDay}},
      {"the latest notAfter, begun late enough", std::nullopt, latest, kIssuer, {kNoon, latest}},
      {"both", kNoon, latest, kIssuer, {kNoon, latest}},
      {"one second",
       kNoon + kDay,
       kNoon + kDay + kSecond,
       kIssuer,
       {kNoon + kDay, kNoon + kDay + kSecond}},
      {"cut to the issuer's end",
       std::nullopt,
       std::nullopt,
       {kNoon - kDay, kNoon + 60 * kDay},
       {earliest, kNoon + 60 * kDay}},
      {"cut to exactly half",
       std::nullopt,
       std::nullopt,
       {kNoon - kDay, earliest + 45 * kDay - kSecond},
       {earliest, earliest + 45 * kDay - kSecond}},
      {"as late as its issuer",
       std::nullopt,
       std::nullopt,
       {kNoon, kNoon + 1000 * kDay},
       {kNoon, earliest + 90 * kDay - kSecond}},
      {"asked for as short as the issuer has left",
       std::nullopt,
       kNoon + kDay,
       {kNoon - kDay, kNoon + kDay},
       {earliest, kNoon + kDay}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const Validity leaf =
        leaf_validity(ninety_days(), row.not_before, row.not_after, row.issuer, kNoon);
    CHECK(to_unix(leaf.not_before) == to_unix(row.leaf.not_before));
    CHECK(to_unix(leaf.not_after) == to_unix(row.leaf.not_after));
  }
}
