#include <doctest/doctest.h>

#include "acme-server/store/sql/database.h"
#include "tests/store/contract.h"

namespace gatehouse::testing {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

const AccountId kStranger("account-stranger");

void order_comes_back(TestStore& store) {
  const Account account = sample_account("a");
  store->write([&](store::Tx& tx) {
    tx.accounts().insert(account);
    const Authorization first = sample_authorization("1", account.id, "b.test");
    const Authorization second = sample_authorization("2", account.id, "a.test");
    tx.authorizations().insert(first);
    tx.authorizations().insert(second);
    Order order = sample_order("x", account.id, {first, second});
    order.identifiers.push_back({IdentifierType::ip, "192.0.2.1"});
    order.not_before = kNoon + hours(1);
    order.not_after = kNoon + hours(48);
    tx.orders().insert(order);
    CHECK(tx.orders().of(account.id, order.id) == order);
    CHECK(tx.orders().get(order.id) == order);
    CHECK_FALSE(tx.orders().of(kStranger, order.id));
    CHECK_FALSE(tx.orders().get(OrderId("order-none")));
  });
}

void order_needs_its_authorizations(TestStore& store) {
  const Account account = sample_account("a");
  store->write([&](store::Tx& tx) { tx.accounts().insert(account); });
  const Authorization missing = sample_authorization("1", account.id, "a.test");
  CHECK_THROWS_AS(store->write([&](store::Tx& tx) {
    tx.orders().insert(sample_order("x", account.id, {missing}));
  }),
                  sql::ConstraintError);
  store->read([](store::Tx& tx) { CHECK_FALSE(tx.orders().get(OrderId("order-x"))); });
}

void order_is_finalized_once(TestStore& store) {
  const Account account = sample_account("a");
  store->write([&](store::Tx& tx) {
    tx.accounts().insert(account);
    Order order = insert_order(tx, account, "x", "a.test");
    const Finalization finalization{.csr = "csr", .at = kNoon};
    CHECK_FALSE(tx.orders().complete(order.id, CertificateId("too-early")));
    CHECK_FALSE(tx.orders().finalize(kStranger, order.id, finalization));
    CHECK(tx.orders().finalize(account.id, order.id, finalization));
    CHECK_FALSE(tx.orders().finalize(account.id, order.id, {.csr = "other", .at = kNoon}));
    order.finalization = finalization;
    CHECK(tx.orders().get(order.id) == order);
    CHECK(tx.orders().processing() == std::vector{order.id});
  });
}

void order_has_one_outcome(TestStore& store) {
  const Account account = sample_account("a");
  const Problem problem{.type = ProblemType::caa, .detail = "no", .status = 409};
  store->write([&](store::Tx& tx) {
    tx.accounts().insert(account);
    const Order completed = insert_order(tx, account, "c", "a.test");
    const Order failed = insert_order(tx, account, "f", "b.test");
    const Order refused = insert_order(tx, account, "r", "c.test");
    REQUIRE(tx.orders().finalize(account.id, completed.id, {.csr = "csr", .at = kNoon}));
    REQUIRE(tx.orders().finalize(account.id, failed.id, {.csr = "csr", .at = kNoon}));

    CHECK(tx.orders().complete(completed.id, CertificateId("certificate")));
    CHECK_FALSE(tx.orders().complete(completed.id, CertificateId("second")));
    CHECK_FALSE(tx.orders().fail(completed.id, problem));
    CHECK(tx.orders().get(completed.id)->certificate == CertificateId("certificate"));
    CHECK_FALSE(tx.orders().get(completed.id)->error);

    CHECK(tx.orders().fail(failed.id, problem));
    CHECK_FALSE(tx.orders().fail(failed.id, problem));
    CHECK_FALSE(tx.orders().complete(failed.id, CertificateId("late")));
    CHECK(tx.orders().get(failed.id)->error == problem);

    CHECK(tx.orders().fail(refused.id, problem));
    CHECK_FALSE(tx.orders().finalize(account.id, refused.id, {.csr = "csr", .at = kNoon}));
    CHECK(tx.orders().processing().empty());
    CHECK(tx.orders().without_outcome(account.id).empty());
  });
}

bool is_open(OrderStatus status) {
  return status == OrderStatus::pending || status == OrderStatus::ready ||
         status == OrderStatus::processing;
}

// The SQL of list(), count_open() and without_outcome() says the same as status_of(): every order
// is asked both ways.
void lists_and_counts_agree_with_status_of(TestStore& store) {
  const Account account = sample_account("a");
  const Problem problem{.type = ProblemType::caa, .detail = "no"};
  const AuthorizationStatus statuses[] = {
      AuthorizationStatus::pending, AuthorizationStatus::valid, AuthorizationStatus::invalid,
      AuthorizationStatus::deactivated, AuthorizationStatus::revoked};
  const Instant now = kNoon;
  store->write([&](store::Tx& tx) {
    tx.accounts().insert(account);
    int number = 0;
    // Half of the authorizations are lost as in life, half as if something else had said so.
    for (const bool by_update : {true, false}) {
      for (const AuthorizationStatus status : statuses) {
        for (const seconds authorization_left : {seconds(0), seconds(1)}) {
          for (const seconds order_left : {seconds(0), seconds(1)}) {
            for (const char* outcome : {"none", "finalized", "failed", "issued"}) {
              const std::string name = std::to_string(100 + number++);
              const Authorization pending = sample_authorization(name, account.id, name + ".test");
              Authorization authorization = pending;
              authorization.status = status;
              authorization.expires = now + authorization_left;
              tx.authorizations().insert(by_update ? pending : authorization);
              Order order = sample_order(name, account.id, {authorization});
              order.created = kNoon - hours(1) - seconds(number / 3);
              order.expires = now + order_left;
              if (outcome == std::string("finalized") || outcome == std::string("issued")) {
                order.finalization = Finalization{.csr = "csr", .at = kNoon};
              }
              if (outcome == std::string("issued")) {
                order.certificate = CertificateId("certificate");
              }
              if (outcome == std::string("failed")) {
                order.error = problem;
              }
              tx.orders().insert(order);
              if (by_update) CHECK(tx.authorizations().update(pending, authorization));
            }
          }
        }
      }
    }
  });
  store->read([&](store::Tx& tx) {
    const std::vector<OrderId> listed = tx.orders().list(account.id, std::nullopt, 1000, now);
    std::size_t expected = 0;
    std::int64_t open = 0;
    const std::vector<OrderId> unfinished = tx.orders().without_outcome(account.id);
    for (int number = 100; number < 260; ++number) {
      const std::optional<Order> order =
          tx.orders().get(OrderId("order-" + std::to_string(number)));
      REQUIRE(order);
      const OrderStatus status = status_of(*order, tx.authorizations().of_order(order->id), now);
      const bool invalid = status == OrderStatus::invalid;
      CAPTURE(number);
      open += is_open(status) ? 1 : 0;
      if (is_open(status)) CHECK(std::ranges::find(unfinished, order->id) != unfinished.end());
      CHECK((std::ranges::find(listed, order->id) == listed.end()) == invalid);
      expected += invalid ? 0 : 1;
    }
    CHECK(listed.size() == expected);
    CHECK(tx.orders().count_open(account.id, now) == open);
    CHECK(tx.orders().list(kStranger, std::nullopt, 1000, now).empty());
    // An operator sees the invalid ones too, the newest first.
    std::vector<OrderId> all = tx.orders().newest(account.id, {}, 1000);
    CHECK(all.size() > listed.size());
    const std::vector<OrderId> rest = tx.orders().newest(account.id, all.front(), 1000);
    CHECK(std::vector(all.begin() + 1, all.end()) == rest);
    CHECK(tx.orders().newest(kStranger, all.front(), 1000).empty());
    CHECK(tx.orders().newest(kStranger, {}, 1000).empty());

    // In pages it is the same list.
    std::vector<OrderId> paged;
    std::optional<OrderId> after;
    while (true) {
      const std::vector<OrderId> page = tx.orders().list(account.id, after, 7, now);
      if (page.empty()) {
        break;
      }
      CHECK(page.size() <= 7);
      paged.insert(paged.end(), page.begin(), page.end());
      after = page.back();
    }
    CHECK(paged == listed);
    CHECK(tx.orders().list(kStranger, listed.front(), 7, now).empty());
    for (std::size_t i = 1; i < listed.size(); ++i) {
      CHECK(tx.orders().get(listed[i - 1])->created <= tx.orders().get(listed[i])->created);
    }
  });
}

void open_orders_are_counted(TestStore& store) {
  const Account account = sample_account("a");
  store->write([&](store::Tx& tx) {
    tx.accounts().insert(account);
    const Order waiting = insert_order(tx, account, "1", "a.test");
    const Order finalized = insert_order(tx, account, "2", "b.test");
    const Order failed = insert_order(tx, account, "3", "c.test");
    REQUIRE(tx.orders().finalize(account.id, finalized.id, {.csr = "csr", .at = kNoon}));
    REQUIRE(tx.orders().fail(failed.id, {.type = ProblemType::caa, .detail = "no"}));
    CHECK(tx.orders().count_open(account.id, kNoon) == 2);
    CHECK(tx.orders().count_open(account.id, waiting.expires) == 1);
    CHECK(tx.orders().count_open(kStranger, kNoon) == 0);
    CHECK(tx.orders().without_outcome(account.id) == std::vector{waiting.id, finalized.id});
  });
}

// What a count looks at does not grow with what has failed: each new order is counted for.
void lost_orders_are_marked(TestStore& store) {
  const Account account = sample_account("a");
  store->write([&](store::Tx& tx) {
    tx.accounts().insert(account);
    const Authorization shared = sample_authorization("1", account.id, "a.test");
    tx.authorizations().insert(shared);
    const Order first = sample_order("1", account.id, {shared});
    const Order second = sample_order("2", account.id, {shared});
    const Order finalized = sample_order("3", account.id, {shared});
    for (const Order& order : {first, second, finalized}) tx.orders().insert(order);
    REQUIRE(tx.orders().finalize(account.id, finalized.id, {.csr = "csr", .at = kNoon}));
    Authorization valid = shared;
    valid.status = AuthorizationStatus::valid;
    REQUIRE(tx.authorizations().update(shared, valid));
    CHECK(tx.orders().without_outcome(account.id).size() == 3);
    Authorization deactivated = valid;
    deactivated.status = AuthorizationStatus::deactivated;
    REQUIRE(tx.authorizations().update(valid, deactivated));
    CHECK(tx.orders().without_outcome(account.id) == std::vector{finalized.id});
    CHECK(tx.orders().count_open(account.id, kNoon) == 1);
  });
}

void own_order_has_no_account(TestStore& store) {
  store->write([](store::Tx& tx) {
    Order order;
    order.id = OrderId("order-own");
    order.directory = kDirectory;
    order.profile = "default";
    order.identifiers = {{IdentifierType::dns, "ca.test"}};
    order.created = kNoon;
    order.expires = kNoon + hours(1);
    order.finalization = Finalization{.csr = "csr", .at = kNoon};
    tx.orders().insert(order);
    CHECK(tx.orders().get(order.id) == order);
    CHECK_FALSE(tx.orders().of(AccountId(""), order.id));
    CHECK(tx.orders().processing() == std::vector{order.id});
  });
}

void newest_with_an_authorization(TestStore& store) {
  store->write([](store::Tx& tx) {
    const Account account = sample_account("a");
    tx.accounts().insert(account);
    const Authorization shared = sample_authorization("x", account.id, "a.test");
    CHECK_FALSE(tx.orders().newest_with(shared.id));
    tx.authorizations().insert(shared);
    for (const auto& [name, age] : {std::pair{"1", 3}, {"2", 1}, {"3", 2}}) {
      Order order = sample_order(name, account.id, {shared});
      order.created = kNoon - hours(age);
      tx.orders().insert(order);
    }
    CHECK(tx.orders().newest_with(shared.id) == OrderId("order-2"));
    CHECK_FALSE(tx.orders().newest_with(AuthorizationId("authorization-y")));
  });
}

void client_of_a_finalization_is_kept(TestStore& store) {
  store->write([](store::Tx& tx) {
    const Account account = sample_account("a");
    tx.accounts().insert(account);
    const Order order = insert_order(tx, account, "x", "a.test");
    const Finalization finalization{.csr = "csr", .at = kNoon, .client = "192.0.2.1"};
    REQUIRE(tx.orders().finalize(account.id, order.id, finalization));
    CHECK(tx.orders().get(order.id)->finalization == finalization);
    Order whole = sample_order("y", account.id, {});
    whole.finalization = finalization;
    tx.orders().insert(whole);
    CHECK(tx.orders().get(whole.id) == whole);
  });
}

}  // namespace

std::vector<ContractCase> order_cases() {
  return {
      {"an order comes back as it was inserted, to its account only", order_comes_back},
      {"an order cannot be tied to an authorization that is not there",
       order_needs_its_authorizations},
      {"an order is finalized once, by its account", order_is_finalized_once},
      {"an order has one outcome, and keeps it", order_has_one_outcome},
      {"what is listed and counted is what the status of each order says, in pages too",
       lists_and_counts_agree_with_status_of},
      {"open orders are counted for their account", open_orders_are_counted},
      {"an order that lost an authorization is open no more, unless it was finalized before",
       lost_orders_are_marked},
      {"the server's own order has no account", own_order_has_no_account},
      {"of the orders that rely on an authorization the newest is found",
       newest_with_an_authorization},
      {"the address that an order was finalized from is kept", client_of_a_finalization_is_kept},
  };
}

}  // namespace gatehouse::testing
