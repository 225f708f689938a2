// What a CA would like to find in a request: the answer of /csrattrs, RFC 7030 section 4.5.2 and
// RFC 8951 section 4.
#pragma once

#include <string>
#include <vector>

#include "acme-server/base/bytes.h"
#include "acme-server/base/expected.h"

namespace gatehouse::backends {

inline constexpr std::size_t kMaxCsrAttributes = 64;

// CsrAttrs in words, one for each element: "a common name (2.5.4.3)", "extensions: subject
// alternative names (2.5.29.17)". What has no name here is its OID. The error is a sentence: no
// DER, something else, or more than kMaxCsrAttributes elements.
Expected<std::vector<std::string>, std::string> describe_csr_attributes(ByteView der);

}  // namespace gatehouse::backends
