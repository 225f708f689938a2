// gatehouse-crl ROWS FOLDER [SECONDS]: what a CRL of ROWS entries costs, over a real database on
// disk with synchronous=FULL. Rows go in through the store's own insert. Prints the seconds and the
// peak of the resident set of one generation, what 50 downloads at once add, and, with SECONDS, how
// many small writes per second other threads get in a span with one generation and in one without.
#include <malloc.h>
#include <sys/statfs.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "acme-server/base/executor.h"
#include "acme-server/base/hex.h"
#include "acme-server/base/log.h"
#include "acme-server/base/metrics.h"
#include "acme-server/base/uptime.h"
#include "acme-server/crypto/issue.h"
#include "acme-server/net/egress.h"
#include "acme-server/service/certificates/certificates.h"
#include "acme-server/service/certificates/crl_job.h"
#include "acme-server/service/context.h"
#include "acme-server/service/jobs/job_runner.h"
#include "acme-server/service/stops/clock_watch.h"
#include "acme-server/service/stops/disk_watch.h"
#include "acme-server/service/stops/issuance_stops.h"
#include "acme-server/service/stops/operator_stop.h"
#include "acme-server/store/sql/open.h"
#include "acme-server/store/store.h"
#include "tests/support/fake_dialer.h"
#include "tests/support/fake_resolver.h"
#include "tests/support/scripted_backend.h"
#include "validators/caa.h"

namespace gatehouse {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kBatch = 2000;
constexpr std::size_t kWriters = 16;
constexpr std::size_t kDownloads = 50;
constexpr const char* kUrl = "http://pki.test/crl/scripted/0.crl";
constexpr const char* kFile = "/crl/scripted/0.crl";

double seconds_of(const std::function<void()>& work) {
  const auto begin = SteadyClock::now();
  work();
  return std::chrono::duration<double>(SteadyClock::now() - begin).count();
}

// "VmRSS" or "VmHWM" of /proc/self/status, in MiB.
double memory(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name + ":")) return std::stod(line.substr(name.size() + 1)) / 1024;
  }
  return 0;
}

void forget_peak() {
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << "5";
}

struct World {
  explicit World(const std::string& folder)
      : database(sql::open({.database = folder + "/bench.db"})),
        store(*database, writer, clock, clock, log, metrics),
        policy(service::Policy()) {
    auto made = std::make_unique<testing::ScriptedBackend>(entropy);
    ca = made.get();
    backends.add({.name = "local", .certificates = std::move(made), .crls = ca});
  }

  void insert(store::Tx& tx, std::int64_t number, bool revoked) {
    const std::string name = random_row_id(entropy, clock.now());
    Order order;
    order.id = OrderId("o" + name);
    order.directory = DirectoryId("default");
    order.account = account.id;
    order.profile = "default";
    order.identifiers = {{IdentifierType::dns, "host" + std::to_string(number) + ".corp.example"}};
    order.created = clock.now();
    order.expires = clock.now() + std::chrono::hours(24);
    tx.orders().insert(order);
    store::Issuance issuance;
    issuance.id = IssuanceId("i" + name);
    issuance.order = order.id;
    issuance.backend = "local";
    issuance.issuer = ca->issuer().id;
    issuance.serial = hex_encode(crypto::random_serial(entropy));
    issuance.profile = "default";
    issuance.spki_sha256 = name;
    issuance.crl_url = kUrl;
    issuance.not_before = clock.now();
    issuance.not_after = clock.now() + std::chrono::hours(24 * 90);
    issuance.created = clock.now();
    issuance.state = store::IssuanceState::issued;
    tx.issuances().insert(issuance);
    CertificateRecord certificate;
    certificate.id = CertificateId(name);
    certificate.directory = order.directory;
    certificate.account = account.id;
    certificate.order = order.id;
    certificate.issuance = issuance.id;
    certificate.backend = "local";
    certificate.issuer = issuance.issuer;
    certificate.serial = issuance.serial;
    certificate.spki_sha256 = name;
    certificate.identifiers = order.identifiers;
    certificate.not_before = issuance.not_before;
    certificate.not_after = issuance.not_after;
    certificate.crl_url = kUrl;
    certificate.chain_pem = std::string(1800, 'x');  // a leaf and its intermediate, P-256
    certificate.issued_at = clock.now();
    if (revoked) {
      certificate.revocation = {.at = clock.now(), .reason = static_cast<int>(number % 6)};
    }
    tx.certificates().insert(certificate);
  }

  void fill(std::size_t rows) {
    account.id = AccountId("account");
    account.directory = DirectoryId("default");
    account.key_thumbprint = "thumbprint";
    account.key_jwk = "{}";
    account.key_spki_sha256 = "spki";
    account.created = clock.now();
    store.write([&](store::Tx& tx) { tx.accounts().insert(account); });
    for (std::size_t done = 0; done < rows; done += kBatch) {
      store.write([&](store::Tx& tx) {
        for (std::size_t i = done; i < std::min(rows, done + kBatch); ++i) {
          insert(tx, static_cast<std::int64_t>(i), true);
        }
      });
    }
  }

