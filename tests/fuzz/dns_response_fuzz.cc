// Any octets as a DNS response: read or refused within the limits, never past the end.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "acme-server/net/dns_message.h"

namespace {

using namespace gatehouse;       // NOLINT(google-build-using-namespace): a program of one function
using namespace gatehouse::net;  // NOLINT(google-build-using-namespace): as above

void must(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const RecordType type :
       {RecordType::A, RecordType::AAAA, RecordType::CNAME, RecordType::TXT, RecordType::CAA}) {
    const auto answer = read_dns_response({data, size}, "a.test", type);
    if (!answer) {
      must(!answer.error().detail.empty());
      continue;
    }
    const std::size_t records =
        answer->addresses.size() + answer->texts.size() + answer->caa.size();
    must(records + answer->aliases.size() > 0 && records <= kMaxDnsRecords);
    must(type == RecordType::CNAME || answer->aliases.size() <= kMaxDnsAliases);
    for (const IpAddress& address : answer->addresses)
      must(address.v6 == (type == RecordType::AAAA));
  }
  return 0;
}
