// Keys that no account and no certificate may have, server-wide.
#pragma once

#include <string_view>

#include "acme-server/base/clock.h"
#include "acme-server/store/sql/database.h"

namespace gatehouse::store {

class BlockedKeys {
 public:
  explicit BlockedKeys(sql::Connection& connection) : connection_(connection) {}

  bool contains(std::string_view spki_sha256);
  // Safe to repeat.
  void add(std::string_view spki_sha256, Instant at, std::string_view why);

 private:
  sql::Connection& connection_;
};

}  // namespace gatehouse::store
