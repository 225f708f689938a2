// Retention: finds and removes rows that are old and that nothing refers to.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/core/ids.h"
#include "acme-server/store/sql/database.h"

namespace gatehouse::store {

// Each remove…() checks its row again in its own transaction, and returns false when the row must
// stay.
class Retention {
 public:
  static constexpr Instant kNever{};  // nothing was made before it

  explicit Retention(sql::Connection& connection) : connection_(connection) {}

  // One step of a walk over all rows of a table: looks at up to `limit` rows after `after`, and
  // returns those that ended before `ended` and may be removed.
  struct Page {
    std::vector<std::string> ids;
    std::optional<std::string> next;  // where the walk continues; none: it is done
  };

  // With those made before `failed` that have failed.
  Page orders(std::string_view after, std::size_t limit, Instant ended, Instant failed = kNever);
  Page authorizations(std::string_view after, std::size_t limit, Instant ended,
                      Instant failed = kNever);
  Page certificates(std::string_view after, std::size_t limit, Instant ended);

  // An order without certificate that expired before `ended`, or was made before `failed` and has
  // failed, with its intents. Never one in processing, nor one of which something may have been
  // signed.
  bool remove_order(const OrderId& id, Instant ended, Instant failed = kNever);
  // An authorization that expired before `ended`, or was made before `failed` and is not pending or
  // valid any more, with its challenges. Never one that an order still refers to.
  bool remove_authorization(const AuthorizationId& id, Instant ended, Instant failed = kNever);
  // A certificate whose notAfter is before `ended`, with its order, intents and revocation.
  bool remove_certificate(const CertificateId& id, Instant ended);

 private:
  Page page_of(std::string_view sql, std::size_t limit, std::span<const sql::Value> parameters);
  void remove_rest_of_order(const OrderId& id);

  sql::Connection& connection_;
};

}  // namespace gatehouse::store
