// JWKs as JSON and keys as SubjectPublicKeyInfo: what parses is the same key again after a round
// trip through both forms, and the key policy answers in bounded time.
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/jwk.h"
#include "acme-server/crypto/key_policy.h"

namespace {

using namespace gatehouse;

void check_key(const crypto::Jwk& key) {
  ACME_CHECK(crypto::jwk_of_spki(crypto::subject_public_key_info(key)) == key);
  ACME_CHECK(crypto::parse_jwk(parse_json(crypto::canonical_json(key))).value() == key);
  ACME_CHECK(crypto::thumbprint(key).size() == 43);
  if (!crypto::why_refused(key, {})) crypto::make_public_key(key);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView octets(data, size);
  if (const auto key = crypto::jwk_of_spki(octets)) {
    ACME_CHECK(crypto::subject_public_key_info(*key) == Bytes(octets.begin(), octets.end()));
    check_key(*key);
  }
  try {
    if (const auto key = crypto::parse_jwk(parse_json(as_text(octets)))) check_key(*key);
  } catch (const JsonError&) {  // not JSON at all
  }
  return 0;
}
