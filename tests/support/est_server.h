// EstServer: the server's side of EST on loopback, over TLS, by our own HTTP engine; a test says
// what it answers.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/guarded.h"
#include "acme-server/base/json.h"
#include "acme-server/base/log.h"
#include "acme-server/base/metrics.h"
#include "acme-server/crypto/der.h"
#include "acme-server/http/engine.h"
#include "tests/support/manual_clock.h"
#include "tests/support/tls_identity.h"

namespace gatehouse::testing {

// PKCS#7 of certificates alone (RFC 5652 section 5.1 with nobody who signs).
inline Bytes certs_only(const std::vector<Bytes>& certificates) {
  namespace der = crypto::der;
  Bytes all;
  for (const Bytes& each : certificates) der::append(all, each);
  const Bytes signed_data = der::sequence(
      {der::integer(1), der::set({}), der::sequence({der::oid("1.2.840.113549.1.7.1")}),
       der::element(der::constructed_tag(0), all), der::set({})});
  return der::sequence(
      {der::oid("1.2.840.113549.1.7.2"), der::element(der::constructed_tag(0), signed_data)});
}

// What an EST backend must be told, of a server at `url`.
inline Json least_est_options(const std::string& url) {
  return {{"type", "est"},
          {"url", url},
          {"tls", {{"ca", {"tls.pem"}}}},
          {"user", "gateway"},
          {"password", "file:password"},
          {"anchors", {"root.pem"}}};
}

inline http::Response est_answer(int status, const std::string& body,
                                 std::vector<http::Header> headers = {}) {
  return {.status = status,
          .headers = std::move(headers),
          .body = std::make_shared<const std::string>(body)};
}

class EstServer final {
 public:
  // Nothing: the client waits for ever.
  using Answer = std::function<std::optional<http::Response>(const http::Request&)>;

  explicit EstServer(Answer answer)
      : answer_(std::move(answer)),
        log_({.format = Log::Format::json,
              .level = LogLevel::error,
              .sink = [](LogLevel, std::string_view) {}}),
        engine_({.limits = {.drain = std::chrono::milliseconds(1)}, .threads = 1}, clock_, log_,
                metrics_) {
    http::TlsOptions tls{.certificate_chain_pem = identity().certificate_pem,
                         .private_key_pem = Secret(identity().key_pem),
                         .client_ca_pem = tls_ca().certificate_pem};
    const auto bound = engine_.start({{.name = "est",
                                       .address = http::TcpAddress{.address = "127.0.0.1"},
                                       .tls = std::move(tls),
                                       .origins = {}}},
                                     [this](http::Request request, http::Respond respond) {
                                       take(std::move(request), std::move(respond));
                                     });
    port_ = bound.front().port;
  }

  ~EstServer() {
    held_.with([](auto& held) { held.clear(); });
    engine_.drain_and_stop();
  }

  EstServer(const EstServer&) = delete;
  EstServer& operator=(const EstServer&) = delete;

  std::string url() const { return "https://localhost:" + std::to_string(port_); }

  // Each as it came, in its order.
  std::vector<http::Request> requests() const {
    return requests_.with([](const auto& all) { return all; });
  }

  // What signs the server's certificate, and those that it takes from clients. Made once.
  static const TlsIdentity& tls_ca() {
    static const TlsIdentity made = make_tls_identity("TLS CA", TlsUse::ca);
    return made;
  }

  static const TlsIdentity& client() {
    static const TlsIdentity made = make_tls_identity("gateway", TlsUse::client, &tls_ca());
    return made;
  }

 private:
  static const TlsIdentity& identity() {
    static const TlsIdentity made = make_tls_identity("localhost", TlsUse::server, &tls_ca());
    return made;
  }

  void take(http::Request request, http::Respond respond) {
    requests_.with([&](auto& all) { all.push_back(request); });
    auto answer = answer_(request);
    if (answer) return respond(std::move(*answer));
    held_.with([&](auto& held) { held.push_back(std::move(respond)); });
  }

  Answer answer_;
  ManualClock clock_;
  Log log_;
  Metrics metrics_;
  Guarded<std::vector<http::Request>> requests_;
  Guarded<std::vector<http::Respond>> held_;
  std::uint16_t port_ = 0;
  http::Engine engine_;
};

}  // namespace gatehouse::testing
