// Seeded clients against the use cases and jobs, while the process crashes at COMMITs, clocks jump
// and the CA waits, refuses, doubts and fails. After each step, what must always hold is looked at.
// A failure names its seed; run it again alone with GATEHOUSE_SEED=<seed>.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/check.h"
#include "tests/support/faulty_database.h"
#include "tests/support/test_services.h"

namespace gatehouse {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::Fault;
using testing::ScriptedBackend;
using testing::TestKey;
using testing::TestServices;

constexpr std::uint64_t kSeeds = 200;
constexpr int kSteps = 50;

// One world: a server, its clients, and what they were told.
class World {
 public:
  explicit World(std::uint64_t seed)
      : random_(seed),
        repeatable_(seed % 2 == 0),
        services_(
            {.repeatable = repeatable_,
             .seed = seed,
             .wrap =
                 [this](std::unique_ptr<sql::Database> database) {
                   return std::make_unique<testing::FaultyDatabase>(std::move(database), plan_);
                 },
             .log =
                 [this](LogLevel level, std::string_view line) {
                   if (level == LogLevel::error && line.find("job.bug") != std::string_view::npos) {
                     bugs_.emplace_back(line);
                   }
                 }}) {
    services_.lane.set_choose([this](std::size_t waiting) { return below(waiting); });
    services_.ca->on_call([this](const ScriptedBackend::Call& call) { check_call(call); });
    for (int i = 0; i < 2; ++i) accounts_.push_back(services_.new_account());
  }

  void step() {
    plan_.set([this](const testing::CommitPoint&) { return draw_fault(); });
    try {
      act();
    } catch (const RequestRejected&) {  // a client is told no: fine
    } catch (const sql::DatabaseError&) {
    } catch (const testing::SimulatedCrash&) {
    }
    plan_.set({});
    if (plan_.crashed()) {
      plan_.restart();
      services_.restart();
    }
    check();
  }

  // The CA, the net and the disk are well again: every order gets its outcome by itself, but for
  // those that an operator must look at.
  void heal() {
    services_.ca->always(ScriptedBackend::Step::issue);
    services_.lane.set_places(testing::SteppedExecutor::kPlaces);
    for (int round = 0; round < 25; ++round) {
      services_.run_jobs();
      check();
      services_.advance(seconds(400));
      for (const store::ParkedJob& job : services_.parked()) {
        CHECK_FALSE(repeatable_);
        services_.store->write(
            [&](store::Tx& tx) { tx.jobs().unpark(job.kind, job.subject, tx.job_now()); });
      }
    }
    check();
    CHECK(services_.store->read([](store::Tx& tx) { return tx.orders().processing(); }).empty());
  }

  std::size_t issued() {
    return services_.store->read([](store::Tx& tx) { return tx.certificates().list({}, 1000); })
        .size();
  }

  const std::vector<std::string>& bugs() const { return bugs_; }

  // How many finalized orders had their intents marked by finalize, and how many left it to the run
  // of the job.
  struct Ways {
    std::size_t with_finalize = 0, by_run = 0;
  };

  const Ways& ways() const { return ways_; }

 private:
  struct Known {
    Account account;
    OrderId id;
    std::vector<std::string> names;
  };

  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

  bool one_in(std::uint64_t bound) { return below(bound) == 0; }

  template <class T>
  const T& any_of(const std::vector<T>& list) {
    return list[below(list.size())];
  }

  Fault draw_fault() {
    if (!one_in(15)) return Fault::none;
    constexpr Fault kFaults[] = {Fault::conflict, Fault::fail_before, Fault::fail_after,
                                 Fault::crash_before, Fault::crash_after};
    return kFaults[below(std::size(kFaults))];
  }

  void act() {
    switch (below(16)) {
      case 0:
      case 1:
        return order();
      case 2:
      case 3:
        return respond();
      case 4:
      case 5:
      case 6:
        return finalize();
      case 7:
        return withdraw();
      case 8:
        return jump();
      case 9:
        return script();
      case 10:
        return change_policy();
      default:
        services_.advance(seconds(below(20)));
        services_.runner().run_due_once();
        for (std::uint64_t tasks = below(4); tasks > 0; --tasks) services_.lane.step();
    }
  }

