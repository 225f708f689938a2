// Problem: what a client may read of an error (RFC 7807, RFC 8555 section 6.7), and reject(), which
// ends a request.
#pragma once

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "acme-server/base/json.h"
#include "acme-server/core/identifier.h"

namespace gatehouse {

// The error types of RFC 8555 section 6.7, spelled as they are there. `unspecified` is about:blank,
// for errors that are HTTP's own (404, 405, 503).
enum class ProblemType {
  accountDoesNotExist,
  alreadyRevoked,
  badCSR,
  badNonce,
  badPublicKey,
  badRevocationReason,
  badSignatureAlgorithm,
  caa,
  compound,
  connection,
  dns,
  externalAccountRequired,
  incorrectResponse,
  invalidContact,
  malformed,
  orderNotReady,
  rateLimited,
  rejectedIdentifier,
  serverInternal,
  tls,
  unauthorized,
  unsupportedContact,
  unsupportedIdentifier,
  userActionRequired,
  unspecified,
};

// "urn:ietf:params:acme:error:malformed"; "about:blank" for unspecified.
std::string urn_of(ProblemType type);
std::optional<ProblemType> problem_type_from_urn(std::string_view urn);
// The HTTP status that goes with the type unless a Problem says otherwise.
int default_status(ProblemType type);

struct Subproblem {
  ProblemType type = ProblemType::malformed;
  std::string detail;
  std::optional<Identifier> identifier;

  friend bool operator==(const Subproblem&, const Subproblem&) = default;
};

struct Problem {
  ProblemType type = ProblemType::serverInternal;
  std::string detail;  // a sentence that names the thing and the next step
  int status = 0;      // HTTP status; 0: default_status(type)
  std::vector<Subproblem> subproblems = {};
  std::vector<std::string> algorithms = {};              // badSignatureAlgorithm: what is accepted
  std::string instance = {};                             // userActionRequired: the URL to visit
  std::optional<std::chrono::seconds> retry_after = {};  // sent as a header, not stored
  // Sent as headers, not stored: the URL to go on with, and the methods that a 405 leaves.
  std::string location = {}, allow = {};

  friend bool operator==(const Problem&, const Problem&) = default;
};

int status_of(const Problem& problem);

// The problem document, also how problems stand in the store. identifier objects as RFC 8555
// section 9.7.7 has them.
Json to_json(const Problem& problem);
// Reads back what to_json made. Throws JsonError.
Problem problem_from_json(const Json& json);

// Thrown by reject(), caught where responses are made and nowhere else.
class RequestRejected : public std::runtime_error {
 public:
  explicit RequestRejected(Problem problem);

  const Problem& problem() const { return problem_; }

 private:
  Problem problem_;
};

[[noreturn]] void reject(ProblemType type, std::string detail);
[[noreturn]] void reject(Problem problem);

}  // namespace gatehouse
