#include "bench/load/signing_key.h"

#include <algorithm>
#include <cstddef>

#include "acme-server/base/base64url.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/secret.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/jwk.h"

namespace gatehouse::bench {

namespace {

constexpr std::size_t kNumber = 32;  // octets of r and s on P-256

// r and s of a DER ECDSA signature, at their full length, as a JWS carries them (RFC 7518
// section 3.4).
Bytes joined(ByteView der) {
  Bytes both(2 * kNumber);
  std::size_t at = 2;  // SEQUENCE and its length: below 128
  for (std::size_t number = 0; number < 2; ++number) {
    ByteView digits = der.subspan(at + 2, der[at + 1]);
    at += 2 + digits.size();
    if (digits.size() > kNumber) digits = digits.last(kNumber);
    std::ranges::copy(
        digits, both.begin() + static_cast<std::ptrdiff_t>((number + 1) * kNumber - digits.size()));
  }
  return both;
}

}  // namespace

SigningKey::SigningKey()
    : signer_(crypto::load_signer(crypto::generate_private_key(crypto::NewKey::p256), Secret())) {
  const auto key = crypto::jwk_of_spki(signer_->public_key()).value();
  jwk_ = crypto::canonical_json(key);
  thumbprint_ = crypto::thumbprint(key);
}

std::string SigningKey::jws(const std::string& key, const std::string& nonce,
                            const std::string& url, std::string_view payload) {
  const std::string header =
      R"({"alg":"ES256",)" + key + R"(,"nonce":")" + nonce + R"(","url":")" + url + "\"}";
  const std::string protected_part = base64url_encode(as_bytes(header));
  const std::string payload_part = base64url_encode(as_bytes(payload));
  const Bytes signature = joined(signer_->sign(as_bytes(protected_part + "." + payload_part)));
  return R"({"protected":")" + protected_part + R"(","payload":")" + payload_part +
         R"(","signature":")" + base64url_encode(signature) + "\"}";
}

std::string SigningKey::csr(const std::string& name) {
  return base64url_encode(crypto::make_csr(*signer_, {name}, {}));
}

}  // namespace gatehouse::bench
