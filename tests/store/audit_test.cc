#include <doctest/doctest.h>

#include <stdexcept>

#include "tests/store/contract.h"

namespace gatehouse::testing {
namespace {

store::AuditEvent event(const std::string& kind) {
  store::AuditEvent out;
  out.kind = kind;
  out.actor = AccountId("1");
  out.directory = kDirectory;
  out.account = AccountId("account-1");
  out.order = OrderId("order-" + kind);
  out.authorization = AuthorizationId("authorization-1");
  out.certificate = CertificateId("certificate-1");
  out.details = {{"serial", "0a"}, {"names", {"a.test", "b.test"}}};
  return out;
}

void event_comes_back_sealed(TestStore& store) {
  CHECK(store->read([](store::Tx& tx) { return tx.audit().head(); }) == store::AuditHead{});
  store->write([](store::Tx& tx) {
    tx.audit().append(event("first"));
    // Its row comes with the COMMIT, sealed.
    CHECK(tx.audit().of_order(OrderId("order-first")).empty());
  });
  store.clock.advance(std::chrono::seconds(5));
  store->write([](store::Tx& tx) {
    store::AuditEvent bare;
    bare.kind = "server.started";
    bare.actor = ServerPrincipal{};
    tx.audit().append(bare);
    tx.audit().append(event("second"));
  });
  store->read([](store::Tx& tx) {
    const std::vector<store::AuditRow> rows = tx.audit().list(0, 10);
    REQUIRE(rows.size() == 3);
    CHECK(rows[0].sequence == 1);
    CHECK(rows[0].at == kNoon);
    CHECK(rows[0].event.kind == "first");
    CHECK(to_string(rows[0].event.actor) == "account:1");
    CHECK(rows[0].event.directory == kDirectory);
    CHECK(rows[0].event.account == AccountId("account-1"));
    CHECK(rows[0].event.order == OrderId("order-first"));
    CHECK(rows[0].event.authorization == AuthorizationId("authorization-1"));
    CHECK(rows[0].event.certificate == CertificateId("certificate-1"));
    CHECK(rows[0].event.details == event("first").details);
    CHECK(rows[0].hash.size() == 64);
    CHECK(rows[1].event.kind == "server.started");
    CHECK_FALSE(rows[1].event.order);
    CHECK(rows[1].at == kNoon + std::chrono::seconds(5));
    CHECK(rows[2].sequence == 3);
    CHECK(rows[2].hash != rows[0].hash);
    CHECK(tx.audit().head() == store::AuditHead{.sequence = 3, .hash = rows[2].hash});
    CHECK(tx.audit().list(1, 1).front().sequence == 2);
    CHECK(tx.audit().list(3, 1).empty());
    CHECK(tx.audit().of_order(OrderId("order-second")).front().sequence == 3);
    CHECK_FALSE(tx.audit().why_broken());
  });
}

void events_are_searched(TestStore& store) {
  store->write([](store::Tx& tx) {
    for (const char* kind : {"order.created", "second", "order.created", "third"}) {
      tx.audit().append(event(kind));
    }
    store::AuditEvent ours = event("account.deactivated");
    ours.actor = OperatorByUid{0};
    ours.order.reset();
    tx.audit().append(ours);
  });
  store->read([](store::Tx& tx) {
    const auto found = [&](auto member, const auto& value) {
      store::AuditFilter filter;
      filter.*member = value;
      std::string sequences;
      for (const store::AuditRow& row : tx.audit().search(filter, 0, 10).rows) {
        sequences += std::to_string(row.sequence);
      }
      return sequences;
    };
    CHECK(tx.audit().search({}, 0, 10).rows.size() == 5);
    CHECK(found(&store::AuditFilter::order, "order-second") == "2");
    CHECK(found(&store::AuditFilter::account, "account-1") == "12345");
    CHECK(found(&store::AuditFilter::account, "account-%").empty());
    CHECK(found(&store::AuditFilter::certificate, "certificate-2").empty());
    CHECK(found(&store::AuditFilter::kind, "order.created") == "13");
    CHECK(found(&store::AuditFilter::actor, "operator:0") == "5");
    CHECK(found(&store::AuditFilter::since, kNoon) == "12345");
    CHECK(found(&store::AuditFilter::since, kNoon + std::chrono::seconds(1)).empty());
    const store::AuditPage page = tx.audit().search({}, 1, 2);
    CHECK(page.rows.front().sequence == 2);
    CHECK(page.next == 3);
    CHECK_FALSE(tx.audit().search({}, 3, 10).next);

    const auto created = tx.audit().created_orders(100, 1);
    CHECK(created.orders == std::vector{OrderId("order-order.created")});
    CHECK(created.next == 3);
    CHECK(tx.audit().created_orders(3, 10).orders.size() == 1);
    CHECK(tx.audit().created_orders(3, 10).next == 0);
    CHECK(tx.audit().created_orders(1, 10).orders.empty());

    const store::Audit::Verified some = tx.audit().verify({}, 2);
    CHECK(some.head.sequence == 2);
    CHECK_FALSE(some.end);
    CHECK_FALSE(some.broken);
    CHECK(tx.audit().verify(some.head, 10).head == tx.audit().head());
    CHECK(tx.audit().verify(some.head, 10).end);
    // Begun with a hash that is not the chain's, the next event does not follow from it.
    CHECK(tx.audit().verify({.sequence = 2, .hash = std::string(64, '0')}, 10).broken);
  });
}

void rolled_back_event_leaves_no_gap(TestStore& store) {
  store->write([](store::Tx& tx) { tx.audit().append(event("kept")); });
  CHECK_THROWS_AS(store->write([](store::Tx& tx) {
    tx.audit().append(event("lost"));
    throw std::runtime_error("no");
  }),
                  std::runtime_error);
  store.reopen();
  store->write([](store::Tx& tx) { tx.audit().append(event("kept")); });
  store->read([](store::Tx& tx) {
    const std::vector<store::AuditRow> rows = tx.audit().list(0, 10);
    REQUIRE(rows.size() == 2);
    CHECK(rows[1].sequence == 2);
    CHECK(tx.audit().of_order(OrderId("order-lost")).empty());
    CHECK_FALSE(tx.audit().why_broken());
  });
}

}  // namespace

std::vector<ContractCase> audit_cases() {
  return {
      {"an event comes back with its place in the chain", event_comes_back_sealed},
      {"events are searched, and the chain verified in slices", events_are_searched},
      {"an event whose transaction failed leaves no gap, nor does a restart",
       rolled_back_event_leaves_no_gap},
  };
}

// What other hands do to the table, each against a chain of five.
TEST_CASE("a changed audit trail is found at the first row that breaks") {
  struct Case {
    std::string name;
    const char* tampering;
    const char* found;  // nullptr: nothing is broken
  };

  const Case cases[] = {
      {"nothing", "UPDATE audit_events SET kind = kind", nullptr},
      {"a kind", "UPDATE audit_events SET kind = 'x' WHERE sequence = 3", "audit event 3 "},
      {"a time", "UPDATE audit_events SET happened_at = 1 WHERE sequence = 2", "audit event 2 "},
      {"a null made text", "UPDATE audit_events SET order_id = '' WHERE sequence = 5",
       "audit event 5 "},
      {"details", R"(UPDATE audit_events SET details = '{"x":1}' WHERE sequence = 1)",
       "audit event 1 "},
      {"a deletion", "DELETE FROM audit_events WHERE sequence = 3", "audit event 3 is missing"},
      {"a deletion closed up",
       "DELETE FROM audit_events WHERE sequence = 3;"
       "UPDATE audit_events SET sequence = 3 WHERE sequence = 4;"
       "UPDATE audit_events SET sequence = 4 WHERE sequence = 5",
       "audit event 3 "},
      {"a swap",
       "UPDATE audit_events SET sequence = 9 WHERE sequence = 2;"
       "UPDATE audit_events SET sequence = 2 WHERE sequence = 3;"
       "UPDATE audit_events SET sequence = 3 WHERE sequence = 9",
       "audit event 2 "},
  };
  for (const Case& each : cases) {
    CAPTURE(each.name);
    TestStore store;
    for (int i = 0; i < 5; ++i) {
      store->write([](store::Tx& tx) {
        store::AuditEvent plain;
        plain.kind = "kind";
        plain.actor = ServerPrincipal{};
        tx.audit().append(plain);
      });
    }
    store.database().connect_writer()->execute_script(each.tampering);
    const std::optional<std::string> why =
        store->read([](store::Tx& tx) { return tx.audit().why_broken(); });
    CHECK(why.has_value() == (each.found != nullptr));
    if (why && each.found != nullptr) {
      CHECK(why->starts_with(each.found));
    }
  }
}

// The hash is for good: a trail that was sealed years ago must still verify.
TEST_CASE("a row is hashed as it always was") {
  TestStore store;
  store->write([](store::Tx& tx) { tx.audit().append(event("first")); });
  store->read([](store::Tx& tx) {
    CHECK(tx.audit().list(0, 1).front().hash ==
          "1afc972d36cad3263bf1cdb80f7fb683f94a9ae0461ed1e0ede426cfee085b7c");
  });
}

}  // namespace gatehouse::testing
