// What a server asks of its resolvers about DNSSEC (RFC 4035).
#pragma once

#include <string>

namespace gatehouse::net {

enum class DnssecMode {
  off,       // nobody asks whether they validate
  warn,      // asked at start; one that does not is logged
  required,  // the same, and the server does not start
};

struct DnssecOptions {
  DnssecMode mode = DnssecMode::warn;
  std::string probe = ".";  // a signed name, whose SOA record each resolver is asked for
};

}  // namespace gatehouse::net
