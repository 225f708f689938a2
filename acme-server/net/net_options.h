// The options of module net, as the config fills them.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace gatehouse::net {

// How questions travel to a resolver. Answers over UDP can be forged from off the path (fragments,
// guessed ids); over TCP they cannot.
enum class DnsTransport {
  automatic,  // TCP, but UDP to a resolver on loopback
  tcp,
  udp,  // EDNS with 1232 octets, so that nothing is fragmented; TCP when an answer is truncated
};

struct ResolverOptions {
  // "192.0.2.53", "192.0.2.53:5353", "[2001:db8::53]:53". None: the system's, from `system_config`.
  // Whether DNSSEC is validated is up to them.
  std::vector<std::string> servers = {};
  std::string system_config = "/etc/resolv.conf";
  DnsTransport transport = DnsTransport::automatic;
  std::chrono::milliseconds timeout = std::chrono::seconds(3);  // of one try
  int tries = 3;  // of one question, spread over the servers
};

struct EgressOptions {
  std::chrono::milliseconds dial_timeout = std::chrono::seconds(5);  // of one address
};

}  // namespace gatehouse::net
