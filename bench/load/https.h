// One keep-alive HTTPS connection to a server whose certificate is not looked at: one request at a
// time.
#pragma once

#include <openssl/ssl.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/load/loop.h"
#include "bench/load/task.h"

namespace gatehouse::bench {

// The server did not do what a client may count on: closed, slow, not HTTP.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Target {
  std::string host;  // an IPv4 address or "localhost"
  std::uint16_t port = 443;
};

// "https://host:port/path" into its parts.
std::pair<Target, std::string> split_url(const std::string& url);

struct Response {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  // Empty when there is none.
  std::string_view header(std::string_view name) const;
};

using TlsContext = std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)>;
TlsContext client_context();

class HttpsConnection final {
 public:
  HttpsConnection(Loop& loop, SSL_CTX& context, Target target, std::chrono::seconds patience);
  ~HttpsConnection();

  HttpsConnection(const HttpsConnection&) = delete;
  HttpsConnection& operator=(const HttpsConnection&) = delete;

  // Connects when it is not connected. Throws Failure, and is not connected then.
  Task<void> connect();
  Task<Response> exchange(std::string method, std::string path, std::string content_type,
                          std::string body);
  void close();

  bool connected() const { return ssl_ != nullptr; }

 private:
  Task<void> wait(int ssl_result, const char* doing, Clock::time_point deadline);
  Task<void> fill(Clock::time_point deadline);

  Loop& loop_;
  SSL_CTX& context_;
  Target target_;
  std::chrono::seconds patience_;
  Descriptor socket_;
  std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
  std::string received_;
};

}  // namespace gatehouse::bench
