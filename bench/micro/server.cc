// The budget's other parts: nonces, JSON, HTTP, and the store on a disk (TMPDIR, else /var/tmp).
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/executor.h"
#include "acme-server/base/json.h"
#include "acme-server/base/log.h"
#include "acme-server/base/metrics.h"
#include "acme-server/http/framing.h"
#include "acme-server/store/sql/open.h"
#include "acme-server/store/store.h"
#include "acme-server/web/acme/nonces.h"
#include "acme-server/web/acme/resource_json.h"
#include "acme-server/web/links.h"
#include "bench/filler.h"

namespace {

using namespace gatehouse;

void nonce_issue_and_redeem(benchmark::State& state) {
  OsEntropy entropy;
  web::Nonces nonces(entropy);
  for (auto each : state) benchmark::DoNotOptimize(nonces.redeem(nonces.issue()));
}

void log_request(benchmark::State& state) {
  std::size_t octets = 0;
  Log log({.format = Log::Format::json,
           .level = LogLevel::info,
           .sink = [&](LogLevel, std::string_view line) { octets += line.size(); }});
  for (auto each : state) {
    log.info("http.request", {{"listener", "acme"},
                              {"method", "POST"},
                              {"target", "/acme/default/order/AaIZNpv4tfmd88hfysrF8YsmooqWhQ"},
                              {"route", "/order/{order}"},
                              {"status", 200},
                              {"problem", ""},
                              {"milliseconds", 1.25},
                              {"client", "127.0.0.1"},
                              {"agent", "gatehouse-bench"},
                              {"request", 123456}});
  }
  benchmark::DoNotOptimize(octets);
}

void http_check_head(benchmark::State& state) {
  const std::string head =
      "POST /acme/default/new-order HTTP/1.1\r\nHost: localhost:14000\r\nUser-Agent: "
      "gatehouse-bench\r\nAccept: */*\r\nContent-Type: application/jose+json\r\nContent-Length: "
      "512\r\n\r\n";
  const http::Limits limits;
  for (auto each : state) benchmark::DoNotOptimize(http::check_head(head, limits, {}));
}

// A store on a disk, removed at the end. Each write is a group of its own: one fsync.
class DiskStore {
 public:
  DiskStore() {
    const char* const base = std::getenv("TMPDIR");
    folder_ = std::string(base == nullptr ? "/var/tmp" : base) + "/gatehouse-micro-XXXXXX";
    if (mkdtemp(folder_.data()) == nullptr) throw std::runtime_error("no folder for the store");
    database_ = sql::open({.database = folder_ + "/bench.db", .on_fatal = {}});
    store_ = std::make_unique<store::Store>(*database_, writer_, clock, clock, log_, metrics_,
                                            store::Store::Options{});
    store_->write([&](store::Tx& tx) { filler.add_accounts(tx, 100, clock.now()); });
  }

  ~DiskStore() {
    store_.reset();
    database_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  DiskStore(const DiskStore&) = delete;
  DiskStore& operator=(const DiskStore&) = delete;

  store::Store* operator->() { return store_.get(); }

  SystemClock clock;
  OsEntropy entropy;
  bench::Filler filler{entropy};

 private:
  std::string folder_;
  Log log_;
  Metrics metrics_;
  InlineExecutor writer_;
  std::unique_ptr<sql::Database> database_;
  std::unique_ptr<store::Store> store_;
};

void order_json(benchmark::State& state) {
  web::WebOptions options;
  options.base_url = "https://localhost:14000";
  const web::Links links(options);
  DiskStore store;
  const Order order =
      store->write([&](store::Tx& tx) { return store.filler.add_order(tx, 1, store.clock.now()); });
  service::OrderView view;
  view.order = order;
  for (auto each : state) benchmark::DoNotOptimize(print_json(web::order_json(view, links)));
}

void store_read_order(benchmark::State& state) {
  DiskStore store;
  const Order order =
      store->write([&](store::Tx& tx) { return store.filler.add_order(tx, 1, store.clock.now()); });
  for (auto each : state) {
    benchmark::DoNotOptimize(
        store->read([&](store::Tx& tx) { return tx.orders().of(*order.account, order.id); }));
  }
}

void store_write_new_order(benchmark::State& state) {
  DiskStore store;
  std::size_t number = 0;
  for (auto each : state) {
    store->write([&](store::Tx& tx) { store.filler.add_order(tx, ++number, store.clock.now()); });
  }
}

void store_write_finalize(benchmark::State& state) {
  DiskStore store;
  std::size_t number = 0;
  for (auto each : state) {
    state.PauseTiming();
    const Order order = store->write(
        [&](store::Tx& tx) { return store.filler.add_order(tx, ++number, store.clock.now()); });
    state.ResumeTiming();
    store->write([&](store::Tx& tx) { store.filler.add_intent(tx, order, store.clock.now()); });
  }
}

void audit_append_and_seal(benchmark::State& state) {
  DiskStore store;
  const Order order =
      store->write([&](store::Tx& tx) { return store.filler.add_order(tx, 1, store.clock.now()); });
  constexpr int kEvents = 100;  // of one group: what is measured is the event, not the fsync
  for (auto each : state) {
    store->write([&](store::Tx& tx) {
      for (int i = 0; i < kEvents; ++i) store.filler.append(tx, order, "order.valid");
    });
  }
  state.SetItemsProcessed(state.iterations() * kEvents);
}

BENCHMARK(nonce_issue_and_redeem);
BENCHMARK(log_request);
BENCHMARK(http_check_head);
BENCHMARK(order_json);
BENCHMARK(store_read_order);
BENCHMARK(store_write_new_order);
BENCHMARK(store_write_finalize);
BENCHMARK(audit_append_and_seal);

}  // namespace
