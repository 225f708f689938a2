// TestWeb: the web layer over TestServices, and Client, which signs requests as ACME clients do. No
// sockets: requests go into Handler::handle() and responses come out, most of them at once.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/base/bytes.h"
#include "acme-server/base/json.h"
#include "acme-server/core/problem.h"
#include "acme-server/http/http.h"
#include "acme-server/service/certificates/certificates.h"
#include "acme-server/web/handler.h"
#include "tests/support/test_services.h"

namespace gatehouse::testing {

inline constexpr std::uint32_t kOperator = 990;  // the server's own user

inline constexpr std::string_view kBaseUrl = "https://acme.test";

inline web::WebOptions test_web_options() {
  web::WebOptions options;
  options.base_url = kBaseUrl;
  options.allowed_hosts = {"10.0.0.1:8443"};
  options.trusted_proxies = {IpPrefix::parse("10.9.0.0/16").value()};
  return options;
}

inline Json json_of(const http::Response& response) {
  return parse_json(response.body ? *response.body : "");
}

// What `response` says went wrong; a body that is no problem document throws JsonError.
inline Problem problem_of(const http::Response& response) {
  return problem_from_json(json_of(response));
}

inline std::string header_of(const http::Response& response, std::string_view name) {
  const std::string* value = http::find_header(response.headers, name);
  return value == nullptr ? "" : *value;
}

// The URL of the first Link with that relation.
inline std::string link_of(const http::Response& response, std::string_view relation) {
  const std::string suffix = ">;rel=\"" + std::string(relation) + "\"";
  for (const http::Header& header : response.headers) {
    if (header.name == "Link" && header.value.ends_with(suffix)) {
      return header.value.substr(1, header.value.size() - suffix.size() - 1);
    }
  }
  return "";
}

class TestWeb final {
 public:
  explicit TestWeb(TestServices::Options options = {},
                   const web::WebOptions& web_options = test_web_options())
      : services(std::move(options)),
        files(services.context()),
        handler(web_options, services.context(), files, [this] { return not_ready; }, process()) {}

  static web::ProcessFacts test_process() {
    return {.version = "1.2.3",
            .database = "SQLite",
            .started = kNoon,
            .operators = {0, kOperator},
            .listeners = [] { return std::vector<std::string>{"acme.0 on [::]:443"}; }};
  }

  // With what this test says expires.
  web::ProcessFacts process() {
    web::ProcessFacts facts = test_process();
    facts.expiring = [this] { return expiring; };
    return facts;
  }

  // An operator's command, over the control socket.
  http::Response command(std::string path, const Json& body = Json::object(),
                         std::optional<std::uint32_t> uid = kOperator) {
    http::Request request;
    request.listener = web::kControlListener;
    request.method = "POST";
    request.target = std::move(path);
    request.body = print_json(body);
    request.peer.uid = uid;
    return answer_to(std::move(request));
  }

  // What the server answers, or nothing yet: an answer may wait for a job.
  using Pending = std::shared_ptr<std::optional<http::Response>>;

  Pending begin(http::Request request) {
    auto pending = std::make_shared<std::optional<http::Response>>();
    handler.handle(std::make_shared<const http::Request>(std::move(request)),
                   [pending](http::Response response) {
                     if (pending->has_value()) throw std::logic_error("answered twice");
                     *pending = std::move(response);
                   });
    return pending;
  }

  // The answer to a request that waits for nothing.
  http::Response answer_to(http::Request request) {
    const Pending pending = begin(std::move(request));
    if (!pending->has_value()) throw std::logic_error("the answer waits for a job");
    return **pending;
  }

  http::Request acme_request(std::string method, std::string target, std::string body = "",
                             std::vector<http::Header> headers = {}) const {
    http::Request request;
    request.listener = web::kAcmeListener;
    request.method = std::move(method);
    request.target = std::move(target);
    request.headers = std::move(headers);
    if (http::find_header(request.headers, "Host") == nullptr) {
      request.headers.push_back({.name = "Host", .value = "acme.test"});
    }
    request.body = std::move(body);
    request.peer.address = peer;
    return request;
  }

  http::Response send(std::string method, std::string target, std::string body = "",
                      std::vector<http::Header> headers = {}) {
    return answer_to(
        acme_request(std::move(method), std::move(target), std::move(body), std::move(headers)));
  }

  // A POST of `body` to a URL of ours.
  Pending begin_post(std::string_view url, std::string body) {
    return begin(acme_request("POST", std::string(url.substr(kBaseUrl.size())), std::move(body),
                              {{.name = "Content-Type", .value = "application/jose+json"}}));
  }

  http::Response post(std::string_view url, std::string body) {
    return send("POST", std::string(url.substr(kBaseUrl.size())), std::move(body),
                {{.name = "Content-Type", .value = "application/jose+json"}});
  }

