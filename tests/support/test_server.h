// TestServer: the whole application without sockets or threads, with a CA of its own, time and
// randomness by script. Jobs begin with their COMMIT, as in production, on a lane that run_jobs()
// plays; what is not a job runs on the caller's thread, so that send() has its answer.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "acme-server/app/server/server.h"
#include "acme-server/base/executor.h"
#include "acme-server/base/files.h"
#include "acme-server/base/json.h"
#include "config/config.h"
#include "tests/support/acme_client.h"
#include "tests/support/fake_dialer.h"
#include "tests/support/fake_resolver.h"
#include "tests/support/local_ca_files.h"
#include "tests/support/manual_clock.h"
#include "tests/support/manual_uptime.h"
#include "tests/support/scripted_validator.h"
#include "tests/support/seeded_entropy.h"
#include "tests/support/stepped_executor.h"
#include "tests/support/test_database.h"

namespace gatehouse::testing {

inline constexpr const char* kTestBaseUrl = "https://acme.test";

// What a config says of the directory "default".
inline service::Directory& default_directory(config::Config& config) {
  return config.policy.directories.at(DirectoryId("default"));
}

// A folder as `gatehouse init` leaves it: a CA in ca/, and a config.
class ServerFolder final {
 public:
  // `more` is merged over the least that a server without TLS needs.
  struct Options {
    bool alternate_root = false;  // ca/alternate.pem: the issuing key under another root
    std::string at = {};  // a folder of the test's own; else one in memory that goes with it
  };

  explicit ServerFolder(ManualClock& clock, const Json& more = Json::object())
      : ServerFolder(clock, more, Options{}) {}

  ServerFolder(ManualClock& clock, const Json& more, const Options& options) : path_(options.at) {
    if (path_.empty()) path_ = folder_.emplace().path();
    LocalCaFiles ca(clock);
    if (options.alternate_root) {
      const CaFile other = ca.make("Other Root", nullptr);
      ca.files["alternate.pem"] = ca.certify(ca.issuer, "Test Issuing CA", &other).pem + other.pem;
    }
    ca.files["root.key"] = ca.root.key_pem;
    std::filesystem::create_directory(path() + "/ca");
    for (const auto& [name, content] : ca.files) {
      write_file(path() + "/ca/" + name, content, FileAccess::owner_only, ExistingFile::refuse);
    }
    root_ = ca.root.certificate;
    Json document = parse_json(R"({
      "base_url": "https://acme.test", "public_url": "http://pki.test",
      "listeners": {"acme": [{"address": "127.0.0.1", "port": 8443, "tls": "off"}]}})");
    document.merge_patch(more);
    config_file_ = path() + "/gatehouse.json";
    write_file(config_file_, print_json_pretty(document), FileAccess::owner_only,
               ExistingFile::refuse);
  }

  const std::string& path() const { return path_; }

  const std::string& config_file() const { return config_file_; }

  const crypto::Certificate& root() const { return root_; }

  // What the file says, without waiting for the disk.
  config::Config config() const {
    config::Config config = config::load_config(config_file_, {});
    config.store.synchronous = store::Synchronous::off;
    return config;
  }

 private:
  std::optional<TemporaryFolder> folder_;
  std::string path_;
  std::string config_file_;
  crypto::Certificate root_;
};

class TestServer final {
 public:
  struct Options {
    Json config = Json::object();  // merged over ServerFolder's
    std::uint64_t seed = 1;
    Instant start = kNoon;
    bool alternate_root = false;   // ca/alternate.pem: the issuing key under another root
    bool real_validators = false;  // over `resolver` and `dialer`; else all are `validator`
  };

  TestServer() : TestServer(Options{}) {}

  explicit TestServer(const Options& options)
      : clock(options.start),
        job_clock(options.start),
        entropy(options.seed),
        folder(clock, without_waiting(options.config), {.alternate_root = options.alternate_root}),
        environment_{.clock = clock,
                     .job_clock = job_clock,
                     .uptime = uptime,
                     .entropy = entropy,
                     .resolver = resolver,
                     .dialer = dialer,
                     .log = log_,
                     .metrics = metrics_,
                     .executors = {.requests = inline_,
                                   .validation = lane,
                                   .issuance = lane,
                                   .maintenance = lane,
                                   .control = inline_,
                                   .housekeeping = inline_}} {
    if (!options.real_validators) {
      environment_.decorate.validator = [this](std::unique_ptr<validators::Validator> real) {
        auto scripted = std::make_unique<Shared>(std::string(real->challenge_type()), *this);
        return std::unique_ptr<validators::Validator>(std::move(scripted));
      };
    }
    start();
  }

