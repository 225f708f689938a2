// What an EST server sends: bodies in any form, and the attributes that it asks for.
#include "acme-server/base/bytes.h"
#include "acme-server/base/check.h"
#include "acme-server/crypto/certificate.h"
#include "ca-backends/est/csr_attributes.h"
#include "ca-backends/est/est_message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gatehouse;
  const std::string_view body = as_text(ByteView(data, size));
  if (const auto pem = backends::est_certificates(body)) {
    // What is handed on is what a reader of PEM finds again.
    const auto again = backends::est_certificates(*pem);
    ACME_CHECK(again && *again == *pem);
  }
  if (const auto octets = backends::decode_est_body(body)) {
    if (const auto asked = backends::describe_csr_attributes(*octets)) {
      ACME_CHECK(asked->size() <= backends::kMaxCsrAttributes);
    }
  }
  return 0;
}
