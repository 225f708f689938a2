// The small value types of base: Expected, StrongId, Secret, Guarded, Deadline, Clock, Match,
// ACME_CHECK.
#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "acme-server/base/check.h"
#include "acme-server/base/clock.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/guarded.h"
#include "acme-server/base/log.h"
#include "acme-server/base/match.h"
#include "acme-server/base/secret.h"
#include "acme-server/base/strong_id.h"

namespace gatehouse {
namespace {

using namespace std::chrono_literals;

TEST_CASE("ACME_CHECK names the condition and the place") {
  CHECK_NOTHROW(ACME_CHECK(1 + 1 == 2));
  try {
    ACME_CHECK(1 + 1 == 3);
    FAIL("did not throw");
  } catch (const LogicError& error) {
    const std::string message = error.what();
    CHECK(message.find("1 + 1 == 3") != std::string::npos);
    CHECK(message.find("values_test.cc:") != std::string::npos);
  }
}

TEST_CASE("Expected holds a value or an error, and asking for the other is a bug") {
  const Expected<std::string, std::string> value("yes");
  CHECK(value);
  CHECK(*value == "yes");
  CHECK(value->size() == 3);
  CHECK_THROWS_AS(value.error(), LogicError);

  const Expected<std::string, std::string> error = Unexpected{std::string("no")};
  CHECK_FALSE(error);
  CHECK(error.error() == "no");
  CHECK_THROWS_AS(error.value(), LogicError);
  CHECK_THROWS_AS(static_cast<void>(error->size()), LogicError);
}

TEST_CASE("Expected gives away what only moves") {
  Expected<std::unique_ptr<int>, std::string> owner(std::make_unique<int>(7));
  const std::unique_ptr<int> taken = *std::move(owner);
  CHECK(*taken == 7);
}

using AppleId = StrongId<struct AppleTag>;

TEST_CASE("ids compare, hash and print as their text") {
  CHECK(AppleId("a") == AppleId("a"));
  CHECK(AppleId("a") < AppleId("b"));
  CHECK(AppleId().empty());
  CHECK(std::unordered_set<AppleId>{AppleId("a"), AppleId("a")}.size() == 1);
  std::ostringstream out;
  out << AppleId("4f2");
  CHECK(out.str() == "4f2");
  static_assert(!std::is_convertible_v<std::string, AppleId>);
  static_assert(!std::is_constructible_v<AppleId, StrongId<struct PearTag>>);
}

TEST_CASE("a secret prints as stars and has no way into a log") {
  const Secret secret("correct horse");
  std::ostringstream out;
  out << secret;
  CHECK(out.str() == "***");
  CHECK(secret.reveal() == "correct horse");
  static_assert(!std::is_constructible_v<LogField, const char*, Secret>);
  static_assert(!std::is_convertible_v<Secret, std::string>);
}

TEST_CASE("a secret that is moved from, assigned over or destroyed leaves nothing behind") {
  // Short enough to lie inside the std::string: the octets can still be looked at when it is gone.
  alignas(Secret) std::array<unsigned char, sizeof(Secret)> storage{};
  const auto left_behind = [&] {
    return std::string_view(reinterpret_cast<const char*>(storage.data()), storage.size())
               .find("hunter2") != std::string_view::npos;
  };
  auto* secret = new (storage.data()) Secret(std::string("hunter2"));
  CHECK(left_behind());  // the probe sees it while it is there

  Secret moved(std::move(*secret));
  CHECK(moved.reveal() == "hunter2");
  CHECK_FALSE(left_behind());

  *secret = moved;  // copy assignment
  CHECK(left_behind());
  *secret = Secret("x");
  CHECK(secret->reveal() == "x");
  CHECK_FALSE(left_behind());

  *secret = std::move(moved);
  CHECK(moved.empty());  // NOLINT(bugprone-use-after-move): what a Secret promises
  CHECK(left_behind());
  secret->~Secret();
  CHECK_FALSE(left_behind());
}

TEST_CASE("a secret assigned to itself stays") {
  Secret secret(std::string(100, 's'));
  Secret& alias = secret;
  secret = alias;
  CHECK(secret.reveal() == std::string(100, 's'));
  secret = std::move(alias);
  CHECK(secret.reveal() == std::string(100, 's'));
}

TEST_CASE("Guarded lets one thread at a time at its value") {
  Guarded<int> counter(0);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int j = 0; j < 1000; ++j) {
          counter.with([](int& value) { ++value; });
        }
      });
    }
  }
  CHECK(std::as_const(counter).with([](const int& value) { return value; }) == 4000);
}

TEST_CASE("Guarded waits until the value is ready, or until the time is over") {
  Guarded<int> box(0);
  {
    const std::jthread setter([&] {
      box.with([](int& value) { value = 5; });
      box.notify_one();
    });
    CHECK(box.wait([](int value) { return value == 5; },
                   [](int& value) { return std::exchange(value, 6); }) == 5);
  }
  CHECK(box.wait_for(
            1ms, [](int value) { return value == 7; }, [](int value) { return value; }) == 6);
}

TEST_CASE("a deadline is expired exactly when nothing remains") {
  const Deadline past = Deadline::in(-1ms);
  CHECK(past.expired());
  CHECK(past.remaining() == 0ms);
  const Deadline far = Deadline::in(1h);
  CHECK_FALSE(far.expired());
  CHECK(far.remaining() > 59min);
  CHECK(far.remaining() <= 1h);
  CHECK(far.at_most(1min).remaining() <= 1min);
  CHECK(past.at_most(1h).expired());
}

TEST_CASE("the system's clock gives whole seconds of this age") {
  const Instant now = SystemClock().now();
  CHECK(to_unix(now) > 1700000000);
  CHECK(from_unix(to_unix(now)) == now);
}

TEST_CASE("Match picks the lambda of the alternative") {
  const auto name = [](const std::variant<int, std::string>& value) {
    return std::visit(Match{[](int) { return "int"; }, [](const std::string&) { return "text"; }},
                      value);
  };
  CHECK(std::string(name(1)) == "int");
  CHECK(std::string(name("x")) == "text");
}

}  // namespace
}  // namespace gatehouse
