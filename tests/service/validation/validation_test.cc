#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/test_services.h"

namespace gatehouse {
namespace {

using std::chrono::seconds;
using testing::rejection_of;
using testing::TestKey;
using testing::TestServices;

const Problem kConnection{.type = ProblemType::connection, .detail = "Nobody listens."};

struct Started {
  explicit Started(TestServices& services)
      : account(services.new_account(key)),
        order(services.new_order(account, {"a.test"})),
        authorization(
            services.authorizations().get(account, order.order.authorizations.front()).value()),
        challenge(authorization.challenges.front().id) {}

  TestKey key;
  Account account;
  service::OrderView order;
  Authorization authorization;
  ChallengeId challenge;
};

TEST_CASE("a proven challenge makes its authorization valid and the order ready") {
  TestServices services;
  const Started started(services);
  const auto view = services.challenges().respond(started.account, started.challenge);
  REQUIRE(view);
  CHECK(view->challenge.status == ChallengeStatus::processing);
  CHECK(view->retry_after.has_value());
  CHECK(services.http01->calls() == 0);
  services.run_jobs();
  const auto after = services.authorizations().get(started.account, started.authorization.id);
  CHECK(after->status == AuthorizationStatus::valid);
  CHECK(after->challenges.front().validated == services.store.clock.now());
  CHECK(after->expires == services.store.clock.now() + Profile{}.valid_authorization_lifetime);
  CHECK(services.show(started.account, started.order).status == OrderStatus::ready);
}

TEST_CASE(
    "the validator gets the token, the thumbprint of the account's key and the account's URL") {
  TestServices services;
  const Started started(services);
  std::vector<validators::ValidationRequest> seen;
  services.http01->on_validate(
      [&](const validators::ValidationRequest& request) { seen.push_back(request); });
  services.challenges().respond(started.account, started.challenge);
  services.run_jobs();
  REQUIRE(seen.size() == 1);
  const std::string token = started.authorization.challenges.front().token;
  CHECK(seen.front().identifier == Identifier{IdentifierType::dns, "a.test"});
  CHECK(seen.front().token == token);
  CHECK(token.size() == 43);
  CHECK(seen.front().key_authorization == token + "." + crypto::thumbprint(started.key.jwk));
  CHECK(seen.front().account_url ==
        "https://acme.test/acme/default/account/" + started.account.id.str());
}

TEST_CASE("three tries, at least five seconds apart, whatever the failure; processing meanwhile") {
  for (const ProblemType type : {ProblemType::connection, ProblemType::dns, ProblemType::tls,
                                 ProblemType::unauthorized, ProblemType::incorrectResponse}) {
    CAPTURE(urn_of(type));
    TestServices services;
    const Started started(services);
    std::vector<Instant> tries;
    services.http01->always(Problem{.type = type, .detail = "It is not there."});
    services.http01->on_validate([&](const validators::ValidationRequest&) {
      tries.push_back(services.store.job_clock.now());
    });
    services.challenges().respond(started.account, started.challenge);
    for (int second = 0; second < 60; ++second) {
      services.run_jobs();
      const auto view = services.challenges().get(started.account, started.challenge);
      if (tries.size() < 3) {
        CHECK(view->challenge.status == ChallengeStatus::processing);
        REQUIRE(view->retry_after);
        // RFC 8555 section 8.2: after the next try, not before it.
        CHECK(services.store.job_clock.now() + *view->retry_after > tries.back() + seconds(5));
        CHECK(services.show(started.account, started.order).status == OrderStatus::pending);
      }
      services.advance(seconds(1));
    }
    REQUIRE(tries.size() == 3);
    CHECK(tries[1] - tries[0] == seconds(5));
    CHECK(tries[2] - tries[1] == seconds(5));
    const auto view = services.challenges().get(started.account, started.challenge);
    CHECK(view->challenge.status == ChallengeStatus::invalid);
    CHECK_FALSE(view->retry_after);
    CHECK(view->challenge.error->type == type);
    CHECK(services.show(started.account, started.order).status == OrderStatus::invalid);
  }
}

TEST_CASE("number and distance of the tries are the policy's") {
  service::Directory directory = TestServices::default_directory();
  directory.validation_attempts = 2;
  directory.validation_gap = seconds(40);
  TestServices services({.directory = directory});
  const Started started(services);
  services.http01->always(kConnection);
  services.challenges().respond(started.account, started.challenge);
  services.run_jobs();
  services.advance(seconds(39));
  services.run_jobs();
  CHECK(services.http01->calls() == 1);
  services.advance(seconds(1));
  services.run_jobs();
  CHECK(services.http01->calls() == 2);
  CHECK(services.challenges().get(started.account, started.challenge)->challenge.status ==
        ChallengeStatus::invalid);
}

// The distances of the tries that a challenge gets when each fails.
std::vector<seconds> gaps_of(TestServices& services) {
  const Started started(services);
  std::vector<Instant> tries;
  services.http01->always(kConnection);
  services.http01->on_validate([&](const validators::ValidationRequest&) {
    tries.push_back(services.store.job_clock.now());
  });
  services.challenges().respond(started.account, started.challenge);
  for (int second = 0; second < 60; ++second) {
    services.run_jobs();
    services.advance(seconds(1));
  }
  CHECK(services.challenges().get(started.account, started.challenge)->challenge.status ==
        ChallengeStatus::invalid);
  std::vector<seconds> gaps;
  for (std::size_t i = 1; i < tries.size(); ++i) gaps.push_back(tries[i] - tries[i - 1]);
  return gaps;
}

TEST_CASE("what the target answered is tried once more after a second, silence for longer") {
  using Gaps = std::vector<seconds>;

  struct Row {
    bool answered;
    int attempts, answered_attempts;
    Gaps gaps;
  };

  for (const Row& row :
       {Row{true, 3, 2, {seconds(1)}}, Row{false, 3, 2, {seconds(5), seconds(5)}},
        Row{true, 3, 3, {seconds(1), seconds(1)}}, Row{true, 3, 1, {}}, Row{true, 1, 2, {}}}) {
    CAPTURE(row.answered);
    CAPTURE(row.attempts);
    CAPTURE(row.answered_attempts);
    service::Directory directory = TestServices::default_directory();
    directory.validation_attempts = row.attempts;
    directory.validation_answered_attempts = row.answered_attempts;
    TestServices services({.directory = directory});
    services.http01->set_answered(row.answered);
    CHECK(gaps_of(services) == row.gaps);
  }
}

TEST_CASE("the distance behind an answer is the policy's") {
  service::Directory directory = TestServices::default_directory();
  directory.validation_answered_gap = seconds(20);
  TestServices services({.directory = directory});
  services.http01->set_answered(true);
  CHECK(gaps_of(services) == std::vector<seconds>{seconds(20)});
}

TEST_CASE("a later try may succeed") {
  TestServices services;
  const Started started(services);
  services.http01->next(kConnection);
  services.http01->next(kConnection);
  services.challenges().respond(started.account, started.challenge);
  for (int i = 0; i < 3; ++i) {
    services.run_jobs();
    services.advance(seconds(5));
  }
  CHECK(services.show(started.account, started.order).status == OrderStatus::ready);
  CHECK_FALSE(services.challenges().get(started.account, started.challenge)->challenge.error);
}

TEST_CASE(
    "responding again changes nothing: processing, valid, invalid, the sibling of a valid one") {
  TestServices services;
  const Started started(services);
  services.http01->next(kConnection);
  services.challenges().respond(started.account, started.challenge);
  services.run_jobs();
  for (int i = 0; i < 5; ++i) {
    services.challenges().respond(started.account, started.challenge);
    services.run_jobs();
  }
  CHECK(services.http01->calls() == 1);  // no shortcut through the gap
  services.advance(seconds(5));
  services.run_jobs();
  REQUIRE(services.show(started.account, started.order).status == OrderStatus::ready);
  const auto before = services.authorizations().get(started.account, started.authorization.id);
  for (const Challenge& challenge : before->challenges) {
    services.challenges().respond(started.account, challenge.id);
  }
  services.run_jobs();
  CHECK(services.authorizations().get(started.account, started.authorization.id) == before);
  CHECK(services.http01->calls() == 2);
  CHECK(services.dns01->calls() == 0);
}

TEST_CASE("what cannot begin is refused") {
  struct Row {
    std::string name;
    std::function<void(TestServices&, const Started&)> change;
    ProblemType type;
    int status;
  };

  const Row rows[] = {
      {"authorization deactivated",
       [](TestServices& services, const Started& started) {
         services.authorizations().deactivate(started.account, started.authorization.id);
       },
       ProblemType::malformed, 400},
      {"authorization expired",
       [](TestServices& services, const Started&) { services.advance(std::chrono::hours(24 * 8)); },
       ProblemType::malformed, 400},
      {"account deactivated",
       [](TestServices& services, const Started& started) {
         services.accounts().deactivate(started.account);
       },
       ProblemType::unauthorized, 401},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    TestServices services;
    const Started started(services);
    row.change(services, started);
    const Problem problem =
        rejection_of([&] { services.challenges().respond(started.account, started.challenge); });
    CHECK(problem.type == row.type);
    CHECK(status_of(problem) == row.status);
    services.run_jobs();
    CHECK(services.http01->calls() == 0);
  }
}

TEST_CASE("an account's running validations are capped") {
  service::Directory directory = TestServices::default_directory();
  directory.max_validations_running = 2;
  TestServices services({.directory = directory});
  const Account account = services.new_account();
  const auto order = services.new_order(account, {"a.test", "b.test", "c.test"});
  std::vector<ChallengeId> challenges;
  for (const AuthorizationId& id : order.order.authorizations) {
    challenges.push_back(services.authorizations().get(account, id)->challenges.front().id);
  }
  services.challenges().respond(account, challenges[0]);
  services.challenges().respond(account, challenges[1]);
  CHECK(rejection_of([&] { services.challenges().respond(account, challenges[2]); }).type ==
        ProblemType::rateLimited);
  services.run_jobs();
  CHECK(services.challenges().respond(account, challenges[2])->challenge.status ==
        ChallengeStatus::processing);
}

TEST_CASE("late results are harmless: what ended while the validator worked stays as it ended") {
  TestServices services;
  const Started started(services);
  services.http01->on_validate([&](const validators::ValidationRequest&) {
    services.authorizations().deactivate(started.account, started.authorization.id);
  });
  services.challenges().respond(started.account, started.challenge);
  services.run_jobs();
  CHECK(services.authorizations().get(started.account, started.authorization.id)->status ==
        AuthorizationStatus::deactivated);
  CHECK_FALSE(services.store->read([&](store::Tx& tx) {
    return tx.jobs().exists(store::JobKind::validate_challenge, started.challenge.str());
  }));
}

TEST_CASE("an account deactivated while the validator works gets no valid authorization") {
  TestServices services;
  const Started started(services);
  services.http01->on_validate([&](const validators::ValidationRequest&) {
    services.accounts().deactivate(started.account);
  });
  services.challenges().respond(started.account, started.challenge);
  services.run_jobs();
  CHECK(services.authorizations().get(started.account, started.authorization.id)->status ==
        AuthorizationStatus::invalid);
}

TEST_CASE(
    "a key changed while the validator works proves nothing: it is asked again with the new one") {
  TestServices services;
  const Started started(services);
  const TestKey fresh;
  std::vector<std::string> asked;
  services.http01->on_validate([&](const validators::ValidationRequest& request) {
    asked.push_back(request.key_authorization.substr(request.token.size() + 1));
    if (asked.size() == 1) {
      services.accounts().change_key(started.account, started.key.jwk, fresh.jwk);
    }
  });
  services.challenges().respond(started.account, started.challenge);
  services.run_jobs();
  CHECK(asked == std::vector<std::string>{crypto::thumbprint(started.key.jwk),
                                          crypto::thumbprint(fresh.jwk)});
  CHECK(services.authorizations().get(started.account, started.authorization.id)->status ==
        AuthorizationStatus::valid);
}

TEST_CASE("a challenge type that is switched off while processing fails, and nobody is asked") {
  TestServices services;
  const Started started(services);
  services.challenges().respond(started.account, started.challenge);
  service::Directory directory = TestServices::default_directory();
  directory.profiles.at("default").challenge_types = {"dns-01"};
  services.use(directory);
  services.run_jobs();
  CHECK(services.http01->calls() == 0);
  CHECK(services.authorizations().get(started.account, started.authorization.id)->status ==
        AuthorizationStatus::invalid);
}

TEST_CASE("a validator that throws is our failure: the try does not count and comes again") {
  TestServices services;
  const Started started(services);
  services.http01->on_validate(
      [](const validators::ValidationRequest&) { throw std::runtime_error("no sockets left"); });
  services.challenges().respond(started.account, started.challenge);
  for (int i = 0; i < 10; ++i) {
    services.run_jobs();
    services.advance(seconds(400));
  }
  CHECK(services.http01->calls() == 10);
  CHECK(services.challenges().get(started.account, started.challenge)->challenge.attempts == 0);
  services.http01->on_validate({});
  services.run_jobs();
  CHECK(services.show(started.account, started.order).status == OrderStatus::ready);
}

TEST_CASE("another account's challenge does not exist") {
  TestServices services;
  const Started started(services);
  const Account other = services.new_account();
  CHECK_FALSE(services.challenges().get(other, started.challenge));
  CHECK_FALSE(services.challenges().respond(other, started.challenge));
}

}  // namespace
}  // namespace gatehouse
