// gatehouse-floor: the CPU of what a durable ACME server cannot avoid for one certificate, with
// nothing of an ACME server in it. Each part runs by itself, beside the raw arithmetic of the same
// run. No HTTP is parsed, no JSON, no row is read, nothing is logged.
#include "bench/floor.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "acme-server/base/json.h"
#include "bench/signatures.h"

namespace gatehouse::bench {

namespace {

constexpr std::size_t kWaitingWrites = 3;

struct Options {
  std::string folder = "/var/tmp";
  std::size_t commits = 3;
  HttpsLoad https{.pause = std::chrono::milliseconds(14)};
  std::size_t certificates = 2000;
  bool json = false;
};

struct Part {
  const char* name;
  std::string what;
  double milliseconds;
  bool counts = true;  // in the sum
};

using Word = std::atomic<std::uint32_t>;

// Until `word` is `wanted`, asleep and not spinning: the other one has a disk to wait for.
void wait_for(Word& word, std::uint32_t wanted) {
  for (std::uint32_t now = word; now != wanted; now = word) {
    syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, now, nullptr, nullptr, 0);
  }
}

void tell(Word& word, std::uint32_t value) {
  word = value;
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

// A caller hands a write to the thread that commits, and sleeps until it is told.
double thread_changes(std::size_t certificates) {
  const auto writes = static_cast<std::uint32_t>(certificates * kWaitingWrites);
  Word asked = 0;
  Word answered = 0;
  const double before = cpu_milliseconds();
  {
    const std::jthread writer([&] {
      for (std::uint32_t write = 1; write <= writes; ++write) {
        wait_for(asked, write);
        tell(answered, write);
      }
    });
    for (std::uint32_t write = 1; write <= writes; ++write) {
      tell(asked, write);
      wait_for(answered, write);
    }
  }
  return (cpu_milliseconds() - before) / static_cast<double>(certificates);
}

double leaf(const Signatures& signatures, std::size_t certificates) {
  const double before = cpu_milliseconds();
  for (std::size_t i = 0; i < certificates; ++i) signatures.verify();
  return (cpu_milliseconds() - before) / static_cast<double>(certificates);
}

std::vector<Part> measure(const Options& options) {
  const Signatures signatures;
  const double first = arithmetic(signatures);
  HttpsLoad at_once = options.https;
  at_once.pause = {};
  const std::string load = std::to_string(options.https.requests) + " requests, " +
                           std::to_string(options.https.connections) + " connections";
  const auto groups = [](std::size_t count) {
    return "5 transactions in " + std::to_string(count) + " COMMIT";
  };
  std::vector<Part> parts{
      {"arithmetic", "8 verifications, 1 signature", first},
      {"leaf", "1 verification", leaf(signatures, options.certificates)},
      {"https", load + " that pause", https(options.https, options.certificates)},
      {"https_at_once", load + " that do not", https(at_once, options.certificates), false},
      {"validation", "6 DNS questions, 1 GET", validation(options.certificates)},
      {"commits", groups(options.commits),
       commits(options.folder, options.commits, options.certificates)},
      {"commits_in_one", groups(1), commits(options.folder, 1, options.certificates), false},
      {"threads", "3 writes, 2 changes each", thread_changes(options.certificates)}};
  parts.front().milliseconds = (first + arithmetic(signatures)) / 2;
  return parts;
}

void print(const Options& options, std::vector<Part> parts) {
  double sum = 0;
  for (const Part& part : parts) sum += part.counts ? part.milliseconds : 0;
  parts.push_back({"sum", "", sum});
  const double raw = parts.front().milliseconds;
  if (options.json) {
    Json json = {{"certificates", options.certificates}};
    for (const Part& part : parts) {
      json[part.name] = {{"cpu_ms", part.milliseconds}, {"x_arithmetic", part.milliseconds / raw}};
    }
    std::cout << print_json(json) << "\n";
    return;
  }
  std::printf("%-15s %9s %13s\n", "part", "CPU ms", "x arithmetic");
  for (const Part& part : parts) {
    std::printf("%-15s %9.4f %13.2f  %s%s\n", part.name, part.milliseconds, part.milliseconds / raw,
                part.what.c_str(), part.counts ? "" : " (not in the sum)");
  }
}

}  // namespace

}  // namespace gatehouse::bench

int main(int argc, char** argv) {
  using namespace gatehouse::bench;
  Options options;
  CLI::App app("The CPU of what a durable ACME server cannot avoid for one certificate.");
  app.add_option("--folder", options.folder, "where the database is put: on a disk");
  app.add_option("--commits", options.commits, "COMMITs for the 5 transactions of a certificate")
      ->check(CLI::Range(1, 5));
  app.add_option("--connections", options.https.connections, "of https")
      ->check(CLI::Range(1, 1000));
  app.add_option("--requests", options.https.requests, "of a certificate");
  app.add_option_function<int>(
      "--pause", [&](int pause) { options.https.pause = std::chrono::milliseconds(pause); },
      "milliseconds from an answer to the next request, about");
  app.add_option("--certificates", options.certificates, "how many each part is measured with");
  app.add_flag("--json", options.json, "a line of JSON");
  CLI11_PARSE(app, argc, argv);
  try {
    print(options, measure(options));
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "gatehouse-floor: " << error.what() << "\n";
    return 2;
  }
}
