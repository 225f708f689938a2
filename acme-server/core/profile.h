// Profile: what certificates of a kind look like and what it takes to get one.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "acme-server/base/ip_address.h"
#include "acme-server/core/identifier_policy.h"  // IWYU pragma: export
#include "acme-server/crypto/jwk.h"

namespace gatehouse {

// Whether certificates need the permission of CAA records (RFC 8659).
enum class CaaMode { enforce, off };

struct Profile {
  std::string name = "default";
  std::string description = "Certificates for TLS servers";
  std::chrono::seconds validity = std::chrono::hours(24 * 90);
  std::chrono::seconds backdate =
      std::chrono::hours(1);  // for clients whose clock is behind; under 48 h
  // Where the CA ends sooner certificates are cut to its end, but never to less than this.
  std::chrono::seconds minimum_validity = std::chrono::hours(1);
  std::vector<std::string> key_usages = {
      "digitalSignature"};  // keyEncipherment is added for RSA keys when asked for
  std::vector<std::string> extended_key_usages = {"serverAuth"};
  std::vector<crypto::KeyType> key_types = {crypto::KeyType::rsa, crypto::KeyType::ec_p256,
                                            crypto::KeyType::ec_p384};  // of certificates
  bool common_name = false;  // the first dns identifier that fits in 64 characters
  bool client_dates =
      true;  // notBefore and notAfter of newOrder are honoured within `validity`; else refused
  std::vector<std::string> challenge_types = {
      "http-01", "dns-01", "tls-alpn-01"};  // enabled; a type no validator has is refused at start
  std::chrono::seconds order_lifetime = std::chrono::hours(24 * 7);
  std::chrono::seconds pending_authorization_lifetime = std::chrono::hours(24 * 7);
  std::chrono::seconds valid_authorization_lifetime = std::chrono::hours(24 * 10);
  bool reuse_authorizations =
      true;  // a valid one of the same account, identifier and profile serves a new order
  std::size_t max_identifiers = 100;
  IdentifierPolicy identifiers;
  // Where validation may connect to, besides the built-in rules of net/address_policy.h.
  std::vector<IpPrefix> allowed_addresses, denied_addresses;
  std::string backend = "local";  // which backend issues
  CaaMode caa = CaaMode::enforce;

  friend bool operator==(const Profile&, const Profile&) = default;
};

// SHA-256 in hex over everything that decides what a certificate says: what an intent remembers of
// its profile.
std::string hash_of(const Profile& profile);

}  // namespace gatehouse
