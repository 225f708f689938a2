// Issued certificates and their revocations in the store.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/core/certificate_record.h"
#include "acme-server/store/sql/database.h"

namespace gatehouse::store {

// Which certificates an operator asks for. An empty field matches every certificate.
struct CertificateFilter {
  std::string name;  // one of its identifiers' values, exactly
  std::string account;
  std::optional<Instant> ends_at_or_after, ends_before;
  bool revoked = false;  // those alone
};

// A page of a listing. No `next`: this was the last. A page may be empty and have a next one, since
// one read looks at a limited number of rows, so that none takes long.
struct CertificatePage {
  std::vector<CertificateRecord> certificates;
  std::optional<CertificateId> next;
};

// A CRL that certificates point to which are not over yet.
struct CrlInUse {
  std::string backend;  // of these certificates, as it was called when they were issued
  IssuerId issuer;
  std::string url;
  Instant last_end;  // the latest notAfter among them

  friend bool operator==(const CrlInUse&, const CrlInUse&) = default;
};

class Certificates {
 public:
  explicit Certificates(sql::Connection& connection) : connection_(connection) {}

  void insert(const CertificateRecord& certificate);

  std::optional<CertificateRecord> of(const AccountId& account, const CertificateId& id);
  std::optional<CertificateRecord> get(const CertificateId& id);
  std::optional<CertificateRecord> by_serial(const IssuerId& issuer, std::string_view serial);
  // The newest unrevoked one of origin "server" of this directory that covers exactly
  // `identifiers`; none: none.
  std::optional<CertificateRecord> own(const DirectoryId& directory,
                                       const std::vector<Identifier>& identifiers);

  // False when it is revoked already.
  bool revoke(const CertificateId& id, const Revocation& revocation);

  struct Revoked {
    std::string serial;
    Instant at;
    int reason;
  };

  // A revocation whose certificate is not here, as after a restore: on the CRL until one of its
  // lifetimes behind `not_after`. False when it is kept already.
  bool keep_revoked(const IssuerId& issuer, std::string_view crl_url, const Revoked& revoked,
                    Instant not_after);

  // Those of one CRL shard that expire at or after `expired_since`, in order of their serials, one
  // at a time.
  void revoked(const IssuerId& issuer, std::string_view crl_url, Instant expired_since,
               const std::function<void(const Revoked&)>& each);

  // When the last of a CRL shard's certificates was revoked; nothing when none is.
  std::optional<Instant> last_revoked(const IssuerId& issuer, std::string_view crl_url);
  // The CRLs that certificates point to which end at `now` or later. Takes two looks at an index
  // for each CRL that there ever was.
  std::vector<CrlInUse> crls_in_use(Instant now);

  // For operators: newest first, starting after `after`, at most `limit`.
  std::vector<CertificateRecord> list(const std::optional<CertificateId>& after, std::size_t limit);
  // Filtered. There is no index for it, since every issuance would have to maintain one.
  CertificatePage search(const CertificateFilter& filter, const std::optional<CertificateId>& after,
                         std::size_t limit);
  // Of any issuer. Takes a look at the index of (issuer, serial) for each issuer that there ever
  // was.
  std::vector<CertificateRecord> with_serial(std::string_view serial);

 private:
  sql::Connection& connection_;
};

}  // namespace gatehouse::store
