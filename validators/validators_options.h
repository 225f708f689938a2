// The options of the validators, with their defaults. Each validator reads its own JSON object.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace gatehouse::validators {

struct Http01Options {
  // RFC 8555 section 8.3 says 80, and certificates for the public depend on it. Another port is for
  // tests and for networks whose port 80 is not the client's to use.
  std::uint16_t port = 80;
  std::vector<std::uint16_t>
      redirect_ports;  // where a redirect may lead, beside 80, 443 and `port`
  std::string user_agent = "Gatehouse (ACME http-01 validation; RFC 8555 section 8.3)";
  std::chrono::seconds timeout = std::chrono::seconds(20);  // of one try, redirects included

  friend bool operator==(const Http01Options&, const Http01Options&) = default;
};

struct Dns01Options {
  // Of one try. The resolver's own tries fit in: three of three seconds.
  std::chrono::seconds timeout = std::chrono::seconds(15);

  friend bool operator==(const Dns01Options&, const Dns01Options&) = default;
};

struct TlsAlpn01Options {
  // RFC 8737 section 3 says 443. Another port is for tests and for networks of one's own.
  std::uint16_t port = 443;
  std::chrono::seconds timeout = std::chrono::seconds(20);  // of one try

  friend bool operator==(const TlsAlpn01Options&, const TlsAlpn01Options&) = default;
};

}  // namespace gatehouse::validators