  void order() {
    std::vector<std::string> names;
    for (std::uint64_t i = 0; i <= below(3); ++i) {
      names.push_back(std::string(1, static_cast<char>('a' + below(5))) + ".test");
    }
    const Account& account = any_of(accounts_);
    orders_.push_back({account, services_.new_order(account, names).order.id, names});
  }

  void respond() {
    if (orders_.empty()) return;
    const Known& known = any_of(orders_);
    const auto view = services_.orders().get(known.account, known.id);
    REQUIRE(view);
    services_.respond(known.account, *view);
  }

  void finalize() {
    if (orders_.empty()) return;
    const Known known = any_of(orders_);
    services_.lane.set_places(below(4));
    services_.orders().finalize(known.account, known.id, TestKey().csr(known.names));
    finalized_.insert(known.id);
    const auto issuance = services_.issuances(known.id).back();
    ++(issuance.state == store::IssuanceState::prepared ? ways_.by_run : ways_.with_finalize);
  }

  void withdraw() {
    if (orders_.empty()) return;
    const Known known = any_of(orders_);
    if (one_in(6)) {
      services_.accounts().deactivate(known.account);
      std::erase(accounts_, known.account);
      accounts_.push_back(services_.new_account());
    } else if (one_in(2)) {
      const auto view = services_.orders().get(known.account, known.id);
      services_.authorizations().deactivate(known.account, any_of(view->order.authorizations));
    }
  }

  void jump() {
    switch (below(6)) {
      case 0:
        services_.store.clock.advance(-minutes(30));
        return;
      case 1:
        services_.store.clock.advance(hours(5));
        return;
      case 2:
        services_.advance(hours(24 * 4));
        return;
      default:
        services_.advance(minutes(2));
    }
  }

  void script() {
    using Step = ScriptedBackend::Step;
    switch (below(7)) {
      case 0:
        return services_.ca->next(Step::refuse);
      case 1:
        return services_.ca->next(Step::pend);
      case 2:
        return services_.ca->next(repeatable_ ? Step::fail : Step::doubt);
      case 3:
        return services_.ca->lose_next_answer();
      case 4:
        return services_.http01->next(Problem{.type = ProblemType::connection, .detail = "Away."});
      case 5:
        return services_.ca->next(Step::not_sent);
      default:
        return services_.ca->next(Step::fail);
    }
  }

  void change_policy() {
    service::Directory directory = TestServices::default_directory();
    directory.profiles.at("default").validity = hours(24 * static_cast<long>(30 + below(3)));
    services_.use(directory);
  }

  // At the moment of a submit its mark is durable.
  void check_call(const ScriptedBackend::Call& call) {
    const bool asked = asked_.contains(call.serial);
    if (call.sent || call.resumed) asked_.insert(call.serial);
    if (call.resumed) return;
    CHECK_FALSE(asked);  // the CA receives one submit per intent at most, and none after a resume
    services_.store->read([&](store::Tx& tx) {
      for (const Known& known : orders_) {
        const auto issuance = tx.issuances().current(known.id);
        if (!issuance || issuance->serial != call.serial) continue;
        CHECK(issuance->state == store::IssuanceState::submitted);
      }
    });
  }

  // After the step that marked an intent, before anything else can have changed: what it rests on
  // holds.
  void check_mark(store::Tx& tx, const Known& known, const store::Issuance& issuance) {
    if (issuance.state == store::IssuanceState::prepared) {
      marked_.erase(issuance.id);  // not marked yet, or not sent: its next mark is looked at anew
      return;
    }
    if (!marked_.insert(issuance.id).second) return;
    CHECK(tx.accounts().get(known.account.id)->status == AccountStatus::valid);
    for (const Authorization& authorization : tx.authorizations().of_order(known.id)) {
      CHECK(is_valid(authorization, tx.now()));
    }
  }

