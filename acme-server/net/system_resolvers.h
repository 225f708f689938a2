// The DNS servers that this machine is configured with.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "acme-server/net/dialer.h"

namespace gatehouse::net {

inline constexpr std::uint16_t kDnsPort = 53;

// The servers that the resolv.conf(5) at `path` names, at most 16, read anew each time: a machine's
// servers change when it moves. An address with a zone is passed over. Without any server, or
// without the file, the one on this machine, as the C library has it. Throws ResourceExhaustion
// when we have no descriptors or memory to read the file: that is not a file without servers.
std::vector<Endpoint> system_resolvers(const std::string& path);

}  // namespace gatehouse::net
