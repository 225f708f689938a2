// Egress: all that validators see of the net. Nothing leaves but through it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "acme-server/net/address_policy.h"
#include "acme-server/net/dialer.h"
#include "acme-server/net/net_options.h"
#include "acme-server/net/network_error.h"
#include "acme-server/net/resolver.h"

namespace gatehouse::net {

struct Connection {
  std::unique_ptr<Stream> stream;
  Endpoint endpoint;  // whom we talk to
};

// Safe to call from many threads.
class Egress {
 public:
  // `resolver` and `dialer` outlive this.
  Egress(Resolver& resolver, Dialer& dialer, const EgressOptions& options = {});

  Expected<DnsAnswer, DnsError> query(const std::string& name, RecordType type, Deadline deadline);
  void query_each(std::span<const Question> questions, const Resolver::Take& take);

  // Connects to `host`, a DNS name or an IP address (IPv6 without brackets). A name is looked up
  // once, each address is put to `policy`, and what is dialled is an address that passed: nothing
  // looks the name up again. The first IPv6 address comes first; only if it cannot be dialled at
  // all, the first IPv4 one is tried, once. Texts that some parsers take for an address ("127.1",
  // "0x7f000001", "2130706433") are refused. Adds to `trail` what was done.
  Expected<Connection, NetworkError> connect(const std::string& host, std::uint16_t port,
                                             const AddressPolicy& policy, Deadline deadline,
                                             Trail& trail);

 private:
  Expected<std::vector<IpAddress>, NetworkError> resolve(const std::string& host, Deadline deadline,
                                                         Trail& trail);
  Expected<Connection, NetworkError> dial(const Endpoint& endpoint, Deadline deadline,
                                          Trail& trail);

  Resolver* resolver_;
  Dialer* dialer_;
  EgressOptions options_;
};

}  // namespace gatehouse::net
