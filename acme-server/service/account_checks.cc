#include "acme-server/service/account_checks.h"

#include <optional>

#include "acme-server/core/account.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/problem.h"
#include "acme-server/store/store.h"

namespace gatehouse::service {

void reject_not_valid(const AccountId& id) {
  reject({.type = ProblemType::unauthorized,
          .detail = "The account " + id.str() +
                    " is not valid any more; make a new one with another key.",
          .status = 401});
}

void check_is_valid(store::Tx& tx, const Account& account) {
  const std::optional<Account> now = tx.accounts().of(account.directory, account.id);
  if (!now || now->status != AccountStatus::valid) {
    reject_not_valid(account.id);
  }
}

}  // namespace gatehouse::service