  void check() {
    CHECK(bugs_.empty());
    services_.store->read([&](store::Tx& tx) {
      std::set<std::string> serials;
      for (const Known& known : orders_) check_order(tx, known, serials);
      for (const OrderId& id : tx.orders().processing()) {
        CHECK(tx.jobs().exists(store::JobKind::issue_certificate, id.str()));
      }
    });
  }

  void check_order(store::Tx& tx, const Known& known, std::set<std::string>& serials);

  void check_challenges(store::Tx& tx, const OrderId& id) {
    for (const Authorization& authorization : tx.authorizations().of_order(id)) {
      if (status_of(authorization, tx.now()) != AuthorizationStatus::pending) continue;
      for (const Challenge& challenge : authorization.challenges) {
        if (challenge.status == ChallengeStatus::processing) {
          CHECK(tx.jobs().exists(store::JobKind::validate_challenge, challenge.id.str()));
        }
      }
    }
  }

  struct Outcome {
    std::optional<CertificateId> certificate;
    std::optional<Problem> error;

    friend bool operator==(const Outcome&, const Outcome&) = default;
  };

  std::mt19937_64 random_;
  bool repeatable_;
  std::vector<std::string> bugs_;
  testing::FaultPlan plan_;
  TestServices services_;
  std::vector<Account> accounts_;
  std::vector<Known> orders_;            // that a client was told of
  std::set<OrderId> finalized_;          // whose finalize was answered with success
  std::map<OrderId, Outcome> outcomes_;  // seen once: for ever
  std::set<std::string> asked_;          // serials that the CA may know
  std::set<IssuanceId> marked_;          // seen submitted, or what comes after
  Ways ways_;
};

void World::check_order(store::Tx& tx, const Known& known, std::set<std::string>& serials) {
  const std::optional<Order> order = tx.orders().of(known.account.id, known.id);
  REQUIRE(order);  // acknowledged is durable
  if (finalized_.contains(known.id)) CHECK(order->finalization.has_value());
  CHECK_FALSE((order->certificate && order->error));
  if (order->certificate || order->error) {
    const Outcome outcome{order->certificate, order->error};
    CHECK(outcomes_.try_emplace(known.id, outcome).first->second == outcome);
  }
  check_challenges(tx, known.id);
  int live = 0;
  for (const store::Issuance& issuance : tx.issuances().all_of(known.id)) {
    CHECK(serials.insert(issuance.serial).second);
    if (issuance.state == store::IssuanceState::abandoned) {
      CHECK_FALSE(asked_.contains(issuance.serial));  // its serial is never used
      continue;
    }
    ++live;
    check_mark(tx, known, issuance);
    CHECK_FALSE((repeatable_ && issuance.state == store::IssuanceState::in_doubt));
    CHECK((issuance.state == store::IssuanceState::issued) == order->certificate.has_value());
    if (order->certificate) {
      CHECK(tx.certificates().get(*order->certificate)->serial == issuance.serial);
    }
  }
  CHECK(live <= 1);
}

TEST_CASE("whatever crashes, jumps and fails: one certificate per order, rightly, in the end") {
  std::uint64_t first = 1, last = kSeeds;
  if (const char* chosen = std::getenv("GATEHOUSE_SEED")) {
    first = last = std::strtoull(chosen, nullptr, 10);
  }
  std::size_t issued = 0, with_finalize = 0, by_run = 0;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    CAPTURE(seed);
    World world(seed);
    for (int i = 0; i < kSteps; ++i) world.step();
    world.heal();
    for (const std::string& bug : world.bugs()) MESSAGE(bug);
    issued += world.issued();
    with_finalize += world.ways().with_finalize;
    by_run += world.ways().by_run;
  }
  // The simulation must not be one of clients that never get anywhere.
  CHECK(issued >= (last - first + 1) / 4);
  if (first == last) return;
  // Nor one that takes a single way to a signature.
  CHECK(with_finalize >= kSeeds / 8);
  CHECK(by_run >= kSeeds / 8);
}

}  // namespace
}  // namespace gatehouse
