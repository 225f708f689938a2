// Orders: create, read, list, finalize (RFC 8555 section 7.4), and the account's authorizations
// (section 7.5).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/core/account.h"
#include "acme-server/core/order.h"
#include "acme-server/service/context.h"
#include "acme-server/service/jobs/completions.h"

namespace gatehouse::service {

// An order as a client may see it at one moment.
struct OrderView {
  Order order;
  OrderStatus status = OrderStatus::pending;
  std::optional<std::chrono::seconds> retry_after;  // while processing
};

class Orders {
 public:
  explicit Orders(Context& context) : context_(context) {}

  struct RequestedIdentifier {
    std::string type, value;  // as sent
  };

  struct NewOrder {
    std::vector<RequestedIdentifier> identifiers;
    std::optional<Instant> not_before = {}, not_after = {};
    std::string profile = {};  // "": the default one
    std::string client = {};   // the address that it came from, for log and audit trail
  };

  // Repeated identifiers count once. Rejects with one subproblem per bad identifier (compound when
  // the types differ, else their own type): unsupportedIdentifier, malformed, rejectedIdentifier
  // (policy; or no enabled validator of the profile can prove it: the sentence names the enabled
  // challenge types). Also malformed (none, too many, bad dates), rateLimited, userActionRequired
  // (new terms). Reuses valid authorizations when the profile says so.
  OrderView create(const Account& account, const NewOrder& request);

  std::optional<OrderView> get(const Account& account, const OrderId& id);

  struct Page {
    std::vector<OrderId> orders;
    std::optional<OrderId> next;  // the cursor of the next page
  };

  Page list(const Account& account, const std::optional<OrderId>& after);

  // Nothing when the account has no such order. Rejects: orderNotReady (403), badCSR with the
  // reason (the order stays ready), or what the backend refuses outright. CSR names = order names
  // as sets; the key passes the key policy, is no account's, is not blocked; the enabled challenge
  // types still include the one each authorization was proven by. Then fixes the intent (prepare,
  // outside the transaction) and stores finalization, intent and job together. `ticket`, for a
  // caller whose answer can wait, is the ticket for the issuance when that begins at once; get()
  // then shows what came of it. `client` is the address that the request came from.
  std::optional<OrderView> finalize(const Account& account, const OrderId& id, ByteView csr_der,
                                    Ticket* ticket = nullptr, const std::string& client = {});

 private:
  Context& context_;
};

class Authorizations {
 public:
  explicit Authorizations(Context& context) : context_(context) {}

  std::optional<Authorization> get(
      const Account& account, const AuthorizationId& id);  // status as of now, expired included
  // Section 7.5.2. Idempotent for a deactivated one; rejects malformed for one that is invalid,
  // expired or revoked.
  std::optional<Authorization> deactivate(const Account& account, const AuthorizationId& id);

 private:
  Context& context_;
};

}  // namespace gatehouse::service
