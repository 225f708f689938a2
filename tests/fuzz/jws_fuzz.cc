// Bodies of POSTs: whatever parses has one key, an algorithm of ours, and can be verified without
// harm. A JSON body alone seldom gets past base64url, so the input is also tried as the protected
// header of a well-formed JWS.
#include "acme-server/base/base64url.h"
#include "acme-server/crypto/jws.h"

namespace {

using namespace gatehouse;

void try_body(std::string_view body) {
  const auto jws = crypto::parse_jws(body);
  if (jws) {
    ACME_CHECK(jws->kid.has_value() != jws->jwk.has_value());
    ACME_CHECK(!jws->signature.empty() && !jws->url.empty());
    if (jws->jwk) crypto::verify_jws(*jws, jws->jwk->type, *crypto::make_public_key(*jws->jwk));
  } else {
    ACME_CHECK(!jws.error().detail.empty());
  }
  if (const auto mac = crypto::parse_mac_jws(body)) crypto::verify_mac_jws(*mac, Secret("key"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = as_text({data, size});
  try_body(text);
  try_body(R"({"protected":")" + base64url_encode(as_bytes(text)) +
           R"(","payload":"e30","signature":"AAAA"})");
  return 0;
}
