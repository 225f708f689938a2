// gatehouse-idle: so many TLS connections to a server that do nothing, and what they cost it.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <deque>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "bench/load/https.h"
#include "bench/load/loop.h"
#include "bench/load/process_usage.h"

namespace gatehouse::bench {

namespace {

constexpr std::size_t kAtOnce = 200;
constexpr std::chrono::seconds kPatience{30};

struct Counts {
  std::size_t open = 0;
  std::size_t failed = 0;
  std::string first_failure;
};

// One request, so that the connection has been used, and then nothing.
Task<void> open_one(HttpsConnection& connection, const std::string& path, Counts& counts) {
  try {
    const Response response = co_await connection.exchange("GET", path, "", "");
    if (response.status == 200) {
      ++counts.open;
      co_return;
    }
    throw Failure("status " + std::to_string(response.status));
  } catch (const std::exception& error) {
    if (counts.failed++ == 0) counts.first_failure = error.what();
  }
}

int idle(const std::string& directory, int pid, std::size_t wanted) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  Loop loop;
  const TlsContext tls = client_context();
  const auto [target, path] = split_url(directory);
  const Usage before = usage_of({pid});
  std::deque<HttpsConnection> connections;
  std::vector<Task<void>> tasks;
  Counts counts;
  while (counts.open + counts.failed < wanted) {
    while (connections.size() < wanted &&
           connections.size() - counts.open - counts.failed < kAtOnce) {
      connections.emplace_back(loop, *tls, target, kPatience);
      tasks.push_back(open_one(connections.back(), path, counts));
      tasks.back().start();
    }
    loop.turn(std::chrono::milliseconds(200));
  }
  const Usage after = usage_of({pid});
  const auto mib = [](std::size_t kib) { return static_cast<double>(kib) / 1024; };
  std::printf("idle TLS connections: %zu open, %zu failed %s\n", counts.open, counts.failed,
              counts.first_failure.c_str());
  std::printf("server RSS before %.1f MiB, with them %.1f MiB: %.1f KiB each\n",
              mib(before.rss_kib), mib(after.rss_kib),
              static_cast<double>(after.rss_kib - before.rss_kib) /
                  static_cast<double>(std::max<std::size_t>(1, counts.open)));
  return counts.failed == 0 ? 0 : 1;
}

}  // namespace

}  // namespace gatehouse::bench

int main(int argc, char** argv) {
  std::string directory;
  int pid = 0;
  std::size_t connections = 10000;
  CLI::App app("Idle TLS connections, and the server's memory with them.");
  app.add_option("--directory", directory, "URL of the ACME directory")->required();
  app.add_option("--pid", pid, "process of the server")->required();
  app.add_option("--connections", connections, "how many");
  CLI11_PARSE(app, argc, argv);
  try {
    return gatehouse::bench::idle(directory, pid, connections);
  } catch (const std::exception& error) {
    std::cerr << "gatehouse-idle: " << error.what() << "\n";
    return 2;
  }
}
