// gatehouse-load: a closed loop of ACME clients against any ACME directory. Answers http-01 and DNS
// itself. See bench/README.md.
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "acme-server/base/json.h"
#include "bench/load/client.h"
#include "bench/load/load_report.h"
#include "bench/load/process_usage.h"
#include "bench/load/responders.h"

namespace gatehouse::bench {

namespace {

struct Options {
  std::string directory;
  std::vector<int> pids;
  std::size_t clients = 8;
  std::size_t count = 1000;
  std::size_t warm_up = 0;
  int seconds = 600;
  int stall = 20;
  int poll = 50;
  int patience = 30;
  std::size_t unwell = 0;
  std::size_t revoked = 0;
  bool come_back = false;
  std::uint16_t dns_port = 0;
  std::uint16_t http_port = 0;
  std::string suffix = "bench.test";
  bool json = false;
};

// One task per client, started together; turns until all are done or `stop` says so.
template <class Make, class Stop>
void run_all(Loop& loop, std::vector<std::unique_ptr<Client>>& clients, Make make, Stop stop) {
  std::vector<Task<void>> tasks;
  tasks.reserve(clients.size());
  for (auto& client : clients) {
    tasks.push_back(make(*client));
    tasks.back().start();
  }
  const auto done = [](const Task<void>& task) { return task.done(); };
  while (!std::ranges::all_of(tasks, done) && !stop()) loop.turn(std::chrono::milliseconds(200));
  for (const Task<void>& task : tasks) {
    if (task.done()) task.check();
  }
}

Directory directory_of(Loop& loop, SSL_CTX& tls, const std::string& url) {
  std::optional<Directory> directory;
  const auto read = [&]() -> Task<void> { directory = co_await read_directory(loop, tls, url); };
  Task<void> task = read();
  task.start();
  while (!task.done()) loop.turn(std::chrono::milliseconds(200));
  task.check();
  return *directory;
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

int run(const Options& options) {
  raise_descriptor_limit();
  Loop loop;
  DnsResponder dns(loop, options.dns_port);
  ChallengeResponder challenges(loop, options.http_port);
  const TlsContext tls = client_context();
  Statistics setup;
  Statistics statistics;
  Run run{.loop = loop,
          .tls = *tls,
          .challenges = challenges,
          .statistics = statistics,
          .target = split_url(options.directory).first,
          .directory = directory_of(loop, *tls, options.directory),
          .suffix = options.suffix,
          .poll = std::chrono::milliseconds(options.poll),
          .patience = std::chrono::seconds(options.patience),
          .unwell = options.unwell,
          .revoked = options.revoked,
          .comes_back = options.come_back,
          .wanted = options.warm_up};
  std::vector<std::unique_ptr<Client>> clients;
  for (std::size_t i = 0; i < options.clients; ++i) {
    clients.push_back(std::make_unique<Client>(run, i));
  }
  run_all(loop, clients, [](Client& client) { return client.prepare(); }, [] { return false; });
  Task<void> late = dns.send_late_answers();
  late.start();
  // Connections and accounts are there. What warms caches up is not measured either.
  const auto end = Clock::now() + std::chrono::seconds(options.seconds);
  bool stalled = false;
  const auto stop = [&] {
    const auto now = Clock::now();
    stalled = now - statistics.last_progress > std::chrono::seconds(options.stall);
    run.stopping = run.stopping || now > end;
    return stalled;
  };
  const auto work = [](Client& client) { return client.work(); };
  statistics.last_progress = Clock::now();
  if (options.warm_up > 0) run_all(loop, clients, work, stop);
  setup = std::exchange(statistics, {});
  for (const Step step : {Step::new_nonce, Step::new_account}) {
    const auto index = static_cast<std::size_t>(step);
    statistics.milliseconds[index] = setup.milliseconds[index];
  }
  statistics.failures = setup.failures;
  statistics.first_failures = setup.first_failures;
  run.wanted = options.count;
  run.begun = 0;

  const Usage before = usage_of(options.pids);
  const Usage own_before = usage_of({getpid()});
  const auto began = Clock::now();
  if (!stalled) run_all(loop, clients, work, stop);
  const std::chrono::duration<double> took = Clock::now() - began;
  LoadReport report{
      .clients = options.clients,
      .seconds = took.count(),
      .stalled = stalled,
      .statistics = std::move(statistics),
      .before = before,
      .after = usage_of(options.pids),
      .own_cpu_milliseconds = usage_of({getpid()}).cpu_milliseconds - own_before.cpu_milliseconds,
      .dns_questions = dns.answered,
      .challenges_fetched = challenges.answered};
  if (options.json) {
    std::cout << print_json(to_json(report)) << "\n";
  } else {
    std::cout << to_table(report);
  }
  std::cout.flush();
  // Clients that wait for a server that says nothing are not waited for.
  std::_Exit(stalled ? 3 : report.statistics.failures > 0 ? 1 : 0);
}

}  // namespace

}  // namespace gatehouse::bench

int main(int argc, char** argv) {
  gatehouse::bench::Options options;
  CLI::App app("A closed loop of ACME clients; answers http-01 and DNS itself.");
  app.add_option("--directory", options.directory, "URL of the ACME directory")->required();
  app.add_option("--pid", options.pids, "process of the server, with its children; repeatable");
  app.add_option("--clients", options.clients, "clients, each a connection and an account")
      ->check(CLI::Range(1, 100000));
  app.add_option("--count", options.count, "certificates to obtain");
  app.add_option("--warm-up", options.warm_up, "certificates before the measurement");
  app.add_option("--seconds", options.seconds, "no new order after so long");
  app.add_option("--stall", options.stall, "give up after so many seconds without a certificate");
  app.add_option("--poll", options.poll, "milliseconds between polls");
  app.add_option("--patience", options.patience, "seconds that a client waits for one thing");
  app.add_option("--unwell", options.unwell,
                 "in a hundred: orders for names that cannot be proved, or late")
      ->check(CLI::Range(0, 100));
  app.add_option("--revoke", options.revoked, "in a hundred: certificates revoked at once")
      ->check(CLI::Range(0, 100));
  app.add_flag("--come-back", options.come_back,
               "after 503 with Retry-After, instead of a failure");
  app.add_option("--dns-port", options.dns_port, "port of the DNS answers, UDP and TCP; 0: any");
  app.add_option("--http-port", options.http_port, "port of the http-01 answers; 0: any");
  app.add_option("--suffix", options.suffix, "what the ordered names end with");
  app.add_flag("--json", options.json, "one JSON object instead of a table");
  CLI11_PARSE(app, argc, argv);
  try {
    return gatehouse::bench::run(options);
  } catch (const std::exception& error) {
    std::cerr << "gatehouse-load: " << error.what() << "\n";
    return 2;
  }
}
