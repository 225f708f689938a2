#include "acme-server/store/crls.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/clock.h"
#include "acme-server/store/sql/database.h"
#include "acme-server/store/values.h"

namespace gatehouse::store {
namespace {

constexpr std::int64_t kMicroseconds = 1'000'000;

std::optional<CrlRecord> first(const std::vector<sql::Row>& rows) {
  if (rows.empty()) {
    return std::nullopt;
  }
  const sql::Row& row = rows.front();
  std::optional<Bytes> der = base64url_decode(row.text(6));
  if (!der) {
    throw sql::DatabaseError("the stored CRL of " + row.text(1) +
                             " is no base64url; its row was changed by other hands");
  }
  CrlRecord crl;
  crl.issuer = IssuerId(row.text(0));
  crl.url = row.text(1);
  crl.file = row.text(2);
  crl.number = row.integer(3);
  crl.this_update = instant_at(row, 4);
  crl.next_update = instant_at(row, 5);
  crl.der = std::move(*der);
  return crl;
}

}  // namespace

std::optional<CrlRecord> Crls::in_force(const IssuerId& issuer, std::string_view url) {
  return first(
      connection_.query("SELECT issuer, url, file, number, this_update, next_update, der "
                        "FROM crls WHERE issuer = $1 AND url = $2",
                        params(issuer, url)));
}

std::optional<CrlHead> Crls::head(const IssuerId& issuer, std::string_view url) {
  const std::vector<sql::Row> rows = connection_.query(
      "SELECT number, this_update, next_update FROM crls WHERE issuer = $1 AND url = $2",
      params(issuer, url));
  if (rows.empty()) {
    return std::nullopt;
  }
  return CrlHead{.number = rows.front().integer(0),
                 .this_update = instant_at(rows.front(), 1),
                 .next_update = instant_at(rows.front(), 2)};
}

std::optional<CrlRecord> Crls::by_file(std::string_view file) {
  return first(
      connection_.query("SELECT issuer, url, file, number, this_update, next_update, der "
                        "FROM crls WHERE file = $1",
                        params(file)));
}

std::int64_t Crls::next_number(const IssuerId& issuer, std::string_view url, Instant now) {
  const std::vector<sql::Row> rows = connection_.query(
      "SELECT number FROM crls WHERE issuer = $1 AND url = $2", params(issuer, url));
  const std::int64_t last = rows.empty() ? 0 : rows.front().integer(0);
  return std::max(last + 1, to_unix(now) * kMicroseconds);
}

bool Crls::put(const CrlRecord& crl) {
  return connection_.execute(
             "INSERT INTO crls (issuer, url, file, number, this_update, next_update, der) "
             "VALUES ($1, $2, $3, $4, $5, $6, $7) "
             "ON CONFLICT (issuer, url) DO UPDATE SET file = excluded.file, "
             "number = excluded.number, this_update = excluded.this_update, "
             "next_update = excluded.next_update, der = excluded.der "
             "WHERE crls.number < excluded.number",
             params(crl.issuer, crl.url, crl.file, crl.number, crl.this_update, crl.next_update,
                    base64url_encode(crl.der))) == 1;
}

}  // namespace gatehouse::store
