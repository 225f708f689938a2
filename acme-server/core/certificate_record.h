// An issued certificate and its revocation, as the store keeps them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/core/identifier.h"
#include "acme-server/core/ids.h"

namespace gatehouse {

struct Revocation {
  Instant at;
  int reason = 0;  // RFC 5280 section 5.3.1

  friend bool operator==(const Revocation&, const Revocation&) = default;
};

struct CertificateRecord {
  CertificateId id;
  DirectoryId directory;
  std::optional<AccountId> account;  // none: origin "server"
  OrderId order;
  IssuanceId issuance;
  std::string backend;  // the backend's name in the config
  IssuerId issuer;
  std::string serial;       // hex; unique with issuer
  std::string spki_sha256;  // hex
  std::vector<Identifier> identifiers;
  Instant not_before, not_after;
  std::string crl_url;    // its CDP: the shard that a revocation of it goes to; empty: none
  std::string chain_pem;  // leaf first, never changed afterwards
  std::vector<std::string> alternate_chains_pem;  // each leaf first
  Instant issued_at;
  std::optional<Revocation> revocation;

  friend bool operator==(const CertificateRecord&, const CertificateRecord&) = default;
};

}  // namespace gatehouse
