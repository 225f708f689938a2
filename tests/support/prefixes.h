// Address prefixes from text, for tests.
#pragma once

#include <string>
#include <vector>

#include "acme-server/base/ip_address.h"

namespace gatehouse::testing {

// Throws where a text is no prefix.
inline std::vector<IpPrefix> prefixes(const std::vector<std::string>& texts) {
  std::vector<IpPrefix> parsed;
  for (const std::string& text : texts) parsed.push_back(IpPrefix::parse(text).value());
  return parsed;
}

}  // namespace gatehouse::testing
