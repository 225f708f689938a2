// SocketDialer: the Dialer that opens TCP connections.
#pragma once

#include "acme-server/net/dialer.h"

namespace gatehouse::net {

class SocketDialer final : public Dialer {
 public:
  Expected<std::unique_ptr<Stream>, DialError> dial(const Endpoint& endpoint,
                                                    Deadline deadline) override;
};

}  // namespace gatehouse::net
