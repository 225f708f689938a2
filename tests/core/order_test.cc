#include "acme-server/core/order.h"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/check.h"
#include "tests/support/manual_clock.h"

namespace gatehouse {
namespace {

using namespace std::chrono_literals;
using testing::kNoon;

struct Case {
  Order order;
  std::vector<Authorization> authorizations;
};

Authorization authorization(AuthorizationStatus status, Instant expires = kNoon + 24h) {
  Authorization made;
  made.status = status;
  made.expires = expires;
  return made;
}

// An order that relies on `authorizations`, which get their ids here.
Case order_with(std::vector<Authorization> authorizations) {
  Case made;
  made.order.expires = kNoon + 1h;
  made.authorizations = std::move(authorizations);
  for (Authorization& a : made.authorizations) {
    a.id = AuthorizationId(std::to_string(made.order.authorizations.size()));
    made.order.authorizations.push_back(a.id);
  }
  return made;
}

OrderStatus status_at(const Case& c, Instant now = kNoon) {
  return status_of(c.order, c.authorizations, now);
}

TEST_CASE("each way to lose an authorization ends its order") {
  const Authorization lost[] = {
      authorization(AuthorizationStatus::invalid),
      authorization(AuthorizationStatus::deactivated),
      authorization(AuthorizationStatus::revoked),
      authorization(AuthorizationStatus::expired),
      authorization(AuthorizationStatus::pending, kNoon),
      authorization(AuthorizationStatus::valid, kNoon),
  };
  for (const Authorization& a : lost) {
    CAPTURE(static_cast<int>(a.status));
    CHECK(status_at(order_with({a})) == OrderStatus::invalid);
    CHECK(status_at(order_with({authorization(AuthorizationStatus::valid), a})) ==
          OrderStatus::invalid);
    CHECK(status_at(order_with({authorization(AuthorizationStatus::pending), a})) ==
          OrderStatus::invalid);
  }
}

TEST_CASE("an order is ready when all its authorizations are valid and not before") {
  const auto valid = authorization(AuthorizationStatus::valid);
  const auto pending = authorization(AuthorizationStatus::pending);
  CHECK(status_at(order_with({pending})) == OrderStatus::pending);
  CHECK(status_at(order_with({valid, pending})) == OrderStatus::pending);
  CHECK(status_at(order_with({valid})) == OrderStatus::ready);
  CHECK(status_at(order_with({valid, valid})) == OrderStatus::ready);
}

TEST_CASE("an order expires at its second and not before") {
  const Case pending = order_with({authorization(AuthorizationStatus::pending)});
  CHECK(status_at(pending, kNoon + 1h - 1s) == OrderStatus::pending);
  CHECK(status_at(pending, kNoon + 1h) == OrderStatus::invalid);
  const Case ready = order_with({authorization(AuthorizationStatus::valid)});
  CHECK(status_at(ready, kNoon + 1h) == OrderStatus::invalid);
}

TEST_CASE("a finalized order is processing until it has an outcome, whatever expires meanwhile") {
  Case c = order_with({authorization(AuthorizationStatus::valid)});
  c.order.finalization = Finalization{.csr = "AA", .at = kNoon};
  CHECK(status_at(c) == OrderStatus::processing);
  CHECK(status_at(c, kNoon + 1000h) == OrderStatus::processing);
  c.authorizations[0].status = AuthorizationStatus::deactivated;
  CHECK(status_at(c) == OrderStatus::processing);

  Case failed = c;
  failed.order.error = Problem{.type = ProblemType::caa, .detail = "forbidden"};
  CHECK(status_at(failed) == OrderStatus::invalid);
  Case issued = c;
  issued.order.certificate = CertificateId("c");
  CHECK(status_at(issued, kNoon + 1000h) == OrderStatus::valid);
}

TEST_CASE("a certificate wins over an error") {
  Case c = order_with({authorization(AuthorizationStatus::valid)});
  c.order.certificate = CertificateId("c");
  c.order.error = Problem{.detail = "too late"};
  CHECK(status_at(c) == OrderStatus::valid);
}

TEST_CASE("an order is judged by its own authorizations only") {
  const Case good = order_with(
      {authorization(AuthorizationStatus::valid), authorization(AuthorizationStatus::valid)});
  SUBCASE("none") {
    Case c = good;
    c.authorizations.clear();
    CHECK_THROWS_AS(status_at(c), LogicError);
    c.order.authorizations.clear();
    CHECK_THROWS_AS(status_at(c), LogicError);  // all of nothing would be ready
  }
  SUBCASE("one is missing") {
    Case c = good;
    c.authorizations.pop_back();
    CHECK_THROWS_AS(status_at(c), LogicError);
  }
  SUBCASE("one stands in for another") {
    Case c = good;
    c.authorizations[1].id = AuthorizationId("other");
    CHECK_THROWS_AS(status_at(c), LogicError);
    c.authorizations[1].id = c.authorizations[0].id;
    CHECK_THROWS_AS(status_at(c), LogicError);
  }
  SUBCASE("another sequence is no matter") {
    Case c = good;
    std::swap(c.authorizations[0], c.authorizations[1]);
    CHECK(status_at(c) == OrderStatus::ready);
  }
}

}  // namespace
}  // namespace gatehouse
