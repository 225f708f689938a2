// Distinguished names as people write them, for the CAs that we make.
#pragma once

#include <string>
#include <string_view>

#include "acme-server/base/bytes.h"
#include "acme-server/base/expected.h"

namespace gatehouse::crypto {

// The DER of "C=DE, O=Corp, CN=Corp Issuing CA", in that order: C, ST, L, O, OU, CN, DC and
// serialNumber, each with its limit of RFC 5280 appendix A.1. A comma in a value stands behind a
// backslash. The error is a sentence that names the attribute.
Expected<Bytes, std::string> parse_subject(std::string_view text);

// `name` (DER) with `common_name` in place of its last commonName; behind it where it has none.
Bytes with_common_name(ByteView name, const std::string& common_name);

}  // namespace gatehouse::crypto
