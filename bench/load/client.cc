#include "bench/load/client.h"

#include <algorithm>
#include <utility>

namespace gatehouse::bench {

namespace {

constexpr std::string_view kJose = "application/jose+json";
constexpr std::chrono::seconds kDirectoryPatience{10};
// What Retry-After asks for, in small.
constexpr std::chrono::milliseconds kComeBack{500};

std::string path_of(const std::string& url) {
  return split_url(url).second;
}

std::string text(const Json& object, const char* member) {
  if (!object.is_object() || !object.contains(member) || !object[member].is_string()) {
    throw Failure(std::string("the answer has no ") + member);
  }
  return object[member].get<std::string>();
}

Json json_of(const Response& response) {
  try {
    return parse_json(response.body);
  } catch (const JsonError& error) {
    throw Failure(std::string("the answer is not JSON: ") + error.what());
  }
}

// Of the first certificate in it, as RFC 8555 section 7.6 wants it.
std::string base64url_of(std::string_view pem) {
  constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
  std::string text;
  for (const char each : pem.substr(kBegin.size(), pem.find("-----END") - kBegin.size())) {
    if (each == '+')
      text += '-';
    else if (each == '/')
      text += '_';
    else if (each != '\n' && each != '\r' && each != '=')
      text += each;
  }
  return text;
}

// Whether this one is among the `share` in a hundred: evenly spread, the same in each run.
bool falls_to(std::size_t number, std::size_t share) {
  return number * share / 100 != (number + 1) * share / 100;
}

bool is_bad_nonce(const Response& response) {
  return response.status == 400 && response.body.find(":badNonce") != std::string::npos;
}

}  // namespace

Client::Client(Run& run, std::size_t number)
    : run_(run), number_(number), connection_(run.loop, run.tls, run.target, run.patience) {}

Task<Response> Client::send(Step step, std::string method, const std::string& url,
                            std::string body) {
  if (!connection_.connected()) {
    co_await connection_.connect();
    ++run_.statistics.connections;
  }
  const auto began = Clock::now();
  Response response = co_await connection_.exchange(std::move(method), path_of(url),
                                                    std::string(kJose), std::move(body));
  run_.statistics.took(step, Clock::now() - began);
  nonce_ = response.header("Replay-Nonce");
  co_return response;
}

Task<Response> Client::post(Step step, std::string url, std::string payload) {
  const auto deadline = Clock::now() + run_.patience;
  for (int tries = 0;; ++tries) {
    if (nonce_.empty()) {
      const Response fresh = co_await send(Step::new_nonce, "HEAD", run_.directory.new_nonce, "");
      if (nonce_.empty()) throw Failure("newNonce gave no nonce");
    }
    std::string body = account_key_.jws(account_member_, nonce_, url, payload);
    ++run_.statistics.signed_requests;
    Response response = co_await send(step, "POST", url, std::move(body));
    if (is_bad_nonce(response) && tries == 0) {
      ++run_.statistics.bad_nonces;
      continue;
    }
    if (run_.comes_back && response.status == 503 && !response.header("Retry-After").empty() &&
        Clock::now() < deadline) {
      ++run_.statistics.told_to_come_back;
      co_await run_.loop.sleep(kComeBack);
      tries = -1;
      continue;
    }
    if (response.status >= 400) {
      throw Failure(std::string(kStepNames[static_cast<std::size_t>(step)]) + ": " +
                    std::to_string(response.status) + " " + response.body.substr(0, 300));
    }
    co_return response;
  }
}

Task<void> Client::prepare() {
  account_member_ = "\"jwk\":" + account_key_.jwk();
  const Response made = co_await post(Step::new_account, run_.directory.new_account,
                                      R"({"termsOfServiceAgreed":true})");
  const std::string url(made.header("Location"));
  if (url.empty()) throw Failure("newAccount gave no Location");
  account_member_ = "\"kid\":\"" + url + "\"";
}

Task<Json> Client::poll(Step step, std::string url, std::string_view while_status) {
  const auto deadline = Clock::now() + run_.patience;
  for (;;) {
    const Response response = co_await post(step, url, "");
    Json json = json_of(response);
    const std::string status = text(json, "status");
    if (status != while_status) co_return json;
    if (Clock::now() > deadline) throw Failure(url + " stays " + status);
    co_await run_.loop.sleep(run_.poll);
  }
}

Task<Json> Client::prove(std::string url) {
  const Response shown = co_await post(Step::authorization, url, "");
  Json authorization = json_of(shown);
  if (text(authorization, "status") == "valid") co_return authorization;
  for (const Json& challenge : authorization.at("challenges")) {
    if (text(challenge, "type") != "http-01") continue;
    const std::string token = text(challenge, "token");
    run_.challenges.serve(token, token + "." + account_key_.thumbprint());
    const Response begun = co_await post(Step::challenge, text(challenge, "url"), "{}");
    // An answer that waited for the validation tells that the authorization is decided.
    const bool decided = text(json_of(begun), "status") != "processing";
    if (!decided) co_await run_.loop.sleep(run_.poll);
    Json done = co_await poll(Step::poll_authorization, url, "pending");
    run_.challenges.remove(token);
    co_return done;
  }
  throw Failure("the server offers no http-01 challenge");
}

Task<void> Client::certificate() {
  const auto began = Clock::now();
  const std::size_t number = orders_++;
  const std::size_t kind = (number_ + number) % kUnwellNames.size();
  const bool unwell = falls_to(number, run_.unwell);
  const std::string name = (unwell ? std::string(kUnwellNames[kind]) + "-" : "") + "c" +
                           std::to_string(number_) + "-" + std::to_string(number) + "." +
                           run_.suffix;
  const bool provable = !unwell || is(name, Unwell::late);
  const Response made =
      co_await post(Step::new_order, run_.directory.new_order,
                    R"({"identifiers":[{"type":"dns","value":")" + name + "\"}]}");
  const std::string url(made.header("Location"));
  Json order = json_of(made);
  for (const Json& authorization : order.at("authorizations")) {
    const Json done = co_await prove(authorization.get<std::string>());
    if (text(done, "status") != (provable ? "valid" : "invalid")) {
      throw Failure("the authorization became " + print_json(done).substr(0, 300));
    }
  }
  if (unwell) ++run_.statistics.unwell[kind];
  if (!provable) co_return;
  const Response finalized = co_await post(Step::finalize, text(order, "finalize"),
                                           R"({"csr":")" + certificate_key_.csr(name) + "\"}");
  order = json_of(finalized);
  if (text(order, "status") == "processing") {
    co_await run_.loop.sleep(run_.poll);
    order = co_await poll(Step::poll_order, url, "processing");
  }
  if (text(order, "status") != "valid") {
    throw Failure("the order became " + print_json(order).substr(0, 300));
  }
  const Response chain = co_await post(Step::download, text(order, "certificate"), "");
  if (!chain.body.starts_with("-----BEGIN CERTIFICATE-----")) {
    throw Failure("the download is no PEM chain");
  }
  run_.statistics.took(Step::certificate, Clock::now() - began);
  run_.statistics.last_progress = Clock::now();
  ++run_.statistics.certificates;
  if (falls_to(number, run_.revoked)) co_await revoke(chain.body);
}

