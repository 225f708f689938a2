#include "acme-server/store/certificates.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/core/certificate_record.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/ids.h"
#include "acme-server/store/sql/database.h"
#include "acme-server/store/values.h"

namespace gatehouse::store {
namespace {

// Of a CRL's rows, how many are in memory at a time.
constexpr std::size_t kPage = 2000;
// How many rows one read of a search looks at: tens of milliseconds.
constexpr std::size_t kSlice = 10'000;

CertificateRecord certificate_of(sql::Connection& connection, const sql::Row& row) {
  CertificateRecord certificate;
  certificate.id = CertificateId(row.text(0));
  certificate.directory = DirectoryId(row.text(1));
  certificate.account = optional_id_at<AccountId>(row, 2);
  certificate.order = OrderId(row.text(3));
  certificate.issuance = IssuanceId(row.text(4));
  certificate.backend = row.text(5);
  certificate.issuer = IssuerId(row.text(6));
  certificate.serial = row.text(7);
  certificate.spki_sha256 = row.text(8);
  certificate.not_before = instant_at(row, 9);
  certificate.not_after = instant_at(row, 10);
  certificate.crl_url = row.text(11);
  certificate.chain_pem = row.text(12);
  certificate.issued_at = instant_at(row, 13);
  if (!row.is_null(14)) {
    certificate.revocation =
        Revocation{.at = instant_at(row, 14), .reason = static_cast<int>(row.integer(15))};
  }
  for (const sql::Row& identifier :
       connection.query("SELECT type, value FROM certificate_identifiers WHERE certificate_id = $1 "
                        "ORDER BY position",
                        params(certificate.id))) {
    certificate.identifiers.push_back(identifier_at(identifier, 0));
  }
  for (const sql::Row& chain : connection.query(
           "SELECT chain_pem FROM certificate_chains WHERE certificate_id = $1 ORDER BY position",
           params(certificate.id))) {
    certificate.alternate_chains_pem.push_back(chain.text(0));
  }
  return certificate;
}

std::optional<CertificateRecord> first_certificate(sql::Connection& connection,
                                                   const std::vector<sql::Row>& rows) {
  return rows.empty() ? std::nullopt : std::optional(certificate_of(connection, rows.front()));
}

std::vector<Identifier> sorted(std::vector<Identifier> identifiers) {
  std::ranges::sort(identifiers);
  return identifiers;
}

// Where a page begins in the order of lists, the newest first: below this time and id.
struct Place {
  std::int64_t time = std::numeric_limits<std::int64_t>::max();
  CertificateId id;
};

// The beginning when there is no `after`; nothing when there is no such certificate.
std::optional<Place> place_of(sql::Connection& connection,
                              const std::optional<CertificateId>& after) {
  if (!after) return Place{};
  const std::vector<sql::Row> rows =
      connection.query("SELECT issued_at FROM certificates WHERE id = $1", params(*after));
  if (rows.empty()) return std::nullopt;
  return Place{.time = rows.front().integer(0), .id = *after};
}

}  // namespace

void Certificates::insert(const CertificateRecord& certificate) {
  const std::optional<Revocation>& revocation = certificate.revocation;
  connection_.execute(
      "INSERT INTO certificates (id, directory, account_id, order_id, issuance_id, backend, "
      "issuer, serial, spki_sha256, not_before, not_after, crl_url, chain_pem, issued_at, "
      "revoked_at, revocation_reason) "
      "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
      params(certificate.id, certificate.directory, certificate.account, certificate.order,
             certificate.issuance, certificate.backend, certificate.issuer, certificate.serial,
             certificate.spki_sha256, certificate.not_before, certificate.not_after,
             certificate.crl_url, certificate.chain_pem, certificate.issued_at,
             revocation ? std::optional(revocation->at) : std::nullopt,
             revocation ? std::optional(revocation->reason) : std::nullopt));
  std::int64_t position = 0;
  for (const Identifier& identifier : certificate.identifiers) {
    connection_.execute(
        "INSERT INTO certificate_identifiers (certificate_id, position, type, value) "
        "VALUES ($1, $2, $3, $4)",
        params(certificate.id, position++, to_string(identifier.type), identifier.value));
  }
  position = 0;
  for (const std::string& chain : certificate.alternate_chains_pem) {
    connection_.execute(
        "INSERT INTO certificate_chains (certificate_id, position, chain_pem) "
        "VALUES ($1, $2, $3)",
        params(certificate.id, position++, chain));
  }
}

std::optional<CertificateRecord> Certificates::of(const AccountId& account,
                                                  const CertificateId& id) {
  return first_certificate(
      connection_, connection_.query("SELECT id, directory, account_id, order_id, issuance_id, "
                                     "backend, issuer, serial, spki_sha256, not_before, not_after, "
                                     "crl_url, chain_pem, issued_at, revoked_at, revocation_reason "
                                     "FROM certificates WHERE id = $1 AND account_id = $2",
                                     params(id, account)));
}

std::optional<CertificateRecord> Certificates::get(const CertificateId& id) {
  return first_certificate(
      connection_, connection_.query("SELECT id, directory, account_id, order_id, issuance_id, "
                                     "backend, issuer, serial, spki_sha256, not_before, not_after, "
                                     "crl_url, chain_pem, issued_at, revoked_at, revocation_reason "
                                     "FROM certificates WHERE id = $1",
                                     params(id)));
}

std::optional<CertificateRecord> Certificates::by_serial(const IssuerId& issuer,
                                                         std::string_view serial) {
  return first_certificate(
      connection_, connection_.query("SELECT id, directory, account_id, order_id, issuance_id, "
                                     "backend, issuer, serial, spki_sha256, not_before, not_after, "
                                     "crl_url, chain_pem, issued_at, revoked_at, revocation_reason "
                                     "FROM certificates WHERE issuer = $1 AND serial = $2",
                                     params(issuer, serial)));
}

std::optional<CertificateRecord> Certificates::own(const DirectoryId& directory,
                                                   const std::vector<Identifier>& identifiers) {
  const std::vector<Identifier> wanted = sorted(identifiers);
  for (const sql::Row& row : connection_.query(
           "SELECT id, directory, account_id, order_id, issuance_id, backend, issuer, serial, "
           "spki_sha256, not_before, not_after, crl_url, chain_pem, issued_at, revoked_at, "
           "revocation_reason FROM certificates WHERE directory = $1 AND account_id IS NULL "
           "AND revoked_at IS NULL ORDER BY issued_at DESC, id DESC",
           params(directory))) {
    CertificateRecord certificate = certificate_of(connection_, row);
    if (sorted(certificate.identifiers) == wanted) {
      return certificate;
    }
  }
  return std::nullopt;
}

bool Certificates::revoke(const CertificateId& id, const Revocation& revocation) {
  return connection_.execute(
             "UPDATE certificates SET revoked_at = $1, revocation_reason = $2 "
             "WHERE id = $3 AND revoked_at IS NULL",
             params(revocation.at, revocation.reason, id)) == 1;
}

bool Certificates::keep_revoked(const IssuerId& issuer, std::string_view crl_url,
                                const Revoked& revoked, Instant not_after) {
  return connection_.execute(
             "INSERT INTO kept_revocations (issuer, crl_url, serial, revoked_at, reason, "
             "not_after) "
             "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (issuer, crl_url, serial) DO NOTHING",
             params(issuer, crl_url, revoked.serial, revoked.at, revoked.reason, not_after)) == 1;
}

void Certificates::revoked(const IssuerId& issuer, std::string_view crl_url, Instant expired_since,
                           const std::function<void(const Revoked&)>& each) {
  // Those without a certificate, which are few, go between the others at their place; one whose
  // certificate came after all is told once.
  std::vector<Revoked> kept;
  for (const sql::Row& row :
       connection_.query("SELECT serial, revoked_at, reason FROM kept_revocations "
                         "WHERE issuer = $1 AND crl_url = $2 AND not_after >= $3 ORDER BY serial",
                         params(issuer, crl_url, expired_since))) {
    kept.push_back({.serial = row.text(0),
                    .at = instant_at(row, 1),
                    .reason = static_cast<int>(row.integer(2))});
  }
  auto next_kept = kept.cbegin();
  const auto tell_kept_before = [&](const std::string* serial) {
    while (next_kept != kept.cend() && (serial == nullptr || next_kept->serial < *serial)) {
      each(*next_kept++);
    }
    if (serial != nullptr && next_kept != kept.cend() && next_kept->serial == *serial) {
      ++next_kept;
    }
  };
  std::string behind;
  while (true) {
    const std::vector<sql::Row> page = connection_.query(
        "SELECT serial, revoked_at, revocation_reason FROM certificates "
        "WHERE issuer = $1 AND crl_url = $2 AND revoked_at IS NOT NULL AND not_after >= $3 "
        "AND serial > $4 ORDER BY serial LIMIT $5",
        params(issuer, crl_url, expired_since, behind, kPage));
    for (const sql::Row& row : page) {
      const std::string serial = row.text(0);
      tell_kept_before(&serial);
      each(Revoked{
          .serial = serial, .at = instant_at(row, 1), .reason = static_cast<int>(row.integer(2))});
    }
    if (page.size() < kPage) {
      tell_kept_before(nullptr);
      return;
    }
    behind = page.back().text(0);
  }
}

std::optional<Instant> Certificates::last_revoked(const IssuerId& issuer,
                                                  std::string_view crl_url) {
  const std::vector<sql::Row> rows = connection_.query(
      "SELECT MAX(revoked_at) FROM certificates "
      "WHERE issuer = $1 AND crl_url = $2 AND revoked_at IS NOT NULL",
      params(issuer, crl_url));
  return optional_instant_at(rows.front(), 0);
}

std::vector<CrlInUse> Certificates::crls_in_use(Instant now) {
  std::vector<CrlInUse> in_use;
  CrlInUse last;
  while (true) {
    const std::vector<sql::Row> next = connection_.query(
        "SELECT backend, issuer, crl_url FROM certificates "
        "WHERE (backend, issuer, crl_url) > ($1, $2, $3) "
        "ORDER BY backend, issuer, crl_url LIMIT 1",
        params(last.backend, last.issuer, last.url));
    if (next.empty()) return in_use;
    last.backend = next.front().text(0);
    last.issuer = IssuerId(next.front().text(1));
    last.url = next.front().text(2);
    last.last_end = instant_at(connection_
                                   .query("SELECT MAX(not_after) FROM certificates "
                                          "WHERE backend = $1 AND issuer = $2 AND crl_url = $3",
                                          params(last.backend, last.issuer, last.url))
                                   .front(),
                               0);
    if (last.last_end >= now) in_use.push_back(last);
  }
}

CertificatePage Certificates::search(const CertificateFilter& filter,
                                     const std::optional<CertificateId>& after, std::size_t limit) {
  const std::optional<Place> before = place_of(connection_, after);
  if (!before) return {};
  const std::vector<sql::Row> end = connection_.query(
      "SELECT issued_at, id FROM certificates WHERE (issued_at, id) < ($1, $2) "
      "ORDER BY issued_at DESC, id DESC LIMIT 1 OFFSET $3",
      params(before->time, before->id, kSlice - 1));
  const std::int64_t end_time =
      end.empty() ? std::numeric_limits<std::int64_t>::min() : end.front().integer(0);
  const CertificateId end_id(end.empty() ? "" : end.front().text(1));
  CertificatePage page;
  for (const sql::Row& row : connection_.query(
           "SELECT id, directory, account_id, order_id, issuance_id, backend, issuer, serial, "
           "spki_sha256, not_before, not_after, crl_url, chain_pem, issued_at, revoked_at, "
           "revocation_reason FROM certificates WHERE (issued_at, id) < ($1, $2) "
           "AND (issued_at, id) >= ($3, $4) AND ($5 = '' OR account_id = $5) "
           "AND not_after >= $6 AND not_after < $7 "
           "AND (CAST($8 AS BIGINT) = 0 OR revoked_at IS NOT NULL) "
           "AND ($9 = '' OR EXISTS (SELECT 1 FROM certificate_identifiers AS named "
           "WHERE named.certificate_id = certificates.id AND named.value = $9)) "
           "ORDER BY issued_at DESC, id DESC LIMIT $10",
           params(before->time, before->id, end_time, end_id, filter.account,
                  filter.ends_at_or_after ? to_unix(*filter.ends_at_or_after)
                                          : std::numeric_limits<std::int64_t>::min(),
                  filter.ends_before ? to_unix(*filter.ends_before)
                                     : std::numeric_limits<std::int64_t>::max(),
                  filter.revoked, filter.name, limit))) {
    page.certificates.push_back(certificate_of(connection_, row));
  }
  if (page.certificates.size() == limit) {
    page.next = page.certificates.back().id;
  } else if (!end.empty()) {
    page.next = end_id;
  }
  return page;
}

std::vector<CertificateRecord> Certificates::with_serial(std::string_view serial) {
  std::vector<CertificateRecord> certificates;
  IssuerId issuer;
  while (true) {  // one look at the index for each issuer that there ever was
    const std::vector<sql::Row> next =
        connection_.query("SELECT MIN(issuer) FROM certificates WHERE issuer > $1", params(issuer));
    if (next.front().is_null(0)) {
      return certificates;
    }
    issuer = IssuerId(next.front().text(0));
    if (std::optional<CertificateRecord> found = by_serial(issuer, serial)) {
      certificates.push_back(std::move(*found));
    }
  }
}

std::vector<CertificateRecord> Certificates::list(const std::optional<CertificateId>& after,
                                                  std::size_t limit) {
  const std::optional<Place> before = place_of(connection_, after);
  if (!before) return {};
  std::vector<CertificateRecord> certificates;
  for (const sql::Row& row : connection_.query(
           "SELECT id, directory, account_id, order_id, issuance_id, backend, issuer, serial, "
           "spki_sha256, not_before, not_after, crl_url, chain_pem, issued_at, revoked_at, "
           "revocation_reason FROM certificates WHERE (issued_at, id) < ($1, $2) "
           "ORDER BY issued_at DESC, id DESC LIMIT $3",
           params(before->time, before->id, limit))) {
    certificates.push_back(certificate_of(connection_, row));
  }
  return certificates;
}

}  // namespace gatehouse::store
