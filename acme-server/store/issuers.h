// Issuers: who signs, or has signed, for each backend. Kept for when the backend cannot say so.
#pragma once

#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/core/ids.h"
#include "acme-server/store/sql/database.h"

namespace gatehouse::store {

struct StoredIssuer {
  std::string backend;
  IssuerId id;
  std::string chain_pem;  // itself first, without the root
  std::string root_pem;   // empty: not known
  Instant added;

  friend bool operator==(const StoredIssuer&, const StoredIssuer&) = default;
};

class Issuers {
 public:
  explicit Issuers(sql::Connection& connection) : connection_(connection) {}

  // By backend, those that came first first.
  std::vector<StoredIssuer> all();

  enum class Put { added, changed, same };

  // Adds it, or replaces chain and root of one that is there; `added` then stays what it was.
  Put put(const StoredIssuer& issuer);

  // Removes it unless there is a certificate of it, or an intent of its backend that may still
  // become one. False when it stays.
  bool remove_unneeded(const std::string& backend, const IssuerId& id);

 private:
  sql::Connection& connection_;
};

}  // namespace gatehouse::store
