// Reading a DNS response (RFC 1035 section 4) that came off the wire.
#pragma once

#include <cstddef>
#include <string>

#include "acme-server/base/bytes.h"
#include "acme-server/net/resolver.h"

namespace gatehouse::net {

// More than any sane name has; a full TCP message could carry thousands.
inline constexpr std::size_t kMaxDnsRecords = 256;
// Resolvers themselves follow about as many.
inline constexpr std::size_t kMaxDnsAliases = 16;

// The records of `type` at `name`, CNAMEs followed within the message. Only records of the name at
// the end of the chain count, whatever else was put into the answer. The message must repeat the
// question.
Expected<DnsAnswer, DnsError> read_dns_response(ByteView message, const std::string& name,
                                                RecordType type);

// Whether `message` is a response with records, or with the absence of any, that DNSSEC proves, by
// the word of who sent it (the AD bit, RFC 4035 section 3.2.3).
bool is_authenticated(ByteView message);

}  // namespace gatehouse::net