  // Writes of the size of one issuance, by kWriters threads at once, for `span`; per second.
  double writes_per_second(std::chrono::seconds span, const std::function<void()>& meanwhile) {
    std::atomic<std::int64_t> done{0};
    std::atomic<bool> stop{false};
    {
      std::vector<std::jthread> threads;
      for (std::size_t i = 0; i < kWriters; ++i) {
        threads.emplace_back([&] {
          while (!stop) {
            store.write([&](store::Tx& tx) { insert(tx, ++done, false); });
          }
        });
      }
      const auto end = SteadyClock::now() + span;
      meanwhile();
      std::this_thread::sleep_until(end);
      stop = true;
    }
    return static_cast<double>(done) / static_cast<double>(span.count());
  }

  SystemClock clock;
  OsEntropy entropy;
  Log log;
  Metrics metrics;
  WorkerPool writer{{.name = "writer", .threads = 1, .queue_limit = 64}};
  std::unique_ptr<sql::Database> database;
  store::Store store;
  service::PolicyInForce policy;
  validators::ValidatorSet validators;
  testing::FakeResolver resolver;
  testing::FakeDialer dialer;
  net::Egress egress{resolver, dialer};
  validators::Caa caa{egress};
  MachineUptime uptime;
  service::OperatorStop operator_stop{store, clock, log, metrics};
  service::ClockWatch clock_watch{store, clock, uptime, log, metrics};
  service::DiskWatch disk_watch{store, clock, log, metrics, {}};
  service::IssuanceStops stops{store, log, operator_stop, clock_watch, disk_watch, {}};
  backends::BackendSet backends;
  testing::ScriptedBackend* ca = nullptr;
  Account account;
};

void run(std::size_t rows, const std::string& folder, std::chrono::seconds span) {
  World world(folder);
  std::printf("%zu rows inserted in %.1f s\n", rows, seconds_of([&] { world.fill(rows); }));
  service::Context context{
      .store = world.store,
      .clock = world.clock,
      .job_clock = world.clock,
      .entropy = world.entropy,
      .log = world.log,
      .metrics = world.metrics,
      .policy = world.policy,
      .validators = world.validators,
      .caa = world.caa,
      .backends = world.backends,
      .stops = world.stops,
      .wake = [] {},
      .account_url = [](const DirectoryId&, const AccountId&) { return std::string(); }};
  service::PublicFiles files(context);
  service::CrlJob job(context, files);
  service::JobRunner runner(context);
  InlineExecutor lane;
  runner.add(job, lane);
  const auto generate = [&] {
    world.store.write([&](store::Tx& tx) {
      for (const auto& shard : world.ca->issuers()->shards) {
        tx.jobs().enqueue(random_row_id(world.entropy, world.clock.now()),
                          store::JobKind::publish_crl, service::CrlJob::subject_of(shard),
                          tx.job_now() - std::chrono::seconds(1));
      }
    });
    runner.run_due_once();
  };
  for (int round = 1; round <= 2; ++round) {
    forget_peak();
    const double before = memory("VmRSS");
    const double took = seconds_of(generate);
    const auto crl = world.store.read([](store::Tx& tx) { return tx.crls().by_file(kFile); });
    std::printf("generation %d: %.2f s, %lld entries, peak RSS %.0f MiB (%.0f before)\n", round,
                took, crl ? static_cast<long long>(crl->entries) : -1, memory("VmHWM"), before);
  }
  forget_peak();
  const double before = memory("VmRSS");
  std::vector<std::shared_ptr<const std::string>> bodies(kDownloads);
  const double took = seconds_of([&] {
    std::vector<std::jthread> clients;
    for (auto& body : bodies) clients.emplace_back([&] { body = files.find(kFile).value().body; });
  });
  std::printf("%zu downloads at once: %.2f s, RSS +%.0f MiB (peak +%.0f) for a CRL of %.1f MiB\n",
              kDownloads, took, memory("VmRSS") - before, memory("VmHWM") - before,
              static_cast<double>(bodies.front()->size()) / (1 << 20));
  if (span.count() == 0) return;
  const double without = world.writes_per_second(span, [] {});
  double generation = 0;
  const double with = world.writes_per_second(span, [&] { generation = seconds_of(generate); });
  std::printf("writes/s over %lld s: %.0f without, %.0f with a generation of %.2f s: %.1f %%\n",
              static_cast<long long>(span.count()), without, with, generation,
              100 * with / without);
}

}  // namespace
}  // namespace gatehouse

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("gatehouse-crl ROWS FOLDER [SECONDS]: FOLDER is empty, on a disk\n", stderr);
    return 2;
  }
  struct statfs disk = {};
  if (::statfs(argv[2], &disk) != 0) {
    std::perror(argv[2]);
    return 2;
  }
  std::printf("file system type 0x%lx\n", static_cast<unsigned long>(disk.f_type));
  gatehouse::run(std::strtoul(argv[1], nullptr, 10), argv[2],
                 std::chrono::seconds(argc > 3 ? std::atol(argv[3]) : 0));
  return 0;
}
