#include <doctest/doctest.h>

#include "acme-server/base/check.h"
#include "tests/store/contract.h"

namespace gatehouse::testing {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

const AccountId kStranger("account-stranger");

Authorization full_authorization(const AccountId& account) {
  Authorization authorization = sample_authorization("1", account, "a.test");
  authorization.identifier = authorization.identifier.wildcard();
  authorization.challenges[0].status = ChallengeStatus::processing;
  authorization.challenges[0].attempts = 2;
  authorization.challenges[0].next_attempt = kNoon + seconds(30);
  authorization.challenges[0].error =
      Problem{.type = ProblemType::dns,
              .detail = "NXDOMAIN \"a.test\"",
              .status = 403,
              .subproblems = {{.type = ProblemType::dns,
                               .detail = "sub",
                               .identifier = Identifier{IdentifierType::dns, "a.test"}}}};
  authorization.challenges[1].validated = kNoon;
  authorization.caa_checked = kNoon - hours(1);
  return authorization;
}

void authorization_comes_back(TestStore& store) {
  const Account account = sample_account("a");
  const Authorization authorization = full_authorization(account.id);
  store->write([&](store::Tx& tx) {
    tx.accounts().insert(account);
    tx.authorizations().insert(authorization);
  });
  store->read([&](store::Tx& tx) {
    store::Authorizations authorizations = tx.authorizations();
    const ChallengeId challenge = authorization.challenges[1].id;
    CHECK(authorizations.of(account.id, authorization.id) == authorization);
    CHECK(authorizations.get(authorization.id) == authorization);
    CHECK(authorizations.of_challenge(account.id, challenge) == authorization);
    CHECK(authorizations.with_challenge(challenge) == authorization);
    CHECK_FALSE(authorizations.of(kStranger, authorization.id));
    CHECK_FALSE(authorizations.of_challenge(kStranger, challenge));
    CHECK_FALSE(authorizations.with_challenge(ChallengeId("none")));
  });
}

void update_is_compare_and_set(TestStore& store) {
  const Account account = sample_account("a");
  const Authorization pending = sample_authorization("1", account.id, "a.test");
  store->write([&](store::Tx& tx) {
    store::Authorizations authorizations = tx.authorizations();
    tx.accounts().insert(account);
    authorizations.insert(pending);

    Authorization processing = pending;
    processing.challenges[1].status = ChallengeStatus::processing;
    processing.challenges[1].next_attempt = kNoon;
    CHECK(authorizations.update(pending, processing));
    CHECK(authorizations.get(pending.id) == processing);

    Authorization late = pending;
    late.status = AuthorizationStatus::deactivated;
    CHECK_FALSE(authorizations.update(pending, late));
    CHECK(authorizations.get(pending.id) == processing);

    Authorization valid = processing;
    valid.status = AuthorizationStatus::valid;
    valid.expires = kNoon + hours(240);
    valid.challenges[1].status = ChallengeStatus::valid;
    valid.challenges[1].validated = kNoon;
    valid.challenges[1].attempts = 1;
    valid.challenges[1].next_attempt = std::nullopt;
    CHECK(authorizations.update(processing, valid));
    CHECK(authorizations.get(pending.id) == valid);
    CHECK_FALSE(authorizations.update(processing, valid));
    CHECK(authorizations.update(valid, valid));

    Authorization checked = valid;
    checked.caa_checked = kNoon;
    CHECK(authorizations.update(valid, checked));
    CHECK(authorizations.get(pending.id) == checked);
    CHECK_FALSE(authorizations.update(valid, checked));

    Authorization unknown = sample_authorization("2", account.id, "b.test");
    CHECK_FALSE(authorizations.update(unknown, unknown));
  });
}

// A problem's retry_after is a header, not part of what is stored: it must not spoil the compare.
void update_compares_what_is_stored(TestStore& store) {
  const Account account = sample_account("a");
  Authorization before = sample_authorization("1", account.id, "a.test");
  before.challenges[0].error = Problem{.type = ProblemType::dns, .detail = "SERVFAIL"};
  before.challenges[0].error->retry_after = seconds(5);
  store->write([&](store::Tx& tx) {
    tx.accounts().insert(account);
    tx.authorizations().insert(before);
    Authorization after = before;
    after.challenges[0].error->detail = "NXDOMAIN";
    CHECK(tx.authorizations().update(before, after));
    CHECK(tx.authorizations().get(before.id)->challenges[0].error->detail == "NXDOMAIN");
    CHECK_FALSE(tx.authorizations().update(before, after));
  });
}

void update_refuses_what_is_no_transition(TestStore& store) {
  const Account account = sample_account("a");
  const Authorization before = sample_authorization("1", account.id, "a.test");
  store->write([&](store::Tx& tx) {
    tx.accounts().insert(account);
    tx.authorizations().insert(before);
  });
  Authorization other_name = before;
  other_name.identifier.value = "b.test";
  Authorization other_token = before;
  other_token.challenges[0].token = "x";
  Authorization fewer = before;
  fewer.challenges.pop_back();
  Authorization expired = before;
  expired.status = AuthorizationStatus::expired;
  for (const Authorization& after : {other_name, other_token, fewer, expired}) {
    CHECK_THROWS_AS(
        store->write([&](store::Tx& tx) { return tx.authorizations().update(before, after); }),
        LogicError);
  }
  store->read([&](store::Tx& tx) { CHECK(tx.authorizations().get(before.id) == before); });
}

void order_has_its_authorizations_in_order(TestStore& store) {
  const Account account = sample_account("a");
  store->write([&](store::Tx& tx) {
    tx.accounts().insert(account);
    const Authorization z = sample_authorization("z", account.id, "z.test");
    const Authorization a = sample_authorization("a", account.id, "a.test");
    tx.authorizations().insert(a);
    tx.authorizations().insert(z);
    const Order first = sample_order("1", account.id, {z, a});
    const Order second = sample_order("2", account.id, {a});
    tx.orders().insert(first);
    tx.orders().insert(second);
    CHECK(tx.authorizations().of_order(first.id) == std::vector{z, a});
    CHECK(tx.authorizations().of_order(second.id) == std::vector{a});
    CHECK(tx.authorizations().of_order(OrderId("none")).empty());
    CHECK(tx.authorizations().first_order_of(a.id) == first.id);
    CHECK_FALSE(tx.authorizations().first_order_of(AuthorizationId("none")));
  });
}

void reuse_asks_for_everything(TestStore& store) {
  const Account account = sample_account("a");
  const Account other = sample_account("b");
  Authorization held = sample_authorization("1", account.id, "a.test");
  held.status = AuthorizationStatus::valid;
  held.expires = kNoon + hours(10);
  Authorization longer = sample_authorization("2", account.id, "a.test");
  longer.status = AuthorizationStatus::valid;
  longer.expires = kNoon + hours(20);
  const Authorization pending = sample_authorization("3", account.id, "p.test");
  const Identifier name = held.identifier;
  store->write([&](store::Tx& tx) {
    store::Authorizations authorizations = tx.authorizations();
    tx.accounts().insert(account);
    tx.accounts().insert(other);
    authorizations.insert(held);
    CHECK(authorizations.reusable(account.id, name, "default", kNoon + hours(10)) == held);
    authorizations.insert(longer);
    authorizations.insert(pending);
    CHECK(authorizations.reusable(account.id, name, "default", kNoon) == longer);
    CHECK_FALSE(
        authorizations.reusable(account.id, name, "default", kNoon + hours(20) + seconds(1)));
    CHECK_FALSE(authorizations.reusable(other.id, name, "default", kNoon));
    CHECK_FALSE(authorizations.reusable(account.id, name.wildcard(), "default", kNoon));
    CHECK_FALSE(authorizations.reusable(account.id, name, "other-profile", kNoon));
    CHECK_FALSE(authorizations.reusable(account.id, pending.identifier, "default", kNoon));
  });
}

void has_valid_tells_wildcards_apart(TestStore& store) {
  const Account account = sample_account("a");
  Authorization plain = sample_authorization("1", account.id, "a.test");
  plain.status = AuthorizationStatus::valid;
  Authorization wild = sample_authorization("2", account.id, "w.test");
  wild.status = AuthorizationStatus::valid;
  wild.identifier = wild.identifier.wildcard();
  store->write([&](store::Tx& tx) {
    store::Authorizations authorizations = tx.authorizations();
    tx.accounts().insert(account);
    authorizations.insert(plain);
    authorizations.insert(wild);
    const auto has = [&](const AccountId& id, const char* name, Instant now) {
      return authorizations.has_valid(id, {IdentifierType::dns, name}, now);
    };
    CHECK(has(account.id, "a.test", kNoon));
    CHECK(has(account.id, "*.w.test", kNoon));
    CHECK_FALSE(has(account.id, "*.a.test", kNoon));
    CHECK_FALSE(has(account.id, "w.test", kNoon));
    CHECK_FALSE(has(kStranger, "a.test", kNoon));
    CHECK_FALSE(has(account.id, "a.test", plain.expires));
    CHECK_FALSE(authorizations.has_valid(account.id, {IdentifierType::ip, "a.test"}, kNoon));
  });
}

void running_challenges_are_counted(TestStore& store) {
  const Account account = sample_account("a");
  store->write([&](store::Tx& tx) {
    store::Authorizations authorizations = tx.authorizations();
    tx.accounts().insert(account);
    Authorization running = sample_authorization("1", account.id, "a.test");
    running.challenges[0].status = ChallengeStatus::processing;
    Authorization decided = sample_authorization("2", account.id, "b.test");
    decided.status = AuthorizationStatus::invalid;
    decided.challenges[0].status = ChallengeStatus::processing;
    authorizations.insert(running);
    authorizations.insert(decided);
    authorizations.insert(sample_authorization("3", account.id, "c.test"));
    CHECK(authorizations.count_processing(account.id, kNoon) == 1);
    CHECK(authorizations.count_processing(account.id, running.expires) == 0);
    CHECK(authorizations.count_processing(kStranger, kNoon) == 0);
    CHECK(authorizations.count_pending(account.id, kNoon) == 2);
    CHECK(authorizations.count_pending(account.id, running.expires) == 0);
    CHECK(authorizations.count_pending(kStranger, kNoon) == 0);
  });
}

}  // namespace

std::vector<ContractCase> authorization_cases() {
  return {
      {"an authorization comes back with its challenges, to its account only",
       authorization_comes_back},
      {"an authorization is updated only from what it is", update_is_compare_and_set},
      {"an update compares what the store keeps of a problem", update_compares_what_is_stored},
      {"an update that is no transition is a bug", update_refuses_what_is_no_transition},
      {"an order's authorizations come in the order's order",
       order_has_its_authorizations_in_order},
      {"reuse asks for account, name, wildcard, profile, validity and time",
       reuse_asks_for_everything},
      {"a valid authorization serves a wildcard only when made for it",
       has_valid_tells_wildcards_apart},
      {"challenges that run are counted while their authorization is pending",
       running_challenges_are_counted},
  };
}

}  // namespace gatehouse::testing
