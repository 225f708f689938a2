// What a start makes of leases where it does not have the database alone.
#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <string_view>

#include "acme-server/store/store.h"
#include "tests/support/forwarding_database.h"
#include "tests/support/test_database.h"

namespace gatehouse::testing {
namespace {

// As one that several processes claim from.
class SharedDatabase final : public sql::Database {
 public:
  explicit SharedDatabase(sql::Database& inner) : inner_(inner) {}

  std::unique_ptr<sql::Connection> connect_writer() override {
    return std::make_unique<Claimer>(inner_.connect_writer());
  }

  std::unique_ptr<sql::Connection> connect_reader() override { return inner_.connect_reader(); }

  std::string description() const override { return inner_.description(); }

 private:
  class Claimer final : public ForwardingConnection {
   public:
    using ForwardingConnection::ForwardingConnection;

    std::string_view skip_locked() const override { return " FOR UPDATE SKIP LOCKED"; }
  };

  sql::Database& inner_;
};

TEST_CASE("a start leaves leases alone where another process may hold them") {
  constexpr auto kKind = store::JobKind::maintenance;
  const Instant end = kNoon + std::chrono::seconds(60);
  TestStore store;
  store->write([&](store::Tx& tx) {
    tx.jobs().enqueue("id", kKind, "server", kNoon);
    CHECK(tx.jobs().claim_due(kKind, kNoon, 1, end, "token").size() == 1);
  });
  SharedDatabase shared(store.database());
  InlineExecutor writer;
  Log log;
  const store::Store other(shared, writer, store.clock, store.job_clock, log, store.metrics);
  CHECK(store->read([](store::Tx& tx) { return tx.jobs().next_run_at(); }) == end);
}

}  // namespace
}  // namespace gatehouse::testing
