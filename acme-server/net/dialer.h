// Dialer and Stream: connections to addresses, never to names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "acme-server/base/bytes.h"
#include "acme-server/base/deadline.h"
#include "acme-server/base/expected.h"
#include "acme-server/base/ip_address.h"

namespace gatehouse::net {

struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;

  // "192.0.2.1:80", "[2001:db8::1]:80"; with `default_port`, the port may be left out.
  static Expected<Endpoint, std::string> parse(std::string_view text,
                                               std::optional<std::uint16_t> default_port = {});
  std::string to_string() const;

  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

struct DialError {
  enum class Kind { refused, timeout, unreachable };
  Kind kind = Kind::unreachable;
  std::string detail;  // what came of it: "refused the connection", "did not answer within …"
};

struct IoError {
  enum class Kind { timeout, reset, tls };
  Kind kind = Kind::reset;
  std::string detail;  // what came of it, as in DialError
};

// One connection, of one thread at a time. Closed when destroyed.
class Stream {
 public:
  virtual ~Stream() = default;
  // Waits for at least one octet; 0 when the peer has ended its side.
  virtual Expected<std::size_t, IoError> read(std::span<std::uint8_t> out, Deadline deadline) = 0;
  // Writes all of `bytes` or says why not.
  virtual std::optional<IoError> write(ByteView bytes, Deadline deadline) = 0;
};

// Safe to call from many threads. Blocks no longer than until `deadline`. Throws std::system_error,
// as its streams do, when this machine lacks descriptors or memory: a DialError is the peer's doing
// or the network's.
class Dialer {
 public:
  virtual ~Dialer() = default;
  virtual Expected<std::unique_ptr<Stream>, DialError> dial(const Endpoint& endpoint,
                                                            Deadline deadline) = 0;
};

}  // namespace gatehouse::net
