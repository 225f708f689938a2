#include "acme-server/service/accounts/account_checks.h"

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
  if (!tx.accounts().is_valid(account.directory, account.id)) {
    reject_not_valid(account.id);
  }
}

}  // namespace gatehouse::service
