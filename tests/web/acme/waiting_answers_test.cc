// Answers to challenges and to finalize that wait for the job that they began.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "acme-server/service/jobs/completions.h"
#include "acme-server/service/jobs/job_runner.h"
#include "acme-server/store/jobs.h"
#include "tests/support/faulty_database.h"
#include "tests/support/stepped_executor.h"
#include "tests/support/test_web.h"

namespace gatehouse::web {
namespace {

using service::Completions;
using std::chrono::milliseconds;
using testing::Client;
using testing::Fault;
using testing::header_of;
using testing::json_of;
using testing::link_of;
using testing::problem_of;
using testing::ScriptedBackend;
using testing::SteppedExecutor;
using testing::TestKey;
using testing::TestServices;
using testing::TestWeb;
using Pending = TestWeb::Pending;

const Problem kRefused{.type = ProblemType::connection, .detail = "connection refused"};

// A lane on which a job ends before the write that began it has returned.
class FastLane final : public Executor {
 public:
  bool try_post(Task task) override {
    std::thread(std::move(task)).join();
    return true;
  }

  std::size_t idle() const override { return 1; }
};

// A server whose jobs begin with their COMMIT, on a lane that the test plays; so is the executor
// that answers are read anew on.
struct Fixture {
  explicit Fixture(TestServices::Options options = {}, Completions::Options limits = {},
                   Executor* other_lane = nullptr)
      : web(std::move(options)),
        completions(requests, web.services.context().metrics, with_time(std::move(limits))) {
    Executor& used = other_lane == nullptr ? lane : *other_lane;
    runner.add(validation, used);
    runner.add(issuance, used);
    web.services.context().runner = &runner;
    web.services.context().completions = &completions;
    client.new_account();
  }

  Completions::Options with_time(Completions::Options limits) {
    limits.now = [this] { return now; };
    return limits;
  }

  // The URL of a new order's first challenge, and the order's.
  struct Ordered {
    std::string order, authorization, challenge;
  };

  Ordered order(const std::vector<std::string>& names = {"a.test"}) {
    const http::Response created = client.new_order(names);
    const auto authorization = json_of(created)["authorizations"][0].get<std::string>();
    return {
        .order = header_of(created, "Location"),
        .authorization = authorization,
        .challenge = json_of(client.get(authorization))["challenges"][0]["url"].get<std::string>()};
  }

  Pending respond(const Ordered& ordered) {
    return client.begin(ordered.challenge, Json::object());
  }

  // The URL of an order that is ready.
  std::string ready() {
    const Ordered ordered = order();
    const Pending pending = respond(ordered);
    run();
    REQUIRE(pending->has_value());
    return ordered.order;
  }

  Pending finalize(const std::string& order, const std::string& name = "a.test") {
    return client.begin(order + "/finalize",
                        Json{{"csr", base64url_encode(TestKey().csr({name}))}});
  }

  // What is on the lane, then what it gave to the request executor.
  void run() {
    lane.run();
    requests.run();
  }

  static std::string status(const Pending& pending) {
    return pending->has_value() ? json_of(**pending).value("status", "") : "no answer";
  }

  static std::string retry_after(const Pending& pending) {
    return header_of(pending->value(), "Retry-After");
  }

