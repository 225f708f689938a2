#include "acme-server/core/wire_names.h"

#include <doctest/doctest.h>

#include <string_view>

namespace gatehouse {
namespace {

TEST_CASE("statuses are spelled as RFC 8555 section 7.1.6 spells them") {
  CHECK(to_string(AccountStatus::valid) == "valid");
  CHECK(to_string(AccountStatus::deactivated) == "deactivated");
  CHECK(to_string(AccountStatus::revoked) == "revoked");
  CHECK(to_string(AuthorizationStatus::pending) == "pending");
  CHECK(to_string(AuthorizationStatus::valid) == "valid");
  CHECK(to_string(AuthorizationStatus::invalid) == "invalid");
  CHECK(to_string(AuthorizationStatus::deactivated) == "deactivated");
  CHECK(to_string(AuthorizationStatus::expired) == "expired");
  CHECK(to_string(AuthorizationStatus::revoked) == "revoked");
  CHECK(to_string(ChallengeStatus::pending) == "pending");
  CHECK(to_string(ChallengeStatus::processing) == "processing");
  CHECK(to_string(ChallengeStatus::valid) == "valid");
  CHECK(to_string(ChallengeStatus::invalid) == "invalid");
  CHECK(to_string(OrderStatus::pending) == "pending");
  CHECK(to_string(OrderStatus::ready) == "ready");
  CHECK(to_string(OrderStatus::processing) == "processing");
  CHECK(to_string(OrderStatus::valid) == "valid");
  CHECK(to_string(OrderStatus::invalid) == "invalid");
}

TEST_CASE("every stored status reads back") {
  for (int i = 0; i <= static_cast<int>(AccountStatus::revoked); ++i) {
    const auto status = static_cast<AccountStatus>(i);
    CHECK(account_status_from(to_string(status)) == status);
  }
  for (int i = 0; i <= static_cast<int>(AuthorizationStatus::revoked); ++i) {
    const auto status = static_cast<AuthorizationStatus>(i);
    CHECK(authorization_status_from(to_string(status)) == status);
  }
  for (int i = 0; i <= static_cast<int>(ChallengeStatus::invalid); ++i) {
    const auto status = static_cast<ChallengeStatus>(i);
    CHECK(challenge_status_from(to_string(status)) == status);
  }
}

TEST_CASE("a text that is no status reads as nothing") {
  for (const std::string_view text : {"", "Valid", "valid ", "ready", "unknown"}) {
    CHECK_FALSE(account_status_from(text));
    CHECK_FALSE(authorization_status_from(text));
    CHECK_FALSE(challenge_status_from(text));
  }
  CHECK_FALSE(account_status_from("pending"));
  CHECK_FALSE(authorization_status_from("processing"));
  CHECK_FALSE(challenge_status_from("deactivated"));
}

}  // namespace
}  // namespace gatehouse
