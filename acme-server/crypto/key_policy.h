// Which public keys we accept, for accounts and for certificates, and the sentence for those we do
// not.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/crypto/jwk.h"  // IWYU pragma: export

namespace gatehouse::crypto {

struct KeyPolicy {
  std::vector<KeyType> allowed = {KeyType::rsa, KeyType::ec_p256, KeyType::ec_p384,
                                  KeyType::ec_p521, KeyType::ed25519};
  std::size_t rsa_min_bits = 2048;
  std::size_t rsa_max_bits = 4096;  // above it verification costs an attacker little and us much
  std::size_t fermat_rounds = 110;  // close primes (CVE-2022-26320) fall within these

  friend bool operator==(const KeyPolicy&, const KeyPolicy&) = default;
};

// SHA-256 in hex over every field: what an intent remembers of the policy it was made under.
std::string hash_of(const KeyPolicy& policy);

// Nothing when `key` is acceptable, else a sentence naming what is wrong: type not allowed, RSA
// size or exponent (65537 only), size not a multiple of 8 bits, even modulus, a factor up to 751,
// ROCA's fingerprint, close primes, a point not on its curve or at infinity, a small-order Ed25519
// point. Bounded work: sizes are looked at first.
std::optional<std::string> why_refused(const Jwk& key, const KeyPolicy& policy);

}  // namespace gatehouse::crypto
