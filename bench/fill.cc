// gatehouse-fill: certificates into a database, through the store's own inserts: order,
// authorization, challenge, intent, certificate and the audit trail of each, as an issuance leaves
// them.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>

#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"
#include "acme-server/base/executor.h"
#include "acme-server/base/log.h"
#include "acme-server/base/metrics.h"
#include "acme-server/store/sql/open.h"
#include "acme-server/store/store.h"
#include "bench/filler.h"

namespace gatehouse::bench {

namespace {

constexpr std::size_t kAccounts = 1000;
constexpr std::size_t kPerWrite = 1000;

int fill(const std::string& path, std::size_t count) {
  SystemClock clock;
  OsEntropy entropy;
  Log log;
  Metrics metrics;
  InlineExecutor writer;
  // Nothing here outlives a failure: it is begun anew.
  const auto database =
      sql::open({.database = path, .synchronous = store::Synchronous::off, .on_fatal = {}});
  store::Store store(*database, writer, clock, clock, log, metrics, {});
  Filler filler(entropy);
  // As if the last sixty days had seen them.
  const Instant began = clock.now() - std::chrono::days(60);
  store.write([&](store::Tx& tx) { filler.add_accounts(tx, kAccounts, began); });
  for (std::size_t done = 0; done < count;) {
    const std::size_t end = std::min(count, done + kPerWrite);
    store.write([&](store::Tx& tx) {
      for (std::size_t i = done; i < end; ++i) {
        const auto age =
            std::chrono::days(60) / 1.0 * static_cast<double>(i) / static_cast<double>(count);
        filler.add_issued(tx, i, began + std::chrono::duration_cast<std::chrono::seconds>(age));
      }
    });
    done = end;
    if (done % 100000 == 0) std::cerr << done << " of " << count << "\n";
  }
  return 0;
}

}  // namespace

}  // namespace gatehouse::bench

int main(int argc, char** argv) {
  std::string database;
  std::size_t count = 1000000;
  CLI::App app("Fills a database with certificates through the store's own inserts.");
  app.add_option("--database", database, "the SQLite file; no server runs on it")->required();
  app.add_option("--count", count, "certificates");
  CLI11_PARSE(app, argc, argv);
  try {
    return gatehouse::bench::fill(database, count);
  } catch (const std::exception& error) {
    std::cerr << "gatehouse-fill: " << error.what() << "\n";
    return 2;
  }
}
