#include "acme-server/store/refusals.h"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <vector>

#include "tests/store/contract.h"

namespace gatehouse::testing {
namespace {

using store::Refusals;

store::Refusal sample_refusal(const AccountId& account, const std::string& order,
                              ProblemType type) {
  return {.account = account,
          .order = order.empty() ? std::nullopt : std::optional(OrderId(order)),
          .type = type,
          .status = 400,
          .detail = "the first",
          .route = "/new-order",
          .client = "192.0.2.1",
          .first = kNoon,
          .last = kNoon,
          .count = 1};
}

void one_row_counts_an_order_and_type(TestStore& store) {
  store->write([](store::Tx& tx) {
    const Account one = sample_account("one");
    const Account other = sample_account("other");
    tx.accounts().insert(one);
    tx.accounts().insert(other);
    const store::Refusal first = sample_refusal(one.id, "o", ProblemType::badCSR);
    CHECK(tx.refusals().note(first));
    store::Refusal again = first;
    again.detail = "the second";
    again.status = 403;
    again.client = "192.0.2.2";
    again.last = kNoon + std::chrono::minutes(5);
    CHECK_FALSE(tx.refusals().note(again));
    const store::Refusal of_none = sample_refusal(one.id, "", ProblemType::badCSR);
    CHECK(tx.refusals().note(of_none));
    CHECK(tx.refusals().note(sample_refusal(one.id, "o", ProblemType::caa)));
    CHECK(tx.refusals().note(sample_refusal(other.id, "o", ProblemType::badCSR)));
    again.count = 2;
    CHECK(tx.refusals().of(one.id) ==
          std::vector{sample_refusal(one.id, "o", ProblemType::caa), of_none, again});
    CHECK(tx.refusals().of(other.id).size() == 1);
  });
}

void the_oldest_rows_give_way(TestStore& store) {
  store->write([](store::Tx& tx) {
    const Account account = sample_account("one");
    const Account other = sample_account("other");
    tx.accounts().insert(account);
    tx.accounts().insert(other);
    tx.refusals().note(sample_refusal(other.id, "kept", ProblemType::caa));
    for (std::size_t i = 0; i < Refusals::kKept + 3; ++i) {
      tx.refusals().note(sample_refusal(account.id, "o" + std::to_string(i), ProblemType::caa));
      tx.refusals().note(sample_refusal(account.id, "o0", ProblemType::caa));
    }
    const std::vector<store::Refusal> kept = tx.refusals().of(account.id);
    REQUIRE(kept.size() == Refusals::kKept);
    CHECK(kept[0].order == OrderId("o0"));  // noted again each time
    CHECK(kept[1].order == OrderId("o12"));
    CHECK(kept.back().order == OrderId("o4"));
    CHECK(tx.refusals().of(other.id).size() == 1);
  });
}

}  // namespace

std::vector<ContractCase> refusal_cases() {
  return {
      {"refusals of one order and type are one row that counts", one_row_counts_an_order_and_type},
      {"of an account's refusals the oldest give way", the_oldest_rows_give_way}};
}

}  // namespace gatehouse::testing
