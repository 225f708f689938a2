// What is old enough to go: rows that nothing refers to and nobody will ask for.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/core/ids.h"
#include "acme-server/store/sql/database.h"

namespace gatehouse::store {

// Each remove…() looks at its row once more, in its own transaction, and is false where it must
// stay.
class Retention {
 public:
  explicit Retention(sql::Connection& connection) : connection_(connection) {}

  // One step of a walk over all rows of a table: those behind `after`, at most `limit` of them are
  // looked at, and those among them that ended before `ended` and may go are named.
  struct Page {
    std::vector<std::string> ids;
    std::optional<std::string> next;  // where the walk goes on; none: it is at its end
  };

  Page orders(std::string_view after, std::size_t limit, Instant ended);
  Page authorizations(std::string_view after, std::size_t limit, Instant ended);
  Page certificates(std::string_view after, std::size_t limit, Instant ended);

  // An order without certificate that expired before `ended`, with its intents. Never one in
  // processing, nor one of which something may have been signed.
  bool remove_order(const OrderId& id, Instant ended);
  // An authorization that expired before `ended`, with its challenges. Never one that an order is
  // left of.
  bool remove_authorization(const AuthorizationId& id, Instant ended);
  // A certificate whose notAfter is before `ended`, with its order, intents and revocation.
  bool remove_certificate(const CertificateId& id, Instant ended);

 private:
  Page page_of(std::string_view sql, std::string_view after, std::size_t limit, Instant ended);
  void remove_rest_of_order(const OrderId& id);

  sql::Connection& connection_;
};

}  // namespace gatehouse::store
