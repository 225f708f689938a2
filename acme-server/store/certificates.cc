#include "acme-server/store/certificates.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <vector>

#include "acme-server/core/certificate_record.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/ids.h"
#include "acme-server/store/sql/database.h"
#include "acme-server/store/values.h"

namespace gatehouse::store {
namespace {

// Of a CRL's rows, how many are in memory at a time.
constexpr std::size_t kPage = 2000;

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

std::optional<CertificateRecord> first(sql::Connection& connection,
                                       const std::vector<sql::Row>& rows) {
  return rows.empty() ? std::nullopt : std::optional(certificate_of(connection, rows.front()));
}

std::vector<Identifier> sorted(std::vector<Identifier> identifiers) {
  std::ranges::sort(identifiers);
  return identifiers;
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
  return first(connection_,
               connection_.query("SELECT id, directory, account_id, order_id, issuance_id, "
                                 "backend, issuer, serial, spki_sha256, not_before, not_after, "
                                 "crl_url, chain_pem, issued_at, revoked_at, revocation_reason "
                                 "FROM certificates WHERE id = $1 AND account_id = $2",
                                 params(id, account)));
}

std::optional<CertificateRecord> Certificates::get(const CertificateId& id) {
  return first(connection_,
               connection_.query("SELECT id, directory, account_id, order_id, issuance_id, "
                                 "backend, issuer, serial, spki_sha256, not_before, not_after, "
                                 "crl_url, chain_pem, issued_at, revoked_at, revocation_reason "
                                 "FROM certificates WHERE id = $1",
                                 params(id)));
}

std::optional<CertificateRecord> Certificates::by_serial(const IssuerId& issuer,
                                                         std::string_view serial) {
  return first(connection_,
               connection_.query("SELECT id, directory, account_id, order_id, issuance_id, "
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
      tell_kept_before(&row.text(0));
      each(Revoked{.serial = row.text(0),
                   .at = instant_at(row, 1),
                   .reason = static_cast<int>(row.integer(2))});
    }
    if (page.size() < kPage) {
      tell_kept_before(nullptr);
      return;
    }
    behind = page.back().text(0);
  }
}

std::vector<CertificateRecord> Certificates::list(const std::optional<CertificateId>& after,
                                                  std::size_t limit) {
  std::int64_t before_time = std::numeric_limits<std::int64_t>::max();
  CertificateId before;
  if (after) {
    const std::vector<sql::Row> place =
        connection_.query("SELECT issued_at FROM certificates WHERE id = $1", params(*after));
    if (place.empty()) {
      return {};
    }
    before_time = place.front().integer(0);
    before = *after;
  }
  std::vector<CertificateRecord> certificates;
  for (const sql::Row& row : connection_.query(
           "SELECT id, directory, account_id, order_id, issuance_id, backend, issuer, serial, "
           "spki_sha256, not_before, not_after, crl_url, chain_pem, issued_at, revoked_at, "
           "revocation_reason FROM certificates WHERE (issued_at, id) < ($1, $2) "
           "ORDER BY issued_at DESC, id DESC LIMIT $3",
           params(before_time, before, limit))) {
    certificates.push_back(certificate_of(connection_, row));
  }
  return certificates;
}

}  // namespace gatehouse::store
