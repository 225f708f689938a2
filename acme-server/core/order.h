// An order (RFC 8555 section 7.1.3): the facts about it. Its status is not one of them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/core/authorization.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/ids.h"
#include "acme-server/core/problem.h"

namespace gatehouse {

enum class OrderStatus { pending, ready, processing, valid, invalid };

// What the client fixed at finalize. Serial and dates are the intent's.
struct Finalization {
  std::string csr;  // base64url DER, as sent
  Instant at;
  std::string client = {};  // the address that it came from; empty: not known

  friend bool operator==(const Finalization&, const Finalization&) = default;
};

struct Order {
  OrderId id;
  DirectoryId directory;
  std::optional<AccountId>
      account;  // none: origin "server"; born finalized, without authorizations
  std::string profile;
  std::vector<Identifier>
      identifiers;  // in the order the client gave, without repeats; never changes
  std::vector<AuthorizationId> authorizations;   // never changes
  std::optional<Instant> not_before, not_after;  // asked for
  Instant created;
  Instant expires;
  std::optional<Finalization> finalization;  // set once
  std::optional<CertificateId> certificate;  // set once, when the backend has issued
  std::optional<Problem> error;              // set once, when the order has failed

  friend bool operator==(const Order&, const Order&) = default;
};

// RFC 8555 section 7.1.6. Reads top to bottom; the first line that holds wins. `authorizations` are
// exactly the order's; LogicError otherwise.
OrderStatus status_of(const Order& order, std::span<const Authorization> authorizations,
                      Instant now);

}  // namespace gatehouse
