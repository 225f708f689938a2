// SocketDialer: the Dialer that opens TCP connections; and the way to a unix socket.
#pragma once

#include <memory>
#include <string>

#include "acme-server/base/deadline.h"
#include "acme-server/base/expected.h"
#include "acme-server/net/dialer.h"

namespace gatehouse::net {

class SocketDialer final : public Dialer {
 public:
  Expected<std::unique_ptr<Stream>, DialError> dial(const Endpoint& endpoint,
                                                    Deadline deadline) override;
};

// A connection to the unix socket at `path`: to a process on this machine, so nothing of it is
// egress. `refused` when nobody listens there: no such file, or its process is gone.
Expected<std::unique_ptr<Stream>, DialError> dial_unix(const std::string& path, Deadline deadline);

}  // namespace gatehouse::net
