// CRLs in force, one per issuer and shard, and their numbers.
#pragma once

#include <cstddef>
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

// A CRL without its DER.
struct CrlRecord {
  IssuerId issuer;
  std::string url;   // the shard: its distribution point
  std::string file;  // the path it is served under
  std::int64_t number = 0;
  Instant this_update, next_update;
  std::int64_t entries = 0;
  std::string sha256 = {};  // of the DER, hex; empty for one made before digests were kept
  std::int64_t parts = 0;   // its DER lies in this many rows

  friend bool operator==(const CrlRecord&, const CrlRecord&) = default;
};

// A CRL of 50 MB in one row, or in one transaction, would hold up every other write. So its DER is
// stored in parts, in any number of transactions; put() then brings it into force at once. Parts
// without a CRL in force are left by a crash; sweep() removes them.
class Crls {
 public:
  static constexpr std::size_t kPartBytes = std::size_t{768} * 1024;

  explicit Crls(sql::Connection& connection) : connection_(connection) {}

  std::optional<CrlRecord> in_force(const IssuerId& issuer, std::string_view url);
  std::optional<CrlRecord> by_file(std::string_view file);
  // The DER of a CRL, which is read in the transaction that its record was read in. Throws
  // DatabaseError when its digest is another.
  std::string octets(const CrlRecord& crl);

  // max(last number of this shard + 1, raise_floor()'s + 1, Unix time in microseconds): no restore
  // can lower it while the clock is right, nor below what the restore was told.
  std::int64_t next_number(const IssuerId& issuer, std::string_view url, Instant now);

  // The highest one in force of all shards; 0: there is none.
  std::int64_t highest_number();
  // Every later number is higher than `number`.
  void raise_floor(std::int64_t number);

  // How many parts `size` octets have: at least one.
  static std::int64_t parts_of(std::size_t size);
  // Stores part `position` of `der`, which is all of the CRL.
  void put_part(const CrlRecord& crl, std::int64_t position, ByteView der);

  // Brings `crl` into force. False, and nothing done, when the one in force has this number or a
  // higher one. Throws DatabaseError when its parts are not there, all of them.
  bool put(const CrlRecord& crl);
  // The same with all its parts in this transaction; fills in `parts` and `sha256`.
  bool put_whole(CrlRecord crl, ByteView der);

  // Removes at most `limit` parts of CRLs of this shard that were replaced or never came into
  // force, and returns how many. Keeps those of a CRL that is being stored under a higher number.
  std::int64_t sweep(const IssuerId& issuer, std::string_view url, std::int64_t limit);

 private:
  sql::Connection& connection_;
};

}  // namespace gatehouse::store
