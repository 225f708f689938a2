// An HTTP request and its answer as plain values, and the one function type between the engine and
// the application.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/text.h"

namespace gatehouse::http {

// A field line. Order is kept, names may repeat (Link).
struct Header {
  std::string name;
  std::string value;

  friend bool operator==(const Header&, const Header&) = default;
};

// Who stands at the other end of the connection: what the socket and the TLS session say, never
// what a header says.
struct Peer {
  std::string address;  // an IP literal (IPv4 also on a dual-stack socket); empty on a unix socket
  std::uint16_t port = 0;       // 0 on a unix socket
  std::string tls_version;      // "TLSv1.3"; empty without TLS
  std::string sni;              // the server name the client asked for; empty when it named none
  std::string client_cert_der;  // the certificate it proved to hold, verified against
                                // client_ca_pem; else empty
  std::optional<std::uint32_t> uid;  // of the process behind a unix socket
};

// One request, complete and unambiguous: anything else was answered by the engine.
struct Request {
  std::string listener;  // the name of the listener it came in by
  std::string method;    // as sent: methods are case-sensitive, and any token comes through
  std::string target;    // origin-form, RFC 9112 section 3.2.1: path and query, never decoded
  std::vector<Header> headers;
  std::string body;  // decoded from chunks
  Peer peer;
  std::uint64_t id = 0;  // unique within the engine's life
};

// The answer. The engine adds Content-Length, Connection and Date: those given here are dropped,
// but for `Connection: close`, which is obeyed. No body is sent for HEAD, 204, 205 and 304. CR, LF
// or NUL in a value, a name that is no token and a status outside 200 to 599 make it a 500, which
// is logged.
struct Response {
  int status = 200;
  std::vector<Header> headers;
  std::shared_ptr<const std::string>
      body;  // shared: a CRL of 50 MB is not copied for each download; null is empty
};

// Sends the answer. Any thread; the first call counts, later ones and those for a client that is
// gone do nothing, as do those after the engine has ended. Dropping every copy without a call
// answers 500.
using Respond = std::function<void(Response)>;

// Called on an I/O thread: must not block. What it throws is logged and answered with 500.
using Handler = std::function<void(Request, Respond)>;

// The value of the first field called `name`, in any case, or nullptr.
inline const std::string* find_header(const std::vector<Header>& headers, std::string_view name) {
  const auto found = std::ranges::find_if(
      headers, [&](const Header& header) { return equals_ignoring_case(header.name, name); });
  return found == headers.end() ? nullptr : &found->value;
}

}  // namespace gatehouse::http