  // As after a restart of the process: only the folder lives on.
  void restart() {
    stop();
    start();
  }

  // Between the two, the folder is anybody's.
  void stop() {
    lane.clear();
    server_.reset();
  }

  void start_again() { start(); }

  app::Environment& environment() { return environment_; }

  app::Server& operator*() { return *server_; }

  app::Server* operator->() { return server_.get(); }

  http::Response send(http::Request request) {
    std::optional<http::Response> response;
    server_->handler()(std::move(request),
                       [&](http::Response answer) { response = std::move(answer); });
    return std::move(response).value();
  }

  http::Response get(const std::string& listener, const std::string& target) {
    http::Request request;
    request.listener = listener;
    request.method = "GET";
    request.target = target;
    request.headers = {{.name = "Host", .value = "acme.test"}};
    return send(std::move(request));
  }

  // Runs the jobs that have begun, then those that are due, until there are none.
  void run_jobs() {
    lane.run();
    while (server_->run_due_jobs() > 0) lane.run();
  }

  void advance(std::chrono::seconds span) {
    clock.advance(span);
    job_clock.advance(span);
  }

  // What an operator or NTP does to the clock: no time passes.
  void set_clock_by(std::chrono::seconds span) {
    uptime.set_clock_by(span);
    job_clock.advance(span);
  }

  ManualClock clock, job_clock;
  ManualUptime uptime{clock};
  SeededEntropy entropy;
  FakeResolver resolver;
  FakeDialer dialer;
  ScriptedValidator validator;  // what every validator says
  ServerFolder folder;
  SteppedExecutor lane;  // of every job

 private:
  // No answer waits for a job, on whatever lanes jobs run: send() has its answer when it returns.
  static Json without_waiting(const Json& more) {
    Json config = parse_json(R"({"answer_wait": {"challenge": "0s", "finalize": "0s"}})");
    config.merge_patch(more);
    return config;
  }

  // A validator of one challenge type that answers as `validator` does, whoever owns it.
  class Shared final : public validators::Validator {
   public:
    Shared(std::string type, TestServer& server) : own_(std::move(type)), server_(server) {}

    std::string_view challenge_type() const override { return own_.challenge_type(); }

    bool can_validate(const Identifier& identifier) const override {
      return own_.can_validate(identifier);
    }

    validators::ValidationOutcome validate(const validators::ValidationRequest& request,
                                           Deadline deadline) override {
      return server_.validator.validate(request, deadline);
    }

   private:
    ScriptedValidator own_;
    TestServer& server_;
  };

  void start() {
    server_ = std::make_unique<app::Server>(folder.config(), environment_);
    lane.set_inline(true);
    server_->prepare();
    lane.set_inline(false);
    run_jobs();
  }

  InlineExecutor inline_;
  Log log_;
  Metrics metrics_;
  app::Environment environment_;
  std::unique_ptr<app::Server> server_;
};

// A client of the server, without an account yet.
inline AcmeClient client_of(TestServer& server) {
  return {[&server](http::Request request) { return server.send(std::move(request)); },
          kTestBaseUrl};
}

// A client with an account.
inline AcmeClient registered(TestServer& server) {
  AcmeClient client = client_of(server);
  if (const Reply reply = client.new_account(); reply.status != 201) {
    throw std::runtime_error("newAccount: " + reply.body);
  }
  return client;
}

// An order whose authorizations are all valid.
inline ClientOrder ready_order(TestServer& server, AcmeClient& client,
                               const std::vector<std::string>& names) {
  const ClientOrder order = client.new_order(names);
  client.respond(order);
  server.run_jobs();
  return client.get(order);
}

// An order with its certificate.
inline ClientOrder issued_order(TestServer& server, AcmeClient& client,
                                const std::vector<std::string>& names,
                                const TestKey& key = TestKey::generate(TestKey::Kind::p256)) {
  const ClientOrder order = ready_order(server, client, names);
  if (const Reply reply = client.finalize(order, key); reply.status != 200) {
    throw std::runtime_error("finalize: " + reply.body);
  }
  server.run_jobs();
  return client.get(order);
}

}  // namespace gatehouse::testing
