// What a server shows for tls-alpn-01: whatever it is, it is judged without harm, and only what
// holds the expected name and digest to the octet is good.
#include <algorithm>

#include "acme-server/base/check.h"
#include "acme-server/crypto/acme_certificate.h"
#include "acme-server/crypto/certificate.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gatehouse;
  const ByteView octets(data, size);
  const auto holds = [&](ByteView part) { return !std::ranges::search(octets, part).empty(); };
  const crypto::Sha256 digest = crypto::sha256(std::string_view("token.thumbprint"));
  const IpAddress address = IpAddress::v4(192, 0, 2, 1);
  if (!crypto::why_not_acme_certificate(
          octets, {.dns_name = "a.test", .address = std::nullopt, .digest = digest})) {
    const auto certificate = crypto::parse_certificate(octets).value();
    ACME_CHECK(holds(digest) && certificate.dns_names.size() == 1 &&
               certificate.ip_addresses.empty() && !certificate.has_other_names);
  }
  if (!crypto::why_not_acme_certificate(octets,
                                        {.dns_name = "", .address = address, .digest = digest})) {
    ACME_CHECK(holds(digest) && holds(crypto::alternative_name_of(address)));
  }
  return 0;
}
