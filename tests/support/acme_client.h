// AcmeClient: an ACME client (RFC 8555) that signs with keys of its own and speaks to whatever
// takes an http::Request. It checks nothing: that is the tests' business.
#pragma once

#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "acme-server/base/base64url.h"
#include "acme-server/base/ip_address.h"
#include "acme-server/base/json.h"
#include "acme-server/base/secret.h"
#include "acme-server/base/text.h"
#include "acme-server/crypto/certificate.h"
#include "acme-server/crypto/signer.h"
#include "acme-server/http/http.h"
#include "tests/support/test_keys.h"

namespace gatehouse::testing {

// An answer as a client looks at it.
struct Reply {
  int status = 0;
  std::vector<http::Header> headers;
  std::string body;

  std::string header(std::string_view name) const {
    const std::string* value = http::find_header(headers, name);
    return value == nullptr ? "" : *value;
  }

  // The targets of the Link fields with that relation.
  std::vector<std::string> links(std::string_view relation) const {
    std::vector<std::string> targets;
    for (const http::Header& field : headers) {
      const std::size_t end = field.value.find('>');
      if (!equals_ignoring_case(field.name, "Link") || end == std::string::npos) continue;
      if (field.value.find("rel=\"" + std::string(relation) + "\"", end) == std::string::npos) {
        continue;
      }
      targets.push_back(field.value.substr(1, end - 1));
    }
    return targets;
  }

  Json json() const { return parse_json(body); }

  // The short name of the problem's type; "" when the answer is no problem.
  std::string problem() const {
    if (header("Content-Type") != "application/problem+json") return "";
    constexpr std::string_view kUrn = "urn:ietf:params:acme:error:";
    const std::string type = json().at("type").get<std::string>();
    return type.starts_with(kUrn) ? type.substr(kUrn.size()) : type;
  }

  std::string detail() const {
    return problem().empty() ? "" : json().at("detail").get<std::string>();
  }
};

// An order as the client knows it.
struct ClientOrder {
  std::string url;
  int http_status = 0;
  Json json;
  std::vector<std::string> names;

  std::string status() const { return json.at("status").get<std::string>(); }

  std::string finalize() const { return json.at("finalize").get<std::string>(); }
};

class AcmeClient final {
 public:
  using Send = std::function<http::Response(http::Request)>;

  // `base_url` is the server's origin. Without a key, a new P-256 one.
  AcmeClient(Send send, std::string base_url,
             TestKey account_key = TestKey::generate(TestKey::Kind::p256))
      : send_(std::move(send)), base_url_(std::move(base_url)), key(std::move(account_key)) {}

  Reply call(const std::string& method, const std::string& url, std::string body = "",
             std::vector<http::Header> headers = {}) {
    http::Request request;
    request.listener = "acme";
    request.method = method;
    request.target = url.starts_with(base_url_) ? url.substr(base_url_.size()) : url;
    request.headers = std::move(headers);
    if (http::find_header(request.headers, "Host") == nullptr) {
      request.headers.push_back({"Host", base_url_.substr(base_url_.find("//") + 2)});
    }
    if (method == "POST" && http::find_header(request.headers, "Content-Type") == nullptr) {
      request.headers.push_back({"Content-Type", "application/jose+json"});
    }
    request.body = std::move(body);
    const http::Response response = send_(std::move(request));
    Reply reply{.status = response.status,
                .headers = response.headers,
                .body = response.body ? *response.body : ""};
    nonce_ = reply.header("Replay-Nonce");
    return reply;
  }

  Reply get(const std::string& url) { return call("GET", url); }

  // Goes to the directory at `url` from now on, in place of /directory.
  void use_directory(const std::string& url) {
    directory_ = get(url).json();
    kid.clear();
  }

  std::string url_of(const std::string& resource) {
    if (directory_.empty()) directory_ = get(base_url_ + "/directory").json();
    return directory_.at(resource).get<std::string>();
  }

