// Filler: the rows that an issuance leaves, through the store's own inserts.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/base/entropy.h"
#include "acme-server/core/authorization.h"
#include "acme-server/core/certificate_record.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/order.h"
#include "acme-server/store/issuances.h"
#include "acme-server/store/store.h"

namespace gatehouse::bench {

class Filler final {
 public:
  explicit Filler(Entropy& entropy);

  void add_accounts(store::Tx& tx, std::size_t count, Instant at);

  // What newOrder writes: a pending order, its authorization, the event.
  Order add_order(store::Tx& tx, std::size_t number, Instant at);
  // What finalize and the issuance write.
  store::Issuance add_intent(store::Tx& tx, const Order& order, Instant at);
  void add_certificate(store::Tx& tx, const Order& order, const store::Issuance& issuance,
                       Instant at);
  // All of it.
  void add_issued(store::Tx& tx, std::size_t number, Instant at);

  void append(store::Tx& tx, const Order& order, std::string_view kind);

 private:
  Entropy& entropy_;
  std::string chain_, request_, expected_, csr_;
  DirectoryId directory_{"default"};
  std::vector<AccountId> accounts_;
};

}  // namespace gatehouse::bench
