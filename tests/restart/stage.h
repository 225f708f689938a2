// What the restart tests stand on: the product's crash points, and a server in a folder of its own
// that dies at them, under the load of clients that do not give up.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "tests/restart/killable_server.h"
#include "tests/restart/oracle.h"
#include "tests/restart/stubborn_client.h"
#include "tests/support/paths.h"

namespace gatehouse::testing {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using SteadyClock = std::chrono::steady_clock;

inline constexpr milliseconds kReadyWithin{5000};  // after a crash, from exec to the first answer
inline constexpr seconds kPatience{300};           // of all clients, on the slowest machine
inline constexpr seconds kPatienceEach{30};        // until a crash point is passed
inline constexpr milliseconds kTick{1};

// A client's intent is marked with the finalization that stores it, but for a busy lane or CAA; the
// server's own by its job, which passes this.
inline constexpr const char* kMarking = "intent.marking";

// What stands between `before` and the next quote, in every file of the product that has it.
inline std::vector<std::string> quoted_after(const std::string& before) {
  std::vector<std::string> found;
  for (const char* folder : {"acme-server", "validators", "ca-backends", "config"}) {
    for (const auto& file : fs::recursive_directory_iterator(source_directory() + "/" + folder)) {
      if (file.path().extension() != ".cc" && file.path().extension() != ".h") continue;
      std::ifstream in(file.path());
      const std::string text{std::istreambuf_iterator<char>(in), {}};
      for (auto at = text.find(before); at != std::string::npos; at = text.find(before, at + 1)) {
        const auto begin = at + before.size();
        found.push_back(text.substr(begin, text.find('"', begin) - begin));
      }
    }
  }
  std::ranges::sort(found);
  return found;
}

// Every crash point of the product, as the source has it.
inline std::vector<std::string> crash_points() {
  return quoted_after("crash_point(\"");
}

// A server in a folder of its own, the times that it took to be ready, and how it ended.
class Stage final {
 public:
  // `more` is merged into the config.
  explicit Stage(const std::string& name, const Json& more = Json::object())
      : clock_(from_unix(::time(nullptr))),
        folder_(clock_, config(more), {.at = make_folder(name)}),
        record_(folder_.path() + "/signed"),
        server_(binary_directory() + "/restart_server", folder_.path(), record_) {}

  KillableServer& server() { return server_; }

  // False when it died at `crash` on the way: that is a kill.
  bool start(const Crash& crash = {}) {
    if (crash.point.starts_with("own_certificate.") || crash.point == kMarking) {
      // A certificate whose key is lost is replaced at once.
      fs::remove_all(folder_.path() + "/data/listener-keys");
    }
    const auto begun = SteadyClock::now();
    if (!server_.start(crash)) {
      ++kills;
      return false;
    }
    recoveries.push_back(std::chrono::duration_cast<milliseconds>(SteadyClock::now() - begun));
    return true;
  }

  void kill() {
    server_.kill();
    ++kills;
  }

  Oracle oracle() { return {folder_.path(), record_}; }

  const std::string& path() const { return folder_.path(); }

  milliseconds longest_recovery() const { return *std::ranges::max_element(recoveries); }

  milliseconds median_recovery() const {
    auto sorted = recoveries;
    std::ranges::sort(sorted);
    return sorted.at(sorted.size() / 2);
  }

  int kills = 0;
  std::vector<milliseconds> recoveries;

 private:
  static Json config(const Json& more) {
    Json config = parse_json(R"({
      "listeners": {"acme": [{"address": "127.0.0.1", "port": 8443, "tls": "off"}],
                    "operations": [{"address": "127.0.0.1", "port": 8444, "tls": "own"}]}})");
    config.merge_patch(more);
    return config;
  }

  // What a failure has left is there to be looked at until the next run.
  static std::string make_folder(const std::string& name) {
    std::string folder = binary_directory() + "/" + name;
    fs::remove_all(folder);
    make_private_folder(folder);
    return folder;
  }

  ManualClock clock_;
  ServerFolder folder_;
  std::string record_;
  KillableServer server_;
};

inline void report(const char* name, const Stage& stage, const RestartLoad& load,
                   const Acknowledged& told, const Tally& tally, SteadyClock::time_point begun) {
  const auto taken = std::chrono::duration_cast<milliseconds>(SteadyClock::now() - begun).count();
  std::printf(
      "%s: %d kills, %d orders, %zu accounts (%d key changes, %zu deactivated), %zu revoked, in "
      "%.1f s.\n  The key signed %zu certificates, %zu intents and %zu certificates are stored, "
      "%zu CRLs were published, %zu audit rows chained.\n  Ready again in %lld ms (median), %lld "
      "ms at worst; %d times a certificate shown before was shown again.\n",
      name, stage.kills, load.done(), told.accounts.size(), told.key_changes,
      told.deactivated.size(), told.revoked.size(), static_cast<double>(taken) / 1000,
      tally.signatures, tally.intents, tally.certificates, tally.crls, tally.audit,
      static_cast<long long>(stage.median_recovery().count()),
      static_cast<long long>(stage.longest_recovery().count()), told.seen_again);
}

// Has the clients come to their ends, stops the server and looks at everything.
inline void finish(const char* name, Stage& stage, RestartLoad& load,
                   SteadyClock::time_point begun) {
  load.enough();
  while (!load.finished()) std::this_thread::sleep_for(kTick);
  for (const std::string& failure : load.failures()) FAIL_CHECK(failure);
  stage.server().begin_stop();
  CHECK(stage.server().wait(kPatienceEach) == KillableServer::End::in_order);
  const Acknowledged told = load.told();
  const Tally tally = stage.oracle().check_at_the_end(told);
  CHECK(stage.longest_recovery() < kReadyWithin);
  report(name, stage, load, told, tally, begun);
}

// Until `orders` more are done. False when the clients have given up.
inline bool await_orders(const RestartLoad& load, int orders) {
  const int until = load.done() + orders;
  while (load.done() < until) {
    if (load.finished()) return false;
    std::this_thread::sleep_for(kTick);
  }
  return true;
}

}  // namespace gatehouse::testing
