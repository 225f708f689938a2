// An ACME account (RFC 8555 section 7.1.2).
#pragma once

#include <string>
#include <vector>

#include "acme-server/base/clock.h"
#include "acme-server/core/ids.h"

namespace gatehouse {

enum class AccountStatus { valid, deactivated, revoked };

struct Account {
  AccountId id;
  DirectoryId directory;
  std::string key_thumbprint;   // RFC 7638, base64url; unique within the directory
  std::string key_jwk;          // canonical JSON of the public key
  std::string key_spki_sha256;  // hex: to compare with certificate keys, server-wide
  std::vector<std::string> contacts;
  AccountStatus status = AccountStatus::valid;
  std::string terms_agreed;  // URL of the terms that were agreed to; empty: none
  Instant created;

  friend bool operator==(const Account&, const Account&) = default;
};

}  // namespace gatehouse
