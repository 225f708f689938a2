// The bodies of EST: RFC 7030 as RFC 8951 clarifies it, and as servers really write it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "acme-server/base/bytes.h"
#include "acme-server/base/expected.h"

namespace gatehouse::backends {

// A PKCS#10 request as /simpleenroll takes it: base64 in lines of 64 characters, no PEM labels.
std::string est_request_body(ByteView csr_der);

// The octets behind an answer's body: base64 with or without line ends and padding, one PEM block,
// or DER as it is. Nothing when it is none of these.
std::optional<Bytes> decode_est_body(std::string_view body);

// The certificates of an answer as PEM, in their order: what decode_est_body() takes, and any
// number of PEM blocks. The error is a sentence.
Expected<std::string, std::string> est_certificates(std::string_view body);

}  // namespace gatehouse::backends
