// CRLs in force, one per issuer and shard, and their numbers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/clock.h"
#include "acme-server/core/ids.h"
#include "acme-server/store/sql/database.h"

namespace gatehouse::store {

struct CrlRecord {
  IssuerId issuer;
  std::string url;   // the shard: its distribution point
  std::string file;  // the path it is served under
  std::int64_t number = 0;
  Instant this_update, next_update;
  Bytes der;  // stored as base64url
};

// A CRL in force, without its octets, of which there may be many.
struct CrlHead {
  std::int64_t number = 0;
  Instant this_update, next_update;
};

class Crls {
 public:
  explicit Crls(sql::Connection& connection) : connection_(connection) {}

  std::optional<CrlRecord> in_force(const IssuerId& issuer, std::string_view url);
  std::optional<CrlHead> head(const IssuerId& issuer, std::string_view url);
  std::optional<CrlRecord> by_file(std::string_view file);

  // max(last number of this shard + 1, Unix time in microseconds): no restore can lower it while
  // the clock is right.
  std::int64_t next_number(const IssuerId& issuer, std::string_view url, Instant now);

  // False, and nothing done, when the one in force has this number or a higher one.
  bool put(const CrlRecord& crl);

 private:
  sql::Connection& connection_;
};

}  // namespace gatehouse::store