Task<void> Client::revoke(std::string chain) {
  co_await post(Step::revocation, run_.directory.revoke_cert,
                R"({"certificate":")" + base64url_of(chain) + R"(","reason":4})");
  ++run_.statistics.revocations;
}

Task<void> Client::work() {
  while (!run_.stopping && run_.begun < run_.wanted) {
    ++run_.begun;
    bool failed = false;
    try {
      co_await certificate();
    } catch (const std::exception& error) {
      run_.statistics.failed(error.what());
      failed = true;
    }
    if (failed) {
      // Whatever state the connection is in: begin anew, without hammering a server in trouble.
      connection_.close();
      nonce_.clear();
      co_await run_.loop.sleep(std::chrono::seconds(1));
    }
  }
}

Task<Directory> read_directory(Loop& loop, SSL_CTX& tls, const std::string& url) {
  auto [target, path] = split_url(url);
  HttpsConnection connection(loop, tls, target, kDirectoryPatience);
  const Response response = co_await connection.exchange("GET", path, "", "");
  if (response.status != 200) {
    throw Failure("the directory answers " + std::to_string(response.status));
  }
  const Json json = json_of(response);
  co_return Directory{.new_nonce = text(json, "newNonce"),
                      .new_account = text(json, "newAccount"),
                      .new_order = text(json, "newOrder"),
                      .revoke_cert = text(json, "revokeCert")};
}

}  // namespace gatehouse::bench
