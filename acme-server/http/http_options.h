// What the HTTP engine is told: where to listen, with which certificate, and how much a client may
// ask of it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "acme-server/base/ip_address.h"
#include "acme-server/base/secret.h"

namespace gatehouse::http {

// What one client, or all of them together, can cost us.
struct Limits {
  std::size_t header_bytes = std::size_t{16} * 1024;  // request line and fields: above it 431
  std::size_t header_count = 100;                     // fields: above it 431
  std::size_t body_bytes =
      std::size_t{64} * 1024;  // above it 413; a JWS with a CSR of many names is a tenth of it
  std::size_t connections =
      20000;  // of one listener, so that a flood on one leaves the others free
  std::size_t connections_per_address =
      5000;  // of these; an IPv6 client counts by its /64, a trusted proxy is not counted
  std::size_t handshakes =
      2000;  // TLS handshakes of one listener at a time: above it the oldest gives way
  std::chrono::milliseconds handshake{10'000};  // from accept to the end of the TLS handshake
  std::chrono::milliseconds read{10'000};   // from a request's first byte to its last: above it 408
  std::chrono::milliseconds idle{60'000};   // between requests, and before the first
  std::chrono::milliseconds write{30'000};  // for each 256 KiB of an answer
  std::chrono::milliseconds drain{10'000};  // drain_and_stop() waits no longer
};

enum class TlsVersion { tls_1_2, tls_1_3 };

struct TlsOptions {
  std::string certificate_chain_pem;  // the leaf first
  Secret private_key_pem;             // of the leaf, not encrypted
  std::optional<std::string>
      client_ca_pem;  // ask for client certificates (none is fine), verify against these
  TlsVersion min_version = TlsVersion::tls_1_2;
};

// An IP literal and a port. "::" takes IPv4 too unless v6_only; port 0 takes a free one.
struct TcpAddress {
  std::string address;
  std::uint16_t port = 0;
  bool v6_only = false;
};

// What sun_path holds, its NUL left out (unix(7)).
inline constexpr std::size_t kMaxUnixPath = 107;

// A socket file, made with `mode` and removed at the end. A dead one from an earlier run is
// replaced.
struct UnixAddress {
  std::string path;
  std::uint32_t mode = 0600;
};

// A socket that already listens, handed over by who started us. The engine owns and closes it.
struct InheritedSocket {
  int descriptor = -1;
};

struct Listener {
  std::string name;  // what Request::listener says, unique within the engine
  std::variant<TcpAddress, UnixAddress, InheritedSocket> address;
  std::optional<TlsOptions> tls;  // none: plain HTTP
  std::vector<std::string>
      origins;  // "https://acme.example": absolute-form targets taken, RFC 9112 section 3.2.2
  // Of a unix socket: the users whose processes may connect; others are closed at accept, and
  // logged. Empty: whoever the file's mode lets.
  std::vector<std::uint32_t> uids = {};
  // Proxies that many clients stand behind: their connections have no limit of their own, and are
  // not closed for being idle when there are many.
  std::vector<IpPrefix> proxies = {};
};

}  // namespace gatehouse::http
