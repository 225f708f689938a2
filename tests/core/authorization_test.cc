#include "acme-server/core/authorization.h"

#include <doctest/doctest.h>

#include <chrono>
#include <utility>

#include "tests/support/manual_clock.h"

namespace gatehouse {
namespace {

using namespace std::chrono_literals;
using testing::kNoon;

const ChallengeId kHttp("h");
const ChallengeId kDns("d");
constexpr Instant kValidUntil = kNoon + 240h;
const Problem kRefusal{.type = ProblemType::connection, .detail = "connection refused"};
const ChallengeResult kSuccess{};
const ChallengeResult kLastFailure{.problem = kRefusal, .last_attempt = true};
const ChallengeResult kFailure{.problem = kRefusal, .last_attempt = false};

Challenge challenge(const ChallengeId& id, const char* type) {
  Challenge made;
  made.id = id;
  made.type = type;
  made.token = "t";
  return made;
}

Authorization offered() {
  Authorization made;
  made.id = AuthorizationId("a");
  made.expires = kNoon + 1h;
  made.challenges = {challenge(kHttp, "http-01"), challenge(kDns, "dns-01")};
  return made;
}

Authorization begun() {
  return begin_validation(offered(), kHttp, kNoon);
}

Authorization concluded(Authorization a, const ChallengeId& id, const ChallengeResult& result,
                        Instant now = kNoon) {
  return conclude(std::move(a), id, result, now, kValidUntil, now + 5s);
}

TEST_CASE("a challenge goes from pending to processing once") {
  const Authorization a = begun();
  CHECK(a.challenges[0].status == ChallengeStatus::processing);
  CHECK(a.challenges[0].next_attempt == kNoon);
  CHECK(a.challenges[1] == offered().challenges[1]);
  CHECK(a.status == AuthorizationStatus::pending);
  CHECK(begin_validation(a, kHttp, kNoon + 10s) == a);
}

TEST_CASE("nothing but a pending challenge of a pending authorization begins") {
  CHECK(begin_validation(offered(), ChallengeId("other"), kNoon) == offered());
  CHECK(begin_validation(offered(), kHttp, kNoon + 1h) == offered());  // expired
  for (const auto status : {AuthorizationStatus::valid, AuthorizationStatus::invalid,
                            AuthorizationStatus::deactivated, AuthorizationStatus::revoked}) {
    Authorization a = offered();
    a.status = status;
    CHECK(begin_validation(a, kHttp, kNoon) == a);
  }
  for (const auto status : {ChallengeStatus::valid, ChallengeStatus::invalid}) {
    Authorization a = offered();
    a.challenges[0].status = status;
    CHECK(begin_validation(a, kHttp, kNoon) == a);
  }
}

TEST_CASE("success makes challenge and authorization valid and lengthens its life") {
  const Authorization a = concluded(begun(), kHttp, kSuccess, kNoon + 3s);
  CHECK(a.status == AuthorizationStatus::valid);
  CHECK(a.expires == kValidUntil);
  CHECK(a.challenges[0].status == ChallengeStatus::valid);
  CHECK(a.challenges[0].validated == kNoon + 3s);
  CHECK(a.challenges[0].attempts == 1);
  CHECK_FALSE(a.challenges[0].error);
  CHECK_FALSE(a.challenges[0].next_attempt);
  CHECK(a.challenges[1] == offered().challenges[1]);
  CHECK(is_valid(a, kNoon + 3s));
  CHECK_FALSE(is_valid(a, kValidUntil));
}

TEST_CASE("a failed try before the last leaves the challenge processing with its error") {
  const Authorization a = concluded(begun(), kHttp, kFailure);
  CHECK(a.status == AuthorizationStatus::pending);
  CHECK(a.expires == offered().expires);
  CHECK(a.challenges[0].status == ChallengeStatus::processing);
  CHECK(a.challenges[0].error == kRefusal);
  CHECK(a.challenges[0].attempts == 1);
  CHECK(a.challenges[0].next_attempt == kNoon + 5s);

  const Authorization healed = concluded(a, kHttp, kSuccess);
  CHECK(healed.challenges[0].attempts == 2);
  CHECK_FALSE(healed.challenges[0].error);
  CHECK(healed.status == AuthorizationStatus::valid);
}

TEST_CASE("the last failed try makes challenge and authorization invalid and keeps the reason") {
  const Authorization a = concluded(begun(), kHttp, kLastFailure);
  CHECK(a.status == AuthorizationStatus::invalid);
  CHECK(a.challenges[0].status == ChallengeStatus::invalid);
  CHECK(a.challenges[0].error == kRefusal);
  CHECK_FALSE(a.challenges[0].next_attempt);
  CHECK_FALSE(a.challenges[0].validated);
  CHECK(is_lost(a, kNoon));
}

TEST_CASE("results that come late change nothing") {
  const Authorization done[] = {
      concluded(begun(), kHttp, kSuccess), concluded(begun(), kHttp, kLastFailure),
      concluded(begin_validation(begun(), kDns, kNoon), kDns, kSuccess),  // the sibling won
  };
  for (const Authorization& a : done) {
    for (const ChallengeResult& late : {kSuccess, kFailure, kLastFailure}) {
      CHECK(concluded(a, kHttp, late) == a);
    }
  }
  Authorization gone = begun();
  gone.status = AuthorizationStatus::deactivated;
  CHECK(concluded(gone, kHttp, kSuccess) == gone);
  CHECK(concluded(begun(), kHttp, kSuccess, kNoon + 1h) == begun());  // expired meanwhile
}

TEST_CASE("a challenge that never began, or of another authorization, is not concluded") {
  CHECK(concluded(offered(), kHttp, kSuccess) == offered());
  CHECK(concluded(begun(), kDns, kSuccess) == begun());
  CHECK(concluded(begun(), ChallengeId("other"), kSuccess) == begun());
}

TEST_CASE("pending and valid authorizations expire; final ones keep their status") {
  struct Row {
    AuthorizationStatus stored, before, after;
    bool lost_before;
  };
  using enum AuthorizationStatus;
  for (const Row& row :
       {Row{pending, pending, expired, false}, Row{valid, valid, expired, false},
        Row{invalid, invalid, invalid, true}, Row{deactivated, deactivated, deactivated, true},
        Row{revoked, revoked, revoked, true}}) {
    Authorization a;
    a.status = row.stored;
    a.expires = kNoon;
    CHECK(status_of(a, kNoon - 1s) == row.before);
    CHECK(status_of(a, kNoon) == row.after);
    CHECK(is_lost(a, kNoon - 1s) == row.lost_before);
    CHECK(is_lost(a, kNoon));
  }
}

TEST_CASE("a challenge is found by its id") {
  const Authorization a = offered();
  REQUIRE(find_challenge(a, kDns) != nullptr);
  CHECK(find_challenge(a, kDns)->type == "dns-01");
  CHECK(find_challenge(a, ChallengeId("other")) == nullptr);
}

}  // namespace
}  // namespace gatehouse