  Completions::Clock::time_point now{};
  SteppedExecutor lane, requests;
  TestWeb web;
  Completions completions;
  service::ValidationJob validation{web.services.context()};
  service::IssuanceJob issuance{web.services.context()};
  service::JobRunner runner{web.services.context()};
  Client client{web};
};

TEST_CASE("the answer to a challenge is its outcome, and complete when it is sent") {
  std::vector<std::string> lines;
  TestServices::Options options;
  options.log = [&](LogLevel, std::string_view line) { lines.emplace_back(line); };
  Fixture f(std::move(options));
  const auto ordered = f.order();
  const auto logged = [&] {
    return std::ranges::count_if(lines, [&](const std::string& line) {
      return line.find("http.request") != std::string::npos &&
             line.find("/challenge/") != std::string::npos;
    });
  };
  const Pending pending = f.respond(ordered);
  CHECK_FALSE(pending->has_value());
  f.lane.run();
  CHECK_FALSE(pending->has_value());
  CHECK(logged() == 0);
  f.requests.run();
  REQUIRE(pending->has_value());
  CHECK(logged() == 1);
  CHECK(pending->value().status == 200);
  CHECK(f.status(pending) == "valid");
  CHECK(json_of(**pending).contains("validated"));
  CHECK(f.retry_after(pending).empty());
  CHECK(header_of(**pending, "Replay-Nonce").size() > 20);
  CHECK(header_of(**pending, "Cache-Control") == "no-store");
  CHECK(header_of(**pending, "X-Content-Type-Options") == "nosniff");
  CHECK(link_of(**pending, "up") == ordered.authorization);
  CHECK(link_of(**pending, "index") == TestWeb::url("/directory"));
  CHECK(
      f.web.services.context().metrics.text().find(
          R"(gatehouse_http_requests_total{listener="acme",outcome="answered",route="/challenge/{challenge}"} 1)") !=
      std::string::npos);
}

TEST_CASE("the answer to finalize is the order with its certificate") {
  Fixture f;
  const std::string order = f.ready();
  const Pending pending = f.finalize(order);
  CHECK_FALSE(pending->has_value());
  f.run();
  REQUIRE(pending->has_value());
  CHECK(f.status(pending) == "valid");
  CHECK(header_of(**pending, "Location") == order);
  CHECK(f.retry_after(pending).empty());
  CHECK(f.client.get(json_of(**pending)["certificate"].get<std::string>()).status == 200);
}

TEST_CASE("a job that ends before its write returns is answered like any other") {
  FastLane lane;
  Fixture f({}, {}, &lane);
  const auto ordered = f.order();
  CHECK(f.status(f.respond(ordered)) == "valid");
  CHECK(f.status(f.finalize(ordered.order)) == "valid");
}

TEST_CASE("a failure is told at once, with its error") {
  TestServices::Options options;
  options.directory.validation_attempts = 1;
  Fixture f(std::move(options));
  f.web.services.http01->always(kRefused);
  const Pending challenge = f.respond(f.order());
  f.run();
  CHECK(f.status(challenge) == "invalid");
  CHECK(json_of(**challenge)["error"]["detail"] == kRefused.detail);

  f.web.services.http01->always(std::nullopt);
  const std::string order = f.ready();
  f.web.services.ca->next(ScriptedBackend::Step::refuse);
  const Pending finalized = f.finalize(order);
  f.run();
  CHECK(finalized->value().status == 200);
  CHECK(f.status(finalized) == "invalid");
  CHECK(json_of(**finalized).contains("error"));
}

TEST_CASE("a first try that fails is answered when it is postponed, not when all have failed") {
  Fixture f;
  f.web.services.http01->always(kRefused);
  const Pending pending = f.respond(f.order());
  f.run();
  CHECK(f.status(pending) == "processing");
  // The gap of 5 s, and one for the try: docs/choices.md, section 8.2, says why there is no error.
  CHECK(f.retry_after(pending) == "6");
  CHECK_FALSE(json_of(**pending).contains("error"));
  CHECK(f.completions.tick() == 0);
}

TEST_CASE("an order whose job is parked, put off or has failed for now is answered as it is") {
  const auto lose_lease = [](Fixture& f) {
    f.web.services.ca->on_call([&](const auto&) {
      f.web.services.advance(std::chrono::hours(1));
      f.web.services.store->write([](store::Tx& tx) {
        tx.jobs().claim_due(store::JobKind::issue_certificate, tx.job_now(), 1,
                            tx.job_now() + std::chrono::hours(1), "another's");
      });
    });
  };
  const std::pair<const char*, std::function<void(Fixture&)>> rows[] = {
      {"parked", [](Fixture& f) { f.web.services.ca->next(ScriptedBackend::Step::doubt); }},
      {"put off", [](Fixture& f) { f.web.services.ca->next(ScriptedBackend::Step::pend); }},
      {"thrown", [](Fixture& f) { f.web.services.ca->next(ScriptedBackend::Step::fail); }},
      {"lease lost", lose_lease}};
  for (const auto& [what, prepare] : rows) {
    CAPTURE(what);
    TestServices::Options options;
    options.repeatable = false;
    Fixture f(std::move(options));
    const std::string order = f.ready();
    prepare(f);
    const Pending pending = f.finalize(order);
    CHECK_FALSE(pending->has_value());
    f.run();
    CHECK(f.status(pending) == "processing");
    CHECK_FALSE(f.retry_after(pending).empty());
    CHECK(f.completions.tick() == 0);
    CHECK((f.web.services.parked().size() == 1) == (std::string_view(what) == "parked"));
  }
}

TEST_CASE("nobody waits for a lane without room") {
  Fixture f;
  const auto ordered = f.order();
  f.lane.set_places(0);
  CHECK(f.status(f.respond(ordered)) == "processing");
  f.lane.set_places(1);
  f.web.services.run_jobs();
  f.lane.set_full(true);  // it seems to have room, and fills up by the COMMIT
  const Pending pending = f.finalize(ordered.order);
  CHECK(f.status(pending) == "processing");
  CHECK_FALSE(f.retry_after(pending).empty());
  CHECK(f.completions.tick() == 0);
}

TEST_CASE("nobody waits while issuance is stopped") {
  Fixture f;
  const std::string order = f.ready();
  f.web.services.stops().stop("drill", OperatorByUid{0});
  const Pending pending = f.finalize(order);
  CHECK(f.status(pending) == "processing");
  CHECK(f.retry_after(pending) == "30");
}

TEST_CASE("an answer that has waited long enough says that the job goes on, and loses nothing") {
  Fixture f;
  const std::string order = f.ready();
  const Pending pending = f.finalize(order);
  f.now += milliseconds(1999);
  f.completions.tick();
  CHECK_FALSE(pending->has_value());
  f.now += milliseconds(1);
  f.completions.tick();
  CHECK(f.status(pending) == "processing");
  CHECK_FALSE(f.retry_after(pending).empty());
  CHECK(header_of(**pending, "Replay-Nonce").size() > 20);
  f.run();
  CHECK(json_of(f.client.get(order))["status"] == "valid");
}

TEST_CASE("an order's answers wait no longer than its budget, whatever it has of challenges") {
  Fixture f;
  f.lane.set_places(16);  // room for every validation of the test, all of one account
  const Json order = json_of(f.client.new_order({"a.test", "b.test", "c.test", "d.test"}));
  std::vector<std::string> challenges;
  for (const Json& authorization : order["authorizations"]) {
    const Json shown = json_of(f.client.get(authorization.get<std::string>()));
    challenges.push_back(shown["challenges"][0]["url"].get<std::string>());
  }
  for (std::size_t i = 0; i < 3; ++i) {
    const Pending pending = f.client.begin(challenges.at(i), Json::object());
    CHECK_FALSE(pending->has_value());
    f.now += milliseconds(1000);
    f.completions.tick();
    CHECK(f.status(pending) == "processing");
  }
  CHECK(f.status(f.client.begin(challenges.at(3), Json::object())) == "processing");
  // Another order of the account has a budget of its own.
  CHECK_FALSE(f.respond(f.order({"e.test"}))->has_value());
}

TEST_CASE("an account waits with a few requests, all accounts with a bounded number") {
  Fixture f({}, {.per_account = 1, .in_all = 2});
  Client second(f.web);
  Client third(f.web);
  for (Client* client : {&second, &third}) client->new_account();
  const auto challenge_of = [&](Client& client, const std::string& name) {
    const Json order = json_of(client.new_order({name}));
    const Json shown = json_of(client.get(order["authorizations"][0].get<std::string>()));
    return shown["challenges"][0]["url"].get<std::string>();
  };
  const auto waits = [&](Client& client, const std::string& name) {
    return !client.begin(challenge_of(client, name), Json::object())->has_value();
  };
  CHECK(waits(f.client, "a.test"));
  CHECK_FALSE(waits(f.client, "b.test"));
  CHECK(waits(second, "c.test"));
  CHECK_FALSE(waits(third, "d.test"));
  f.run();
  CHECK(waits(third, "e.test"));
}

TEST_CASE("a wait of zero switches waiting off, and a reload changes it for who comes then") {
  Fixture f;
  const auto first = f.order({"a.test"});
  const auto second = f.order({"b.test"});
  const Pending before = f.respond(first);
  service::Policy policy = *f.web.services.policy.get();
  policy.server.answer_wait = {.challenge = milliseconds(0), .finalize = milliseconds(500)};
  f.web.services.policy.replace(policy);
  CHECK(f.status(f.respond(second)) == "processing");
  CHECK_FALSE(before->has_value());
  f.run();
  CHECK(f.status(before) == "valid");
  const Pending finalized = f.finalize(first.order);
  f.now += milliseconds(500);
  f.completions.tick();
  CHECK(f.status(finalized) == "processing");
  policy.server.answer_wait.finalize = milliseconds(0);
  f.web.services.policy.replace(policy);
  const auto third = f.order({"c.test"});
  CHECK(f.status(f.respond(third)) == "processing");
  f.run();
  CHECK(f.status(f.finalize(third.order, "c.test")) == "processing");
}

TEST_CASE("at a stop all that wait are answered, and nobody waits any more") {
  Fixture f;
  const auto ordered = f.order({"b.test"});
  const Pending finalized = f.finalize(f.ready());
  const Pending challenge = f.respond(ordered);
  CHECK_FALSE(finalized->has_value());
  CHECK_FALSE(challenge->has_value());
  f.completions.close();
  CHECK(f.status(finalized) == "processing");
  CHECK(f.status(challenge) == "processing");
  CHECK(f.status(f.respond(f.order({"c.test"}))) == "processing");
  f.run();
}

TEST_CASE("a second request for what one waits for is answered at once") {
  Fixture f;
  const auto ordered = f.order();
  const Pending first = f.respond(ordered);
  CHECK(f.status(f.respond(ordered)) == "processing");
  CHECK_FALSE(first->has_value());
  f.run();
  CHECK(f.status(first) == "valid");
  CHECK(f.status(f.respond(ordered)) == "valid");

  const Pending finalized = f.finalize(ordered.order);
  const Pending again = f.finalize(ordered.order);
  CHECK(again->value().status == 403);
  CHECK(problem_of(**again).type == ProblemType::orderNotReady);
  CHECK(header_of(**again, "Location") == ordered.order);
  CHECK_FALSE(finalized->has_value());
  f.run();
  CHECK(f.status(finalized) == "valid");
}

// A fixture over a database that `plan` has the say over.
TestServices::Options over(testing::FaultPlan& plan) {
  TestServices::Options options;
  options.wrap = [&plan](std::unique_ptr<sql::Database> database) {
    return std::make_unique<testing::FaultyDatabase>(std::move(database), plan);
  };
  return options;
}

TEST_CASE("an answer is not read before the COMMIT that it tells of") {
  testing::FaultPlan plan;
  Fixture f(over(plan));
  const auto ordered = f.order();
  std::vector<std::size_t> posted;  // what the request executor has at each COMMIT
  plan.set([&](const auto&) {
    posted.push_back(f.requests.waiting());
    return Fault::none;
  });
  const Pending challenge = f.respond(ordered);
  f.run();
  CHECK(f.status(challenge) == "valid");
  const Pending finalized = f.finalize(ordered.order);
  f.run();
  CHECK(f.status(finalized) == "valid");
  CHECK(posted == std::vector<std::size_t>{0, 0, 0, 0});
}

TEST_CASE("a write that runs twice has one ticket, one that fails gives it back") {
  testing::FaultPlan plan;
  Fixture f(over(plan), {.in_all = 1});
  const auto ordered = f.order();
  bool once = true;
  plan.set(
      [&](const auto&) { return std::exchange(once, false) ? Fault::fail_before : Fault::none; });
  CHECK(f.respond(ordered)->value().status == 500);
  once = true;
  plan.set([&](const auto&) { return std::exchange(once, false) ? Fault::conflict : Fault::none; });
  const Pending pending = f.respond(ordered);
  CHECK_FALSE(pending->has_value());
  CHECK(f.lane.waiting() == 1);
  f.run();
  CHECK(f.status(pending) == "valid");
}

TEST_CASE("an answer that cannot be read anew is sent as it was ready") {
  testing::FaultPlan plan;
  Fixture f(over(plan));
  const Pending pending = f.finalize(f.ready());
  f.lane.run();
  plan.set([](const auto&) { return Fault::crash_before; });
  CHECK_THROWS(f.web.services.store->write([](store::Tx&) {}));
  f.requests.run();
  CHECK(f.status(pending) == "processing");
  CHECK_FALSE(f.retry_after(pending).empty());
  plan.restart();
}

}  // namespace
}  // namespace gatehouse::web
