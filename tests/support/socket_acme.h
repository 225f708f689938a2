// What an AcmeClient sends goes over a real socket, one connection per client.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "acme-server/http/engine.h"
#include "tests/http/client.h"
#include "tests/support/acme_client.h"

namespace gatehouse::testing {

// The server is gone, or went away before it had answered.
class ConnectionLost : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The fields of an answer's head.
inline std::vector<http::Header> headers_of(const Answer& answer) {
  std::vector<http::Header> headers;
  for (const auto line : split(answer.head, '\n')) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    headers.push_back({.name = std::string(line.substr(0, colon)),
                       .value = std::string(trim(line.substr(colon + 1)))});
  }
  return headers;
}

// For AcmeClient. Connects at the first request and again after a loss, which it throws.
class SocketSender final {
 public:
  // Plain HTTP, or TLS checked against the trust store of `tls` (which outlives this) and `name`.
  explicit SocketSender(http::ListenerAddress address, SSL_CTX* tls = nullptr,
                        std::string name = "")
      : address_(std::move(address)), tls_(tls), name_(std::move(name)) {}

  http::Response operator()(const http::Request& request) {
    try {
      return exchange(request);
    } catch (const ConnectionLost&) {
      connection_.reset();
      throw;
    }
  }

 private:
  http::Response exchange(const http::Request& request) {
    if (!connection_) connect();
    std::string text = request.method + " " + request.target + " HTTP/1.1\r\n";
    for (const http::Header& header : request.headers) {
      text += header.name + ": " + header.value + "\r\n";
    }
    text += "Content-Length: " + std::to_string(request.body.size()) + "\r\n\r\n" + request.body;
    if (!connection_->send(text)) throw ConnectionLost("the request was not sent");
    const Answer answer = connection_->receive(request.method == "HEAD");
    const std::string length = answer.field("Content-Length");
    const bool whole =
        request.method == "HEAD" || length == "<none>" || answer.body.size() == std::stoul(length);
    if (answer.status == 0 || !whole) throw ConnectionLost("the answer did not come");
    return {.status = answer.status,
            .headers = headers_of(answer),
            .body = std::make_shared<const std::string>(answer.body)};
  }

  void connect() {
    try {
      connection_ = std::make_shared<Client>(Client::to(address_));
    } catch (const std::runtime_error& error) {
      throw ConnectionLost(error.what());
    }
    if (tls_ != nullptr && !connection_->start_tls(tls_, name_.c_str())) {
      connection_.reset();
      throw ConnectionLost("the TLS handshake failed");
    }
  }

  http::ListenerAddress address_;
  SSL_CTX* tls_;
  std::string name_;
  std::shared_ptr<Client> connection_;  // shared by copies of this: std::function makes some
};

}  // namespace gatehouse::testing
