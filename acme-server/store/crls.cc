#include "acme-server/store/crls.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/check.h"
#include "acme-server/base/clock.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/store/sql/database.h"
#include "acme-server/store/state.h"
#include "acme-server/store/values.h"

namespace gatehouse::store {
namespace {

constexpr std::int64_t kMicroseconds = 1'000'000;
constexpr std::string_view kFloor = "crl.number_floor";  // in State

std::int64_t floor_of(sql::Connection& connection) {
  const std::string text = State(connection).get(kFloor).value_or("0");
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::optional<CrlRecord> first_crl(const std::vector<sql::Row>& rows) {
  if (rows.empty()) {
    return std::nullopt;
  }
  const sql::Row& row = rows.front();
  CrlRecord crl;
  crl.issuer = IssuerId(row.text(0));
  crl.url = row.text(1);
  crl.file = row.text(2);
  crl.number = row.integer(3);
  crl.this_update = instant_at(row, 4);
  crl.next_update = instant_at(row, 5);
  crl.entries = row.integer(6);
  crl.sha256 = row.text(7);
  crl.parts = row.integer(8);
  return crl;
}

[[noreturn]] void spoilt(const CrlRecord& crl, const std::string& what) {
  throw sql::DatabaseError("the stored CRL " + std::to_string(crl.number) + " of " + crl.url + " " +
                           what + "; its rows were changed by other hands");
}

}  // namespace

std::optional<CrlRecord> Crls::in_force(const IssuerId& issuer, std::string_view url) {
  return first_crl(
      connection_.query("SELECT issuer, url, file, number, this_update, next_update, entries, "
                        "sha256, parts FROM crls WHERE issuer = $1 AND url = $2",
                        params(issuer, url)));
}

std::optional<CrlRecord> Crls::by_file(std::string_view file) {
  return first_crl(
      connection_.query("SELECT issuer, url, file, number, this_update, next_update, entries, "
                        "sha256, parts FROM crls WHERE file = $1",
                        params(file)));
}

std::string Crls::octets(const CrlRecord& crl) {
  std::string der;
  der.reserve(static_cast<std::size_t>(crl.parts) * kPartBytes);
  for (std::int64_t position = 0; position < crl.parts; ++position) {
    const std::vector<sql::Row> rows = connection_.query(
        "SELECT part FROM crl_parts WHERE issuer = $1 AND url = $2 AND number = $3 "
        "AND sha256 = $4 AND position = $5",
        params(crl.issuer, crl.url, crl.number, crl.sha256, position));
    if (rows.empty()) {
      spoilt(crl, "lacks a part");
    }
    const std::optional<Bytes> part = base64url_decode(rows.front().text(0));
    if (!part) {
      spoilt(crl, "is no base64url");
    }
    der += as_text(*part);
  }
  if (!crl.sha256.empty() && crypto::sha256_hex(as_bytes(der)) != crl.sha256) {
    spoilt(crl, "has another digest than was stored with it");
  }
  return der;
}

std::int64_t Crls::next_number(const IssuerId& issuer, std::string_view url, Instant now) {
  const std::vector<sql::Row> rows = connection_.query(
      "SELECT number FROM crls WHERE issuer = $1 AND url = $2", params(issuer, url));
  const std::int64_t last = rows.empty() ? 0 : rows.front().integer(0);
  return std::max({last + 1, floor_of(connection_) + 1, to_unix(now) * kMicroseconds});
}

std::int64_t Crls::highest_number() {
  const std::vector<sql::Row> rows =
      connection_.query("SELECT number FROM crls ORDER BY number DESC LIMIT 1", {});
  return rows.empty() ? 0 : rows.front().integer(0);
}

void Crls::raise_floor(std::int64_t number) {
  if (number > floor_of(connection_)) {
    State(connection_).set(kFloor, std::to_string(number));
  }
}

std::int64_t Crls::parts_of(std::size_t size) {
  return static_cast<std::int64_t>(std::max<std::size_t>(1, (size + kPartBytes - 1) / kPartBytes));
}

void Crls::put_part(const CrlRecord& crl, std::int64_t position, ByteView der) {
  const std::size_t begin = static_cast<std::size_t>(position) * kPartBytes;
  ACME_CHECK(position >= 0 && position < crl.parts && begin <= der.size());
  const ByteView part = der.subspan(begin, std::min(kPartBytes, der.size() - begin));
  // The same part may be there from a try that a crash cut short.
  connection_.execute(
      "INSERT INTO crl_parts (issuer, url, number, sha256, position, part) "
      "VALUES ($1, $2, $3, $4, $5, $6) "
      "ON CONFLICT (issuer, url, number, sha256, position) DO UPDATE SET part = excluded.part",
      params(crl.issuer, crl.url, crl.number, crl.sha256, position, base64url_encode(part)));
}

bool Crls::put(const CrlRecord& crl) {
  const std::vector<sql::Row> there = connection_.query(
      "SELECT COUNT(*) FROM crl_parts WHERE issuer = $1 AND url = $2 AND number = $3 "
      "AND sha256 = $4",
      params(crl.issuer, crl.url, crl.number, crl.sha256));
  const bool done =
      connection_.execute(
          "INSERT INTO crls (issuer, url, file, number, this_update, next_update, entries, sha256, "
          "parts) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) "
          "ON CONFLICT (issuer, url) DO UPDATE SET file = excluded.file, "
          "number = excluded.number, this_update = excluded.this_update, "
          "next_update = excluded.next_update, entries = excluded.entries, "
          "sha256 = excluded.sha256, parts = excluded.parts "
          "WHERE crls.number < excluded.number",
          params(crl.issuer, crl.url, crl.file, crl.number, crl.this_update, crl.next_update,
                 crl.entries, crl.sha256, crl.parts)) == 1;
  if (done && there.front().integer(0) != crl.parts) {
    spoilt(crl, "lacks a part");
  }
  return done;
}

bool Crls::put_whole(CrlRecord crl, ByteView der) {
  crl.sha256 = crypto::sha256_hex(der);
  crl.parts = parts_of(der.size());
  for (std::int64_t position = 0; position < crl.parts; ++position) {
    put_part(crl, position, der);
  }
  return put(crl);
}

std::int64_t Crls::sweep(const IssuerId& issuer, std::string_view url, std::int64_t limit) {
  const std::optional<CrlRecord> current = in_force(issuer, url);
  if (!current) {
    return 0;
  }
  const std::vector<sql::Row> old = connection_.query(
      "SELECT number, sha256, position FROM crl_parts WHERE issuer = $1 AND url = $2 "
      "AND number <= $3 AND (number < $3 OR sha256 <> $4) LIMIT $5",
      params(issuer, url, current->number, current->sha256, limit));
  for (const sql::Row& row : old) {
    connection_.execute(
        "DELETE FROM crl_parts WHERE issuer = $1 AND url = $2 AND number = $3 AND sha256 = $4 "
        "AND position = $5",
        params(issuer, url, row.integer(0), row.text(1), row.integer(2)));
  }
  return static_cast<std::int64_t>(old.size());
}

}  // namespace gatehouse::store
