#include "acme-server/crypto/digest.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>

#include <memory>
#include <string>

#include "acme-server/base/bytes.h"
#include "acme-server/base/hex.h"
#include "acme-server/base/secret.h"
#include "acme-server/crypto/openssl.h"

namespace gatehouse::crypto {

namespace {

// Fetched once: OpenSSL 3 otherwise looks it up, under a lock, at every call.
const EVP_MD* fetched_sha256() {
  static const std::unique_ptr<EVP_MD, FreeWith<EVP_MD_free>> kDigest(
      EVP_MD_fetch(nullptr, "SHA256", nullptr));
  return kDigest.get();
}

}  // namespace

Sha256 sha256(ByteView bytes) {
  Sha256 out{};
  const bool ok =
      EVP_Digest(bytes.data(), bytes.size(), out.data(), nullptr, fetched_sha256(), nullptr) == 1;
  require_openssl(ok, "computing SHA-256");
  return out;
}

std::string sha256_hex(ByteView bytes) {
  return hex_encode(sha256(bytes));
}

Sha256 hmac_sha256(const Secret& key, ByteView message) {
  Sha256 out{};
  unsigned length = 0;
  const std::string_view text = key.reveal();
  const auto* mac = HMAC(EVP_sha256(), text.data(), static_cast<int>(text.size()), message.data(),
                         message.size(), out.data(), &length);
  require_openssl(mac != nullptr && length == out.size(), "computing HMAC-SHA-256");
  return out;
}

bool constant_time_equal(ByteView a, ByteView b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace gatehouse::crypto
