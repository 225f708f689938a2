// Answers that wait for their job, over real sockets and with real lanes.
#include <doctest/doctest.h>

#include <ctime>
#include <future>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "acme-server/app/server/host.h"
#include "tests/support/socket_acme.h"
#include "tests/support/test_server.h"

namespace gatehouse::testing {
namespace {

// One validator for all challenge types, whoever owns it.
class Forwarding final : public validators::Validator {
 public:
  Forwarding(std::string type, ScriptedValidator& to) : own_(std::move(type)), to_(to) {}

  std::string_view challenge_type() const override { return own_.challenge_type(); }

  bool can_validate(const Identifier& identifier) const override {
    return own_.can_validate(identifier);
  }

  validators::ValidationOutcome validate(const validators::ValidationRequest& request,
                                         Deadline deadline) override {
    return to_.validate(request, deadline);
  }

 private:
  ScriptedValidator own_;
  ScriptedValidator& to_;
};

Json waits(const std::string& challenge) {
  return {{"answer_wait", {{"challenge", challenge}, {"finalize", "10s"}}}};
}

// A Host on a port that the system chooses, whose validator says what the test wants.
struct Running {
  explicit Running(const Json& more)
      : clock(from_unix(::time(nullptr))), folder(clock, more), host(make()) {
    host->start();
  }

  std::unique_ptr<app::Host> make() {
    std::vector<config::Config> configs = {folder.config()};
    for (auto* kind : {&configs[0].acme, &configs[0].public_files, &configs[0].operations}) {
      for (config::ListenerConfig& listener : *kind) {
        listener.listener.address = http::TcpAddress{.address = "127.0.0.1", .port = 0};
      }
    }
    configs[0].threads = {
        .http = 1, .requests = 4, .request_queue = 64, .validation = 2, .issuance = 2};
    return std::make_unique<app::Host>(
        std::move(configs), log,
        app::Host::Options{.adjust = [this](std::size_t, const app::Environment& base) {
          app::Decorators decorate;
          decorate.validator = [this](std::unique_ptr<validators::Validator> real) {
            return std::unique_ptr<validators::Validator>(
                std::make_unique<Forwarding>(std::string(real->challenge_type()), validator));
          };
          return app::Environment{.clock = base.clock,
                                  .job_clock = base.job_clock,
                                  .uptime = base.uptime,
                                  .entropy = base.entropy,
                                  .resolver = resolver,
                                  .dialer = base.dialer,
                                  .log = base.log,
                                  .metrics = base.metrics,
                                  .executors = base.executors,
                                  .decorate = decorate};
        }});
  }

  http::ListenerAddress address() const {
    for (const http::ListenerAddress& bound : host->addresses()) {
      if (bound.listener == "acme.0") return bound;
    }
    throw std::runtime_error("no ACME listener");
  }

  AcmeClient client() const { return {SocketSender(address()), kTestBaseUrl}; }

  Log log;
  ManualClock clock;
  FakeResolver resolver;
  ScriptedValidator validator;
  ServerFolder folder;
  std::unique_ptr<app::Host> host;
};

std::string challenge_of(AcmeClient& client, const ClientOrder& order) {
  const Json authorization =
      client.read(order.json.at("authorizations").at(0).get<std::string>()).json();
  return authorization.at("challenges").at(0).at("url").get<std::string>();
}

// Holds the validator up until it is released; in any case at the end.
class Held {
 public:
  explicit Held(ScriptedValidator& validator) {
    validator.on_validate([gate = gate_](const auto&) {
      gate->begun.count_down();
      gate->released.wait();
    });
  }

  ~Held() { release(); }

  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

  void wait_until_begun() { gate_->begun.wait(); }

  void release() {
    if (!gate_->released.try_wait()) gate_->released.count_down();
  }

 private:
  struct Gate {
    std::latch begun{1}, released{1};
  };

  std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
};

TEST_CASE("a client has its certificate without a poll") {
  const Running running(waits("10s"));
  AcmeClient client = running.client();
  REQUIRE(client.new_account().status == 201);
  ClientOrder order = client.new_order({"a.test"});
  const Reply proven = client.post(challenge_of(client, order), Json::object());
  CHECK(proven.status == 200);
  CHECK(proven.json().at("status") == "valid");
  const Reply finalized = client.finalize(order);
  CHECK(finalized.status == 200);
  CHECK(finalized.header("Location") == order.url);
  order.json = finalized.json();
  REQUIRE(order.status() == "valid");
  CHECK(client.download(order).status == 200);
}

TEST_CASE("a client whose wait is over is answered while its job runs on") {
  Running running(waits("20ms"));
  Held held(running.validator);
  AcmeClient client = running.client();
  client.new_account();
  const ClientOrder order = client.new_order({"a.test"});
  const Reply reply = client.post(challenge_of(client, order), Json::object());
  CHECK(reply.status == 200);
  CHECK(reply.json().at("status") == "processing");
  CHECK(reply.header("Retry-After") == "1");
}

TEST_CASE("a client that hangs up while it waits loses nothing") {
  Running running(waits("10s"));
  Held held(running.validator);
  AcmeClient client = running.client();
  client.new_account();
  const ClientOrder order = client.new_order({"a.test"});
  const std::string challenge = challenge_of(client, order);
  {
    Client connection = Client::to(running.address());
    const std::string body = sign_with_kid(client.key, client.kid, challenge, client.nonce(), "{}");
    connection.send("POST " + challenge.substr(std::string(kTestBaseUrl).size()) +
                    " HTTP/1.1\r\nHost: acme.test\r\nContent-Type: application/jose+json\r\n"
                    "Content-Length: " +
                    std::to_string(body.size()) + "\r\n\r\n" + body);
    held.wait_until_begun();
  }
  held.release();
  ClientOrder seen = client.get(order);
  const Deadline patience = Deadline::in(std::chrono::seconds(kPatienceSeconds));
  while (seen.status() != "ready") {
    REQUIRE_FALSE(patience.expired());
    std::this_thread::yield();
    seen = client.get(order);
  }
  const Reply finalized = client.finalize(order);
  CHECK(finalized.json().at("status") == "valid");
}

TEST_CASE("a stop answers who waits before it waits for the jobs") {
  Running running(waits("10s"));
  Held held(running.validator);
  AcmeClient client = running.client();
  client.new_account();
  const ClientOrder order = client.new_order({"a.test"});
  const std::string challenge = challenge_of(client, order);
  auto reply =
      std::async(std::launch::async, [&] { return client.post(challenge, Json::object()); });
  held.wait_until_begun();
  auto stopped = std::async(std::launch::async, [&] { return running.host->stop(); });
  const Reply answer = reply.get();  // the validator is still held up
  CHECK(answer.status == 200);
  CHECK(answer.json().at("status") == "processing");
  held.release();
  CHECK(stopped.get());
}

}  // namespace
}  // namespace gatehouse::testing
