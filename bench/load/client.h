// One ACME client of the load: a connection, an account, one certificate after the other.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "acme-server/base/json.h"
#include "bench/load/https.h"
#include "bench/load/responders.h"
#include "bench/load/signing_key.h"
#include "bench/load/statistics.h"
#include "bench/load/task.h"

namespace gatehouse::bench {

struct Directory {
  std::string new_nonce, new_account, new_order, revoke_cert;
};

// What all clients of a run share.
struct Run {
  Loop& loop;
  SSL_CTX& tls;
  ChallengeResponder& challenges;
  Statistics& statistics;
  Target target;
  Directory directory;
  std::string suffix;  // of every name ordered
  std::chrono::milliseconds poll{50};
  std::chrono::seconds patience{30};
  // Each in a hundred: orders for a name that is unwell, certificates that are revoked again.
  std::size_t unwell = 0;
  std::size_t revoked = 0;
  // Whether 503 with Retry-After is answered by coming back, as a client should; a failure if not.
  bool comes_back = false;
  std::size_t wanted = 0;  // certificates; clients stop when so many are begun
  std::size_t begun = 0;
  bool stopping = false;
};

class Client final {
 public:
  Client(Run& run, std::size_t number);

  // Connects and makes the account. Throws Failure.
  Task<void> prepare();
  // Orders until the run has had its certificates or stops.
  Task<void> work();

 private:
  Task<Response> send(Step step, std::string method, const std::string& url, std::string body);
  // Signed; a badNonce is answered with one more try, as clients do (RFC 8555 section 6.5).
  Task<Response> post(Step step, std::string url, std::string payload);
  Task<void> certificate();
  Task<void> revoke(std::string chain);
  // How the authorization ends.
  Task<Json> prove(std::string url);
  Task<Json> poll(Step step, std::string url, std::string_view while_status);

  Run& run_;
  std::size_t number_;
  std::size_t orders_ = 0;
  HttpsConnection connection_;
  SigningKey account_key_, certificate_key_;
  std::string account_member_;  // "kid":"…" or "jwk":{…}
  std::string nonce_;
};

// Reads the directory with a connection of its own.
Task<Directory> read_directory(Loop& loop, SSL_CTX& tls, const std::string& url);

}  // namespace gatehouse::bench
