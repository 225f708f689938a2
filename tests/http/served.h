// An engine with one or more listeners on loopback, and a handler that a test holds in its hand.
#pragma once

#include <poll.h>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "acme-server/base/guarded.h"
#include "acme-server/base/log.h"
#include "acme-server/base/metrics.h"
#include "acme-server/http/engine.h"
#include "tests/http/client.h"
#include "tests/support/manual_clock.h"
#include "tests/support/tls_identity.h"

namespace gatehouse::testing {

// Waits for what has no event of its own, such as a number of stats(). False after
// kPatienceSeconds.
inline bool eventually(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(kPatienceSeconds);
  while (!holds()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    poll(nullptr, 0, 1);
  }
  return true;
}

inline std::shared_ptr<const std::string> shared_text(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}

inline http::Response text_response(std::string text) {
  return {.status = 200, .headers = {}, .body = shared_text(std::move(text))};
}

// Answers "METHOD target [body]".
inline void echo(http::Request request, http::Respond respond) {
  respond(text_response(request.method + " " + request.target + " [" + request.body + "]"));
}

// A handler that keeps every request until the test answers it.
class Held {
 public:
  using Pair = std::pair<http::Request, http::Respond>;

  http::Handler handler() {
    return [this](http::Request request, http::Respond respond) {
      waiting_.with([&](auto& all) { all.emplace_back(std::move(request), std::move(respond)); });
      waiting_.notify_all();
    };
  }

  // The next request in the order of their coming.
  Pair next() {
    return waiting_.wait_for(
        std::chrono::seconds(kPatienceSeconds), [](auto& all) { return !all.empty(); },
        [](auto& all) {
          if (all.empty()) throw std::runtime_error("no request came");
          Pair first = std::move(all.front());
          all.pop_front();
          return first;
        });
  }

  std::size_t count() {
    return waiting_.with([](auto& all) { return all.size(); });
  }

 private:
  Guarded<std::deque<Pair>> waiting_;
};

inline http::Listener plain_listener(std::string name = "acme") {
  return {.name = std::move(name),
          .address = http::TcpAddress{.address = "127.0.0.1"},
          .tls = std::nullopt,
          .origins = {}};
}

inline http::TlsOptions tls_options(const TlsIdentity& identity) {
  return {.certificate_chain_pem = identity.certificate_pem,
          .private_key_pem = Secret(identity.key_pem),
          .client_ca_pem = std::nullopt};
}

inline http::Listener tls_listener(const TlsIdentity& identity, std::string name = "acme") {
  auto listener = plain_listener(std::move(name));
  listener.tls = tls_options(identity);
  return listener;
}

// Made once: a test needs some identity more often than its own.
inline const TlsIdentity& server_identity() {
  static const TlsIdentity identity = make_tls_identity("server.test");
  return identity;
}

struct Served {
  explicit Served(http::Handler handler, const http::Limits& limits = {},
                  std::vector<http::Listener> listeners = {plain_listener()},
                  std::size_t threads = 2)
      : log({.format = Log::Format::json,
             .level = LogLevel::debug,
             .sink =
                 [this](LogLevel, std::string_view line) {
                   lines.with([&](auto& all) { all.emplace_back(line); });
                 }}),
        engine({.limits = limits, .threads = threads}, clock, log, metrics),
        addresses(engine.start(std::move(listeners), std::move(handler))) {}

  Client connect(std::size_t listener = 0) const { return Client::to(addresses.at(listener)); }

  bool logged(std::string_view event) {
    return lines.with([&](auto& all) {
      for (const auto& line : all) {
        if (line.find(event) != std::string::npos) return true;
      }
      return false;
    });
  }

  ManualClock clock;
  Guarded<std::vector<std::string>> lines;
  Log log;
  Metrics metrics;
  http::Engine engine;
  std::vector<http::ListenerAddress> addresses;
};

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

using ClientContext = std::unique_ptr<SSL_CTX, FreeContext>;

// Verifies nothing: what these tests are about is the server.
inline ClientContext client_context() {
  return ClientContext(SSL_CTX_new(TLS_client_method()));
}

}  // namespace gatehouse::testing
