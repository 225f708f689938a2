#include "acme-server/crypto/key_policy.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "acme-server/base/bytes.h"
#include "acme-server/crypto/curve.h"
#include "acme-server/crypto/digest.h"
#include "acme-server/crypto/jwk.h"
#include "acme-server/crypto/rsa_weakness.h"

namespace gatehouse::crypto {

namespace {

constexpr std::uint8_t kExponent65537[] = {0x01, 0x00, 0x01};

std::size_t bits_of(const Bytes& modulus) {
  return modulus.empty()
             ? 0
             : modulus.size() * 8 - static_cast<std::size_t>(std::countl_zero(modulus.front()));
}

std::optional<std::string> why_rsa_refused(const Jwk& key, const KeyPolicy& policy) {
  // Sizes first: everything after them costs time that grows with the modulus.
  const std::size_t bits = bits_of(key.modulus);
  if (bits < policy.rsa_min_bits || bits > policy.rsa_max_bits) {
    return "the RSA key has " + std::to_string(bits) + " bits; use " +
           std::to_string(policy.rsa_min_bits) + " to " + std::to_string(policy.rsa_max_bits);
  }
  if (bits % 8 != 0)
    return "the RSA key has " + std::to_string(bits) + " bits, which is not a multiple of 8";
  if (!std::ranges::equal(key.exponent, kExponent65537))
    return "the RSA key's public exponent is not 65537";
  if (const unsigned factor = small_factor(key.modulus); factor != 0) {
    return "the RSA key's modulus is divisible by " + std::to_string(factor) + "; make another key";
  }
  if (has_roca_fingerprint(key.modulus)) {
    return "the RSA key comes from a weak generator (ROCA, CVE-2017-15361); make another key "
           "elsewhere";
  }
  if (has_close_primes(key.modulus, policy.fermat_rounds)) {
    return "the RSA key's primes are too close together (CVE-2022-26320); make another key with "
           "other software";
  }
  return std::nullopt;
}

}  // namespace

std::string hash_of(const KeyPolicy& policy) {
  std::string text = "key policy 1";
  for (const KeyType type : policy.allowed) text += ';' + describe(type);
  for (const std::size_t number :
       {policy.rsa_min_bits, policy.rsa_max_bits, policy.fermat_rounds}) {
    text += ';' + std::to_string(number);
  }
  return sha256_hex(as_bytes(text));
}

std::optional<std::string> why_refused(const Jwk& key, const KeyPolicy& policy) {
  if (std::ranges::find(policy.allowed, key.type) == policy.allowed.end()) {
    return "keys of type " + describe(key.type) + " are not accepted here";
  }
  switch (key.type) {
    case KeyType::rsa:
      return why_rsa_refused(key, policy);
    case KeyType::ec_p256:
    case KeyType::ec_p384:
    case KeyType::ec_p521:
      if (is_on_curve(curve_of(key.type), key.x, key.y)) return std::nullopt;
      return "the key is not a point of its curve, " + describe(key.type);
    case KeyType::ed25519:
      if (is_small_order_ed25519(key.x)) return "the Ed25519 key is a point of small order";
      if (is_ed25519_point(key.x)) return std::nullopt;
      return "the key is not a point of its curve, Ed25519";
  }
  return "the key is of an unknown type";
}

}  // namespace gatehouse::crypto
