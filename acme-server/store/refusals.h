// The last refusals of each account: which problems its requests were answered with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/problem.h"
#include "acme-server/store/sql/database.h"

namespace gatehouse::store {

// Problems of one type that an account's requests about one order, or about none, were answered
// with. Status, detail, route and client are those of the last.
struct Refusal {
  AccountId account;
  std::optional<OrderId> order;
  ProblemType type = ProblemType::malformed;
  int status = 0;
  std::string detail;
  std::string route;   // the pattern, as in metrics
  std::string client;  // an address
  Instant first, last;
  std::int64_t count = 0;

  friend bool operator==(const Refusal&, const Refusal&) = default;
};

class Refusals {
 public:
  explicit Refusals(sql::Connection& connection) : connection_(connection) {}

  // Rows kept for each account.
  static constexpr std::size_t kKept = 10;

  // Counts one more refusal at `refusal.last`; its `first` and `count` are not looked at. The
  // account's oldest rows beyond kKept are removed. True when no row was there of that account,
  // order and type.
  bool note(const Refusal& refusal);

  // Of one account, the newest first.
  std::vector<Refusal> of(const AccountId& account);

 private:
  sql::Connection& connection_;
};

}  // namespace gatehouse::store
