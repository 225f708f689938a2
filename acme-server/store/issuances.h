// Issuances: intents and what became of them. An intent is durable before any signature.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/core/ids.h"
#include "acme-server/store/sql/database.h"

namespace gatehouse::store {

// prepared -> submitted -> issued | refused | in_doubt; submitted -> prepared when the CA has
// certainly not received it; prepared -> abandoned, its serial never used.
enum class IssuanceState { prepared, submitted, issued, refused, in_doubt, abandoned };

struct Issuance {
  IssuanceId id;
  OrderId order;
  std::string backend;  // resumes it, even when the config has changed since
  // Issuer, serial, CRL URL and dates are here for indices and lists; what the certificate is held
  // against is `expected`.
  IssuerId issuer;     // empty when it is not fixed
  std::string serial;  // hex; empty when the CA chooses it; else unique with issuer
  std::string profile;
  std::string profile_hash;       // core: hash_of(Profile)
  std::string key_policy_hash;    // crypto: hash_of(KeyPolicy)
  std::string spki_sha256;        // of the key to be certified
  std::string request, poll;      // the backend's Intent
  std::string crl_url;            // empty: none, or not fixed
  Instant not_before, not_after;  // as far as they may lie apart; the epoch: the CA's choice
  std::string expected;           // the backend's CertificateExpectation; empty: schema 4's
  Instant created;
  IssuanceState state = IssuanceState::prepared;

  friend bool operator==(const Issuance&, const Issuance&) = default;
};

std::string_view to_string(IssuanceState state);

class Issuances {
 public:
  explicit Issuances(sql::Connection& connection) : connection_(connection) {}

  void insert(const Issuance& issuance);
  std::optional<Issuance> get(const IssuanceId& id);
  // The one of the order that is not abandoned; at most one is.
  std::optional<Issuance> current(const OrderId& order);
  std::vector<Issuance> all_of(const OrderId& order);

  // Compare-and-set; false when it is not in `from` any more.
  bool move(const IssuanceId& id, IssuanceState from, IssuanceState to);
  // The same for all of `backend` that are in `from`; how many there were.
  std::int64_t move_all(std::string_view backend, IssuanceState from, IssuanceState to);
  // What Pending left for resume().
  bool set_poll(const IssuanceId& id, std::string_view poll);

  // Whether a certificate with this key was issued, is being issued or may have been issued: no
  // account may take such a key.
  bool any_has_key(std::string_view spki_sha256);

  // The orders whose CA has said that it has not decided, the newest first, behind `after`.
  std::vector<OrderId> undecided(const std::optional<OrderId>& after, std::size_t limit);

  // How many are in `state`: for metrics and readiness.
  std::int64_t count(IssuanceState state);

 private:
  sql::Connection& connection_;
};

}  // namespace gatehouse::store
