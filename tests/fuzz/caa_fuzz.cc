// Any octets as CAA records: each read or refused, and a permission only where our name stands.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "acme-server/base/bytes.h"
#include "acme-server/base/text.h"
#include "validators/caa.h"
#include "validators/caa_value.h"

namespace {

using namespace gatehouse;  // NOLINT(google-build-using-namespace): a program of one function
using namespace gatehouse::validators;  // NOLINT(google-build-using-namespace): as above

void must(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

// The input: records of flags, length of tag, tag, length of value, value.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ByteView rest(data, size);
  const auto take = [&](std::size_t wanted) {
    const ByteView taken = rest.subspan(0, std::min(wanted, rest.size()));
    rest = rest.subspan(taken.size());
    return std::string(as_text(taken));
  };
  net::DnsAnswer found;
  bool ours = false;
  bool restricted = false;
  while (rest.size() > 3) {
    net::CaaRecord record{.flags = rest[0], .tag = {}, .value = {}};
    const std::size_t tag_size = rest[1] % 16;
    const std::size_t value_size = rest[2];
    rest = rest.subspan(3);
    record.tag = take(tag_size);
    record.value = take(value_size);
    if (const auto value = parse_issue_value(record.value)) {
      must(record.value.find(value->issuer_domain) != std::string::npos);
      must(value->parameters.size() <= record.value.size());
    }
    ours = ours || to_lower(record.value).find("ca.test") != std::string::npos;
    restricted = restricted || equals_ignoring_case(record.tag, "issue");
    found.caa.push_back(std::move(record));
  }
  for (const bool wildcard : {false, true}) {
    const CaaResult result = judge_caa({.identifier = {IdentifierType::dns, "a.test"},
                                        .wildcard = wildcard,
                                        .identities = {"ca.test"},
                                        .account_urls = {"https://ca.test/1"},
                                        .challenge_type = "http-01"},
                                       "a.test", found);
    must(ours || !restricted || result.problem.has_value());
    must(!result.problem || is_utf8(result.problem->detail));
    must(!result.trail.empty());
  }
  return 0;
}