  std::string nonce() {
    if (nonce_.empty()) call("HEAD", url_of("newNonce"));
    if (nonce_.empty()) throw std::runtime_error("the server gave no nonce");
    return std::exchange(nonce_, "");
  }

  // Signed by the account; `payload` empty is POST-as-GET. One badNonce is answered with a new try,
  // as section 6.5 says a client does.
  Reply post_text(const std::string& url, std::string_view payload) {
    Reply reply = call("POST", url, sign_with_kid(key, kid, url, nonce(), payload));
    if (reply.problem() == "badNonce") {
      reply = call("POST", url, sign_with_kid(key, kid, url, nonce(), payload));
    }
    return reply;
  }

  Reply post(const std::string& url, const Json& payload) { return post_text(url, payload.dump()); }

  Reply read(const std::string& url) { return post_text(url, ""); }

  // Signed by `with`, whose public half the request brings.
  Reply post_by_key(const TestKey& with, const std::string& url, const Json& payload) {
    return call("POST", url, sign_with_jwk(with, url, nonce(), payload.dump()));
  }

  // Keeps the account's URL where the server gives one.
  Reply new_account(const Json& payload = {{"termsOfServiceAgreed", true}}) {
    Reply reply = post_by_key(key, url_of("newAccount"), payload);
    if (reply.status == 200 || reply.status == 201) kid = reply.header("Location");
    return reply;
  }

  static Json identifiers(const std::vector<std::string>& names) {
    Json list = Json::array();
    for (const std::string& name : names) {
      const bool ip = IpAddress::parse(name).has_value();
      list.push_back({{"type", ip ? "ip" : "dns"}, {"value", name}});
    }
    return list;
  }

  // newOrder; its answer must be an order.
  ClientOrder new_order(const std::vector<std::string>& names) {
    const Reply reply = post(url_of("newOrder"), {{"identifiers", identifiers(names)}});
    if (reply.status != 201) throw std::runtime_error("newOrder: " + reply.body);
    return {.url = reply.header("Location"),
            .http_status = reply.status,
            .json = reply.json(),
            .names = names};
  }

  ClientOrder get(const ClientOrder& order) {
    const Reply reply = read(order.url);
    return {
        .url = order.url, .http_status = reply.status, .json = reply.json(), .names = order.names};
  }

  // Says "ready" to the first challenge of each pending authorization.
  void respond(const ClientOrder& order) {
    for (const Json& url : order.json.at("authorizations")) {
      const Json authorization = read(url.get<std::string>()).json();
      if (authorization.at("status") != "pending") continue;
      post(authorization.at("challenges").at(0).at("url").get<std::string>(), Json::object());
    }
  }

  // A CSR for the order's names.
  static std::string csr_for(const TestKey& key, const std::vector<std::string>& names) {
    std::vector<std::string> dns;
    std::vector<std::string> ip;
    for (const std::string& name : names) {
      (IpAddress::parse(name) ? ip : dns).push_back(name);
    }
    const auto signer = crypto::load_signer(Secret(key.pem()), Secret());
    return base64url_encode(crypto::make_csr(*signer, dns, ip));
  }

  Reply finalize(const ClientOrder& order, const TestKey& certificate_key) {
    return post(order.finalize(), {{"csr", csr_for(certificate_key, order.names)}});
  }

  Reply finalize(const ClientOrder& order) {
    return finalize(order, TestKey::generate(TestKey::Kind::p256));
  }

  Reply download(const ClientOrder& order) {
    return read(order.json.at("certificate").get<std::string>());
  }

  Reply revoke(ByteView certificate_der, std::optional<int> reason = {}) {
    Json payload = {{"certificate", base64url_encode(certificate_der)}};
    if (reason) payload["reason"] = *reason;
    return post(url_of("revokeCert"), payload);
  }

 private:
  Send send_;
  std::string base_url_;
  Json directory_;
  std::string nonce_;

 public:
  TestKey key;
  std::string kid;
};

}  // namespace gatehouse::testing