  std::string nonce() { return header_of(send("HEAD", "/acme/default/new-nonce"), "Replay-Nonce"); }

  static std::string url(std::string_view path, std::string_view directory = "default") {
    return std::string(kBaseUrl).append("/acme/").append(directory).append(path);
  }

  TestServices services;
  service::PublicFiles files;
  std::vector<std::string> not_ready;
  std::vector<service::Expiring> expiring;
  std::string peer;  // the address that ACME requests come from
  web::Handler handler;
};

// r || s of a DER ECDSA signature by a P-256 key.
inline Bytes jose_signature(ByteView der) {
  Bytes raw;
  std::size_t at = 2;  // SEQUENCE, its length
  for (int number = 0; number < 2; ++number) {
    const std::size_t length = der[at + 1];
    const ByteView octets = der.subspan(at + 2, length);
    const ByteView significant = octets[0] == 0 ? octets.subspan(1) : octets;
    raw.insert(raw.end(), 32 - significant.size(), 0);
    raw.insert(raw.end(), significant.begin(), significant.end());
    at += 2 + length;
  }
  return raw;
}

// A flattened JWS over `header`, as text and as it is.
inline std::string sign_flattened(const TestKey& key, std::string_view header,
                                  std::string_view payload) {
  const std::string protected_part = base64url_encode(as_bytes(header));
  const std::string payload_part = base64url_encode(as_bytes(payload));
  const Bytes signature =
      jose_signature(key.signer->sign(as_bytes(protected_part + "." + payload_part)));
  return print_json({{"protected", protected_part},
                     {"payload", payload_part},
                     {"signature", base64url_encode(signature)}});
}

inline Json jwk_json(const TestKey& key) {
  return parse_json(crypto::canonical_json(key.jwk));
}

// One account holder. Takes a fresh nonce for each request.
class Client final {
 public:
  explicit Client(TestWeb& web, std::string directory = "default")
      : web_(web), directory_(std::move(directory)) {}

  std::string url(std::string_view path) const { return TestWeb::url(path, directory_); }

  Json header_with_jwk(std::string_view to) {
    return {{"alg", "ES256"}, {"jwk", jwk_json(key)}, {"nonce", web_.nonce()}, {"url", to}};
  }

  Json header_with_kid(std::string_view to) {
    return {{"alg", "ES256"}, {"kid", kid}, {"nonce", web_.nonce()}, {"url", to}};
  }

  http::Response post(std::string_view to, std::string_view payload) {
    return web_.post(to, sign_flattened(key, print_json(header_with_kid(to)), payload));
  }

  http::Response post(std::string_view to, const Json& payload) {
    return post(to, std::string_view(print_json(payload)));
  }

  http::Response get(std::string_view to) { return post(to, std::string_view()); }

  // A request whose answer may wait for a job.
  TestWeb::Pending begin(std::string_view to, const Json& payload) {
    return web_.begin_post(
        to, sign_flattened(key, print_json(header_with_kid(to)), print_json(payload)));
  }

  http::Response post_with_jwk(std::string_view to, const Json& payload) {
    return web_.post(to, sign_flattened(key, print_json(header_with_jwk(to)), print_json(payload)));
  }

  http::Response new_account(const Json& payload = Json::object()) {
    const http::Response response = post_with_jwk(url("/new-account"), payload);
    kid = header_of(response, "Location");
    return response;
  }

  http::Response new_order(const std::vector<std::string>& names) {
    Json identifiers = Json::array();
    for (const std::string& name : names) {
      identifiers.push_back({{"type", "dns"}, {"value", name}});
    }
    return post(url("/new-order"), Json{{"identifiers", identifiers}});
  }

  // Orders `names`, says that each first challenge is ready and has them proven. The order's URL.
  std::string ready_order(const std::vector<std::string>& names) {
    const http::Response order = new_order(names);
    const Json body = json_of(order);
    for (const Json& authorization : body["authorizations"]) {
      const Json shown = json_of(get(authorization.get<std::string>()));
      post(shown["challenges"][0]["url"].get<std::string>(), Json::object());
    }
    web_.services.run_jobs();
    return header_of(order, "Location");
  }

  http::Response finalize(const std::string& order, const Bytes& csr) {
    return post(order + "/finalize", Json{{"csr", base64url_encode(csr)}});
  }

  // The URL of a certificate issued for `names` to `certificate_key`.
  std::string certificate(const std::vector<std::string>& names, const TestKey& certificate_key) {
    const std::string order = ready_order(names);
    finalize(order, certificate_key.csr(names));
    web_.services.run_jobs();
    return json_of(get(order)).value("certificate", "");
  }

  TestKey key;
  std::string kid;

 private:
  TestWeb& web_;
  std::string directory_;
};

}  // namespace gatehouse::testing
